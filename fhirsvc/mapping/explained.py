"""The origin of every element of a resource: record field, mapping line, version, transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhirsvc.mapping.derived import origin
from fhirsvc.mapping.plan import Plan

_REMEMBERED = 10_000  # places kept for each line


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


class Said:
    """What a line says of its elements: made for each place in the lists around them, once."""

    def __init__(self, element: str, field: str | None, place: str, version: str, how: str) -> None:
        self._say = element, field, place, version, how
        self.known: dict[tuple[int, ...], Explained] = {}

    def at(self, places: tuple[int, ...]) -> Explained:
        """The origin of the element at these places."""
        element, field, place, version, how = self._say
        if len(self.known) >= _REMEMBERED:
            self.known.clear()
        where = field.format(*places) if field is not None else None
        found = Explained(element.format(*places), where, place, version, how)
        self.known[places] = found
        return found


def said(plan: Plan, element: str, field: str | None, n: int) -> Said:
    """What line ``n`` of a plan says; paths are format strings of the places in their lists."""
    line = plan.lines[n]
    how = line.transform or (f"codes {line.codes}" if line.codes else line.kind)
    return Said(element, field, str(line.mark), plan.file.version, how)


def followed(steps: list[Explained], record: Mapping[str, Any]) -> list[Explained]:
    """Derived fields by the one that each follows from."""
    found = []
    for step in steps:
        known = origin(record, step.field) if step.field else None
        found.append(step if known is None else replace(step, field=known, transform="alert"))
    return found
