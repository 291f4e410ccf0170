"""The states of a referral and the moves between them: one table, with who may make each.

It is the union of what guides draw (``dialects`` has each of them, and where it was read) and of
what a clinic does without any: a partner's dialect allows a part of it. House decisions, which no
guide makes:

- ``reopen`` takes back a closing, by who asked. In every guide a closed Task stays closed, so it is
  for partners who answer on a page; others are asked anew (``renewed``).
- ``resume``, ``refuse_cancel`` and ``reopen`` lead back to where the referral stood before.
- ``mark_error`` demands a reason, as does all that ends a service or lets somebody wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fhirsvc.records import referral as recorded

State = recorded.State
Action = recorded.Action
Actor = recorded.Actor
Need = Literal["appointment", "outcome"]
Record = dict[str, Any]

STATES: tuple[State, ...] = get_args(State)
ACTORS: tuple[Actor, ...] = get_args(Actor)
CLOSED: frozenset[State] = frozenset({"declined", "cancelled", "completed", "failed", "error"})
IN_PROGRESS: frozenset[State] = frozenset({"scheduled", "attended", "no_show", "visit_cancelled"})
# Where a referral can be taken up again.
LIVE: frozenset[State] = IN_PROGRESS | {"sent", "accepted"}


@dataclass(frozen=True)
class Move:
    """One row of the table.

    ``to`` is None for a move back to where the referral stood (``before``). ``needs`` names what
    must be said with it: an appointment with its time, or an outcome.
    """

    action: Action
    by: frozenset[Actor]
    froms: frozenset[State]
    to: State | None
    reason: bool = False
    needs: Need | None = None


_REQUESTER: frozenset[Actor] = frozenset({"requester"})
_PERFORMER: frozenset[Actor] = frozenset({"performer"})
_EITHER: frozenset[Actor] = _REQUESTER | _PERFORMER


def _move(
    action: Action,
    by: frozenset[Actor],
    froms: Iterable[State],
    to: State | None,
    *,
    reason: bool = False,
    needs: Need | None = None,
) -> Move:
    return Move(action, by, frozenset(froms), to, reason, needs)


# The order is the one in which ``moves`` names them, and in which a path is looked for.
_TABLE = (
    _move("send", _REQUESTER, {"draft"}, "sent"),
    _move("accept", _PERFORMER, {"sent"}, "accepted"),
    _move(
        "decline",
        _PERFORMER,
        {"sent", "accepted", "scheduled", "no_show", "attended"},
        "declined",
        reason=True,
    ),
    _move("resume", _PERFORMER, {"on_hold"}, None),
    _move(
        "schedule",
        _PERFORMER,
        {"accepted", "no_show", "visit_cancelled", "attended", "on_hold"},
        "scheduled",
        needs="appointment",
    ),
    _move("reschedule", _PERFORMER, {"scheduled"}, "scheduled", needs="appointment"),
    _move("attend", _PERFORMER, {"accepted", "scheduled", "attended"}, "attended"),
    _move("miss", _PERFORMER, {"scheduled"}, "no_show"),
    _move("cancel_visit", _PERFORMER, {"scheduled", "no_show", "attended"}, "visit_cancelled"),
    _move("hold", _PERFORMER, IN_PROGRESS | {"accepted"}, "on_hold", reason=True),
    _move("request_cancel", _REQUESTER, LIVE | {"on_hold"}, "cancel_requested", reason=True),
    _move("confirm_cancel", _PERFORMER, {"cancel_requested"}, "cancelled"),
    _move("refuse_cancel", _PERFORMER, {"cancel_requested"}, None, reason=True),
    _move("cancel", _EITHER, LIVE | {"on_hold"}, "cancelled", reason=True),
    _move(
        "complete",
        _PERFORMER,
        {"accepted", "scheduled", "attended", "on_hold", "cancel_requested"},
        "completed",
        needs="outcome",
    ),
    _move("fail", _PERFORMER, IN_PROGRESS | {"accepted", "on_hold"}, "failed", reason=True),
    _move("reopen", _REQUESTER, CLOSED - {"error"}, None, reason=True),
    _move("mark_error", _REQUESTER, set(STATES) - {"error"}, "error", reason=True),
)
MOVES: dict[Action, Move] = {move.action: move for move in _TABLE}
ACTIONS: tuple[Action, ...] = tuple(MOVES)


def moves(state: State, actor: Actor) -> tuple[Action, ...]:
    """Name what an actor may do with a referral in a state, in the order of the table."""
    return tuple(m.action for m in _TABLE if state in m.froms and actor in m.by)


def before(record: Record) -> State:
    """Where a referral on hold, asked to be cancelled or closed stood before.

    Of its history, the last step into a state of LIVE; for one asked to be cancelled, into being
    on hold too. A record without such a step stood, for all that is known, at ``accepted`` when
    it is on hold, else at ``sent``.
    """
    wanted = LIVE | {"on_hold"} if record["status"] == "cancel_requested" else LIVE
    for event in reversed(record.get("history", ())):
        if event["status"] in wanted:
            status: State = event["status"]
            return status
    return "accepted" if record["status"] == "on_hold" else "sent"


def destination(record: Record, action: Action) -> State:
    """Return the state that a move leads a record to."""
    return MOVES[action].to or before(record)
