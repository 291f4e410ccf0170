"""What is given to be read: resources, and Bundles of them opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.errors import Finding

Record = dict[str, Any]


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
