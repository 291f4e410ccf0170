"""Who owes what by when: the clocks of a referral, by its kind and how urgent it is.

The days are the house's own, to be changed by a clinic: no guide gives any. They stand on what
clinics and payers count, a first visit within 7 days and a second look at 30 days after a level of
care ends, and are shorter where somebody waits for care, longer where an office waits for papers.
Gravity fixes how often a partner is polled, at least once each business day; that is not a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Any, Literal, cast

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records.referral import REFERRAL_KINDS
from fhirsvc.referral.acting import OPEN_VISITS
from fhirsvc.referral.states import CLOSED, Actor, Record, State

What = Literal[
    "send", "answer", "schedule", "rebook", "outcome", "close", "cancellation", "service", "expiry"
]


@dataclass(frozen=True)
class Limits:
    """Days from one thing to the next. None: no limit."""

    send: int | None = 2  # decided → sent
    answer: int | None = 5  # sent → accepted or declined
    schedule: int | None = 7  # accepted, missed or cancelled → a visit agreed
    outcome: int | None = 2  # time of the visit → whether they came
    close: int | None = 30  # came → completed
    cancellation: int | None = 3  # asked to cancel → answered
    service: int | None = 21  # decided → came, where no needed_by says so


def _limits(answer: int, schedule: int, close: int, service: int) -> Limits:
    return Limits(answer=answer, schedule=schedule, close=close, service=service)


KIND_LIMITS: dict[str, Limits] = {
    "psychiatry": _limits(3, 5, 30, 14),
    "step_down_outpatient": _limits(2, 3, 30, 7),
    "step_up_php": _limits(1, 1, 45, 3),
    "sud_program": _limits(1, 2, 90, 7),
    "family_therapy": _limits(5, 7, 60, 21),
    "peer_support": _limits(3, 5, 60, 14),
    "primary_care": _limits(5, 10, 30, 30),
    "employment": _limits(7, 10, 90, 30),
    "education": _limits(7, 10, 90, 30),
    "housing": _limits(5, 7, 90, 30),
    "benefits": _limits(5, 10, 60, 30),
    "community_resources": _limits(5, 7, 60, 21),
    "case_management": _limits(3, 5, 90, 14),
    "other": Limits(),
}
# At most so many days, whatever the kind: https://hl7.org/fhir/R4/valueset-request-priority.html
PRIORITY_LIMITS: dict[str, Limits] = {
    "urgent": Limits(1, 1, 3, 1, None, 1, 7),
    "asap": Limits(1, 1, 2, 1, None, 1, 3),
    "stat": Limits(0, 0, 0, 0, None, 0, 1),
}


@dataclass(frozen=True)
class Policy:
    """The limits of each kind, and those that a priority shortens them to.

    What a kind has no limit for, no priority gives it one.
    """

    kinds: Mapping[str, Limits] = field(default_factory=lambda: dict(KIND_LIMITS))
    priorities: Mapping[str, Limits] = field(default_factory=lambda: dict(PRIORITY_LIMITS))

    def limits(self, record: Record) -> Limits:
        """Return the limits of a record: those of its kind, shortened by its priority."""
        kind = self.kinds[record["kind"]]
        most = self.priorities.get(record.get("priority", "routine"), _NO_LIMITS)
        caps = asdict(most)
        return Limits(
            **{
                name: days if days is None or caps[name] is None else min(days, caps[name])
                for name, days in asdict(kind).items()
            }
        )


_NO_LIMITS = Limits(None, None, None, None, None, None, None)


@dataclass(frozen=True)
class Clock:
    """One thing that is owed, by whom. ``overdue_days`` is 0 up to the day it is due."""

    what: What
    since: date
    due: date
    overdue_days: int
    turn: Actor


def policy_of(changes: Mapping[str, Mapping[str, int | None]]) -> Policy:
    """Return the house's policy with a clinic's changes: ``{"psychiatry": {"answer": 2}}``.

    Keys are kinds or priorities. :raises FhirsvcError: INVALID for what is neither, for a limit
    that there is not, and for days that are no whole number from 0.
    """
    kinds, priorities = dict(KIND_LIMITS), dict(PRIORITY_LIMITS)
    names = [one.name for one in fields(Limits)]
    for key, limits in changes.items():
        table = kinds if key in kinds else priorities if key in priorities else None
        if table is None:
            known = ", ".join((*REFERRAL_KINDS, *PRIORITY_LIMITS))
            raise FhirsvcError(Category.INVALID, f"expected one of: {known}", f"$.{key}")
        for name, days in limits.items():
            if name not in names:
                message = f"expected one of: {', '.join(names)}"
                raise FhirsvcError(Category.INVALID, message, f"$.{key}.{name}")
            if days is not None and (type(days) is not int or days < 0):
                message = "expected whole days from 0, or null for no limit"
                raise FhirsvcError(Category.INVALID, message, f"$.{key}.{name}")
        table[key] = replace(table[key], **limits)
    return Policy(kinds, priorities)


HOUSE_POLICY = Policy()


def due(record: Record, today: date, policy: Policy = HOUSE_POLICY) -> tuple[Clock, ...]:
    """Return the clocks that run for a referral, the next one due first.

    None runs once it is closed or while it is on hold; days on hold do not count, except against a
    day that somebody named (``needed_by``, ``expires_on``, the time of a visit).
    """
    state = cast("State", record["status"])
    if state in CLOSED or state == "on_hold":
        return ()
    limits = policy.limits(record)
    found = [_of_state(record, state, limits)]
    if state != "cancel_requested" and not _came(record):
        turn: Actor = "requester" if state == "draft" else "performer"
        decided = _decided(record)
        if "needed_by" in record:
            found.append(("service", decided, _day(record["needed_by"]), turn))
        elif limits.service is not None:
            days = timedelta(limits.service + _held(record, 0))
            found.append(("service", decided, decided + days, turn))
        if "expires_on" in record:
            found.append(("expiry", decided, _day(record["expires_on"]), "requester"))
    clocks = [
        Clock(what, since, end, max(0, (today - end).days), turn)
        for what, since, end, turn in (one for one in found if one is not None)
    ]
    return tuple(sorted(clocks, key=lambda one: one.due))


_Running = tuple[What, date, date, Actor]


def _of_state(record: Record, state: State, limits: Limits) -> _Running | None:
    """The clock of where it stands."""
    if state == "scheduled" and (visit := _next_visit(record)) is not None:
        return _running("outcome", visit, limits.outcome, "performer")
    what, days, turn = _CLOCKS[state]
    start, at = _since(record, state)
    limit = cast("int | None", getattr(limits, days))
    return _running(what, start, limit, turn, _held(record, at))


# Which clock runs in a state, by which limit, and whose turn it is.
_CLOCKS: dict[State, tuple[What, str, Actor]] = {
    "draft": ("send", "send", "requester"),
    "sent": ("answer", "answer", "performer"),
    "accepted": ("schedule", "schedule", "performer"),
    "scheduled": ("schedule", "schedule", "performer"),  # nobody said for when
    "no_show": ("rebook", "schedule", "performer"),
    "visit_cancelled": ("rebook", "schedule", "performer"),
    "attended": ("close", "close", "performer"),
    "cancel_requested": ("cancellation", "cancellation", "performer"),
}


def _running(
    what: What, since: date, days: int | None, turn: Actor, held: int = 0
) -> _Running | None:
    return None if days is None else (what, since, since + timedelta(days + held), turn)


def _day(moment: str) -> date:
    return date.fromisoformat(moment[:10])


def _decided(record: Record) -> date:
    history = record.get("history") or [{"at": record["updated_at"]}]
    return _day(record.get("requested_on") or history[0]["at"])


def _came(record: Record) -> bool:
    been = (record["status"], *(event["status"] for event in record.get("history", ())))
    return "attended" in been


def _next_visit(record: Record) -> date | None:
    """The day of the first visit that nobody has said anything of yet."""
    visits = record.get("appointments", ())
    return min(
        (_day(one["start_at"]) for one in visits if one.get("status") in OPEN_VISITS), default=None
    )


def _since(record: Record, state: State) -> tuple[date, int]:
    """The day a state was entered, and which step that was; being on hold is no new start."""
    history: list[dict[str, Any]] = record.get("history", [])
    steps = [at for at, event in enumerate(history) if event["status"] == state]
    if not steps:
        return _decided(record), 0
    start = steps.pop()
    while (
        steps
        and all(
            event["status"] in ("on_hold", "cancel_requested")
            for event in history[steps[-1] + 1 : start]
        )
        and start - steps[-1] > 1
    ):
        start = steps.pop()
    return _day(history[start]["at"]), start


def _held(record: Record, since: int) -> int:
    """Days on hold since a step of the history."""
    history = record.get("history", [])
    return sum(
        (_day(after["at"]) - _day(event["at"])).days
        for event, after in zip(history[since:], history[since + 1 :], strict=False)
        if event["status"] == "on_hold"
    )
