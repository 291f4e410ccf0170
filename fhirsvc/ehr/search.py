"""Reads of one EHR: by id, by business identifier, and out of the answer to a write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.client import Answer, Client
from fhirsvc.ehr.content import etag_of
from fhirsvc.ehr.decide import Decision, decide
from fhirsvc.errors import Category

PAGES = 50  # that are looked through for one resource of a patient
# https://hl7.org/fhir/R4/datatypes.html#id
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class Remote:
    """A resource as the EHR holds it; ``etag`` is None where the EHR keeps no versions."""

    id: str
    etag: str | None
    body: Mapping[str, Any]

    @property
    def last_updated(self) -> str:
        """``meta.lastUpdated`` as it stands there; '' when it does not."""
        meta = self.body.get("meta")
        found = meta.get("lastUpdated") if isinstance(meta, Mapping) else None
        return found if isinstance(found, str) else ""


@dataclass(frozen=True)
class Duplicates:
    """Several resources under one business identifier."""

    remotes: tuple[Remote, ...]


def token(system: str, value: str) -> str:
    r"""A token search value ``system|value``, with ``\ , | $`` escaped in either part.

    https://hl7.org/fhir/R4/search.html#escaping
    """
    return "|".join(re.sub(r"([\\,|$])", r"\\\1", part) for part in (system, value))


def identity(resource_type: str) -> str:
    """The search parameter that finds a resource by our own name for it.

    Provenance has no identifier in R4; its name is a tag. https://hl7.org/fhir/R4/search.html#tag
    """
    return "_tag" if resource_type == "Provenance" else "identifier"


class Reader:
    """Reads for one delivery; ``luck`` and ``attempts`` go into the delays of its retries.

    ``capabilities`` say by what the EHR can be searched; None: by identifier.
    """

    def __init__(
        self,
        client: Client,
        correlation_id: str,
        now: Callable[[], float],
        *,
        attempts: int = 0,
        luck: float = 0.5,
        capabilities: Capabilities | None = None,
    ) -> None:
        self._client = client
        self._correlation_id = correlation_id
        self._attempts = attempts
        self._luck = luck
        self._capabilities = capabilities
        self.now = now

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request under the delivery's correlation id."""
        return self._client.request(
            method,
            path,
            correlation_id=self._correlation_id,
            params=params,
            body=body,
            headers=headers,
        )

    def by_id(self, resource_type: str, remote_id: str) -> Remote | Decision:
        """The resource, or what to do when it cannot be read; one that has gone is held."""
        answer = self.send("GET", f"{resource_type}/{remote_id}", headers=_FRESH)
        if answer.status in (404, 410):
            return Decision("hold", Category.GONE, detail="no longer at the EHR")
        decision = self.decided(answer)
        if decision is not None:
            return decision
        return self.from_answer(resource_type, answer, remote_id) or _unreadable("read")

    def searches(self, resource_type: str, whose: str = "") -> str:
        """By what a resource of ours can be looked for: ``identifier``, ``patient``, or ''.

        Hospital EHRs declare no search by identifier for much of what they let us create; what a
        patient has can be looked through for it. ``whose``: the patient's id at the EHR.
        """
        known = self._capabilities
        if known is None or known.finds(resource_type, identity(resource_type)):
            return "identifier"
        return "patient" if whose and known.finds(resource_type, "patient") else ""

    def by_identifier(
        self, resource_type: str, system: str, value: str, whose: str = ""
    ) -> Remote | Decision | Duplicates | None:
        """What is under a business identifier: one resource, None, or several.

        Where the EHR cannot be asked that, it is held: nothing is taken for absent unseen.
        """
        how = self.searches(resource_type, whose)
        if not how:
            detail = f"{resource_type} cannot be looked for at this EHR"
            return Decision("hold", Category.UNSUPPORTED, detail=detail)
        named = token(system, value)
        params = {identity(resource_type): named}
        if how == "patient":
            params = {"patient": whose, "_count": "100"}
        unique: dict[str, Remote] = {}
        path: str = resource_type
        for _ in range(PAGES if how == "patient" else 1):
            answer = self.send("GET", path, params=params or None, headers=_FRESH)
            decision = self.decided(answer)
            if decision is not None:
                return decision
            bundle = answer.body or {}
            if bundle.get("resourceType") != "Bundle":
                return _unreadable("search")
            for one in map(self.remote, matches(bundle)):
                if one is None or one.body.get("resourceType") != resource_type:
                    continue
                if how == "identifier" or named in names(one.body):
                    unique[one.id] = one
            following = next_page(bundle)
            if how == "identifier" or following is None:
                break
            path, params = following, {}
        if len(unique) > 1:
            return Duplicates(tuple(unique.values()))
        return next(iter(unique.values()), None)

    def from_answer(
        self, resource_type: str, answer: Answer, remote_id: str | None
    ) -> Remote | None:
        """The resource in an answer, when it carries one with its id and version."""
        body = answer.body or {}
        if body.get("resourceType") != resource_type:
            return None
        found = body.get("id") or remote_id
        if not isinstance(found, str) or not _ID.fullmatch(found):
            return None
        return Remote(found, etag_of(answer.headers, body), body)

    def remote(self, resource: Mapping[str, Any]) -> Remote | None:
        """A resource of a searchset; None when it has no id that could be one."""
        found = resource.get("id")
        if not isinstance(found, str) or not _ID.fullmatch(found):
            return None
        return Remote(found, etag_of({}, resource), resource)

    def id_in(self, resource_type: str, answer: Answer) -> str | None:
        """The id that Location or Content-Location names.

        https://hl7.org/fhir/R4/http.html#create
        """
        for name in ("Location", "Content-Location"):
            parts = urlsplit(answer.headers.get(name, "")).path.strip("/").split("/")
            if "_history" in parts:
                parts = parts[: parts.index("_history")]
            if len(parts) >= 2 and parts[-2] == resource_type and _ID.fullmatch(parts[-1]):
                return parts[-1]
        return None

    def decided(self, answer: Answer) -> Decision | None:
        """None when the read succeeded."""
        decision = decide(
            "GET",
            answer.status,
            answer.headers,
            answer.problem,
            attempts=self._attempts,
            luck=self._luck,
            now=self.now(),
            renewed=answer.renewed,
        )
        if answer.said:
            decision = replace(decision, detail=answer.said)
        if decision.action == "new_token":
            return replace(decision, action="retry", rests=True)
        if decision.action == "reread":
            return Decision("retry", decision.category, decision.delay or 1.0)
        return None if decision.action == "done" else decision


# A cache between us and the EHR must not answer what it held before our write.
_FRESH = {"Cache-Control": "no-cache"}


def next_page(bundle: Mapping[str, Any]) -> str | None:
    """Where a searchset goes on; a relative link is relative to the base."""
    listed = bundle.get("link")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and one.get("relation") == "next":
            url = one.get("url")
            if isinstance(url, str) and url:
                return url if "://" in url else url.lstrip("/")
    return None


def names(resource: Mapping[str, Any]) -> Iterator[str]:
    """The identifiers and tags of a resource, as search values."""
    listed = resource.get("identifier")
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, Mapping) else None
    for one in listed if isinstance(listed, list) else [listed]:
        if isinstance(one, Mapping):
            yield token(str(one.get("system")), str(one.get("value")))
    for one in tags if isinstance(tags, list) else ():
        if isinstance(one, Mapping):
            yield token(str(one.get("system")), str(one.get("code")))


def _unreadable(what: str) -> Decision:
    return Decision("retry", Category.UNAVAILABLE, 30.0, detail=f"unreadable answer to a {what}")


def matches(bundle: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The resources of a searchset that matched; an OperationOutcome among them is left out."""
    entries = bundle.get("entry")
    return [
        entry["resource"]
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        and isinstance(entry.get("resource"), dict)
        and (entry.get("search") or {}).get("mode", "match") == "match"
    ]
