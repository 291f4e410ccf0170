"""What is handed over, and what goes into one section of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.ehr.narrative import Part
from fhirsvc.handoff.trends import Trend

Resource = Mapping[str, Any]
Row = tuple[str, str]
Names = Callable[[Resource], str]


@dataclass(frozen=True)
class Contents:
    """What goes into one section: what it says, its entries, and whether anything was withheld."""

    part: Part | None = None
    entries: tuple[Resource, ...] = ()
    is_withheld: bool = False


@dataclass(frozen=True)
class Handed:
    """What is handed over, by resource type, and who is who.

    ``texts`` are words of the record that no resource carries, by section key; ``withheld`` the
    keys of the sections of which something may not be told.
    """

    resources: Mapping[str, Sequence[Resource]]
    names: Names
    plan: Resource
    trends: tuple[Trend, ...] = ()
    texts: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()

    def of(self, kind: str) -> Sequence[Resource]:
        """The resources of a type."""
        return self.resources.get(kind, ())
