"""The origin of every element of a resource: record field, mapping line, version, transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.mapping.derived import origin
from fhirsvc.mapping.plan import Plan


@dataclass(frozen=True)
class Explained:
    """Where one element came from."""

    element: str  # FHIR path, "CarePlan.activity[0].detail.code"
    field: str | None  # JSON path in the record; None for a constant
    place: str  # file:line:col of the mapping line
    version: str  # of the mapping file
    transform: str


@dataclass(frozen=True)
class Traced:
    """A resource and the origin of each of its elements."""

    resource: dict[str, Any]
    trace: tuple[Explained, ...]


def explained(
    plan: Plan, steps: list[tuple[str, str | None, int]], record: Mapping[str, Any]
) -> list[Explained]:
    """The steps of a traced run with their lines; a derived field by the one it follows from."""
    found = []
    for element, field, n in steps:
        line = plan.lines[n]
        how = line.transform or (f"codes {line.codes}" if line.codes else line.kind)
        known = origin(record, field) if field else None
        if known is not None:
            how = "alert"
        place = str(line.mark)
        found.append(Explained(element, known or field, place, plan.file.version, how))
    return found
