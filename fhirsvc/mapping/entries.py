"""What is given to be read: resources, and Bundles of them opened."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from fhirsvc.errors import Finding, Severity

Record = dict[str, Any]
_FITS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,34}[A-Za-z0-9])?")  # an id of a record


@dataclass(frozen=True)
class Located:
    """A finding and the resource (``Type/id``) or record it is about."""

    about: str
    finding: Finding


def entries(
    resources: Iterable[Any], findings: list[Located]
) -> tuple[list[Record], list[tuple[str, Record]]]:
    """The resources one by one, Bundles opened, and what references may call each of them."""
    found: list[Record] = []
    names: list[tuple[str, Record]] = []
    stack = list(resources)[::-1]
    while stack:
        one = stack.pop()
        if not isinstance(one, dict) or not isinstance(one.get("resourceType"), str):
            findings.append(Located("", Finding("type", "this is no FHIR resource", "")))
        elif one["resourceType"] != "Bundle":
            found.append(one)
            names.append((name_of(one), one))
        else:
            entries = one.get("entry")
            for entry in reversed(entries if isinstance(entries, list) else []):
                if isinstance(entry, dict) and "resource" in entry:
                    inner = entry["resource"]
                    if isinstance(inner, dict) and isinstance(entry.get("fullUrl"), str):
                        names.append((entry["fullUrl"], inner))
                    stack.append(inner)
    return found, names


def name_of(resource: Mapping[str, Any]) -> str:
    """``Type/id``."""
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def as_id(name: object) -> str:
    """An id of the other side as one of the house; one that it could not be, as a digest."""
    if isinstance(name, str) and _FITS.fullmatch(name):
        return name
    return "x" + hashlib.sha256(orjson.dumps(name)).hexdigest()[:19]


def told(
    about: str,
    rule: str,
    message: str,
    resource: Mapping[str, Any],
    severity: Severity = "warning",
) -> Located:
    """A finding about a resource as a whole."""
    return Located(about, Finding(rule, message, str(resource.get("resourceType")), severity))


def follows(resource: Mapping[str, Any]) -> Located:
    """That a resource follows from a record."""
    message = "this follows from a record and is not read back"
    return told(name_of(resource), "derived", message, resource, "information")
