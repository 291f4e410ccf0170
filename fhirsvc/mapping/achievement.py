"""``Goal.achievementStatus`` from targets and scores, for clinics that ask for it. Pure.

Objectives that name an instrument are judged by the client's dated totals: by the latest, whether
they are met; from the baseline to the latest, whether it goes better or worse. What a difference
means is the caller's to say (``moved``): the instruments' own change thresholds as a rule. The
words are those of https://hl7.org/fhir/R4/valueset-goal-achievement.html as the house writes them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhirsvc.fhir.instruments import Instrument
from fhirsvc.fhir.scoring import Direction, change

Record = Mapping[str, Any]
Moved = Callable[[str, int, int], Direction | None]  # instrument, before, after

_MEETS: dict[str, Callable[[float, float], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ge": operator.ge,
    "gt": operator.gt,
}
_COUNTS = ("completed", "amended")  # assessments whose scores are final
_OPEN = ("proposed", "planned", "accepted", "active", "on_hold")


@dataclass(frozen=True)
class Result:
    """One total of one instrument; ``at`` is the moment it was taken."""

    instrument: str
    at: datetime
    total: int


def moved_by(instruments: Mapping[str, Instrument]) -> Moved:
    """What a difference means by the thresholds of the instruments; None of an unknown one."""

    def moved(instrument: str, before: int, after: int) -> Direction | None:
        known = instruments.get(instrument)
        return change(known, before, after).direction if known is not None else None

    return moved


def results_of(assessments: Iterable[Record]) -> list[Result]:
    """The dated totals of final assessments, in order of time."""
    found = [
        Result(one["instrument"], datetime.fromisoformat(one["administered_at"]), one["total"])
        for assessment in assessments
        if assessment.get("status") in _COUNTS
        for one in assessment.get("instruments", ())
        if "total" in one and "administered_at" in one
    ]
    return sorted(found, key=lambda result: result.at)


def achieved(goal: Record, results: Sequence[Result], moved: Moved) -> str | None:
    """The house word for how a goal is going, or None where no score says anything of it.

    Reached when every objective that still counts is: by its scores, or by its stated status where
    it is not measured by an instrument. Short of that, the worst movement of a measured objective
    since the baseline (the last total before the goal's start, else the first after) decides; a
    goal that is over and not reached was not achieved.

    :param results: of this client, in order of time.
    """
    objectives = [o for o in goal.get("objectives", ()) if o.get("status") != "dropped"]
    measured = [(o, _course(o, goal, results)) for o in objectives if _is_measured(o)]
    known = [(o, course) for o, course in measured if course]
    if not known:
        return None
    met = [_MEETS[o["op"]](course[-1].total, o["value"]) for o, course in known]
    others = [o.get("status") == "met" for o in objectives if not _is_measured(o)]
    if all(met) and all(others) and len(known) == len(measured):
        return "achieved"
    if goal.get("lifecycle") not in _OPEN:
        return "not_achieved"
    ways = {
        moved(o["instrument"], course[0].total, course[-1].total)
        for (o, course), is_met in zip(known, met, strict=True)
        if len(course) > 1 and not is_met
    }
    for way, word in (("worse", "worsening"), ("better", "improving"), ("same", "no_change")):
        if way in ways:
            return word
    return "in_progress"


def judged(goal: Record, results: Sequence[Result], moved: Moved) -> Record:
    """The goal with its ``progress`` as the scores say it; as it is where they say nothing."""
    return told(goal, achieved(goal, results, moved))


def told(goal: Record, word: str | None) -> Record:
    """The goal with ``word`` as its ``progress``; as it is when that is its own, or None.

    The words beside a status that changed were about another one: they are left out.
    """
    if word is None or word == goal.get("progress"):
        return goal
    return {name: value for name, value in goal.items() if name != "progress_text"} | {
        "progress": word
    }


def _is_measured(objective: Record) -> bool:
    return "instrument" in objective and "value" in objective


def _course(objective: Record, goal: Record, results: Sequence[Result]) -> list[Result]:
    """The totals of an objective's instrument from the baseline on."""
    own = [result for result in results if result.instrument == objective["instrument"]]
    start = str(goal.get("start_date", ""))
    before = [n for n, result in enumerate(own) if result.at.date().isoformat() <= start]
    return own[before[-1] :] if before else own
