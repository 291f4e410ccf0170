"""One move of a referral: legal, all it demands said with it, its step put into the history.

``act`` returns a new record and leaves the one it was given as it is. It reads no clock and makes
no ids: the moment, the id of the step and the id of an appointment come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast, get_args

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records.checking import check
from fhirsvc.referral.dialects import HOUSE, Dialect
from fhirsvc.referral.states import CLOSED, MOVES, Action, Actor, Move, Record, State, destination

OPEN_VISITS = ("proposed", "booked", None)
# What becomes of the visit that was agreed, by what was done.
_VISIT: dict[Action, str] = {
    "reschedule": "rescheduled",
    "attend": "attended",
    "miss": "no_show",
    "cancel_visit": "cancelled",
    "decline": "cancelled",
    "confirm_cancel": "cancelled",
    "cancel": "cancelled",
    "fail": "cancelled",
}
_OF_ONE_VISIT: frozenset[Action] = frozenset({"reschedule", "attend", "miss", "cancel_visit"})
# A referral that is asked for again: what it asks goes along, what came of it does not.
_ASKED = (
    "type client_id episode_id care_plan_id program_id sensitivity goal_ids kind kind_text "
    "priority requisition needed_by requester_id reason diagnosis_ids assessment_ids "
    "instructions note"
).split()


@dataclass(frozen=True)
class By:
    """Who made a move and by which way it was told; ids of records, words where there is none.

    ``via`` is ``page``, ``fhir``, ``cli`` or ``api``. A member of our staff who writes down what a
    partner said on the phone is ``staff_id``; the actor of the move is the performer all the same.
    """

    staff_id: str | None = None
    organization_id: str | None = None
    text: str | None = None
    via: str | None = None


NOBODY = By()


def act(
    record: Record,
    action: Action,
    actor: Actor,
    at: str,
    event_id: str,
    *,
    by: By = NOBODY,
    reason: str | None = None,
    appointment: Mapping[str, Any] | None = None,
    outcome: Mapping[str, Any] | None = None,
    dialect: Dialect = HOUSE,
    told: bool = False,
    implied: bool = False,
) -> Record:
    """Make a move: ``record``, a valid referral, as it is afterwards.

    :param at: when, with its offset; not before the last step of the history.
    :param appointment: the visit that is agreed, moved, attended, missed or cancelled; one that has
        the same ``appointment_id`` is changed by it.
    :param outcome: what the other side reported; of ``complete``, unless the record has it.
    :param told: what a partner tells has happened; neither reason nor appointment is demanded then.
    :param implied: nobody told of this step, what came after it was told.
    :raises FhirsvcError: CONFLICT for a move that is not legal here, naming those that are, and for
        an ``event_id`` that the history has; FORBIDDEN where the other side may do it;
        INVALID where what it demands is missing or what was said is no part of a referral.
    """
    move = _legal(record, action, actor, dialect)
    _demands(move, record, reason, appointment, outcome, told=told or implied)
    status = destination(record, action)
    event = _event(event_id, status, at, action, actor, by, reason, implied=implied)
    _in_time(record, event)
    made = {
        **record,
        "status": status,
        "history": [*record.get("history", ()), event],
        "updated_at": at,
        "updated_by": by.staff_id,
    }
    if by.staff_id is None:
        del made["updated_by"]
    _explain(made, action, reason)
    visit = _VISIT.get(action)
    if visit is not None or appointment is not None:
        _visits(made, action, visit, appointment)
    if action == "reopen":  # what was reported when it was closed stays in the earlier version
        made.pop("outcome", None)
    if outcome is not None:
        made["outcome"] = {**made.get("outcome", {}), **outcome}
    _fits(made, event, appointment, outcome)
    return made


def renewed(record: Record, id: str, at: str) -> Record:
    """Return a draft that asks anew for what a closed referral asked, of whoever will be named.

    :param id: of the new referral; ``replaces_id`` names the old one.
    :param at: when that was decided, with its offset. A ``needed_by`` before that day is left out.

    The consent does not go along: it names its recipients (42 CFR 2.31(a)).
    :raises FhirsvcError: CONFLICT while the referral is open.
    """
    if record["status"] not in CLOSED - {"error"}:
        raise FhirsvcError(Category.CONFLICT, "a referral is asked for anew once it is closed", "$")
    asked = {name: record[name] for name in _ASKED if name in record}
    on = at[:10]
    if asked.get("needed_by", on) < on:
        del asked["needed_by"]
    return {
        **asked,
        "id": id,
        "updated_at": at,
        "status": "draft",
        "replaces_id": record["id"],
        "requested_on": on,
    }


def _legal(record: Record, action: Action, actor: Actor, dialect: Dialect) -> Move:
    if action not in get_args(Action):
        raise FhirsvcError(
            Category.INVALID, f"expected an action, one of: {', '.join(MOVES)}", "$.action"
        )
    state = cast("State", record["status"])
    move, legal = MOVES[action], dialect.moves(record, actor)
    if action in legal:
        return move
    whose = sorted(move.by - {actor})
    if state in move.froms and actor not in move.by:
        raise FhirsvcError(
            Category.FORBIDDEN,
            f"{action} is for the {' or the '.join(whose)}; {_may(legal, actor, state)}",
            "$.actor",
        )
    drawn = "" if dialect is HOUSE or state not in move.froms else f" in {dialect.title}"
    raise FhirsvcError(
        Category.CONFLICT,
        f"{action} is not possible while it is {state}{drawn}; {_may(legal, actor, state)}",
        "$.action",
    )


def _may(legal: tuple[Action, ...], actor: Actor, state: State) -> str:
    said = ", ".join(legal) if legal else "do nothing with it"
    return f"while it is {state} the {actor} may: {said}"


def _demands(
    move: Move,
    record: Record,
    reason: str | None,
    appointment: Mapping[str, Any] | None,
    outcome: Mapping[str, Any] | None,
    *,
    told: bool,
) -> None:
    """What a move must be made with, unless it is told as having happened."""
    if told:
        return
    if move.reason and not (reason or "").strip():
        raise FhirsvcError(Category.INVALID, f"{move.action} needs a reason", "$.reason")
    if move.needs == "appointment" and "start_at" not in (appointment or {}):
        message = f"{move.action} needs an appointment with its start_at"
        raise FhirsvcError(Category.INVALID, message, "$.appointment.start_at")
    if move.needs == "outcome" and not (outcome or record.get("outcome")):
        raise FhirsvcError(Category.INVALID, f"{move.action} needs an outcome", "$.outcome")


def _event(
    event_id: str,
    status: State,
    at: str,
    action: Action,
    actor: Actor,
    by: By,
    reason: str | None,
    *,
    implied: bool,
) -> dict[str, Any]:
    said = {
        "event_id": event_id,
        "status": status,
        "at": at,
        "by_id": by.staff_id,
        "by_text": by.text,
        "reason": reason,
        "action": action,
        "actor": actor,
        "by_organization_id": by.organization_id,
        "via": by.via,
        "implied": True if implied else None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _in_time(record: Record, event: dict[str, Any]) -> None:
    """The history has each step once, and its moments do not go back."""
    history = record.get("history", ())
    if any(event["event_id"] == one["event_id"] for one in history):
        raise FhirsvcError(Category.CONFLICT, "the history has a step of this id", "$.event_id")
    if history and _moment(event["at"]) < _moment(history[-1]["at"]):
        message = "is before the last step of the history"
        raise FhirsvcError(Category.INVALID, message, "$.at")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise FhirsvcError(Category.INVALID, "expected a moment with its offset", "$.at")
    return moment


def _explain(made: Record, action: Action, reason: str | None) -> None:
    """``status_reason`` is the reason of the last move; why it was to be cancelled stays true."""
    if reason is not None:
        made["status_reason"] = reason
    elif action != "confirm_cancel":
        made.pop("status_reason", None)


def _visits(
    made: Record, action: Action, became: str | None, appointment: Mapping[str, Any] | None
) -> None:
    """Say of the visits agreed what became of them, and add or change the one given.

    What ends a referral cancels every visit still open. What was attended, missed, cancelled or
    moved is the visit given, else the first one still open.
    """
    visits = [dict(one) for one in made.get("appointments", ())]
    named = (appointment or {}).get("appointment_id")
    pending = [one for one in visits if became and one.get("status") in OPEN_VISITS]
    pending.sort(key=lambda one: _moment(one["start_at"]))
    if action in _OF_ONE_VISIT:
        pending = [one for one in pending if one["appointment_id"] == named] or pending[:1]
    for one in pending:
        one["status"] = became
    if appointment is not None:
        status = "booked" if action in ("schedule", "reschedule") else became
        given = {"status": status, **appointment}
        same = next((one for one in visits if one["appointment_id"] == named), None)
        if same is None:
            visits.append(given)
        else:
            same.update(given)
    if visits:
        made["appointments"] = visits


def _fits(
    made: Record,
    event: dict[str, Any],
    appointment: Mapping[str, Any] | None,
    outcome: Mapping[str, Any] | None,
) -> None:
    """Hold what was said to the schema of a referral; the rest of the record is valid already."""
    said: dict[str, Any] = {
        "type": "referral",
        "id": "r",
        "updated_at": event["at"],
        "client_id": "c",
        "kind": "other",
        "status": made["status"],
        "history": [event],
    }
    if appointment is not None:
        named = appointment.get("appointment_id")
        visits = made["appointments"]
        said["appointments"] = [one for one in visits if one.get("appointment_id") == named]
    if outcome is not None:
        said["outcome"] = made["outcome"]
    for finding in check(said):
        where = finding.where.replace("$.history[0].", "$.").replace(
            "appointments[0]", "appointment"
        )
        raise FhirsvcError(Category.INVALID, finding.message, where)
