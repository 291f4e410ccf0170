"""What answers add up to: totals, bands, part scores, change, alerts, and whether a claim is true.

Answers are ``{item number: value}``, as records number and value them. Nothing is corrected here:
a stated total that differs from the answers is a finding. Rules for missing answers are the
instrument's own, as published; where it has none, an incomplete form has no total.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Alert, Criterion, Instrument, Subscale

Answers = Mapping[str, int]
Direction = Literal["worse", "same", "better"]


@dataclass(frozen=True)
class Context:
    """What a band may depend on besides the total; None where it is not known."""

    sex: str | None = None  # male | female; others have no published band of their own
    setting: str | None = None


NOWHERE = Context()


@dataclass(frozen=True)
class Score:
    """What the answers to one instrument say.

    ``total`` is None where answers are missing that the instrument cannot do without, ``severity``
    where it depends on what is not known. ``missing`` are scored items without an answer.
    """

    total: int | None
    severity: str | None
    subscales: dict[str, int | None] = field(default_factory=dict)
    criteria: dict[str, bool | None] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    complete: bool = False
    prorated: bool = False  # the mean of the others stands in for missing answers


@dataclass(frozen=True)
class Change:
    """How a score moved: ``direction`` None where nobody has said what a difference means.

    ``threshold`` is the one that was reached, or the lowest that was not; None: told by bands.
    """

    direction: Direction | None
    points: int
    threshold: int | None = None
    meaning: str | None = None
    source: str = ""


def answers_of(instrument: Instrument, items: object) -> dict[str, int]:
    """The answers in a record's ``items`` (``[{n, value}]``); what is no answer is left out."""
    allowed = instrument.allowed
    found: dict[str, int] = {}
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict):
            continue
        n, value = item.get("n"), item.get("value")
        if isinstance(n, str) and type(value) is int and value in allowed.get(n, ()):
            found[n] = value
    return found


def score(instrument: Instrument, answers: Answers, context: Context = NOWHERE) -> Score:
    """Score a set of answers; values that are none of the instrument's count as missing."""
    filled = _filled(instrument, answers)
    missing = tuple(n for n in instrument.counted if n not in filled)
    complete = bool(instrument.items) and not missing
    total = None if instrument.scoring == "rules" else _total(instrument, filled, missing)
    if instrument.scoring == "rules":
        severity = _risk(instrument, filled)
    else:
        severity = None if total is None else band(instrument, total, context)
    return Score(
        total=total,
        severity=severity,
        subscales={s.key: _part(instrument, s, filled) for s in instrument.subscales},
        criteria={c.key: _met(instrument, c, filled) for c in instrument.criteria},
        missing=missing,
        complete=complete,
        prorated=total is not None and not complete,
    )


def _filled(instrument: Instrument, answers: Answers) -> dict[str, int]:
    """The answers that are of the instrument, and those that earlier answers make needless."""
    known = instrument.allowed
    found = {n: value for n, value in answers.items() if value in known.get(n, ())}
    for skip in instrument.skips:
        if all(found.get(n) == value for n, value in skip.when.items()):
            for n in skip.items:
                found.setdefault(n, skip.value)
    return found


def _points(instrument: Instrument, filled: Answers, numbers: Iterable[str]) -> list[int]:
    """What each answered item of ``numbers`` counts; each at most one where yes is counted."""
    by_n = instrument.by_number
    counted = [by_n[n].points(filled[n]) for n in numbers if n in filled]
    return [int(p > 0) for p in counted] if instrument.scoring == "count" else counted


def _total(instrument: Instrument, filled: Answers, missing: tuple[str, ...]) -> int | None:
    scored = instrument.counted
    answered = len(scored) - len(missing)
    if not answered or len(missing) > instrument.may_miss:
        return None
    plain = sum(_points(instrument, filled, scored))
    if not missing:
        return plain
    return (2 * plain * len(scored) + answered) // (2 * answered)  # to the nearest, halves up


def _part(instrument: Instrument, subscale: Subscale, filled: Answers) -> int | None:
    if any(n not in filled for n in subscale.items):
        return None
    return sum(_points(instrument, filled, subscale.items))


def _met(instrument: Instrument, criterion: Criterion, filled: Answers) -> bool | None:
    """Whether a criterion holds; None where a missing answer decides."""
    sure = possible = True
    for subscale in instrument.subscales:
        needed = criterion.at_least.get(subscale.key, 0)
        high = sum(filled.get(n, -1) >= criterion.rated for n in subscale.items)
        open_ = sum(n not in filled for n in subscale.items)
        sure = sure and high >= needed
        possible = possible and high + open_ >= needed
    return sure if sure == possible else None


def _risk(instrument: Instrument, filled: Answers) -> str | None:
    """The first step of the risk table that holds, if no step before it is still open."""
    for rule in instrument.rules:
        if not rule.items or any(filled.get(n, -1) >= rule.low for n in rule.items):
            return rule.word
        if any(n not in filled for n in rule.items):
            return None
    return None


def bands_for(instrument: Instrument, total: int, context: Context = NOWHERE) -> set[str]:
    """Every band the total may fall in, as far as the context is known."""
    if not instrument.bands:
        return set()
    fitting = [v for v in instrument.variants if _may_hold(v.sex, v.setting, context)]
    certain = any(_holds(v.sex, v.setting, context) for v in fitting)
    choices = [v.bands for v in fitting] + ([] if certain else [instrument.bands])
    return {word for bands in choices if (word := _within(bands, total)) is not None}


def band(instrument: Instrument, total: int, context: Context = NOWHERE) -> str | None:
    """The band of a total; None where it has none, or where it depends on what is not known."""
    words = bands_for(instrument, total, context)
    return words.pop() if len(words) == 1 else None


_SEXES = ("male", "female")


def _may_hold(sex: str | None, setting: str | None, context: Context) -> bool:
    """Whether a variant can apply: sex other or unknown rules out neither; no setting, none."""
    right_sex = sex is None or context.sex not in _SEXES or context.sex == sex
    return right_sex and (setting is None or context.setting == setting)


def _holds(sex: str | None, setting: str | None, context: Context) -> bool:
    return (sex is None or context.sex == sex) and (setting is None or context.setting == setting)


def _within(bands: tuple[tuple[int, str], ...], total: int) -> str | None:
    return next((word for bound, word in reversed(bands) if total >= bound), None)


def change(instrument: Instrument, before: int, after: int, context: Context = NOWHERE) -> Change:
    """Whether a total is worse, the same or better, by the thresholds the instrument has.

    Without thresholds the bands decide; without bands nothing is claimed unless nothing moved.
    """
    points = after - before
    up: Direction = "better" if instrument.higher_is_better else "worse"
    down: Direction = "worse" if instrument.higher_is_better else "better"
    moved = up if points > 0 else down
    reached = [t for t in instrument.change if abs(points) >= t.points]
    if instrument.change:
        used = reached[-1] if reached else instrument.change[0]
        return Change(moved if reached else "same", points, used.points, used.meaning, used.source)
    if points == 0:
        return Change("same", points)
    was, now = band(instrument, before, context), band(instrument, after, context)
    if was is None or now is None:
        return Change(None, points)
    return Change("same" if was == now else moved, points)


def alerts(
    instrument: Instrument,
    answers: Answers,
    severity: str | None = None,
    flagged: Iterable[str] = (),
) -> list[Alert]:
    """What calls for a person, whatever the total.

    :param severity: as stated, where there are no answers to tell it; what the answers say counts
        too.
    :param flagged: items that whoever read the form has flagged.
    """
    marked = set(flagged)
    told = {severity}
    if any(alert.severity for alert in instrument.alerts):
        told.add(score(instrument, answers).severity)
    return [
        alert
        for alert in instrument.alerts
        if (alert.item is not None and answers.get(alert.item, -1) >= alert.low)
        or (alert.item is not None and alert.item in marked)
        or (alert.severity is not None and alert.severity in told)
    ]


def recount(
    instrument: Instrument,
    result: Mapping[str, Any],
    context: Context = NOWHERE,
    where: str = "$",
) -> list[Finding]:
    """Where the ``total``, ``severity`` or ``subscales`` of a result differ from its answers.

    ``result`` is a record's instrument result, ``where`` its JSON path. Every finding is a
    warning: the result is kept as it was stated.
    """
    found: list[Finding] = []

    def differs(rule: str, message: str, field: str) -> None:
        found.append(Finding(rule, message, f"{where}.{field}", "warning"))

    answers = answers_of(instrument, result.get("items"))
    total, severity = result.get("total"), result.get("severity")
    counted = score(instrument, answers, context)
    if counted.total is not None and total is not None and counted.total != total:
        said = "is not what the answers count"
        if total == _as_given(instrument, answers):
            said += "; it is their plain sum, and an item counts reversed"
        differs("total-mismatch", said, "total")
    if severity is not None:
        words = _words(instrument, counted, total, context)
        if words and severity not in words:
            differs("severity-mismatch", "is not the band that the score falls in", "severity")
    parts = result.get("subscales")
    for index, part in enumerate(parts if isinstance(parts, list) else ()):
        key = part.get("subscale_id") if isinstance(part, dict) else None
        sub = counted.subscales.get(key) if isinstance(key, str) else None
        if sub is not None and part.get("score") != sub:
            said = "is not what the answers count"
            differs("subscale-mismatch", said, f"subscales[{index}].score")
    return found


def _as_given(instrument: Instrument, answers: Answers) -> int | None:
    if not any(item.reversed for item in instrument.items):
        return None
    return sum(answers.get(item.n, 0) for item in instrument.scored())


def _words(instrument: Instrument, counted: Score, total: object, context: Context) -> set[str]:
    """The bands that a stated severity may be: of the answers, else of the stated total."""
    if instrument.scoring == "rules":
        return {counted.severity} if counted.severity is not None else set()
    known = counted.total if counted.total is not None else total
    return bands_for(instrument, known, context) if type(known) is int else set()
