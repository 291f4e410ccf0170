"""Compares what we sent with what an EHR answers that it holds. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

Resource = Mapping[str, Any]


def fingerprint(resource: object) -> str:
    """SHA-256 over canonical JSON: the same for the same content in any order of keys."""
    return hashlib.sha256(orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)).hexdigest()


def remote_fingerprint(resource: Resource) -> str:
    """The fingerprint of a remote resource without what each write changes by itself."""
    return fingerprint(lasting(resource))


def lasting(resource: Resource) -> dict[str, Any]:
    """A remote resource without its id, and without what each write changes by itself."""
    kept = {key: value for key, value in resource.items() if key not in ("id", "meta")}
    meta = {
        key: value
        for key, value in (resource.get("meta") or {}).items()
        if key not in ("versionId", "lastUpdated", "source")
    }
    return {**kept, "meta": meta} if meta else kept


def holds(remote: Any, sent: Any) -> bool:
    """Whether ``remote`` carries all of ``sent``: a server may add, reorder and set ids.

    Narrative is not compared, because servers rewrite it; a reference may come back absolute.
    """
    if isinstance(sent, Mapping):
        return isinstance(remote, Mapping) and all(
            _holds_member(key, remote.get(key), value)
            for key, value in sent.items()
            if key != "id" and not _is_narrative(key, value)
        )
    if isinstance(sent, list):
        return isinstance(remote, list) and _holds_items(remote, sent)
    if isinstance(sent, bool) or isinstance(remote, bool):
        return sent is remote
    return bool(sent == remote)


def is_same(one: Resource, other: Resource) -> bool:
    """Whether each of two resources carries all of the other, beside what writes change."""
    return holds(lasting(one), lasting(other)) and holds(lasting(other), lasting(one))


def _is_narrative(key: str, value: Any) -> bool:
    return key == "text" and isinstance(value, Mapping)  # of a CodeableConcept it is a string


def _holds_member(key: str, remote: Any, sent: Any) -> bool:
    if key == "reference" and isinstance(sent, str) and isinstance(remote, str):
        bare = remote.split("/_history/")[0]
        return bare == sent or bare.endswith("/" + sent)
    return holds(remote, sent)


def _holds_items(remote: list[Any], sent: list[Any]) -> bool:
    left = list(remote)
    for item in sent:
        match = next((index for index, other in enumerate(left) if holds(other, item)), None)
        if match is None:
            return False
        del left[match]
    return True


def etag_of(headers: Mapping[str, str], resource: Any) -> str | None:
    """The version as an ETag, from the header or else from ``meta.versionId``.

    https://hl7.org/fhir/R4/http.html#concurrency
    """
    header = headers.get("ETag", "").strip()
    if header:
        return header if len(header) <= 120 else None
    meta = resource.get("meta") if isinstance(resource, Mapping) else None
    version = meta.get("versionId") if isinstance(meta, Mapping) else None
    return f'W/"{version}"' if isinstance(version, str) and version else None
