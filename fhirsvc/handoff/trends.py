"""How scores moved over an episode, and how each goal is going. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirsvc.fhir.instruments import Instrument

Resource = Mapping[str, Any]
LOINC = "http://loinc.org"


@dataclass(frozen=True)
class Point:
    """A score at a moment (ISO date or dateTime)."""

    at: str
    value: float


@dataclass(frozen=True)
class Trend:
    """The totals of one instrument, oldest first; ``aims`` are totals that goals are after."""

    instrument: Instrument
    points: tuple[Point, ...]
    aims: tuple[float, ...] = ()

    @property
    def first(self) -> Point:
        """The first score."""
        return self.points[0]

    @property
    def last(self) -> Point:
        """The last score."""
        return self.points[-1]

    @property
    def change(self) -> float:
        """Points from the first to the last score."""
        return self.last.value - self.first.value

    def band(self, value: float) -> str:
        """The house word of the band that a total is in; '' where there are none."""
        within = [word for low, word in self.instrument.bands if value >= low]
        return within[-1] if within else ""

    @property
    def meaning(self) -> str:
        """What the change means by the instrument's own thresholds: '' where it has none."""
        if len(self.points) < 2 or not self.instrument.change:
            return ""
        reached = [one for one in self.instrument.change if abs(self.change) >= one.points]
        if not reached:
            return "no more than chance"
        is_better = (self.change > 0) == self.instrument.higher_is_better
        return f"{reached[-1].meaning} {'improvement' if is_better else 'worsening'}"


def trends(
    observations: Iterable[Resource],
    goals: Iterable[Resource],
    instruments: Mapping[str, Instrument],
) -> tuple[Trend, ...]:
    """A trend for each instrument that was scored, in the order of its name."""
    by_total = {one.total["code"]: one for one in instruments.values() if one.total.get("code")}
    found: dict[str, list[Point]] = {}
    for one in observations:
        code = _loinc(one.get("code"))
        value = (one.get("valueQuantity") or {}).get("value")
        at = one.get("effectiveDateTime")
        if code in by_total and at and isinstance(value, int | float):
            found.setdefault(code, []).append(Point(str(at), value))
    aims = _aims(goals)
    return tuple(
        Trend(
            by_total[code],
            tuple(sorted(points, key=lambda point: point.at)),
            tuple(sorted(set(aims.get(code, ())))),
        )
        for code, points in sorted(found.items(), key=lambda item: by_total[item[0]].name)
    )


def _aims(goals: Iterable[Resource]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for goal in goals:
        for target in goal.get("target", ()):
            code = _loinc(target.get("measure"))
            value = (target.get("detailQuantity") or {}).get("value")
            if code and isinstance(value, int | float):
                found.setdefault(code, []).append(value)
    return found


def _loinc(concept: object) -> str:
    listed: Sequence[Any] = concept.get("coding", ()) if isinstance(concept, Mapping) else ()
    codes = (str(one.get("code")) for one in listed if one.get("system") == LOINC)
    return next(codes, "")
