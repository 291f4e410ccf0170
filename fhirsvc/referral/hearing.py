"""What a partner's Task tells of a referral: the moves that explain it, and the record after them.

A partner may skip steps: a Task that goes from requested to completed was accepted in between. The
shortest way of legal moves of who wrote it is taken, and each step but the last is kept as implied.
Where there is none, the Task is refused and the moves that are legal are named. Statuses that the
present state is told by are no news, though the dialect says other states with them too: at
``no_show`` a Task in progress changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.referral.acting import NOBODY, By, act
from fhirsvc.referral.dialects import BUSINESS_STATUS, Dialect
from fhirsvc.referral.states import MOVES, Action, Actor, Record, State, destination

OUTPUTS = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
RESULT = "resulting-activity"

# Values of Task.status under which a request to cancel may be waiting for its answer.
_OPEN = {"requested", "received", "accepted", "ready", "in-progress", "on-hold"}


@dataclass(frozen=True)
class Heard:
    """A record after a Task was read; ``actions`` is empty where it told nothing new."""

    record: Record
    actions: tuple[Action, ...]
    findings: tuple[Finding, ...] = ()


def heard(
    record: Record,
    task: Mapping[str, Any],
    dialect: Dialect,
    at: str,
    event_id: str,
    *,
    actor: Actor = "performer",
    by: By = NOBODY,
    appointment: Mapping[str, Any] | None = None,
    outcome: Mapping[str, Any] | None = None,
) -> Heard:
    """Read a Task that tracks ``record``, as its ``actor`` wrote it, and make the moves it tells.

    :param task: a valid R4 Task.
    :param event_id: of the step told, at most 17 characters; those implied are ``event_id.1`` …
    :param appointment: said elsewhere with the Task (an Appointment), of the last step.
    :param outcome: likewise; of a completed Task without one, its ``output`` says what there is.
    :raises FhirsvcError: INVALID for a Task whose statuses say nothing or contradict each other;
        CONFLICT where no legal moves lead to what it says.
    """
    status, business = _statuses(task)
    actions = read(record, status, business, dialect, actor)
    if not actions:
        return Heard(record, ())
    reason = reason_of(task)
    findings = []
    if MOVES[actions[-1]].reason and reason is None:
        message = f"a Task that is {status} should say why"
        findings.append(Finding("reason", message, "Task.statusReason", "warning"))
    for n, action in enumerate(actions[:-1], start=1):
        record = act(
            record, action, actor, at, f"{event_id}.{n}", by=by, dialect=dialect, implied=True
        )
    if actions[-1] == "complete" and outcome is None:
        outcome = _outcome(task, at)
    record = act(
        record,
        actions[-1],
        actor,
        at,
        event_id,
        by=by,
        reason=reason,
        appointment=appointment,
        outcome=outcome,
        dialect=dialect,
        told=True,
    )
    return Heard(record, actions, tuple(findings))


def read(
    record: Record, status: str, business: str | None, dialect: Dialect, actor: Actor = "performer"
) -> tuple[Action, ...]:
    """Return the actor's shortest legal way to what statuses say; empty when that is nothing new.

    :param status: Task.status. :param business: the code of Task.businessStatus in BSeR's system.
    :raises FhirsvcError: as ``heard``.
    """
    state = cast("State", record["status"])
    targets = _meant(record, status, business, dialect)
    if state in targets:
        return ()
    way = _way(record, targets, dialect, actor)
    if way is None:
        legal = dialect.moves(record, actor)
        raise FhirsvcError(
            Category.CONFLICT,
            f"a Task that is {status} cannot follow while the referral is {state}; "
            f"while it is {state} the {actor} may: {', '.join(legal) or 'do nothing with it'}",
            "Task.status" if business is None else "Task.businessStatus",
        )
    return way


def entered(status: str, business: str | None, dialect: Dialect) -> State:
    """Return the state of a referral first met with these statuses.

    Of those that are told alike, the one that claims least: the first of the table of states.
    """
    blank: Record = {"status": "draft"}
    meant = _meant(blank, status, business, dialect)
    return next(state for state in dialect.says if state in meant)


def reason_of(task: Mapping[str, Any]) -> str | None:
    """Return the words of a Task's statusReason, else the display of its code."""
    said = task.get("statusReason") or {}
    shown = [one["display"] for one in said.get("coding", ()) if "display" in one]
    reason = said.get("text") or (shown[0] if shown else None)
    return reason if isinstance(reason, str) else None


def _statuses(task: Mapping[str, Any]) -> tuple[str, str | None]:
    codings = (task.get("businessStatus") or {}).get("coding", ())
    business = [c.get("code") for c in codings if c.get("system") == BUSINESS_STATUS]
    return str(task.get("status", "")), business[0] if business else None


def _meant(record: Record, status: str, business: str | None, dialect: Dialect) -> frozenset[State]:
    """The states that statuses may mean. A business status of the past has been left standing."""
    alias = (dialect.hears or {}).get(status)
    meant = {s for s, said in dialect.says.items() if said.task == status}
    if alias is not None:
        meant.add(alias)
    if not meant:
        raise FhirsvcError(
            Category.INVALID, f"no state of a referral is told so in {dialect.title}", "Task.status"
        )
    known = {said.business for said in dialect.says.values()} - {None}
    if business in known:
        exact = {s for s in meant if dialect.says[s].business == business}
        if exact:
            return frozenset(exact)
        if business not in _past(record, dialect):
            message = "is not the business status of a Task of this status"
            raise FhirsvcError(Category.INVALID, message, "Task.businessStatus")
    if record["status"] == "cancel_requested" and status in _OPEN:
        meant.add("cancel_requested")  # work goes on until the request is answered
    return frozenset(meant)


def _past(record: Record, dialect: Dialect) -> set[str | None]:
    been = [record["status"], *(event["status"] for event in record.get("history", ()))]
    return {dialect.says[state].business for state in been}


def _way(
    record: Record, targets: frozenset[State], dialect: Dialect, actor: Actor
) -> tuple[Action, ...] | None:
    """Breadth first; of two ways as short, the one whose first moves stand higher in the table."""
    slim: Record = {"status": record["status"], "history": list(record.get("history", ()))}
    queue: deque[tuple[Record, tuple[Action, ...]]] = deque([(slim, ())])
    seen = {record["status"]}
    while queue:
        at, way = queue.popleft()
        for action in dialect.moves(at, actor):
            to = destination(at, action)
            if to in targets:
                return (*way, action)
            if to not in seen:
                seen.add(to)
                queue.append(
                    ({"status": to, "history": [*at["history"], {"status": to}]}, (*way, action))
                )
    return None


def _outcome(task: Mapping[str, Any], at: str) -> dict[str, Any] | None:
    """What a completed Task's output of Gravity's kind tells: when, and in words what was done."""
    for output in task.get("output", ()):
        codings = (output.get("type") or {}).get("coding", ())
        if any(c.get("system") == OUTPUTS and c.get("code") == RESULT for c in codings):
            concept = output.get("valueCodeableConcept") or {}
            shown = [c["display"] for c in concept.get("coding", ()) if "display" in c]
            display = (output.get("valueReference") or {}).get("display")
            text = concept.get("text") or (shown[0] if shown else display)
            return {"reported_at": at, **({"text": text} if text else {})}
    return None
