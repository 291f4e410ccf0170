"""docs/referrals.md is made of the tables: moves, statuses and days are those of the code.

``FHIRSVC_UPDATE_GOLDENS=1 pytest tests/referral/test_told.py`` writes it anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from shipped_clinic import ROOT
from standing import standing

from fhirsvc.referral.clocks import KIND_LIMITS, PRIORITY_LIMITS, Limits
from fhirsvc.referral.dialects import BSER, DIALECTS, GRAVITY, ORDERS, PLAIN, Dialect
from fhirsvc.referral.states import ACTORS, CLOSED, MOVES, STATES, Action, Actor, Move, State, moves
from fhirsvc.referral.telling import alike, written

PAGE = ROOT / "docs" / "referrals.md"
GUIDES = (PLAIN, GRAVITY, BSER, ORDERS)

HEAD = """\
# Referrals: who may do what, how partners are told, and what is overdue

A referral has one of fourteen states, and moves between them by one table (`fhirsvc/referral`).
Each move is a step of the record's `history`: what was done, on whose side, by whom, when, why and
by which way it was told. What is said with it is held to the record's schema first. A move
that is not legal is refused, and those that are legal are named; one of the wrong side is refused
with whose it is. `fhirsvc referral show ID` says what is legal, `act` does it.
Written by `tests/referral/test_told.py` (`FHIRSVC_UPDATE_GOLDENS=1`) from the tables themselves.
"""

MOVES_HEAD = """\
## Moves

The *requester* asked for the service, the *performer* was asked for it. Somebody on our staff who
writes down what a partner said on the phone acts as performer; the step keeps whose hand it was. ↩
leads back: from being on hold, and from a closing, to where the work stood; from a refused
cancellation to where it was asked. Without a history that says where, to `accepted` from being on
hold, else to `sent`.
"""

STATES_HEAD = """\
## States
"""

TOLD_HEAD = """\
## How a state is told

`ServiceRequest.status` is the same in every dialect. A Task has what its dialect says; *house* is
what [the mappings](../mappings/codes/referral_task_status.yaml) write: Gravity's status and BSeR's
business status (of `http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS`) in one Task.
None is written `received` but BSeR's, none `ready`; both are read.
"""

LACKS_HEAD = """\
## What a dialect cannot say

A state that the other side could not know of is not entered with a partner of that dialect. States
told alike are kept apart on our side: to a referral at `no_show`, a Task in progress is no news.
"""

LOST_HEAD = """\
## Moves of the house that a dialect does not draw

They are refused with a partner of that dialect, and the message names it. In the guides a closed
Task stays closed: what was closed is asked anew, by a draft that replaces it (`fhirsvc referral
renew`). In Gravity being on
hold ends with work, by `schedule` where `resume` would lead back to `accepted`. In order workflows
`cancel` ends where work begins: who asked then sends a second Task (code `abort`, its focus the
first one), and the performer's answer confirms or refuses it.
"""

HEARD = """\
## What a Task that comes in does

- Statuses that tell the present state are no news.
- Else the shortest legal way of its author to what it says is made. Each step but the last is
  kept as `implied`: a Task that goes from requested to completed was accepted in between.
- Where there is no such way, it is refused, and the legal moves are named. Nothing is guessed.
- A business status that was left standing from before gives way to the status. One that contradicts
  it is refused; one of another system, or the "5.1" that BSeR's pictures show but its code system
  lacks, is passed over.
- A reason is not demanded of what has happened elsewhere; where the guide wants one, a warning says
  that it is missing. Neither is an appointment: a visit whose time nobody told has its clock
  still running.
- While a cancellation is asked for, a Task that is worked on says nothing new.
"""

CLOCKS_HEAD = """\
## Clocks

The days are the house's own, for a clinic to change (`policy_of`); no guide gives any. Nothing is
overdue once a referral is closed or while it is on hold, and days on hold do not count. What is due
today is not overdue.

| Clock | Runs in | From | Whose turn |
|---|---|---|---|
| send | `draft` | the decision | requester |
| answer | `sent` | sending | performer |
| schedule | `accepted`; `scheduled` without a known time | acceptance | performer |
| rebook (days of schedule) | `no_show`, `visit_cancelled` | that visit | performer |
| outcome | `scheduled` | the time of the visit | performer |
| close | `attended` | the last visit | performer |
| cancellation | `cancel_requested` | the request | performer |
| service | until they came | the decision; ends at `needed_by` where that is said | performer |
| expiry | until they came | the decision; ends at `expires_on` | requester |

Days, by kind:
"""

PRIORITY_HEAD = """\
A priority shortens them to at most:
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _move(move: Move) -> list[str]:
    needs = [*(["a reason"] if move.reason else []), *([f"an {move.needs}"] if move.needs else [])]
    froms = [state for state in STATES if state in move.froms]
    anywhere = set(STATES) - {"error"} == move.froms
    return [
        f"`{move.action}`",
        " or ".join(actor for actor in ACTORS if actor in move.by),
        "any but `error`" if anywhere else _code(froms),
        f"`{move.to}`" if move.to else "↩",
        " and ".join(needs),
    ]


def _state(state: State) -> list[str]:
    requester, performer = (_code(moves(state, actor)) for actor in ACTORS)
    return [f"`{state}`", "yes" if state in CLOSED else "", requester, performer]


def _told(state: State) -> list[str]:
    cells = []
    for dialect in DIALECTS.values():
        told = written(standing(state), dialect)
        business = told.task.get("businessStatus", {}).get("coding", [{}])[0].get("code")
        second = " and a second Task" if told.abort else ""
        missing = "" if state in dialect.words else " (not entered)"
        cells.append(f"{told.task['status']}{f' {business}' if business else ''}{second}{missing}")
    return [f"`{state}`", written(standing(state), GRAVITY).request["status"], *cells]


def _groups(dialect: Dialect) -> str:
    groups = {tuple(sorted((s, *alike(dialect, s)))) for s in STATES if alike(dialect, s)}
    return "; ".join(_code(s for s in STATES if s in group) for group in sorted(groups))


def _lost(dialect: Dialect, actor: Actor) -> str:
    """The moves that a dialect never draws, and those it draws from some states only."""
    said = []
    for action, move in MOVES.items():
        gone = [s for s in STATES if s in move.froms and not _drawn(dialect, s, action, actor)]
        if actor in move.by and gone:
            everywhere = set(gone) == move.froms
            said.append(f"`{action}`" + ("" if everywhere else f" from {_code(gone)}"))
    return "; ".join(said)


def _drawn(dialect: Dialect, state: State, action: Action, actor: Actor) -> bool:
    """Whether a move is drawn from a state, come to from ``scheduled`` where that matters."""
    return action in dialect.moves(standing(state), actor)


def _days(name: str, limits: Limits) -> list[str]:
    return [f"`{name}`", *("" if days is None else str(days) for days in vars(limits).values())]


def _page() -> str:
    names = list(vars(Limits()))
    lacks = [
        [one.title, _code(s for s in STATES if s not in one.words), _groups(one)] for one in GUIDES
    ]
    return "\n".join(
        [
            HEAD,
            MOVES_HEAD,
            _table(["Move", "By", "From", "To", "Needs"], map(_move, MOVES.values())),
            STATES_HEAD,
            _table(
                ["State", "Closed", "The requester may", "The performer may"], map(_state, STATES)
            ),
            TOLD_HEAD,
            _table(["State", "ServiceRequest", *DIALECTS], map(_told, STATES)),
            LACKS_HEAD,
            _table(["Dialect", "Never entered", "Told alike"], lacks),
            LOST_HEAD,
            _table(
                ["Dialect", "Of the requester", "Of the performer"],
                ([d.title, _lost(d, "requester"), _lost(d, "performer")] for d in GUIDES),
            ),
            HEARD,
            CLOCKS_HEAD,
            _table(["Kind", *names], (_days(*one) for one in KIND_LIMITS.items())),
            PRIORITY_HEAD,
            _table(["Priority", *names], (_days(*one) for one in PRIORITY_LIMITS.items())),
        ]
    )


def test_the_page_is_made_of_the_tables():
    """docs/referrals.md says what the tables have today."""
    page = _page()
    if os.environ.get("FHIRSVC_UPDATE_GOLDENS"):
        PAGE.write_text(page, encoding="utf-8")
    assert page == PAGE.read_text(encoding="utf-8")
