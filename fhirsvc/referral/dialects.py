"""What partners' guides can say of a referral, and which of our moves each of them draws.

A dialect has for each state the statuses that it is told by, and the arrows its guide draws between
them with who may take each. ``moves`` are those of the house that are arrows of the dialect too.

- **house**: the statuses that mappings/codes write (referral_task_status, referral_business_status,
  referral_request_status): Gravity's Task with BSeR's business status beside it. No arrows: the
  table of ``states`` is all there is.
- **plain**: Task of R4 alone, https://hl7.org/fhir/R4/task.html. R4 draws typical arrows and leaves
  the rest to guides, so none is refused.
- **gravity**: SDOH Clinical Care 3.0, Task for Referral Management: its value set has neither
  ``ready`` nor ``received``; arrows and who takes them of its Referral Task State Diagram. That
  draws cancelled ↔ in-progress both ways; a cancelled Task is final in R4, so only the way to
  it is here. http://hl7.org/fhir/us/sdoh-clinicalcare
- **bser**: Bidirectional Services eReferral 2.0 ballot, harmonised with 360X: ``businessStatus``
  says more than ``status``; arrows of its Harmonized State Transitions. The "5.1" of its
  transitions 31 to 34 is not in its code system and is never said. http://hl7.org/fhir/us/bser
- **orders**: Clinical Order Workflows: a Task in progress is not cancelled by who asked, who sends
  a second Task instead (``cancellation``). It has no diagram: the arrows are what its page on
  cancelling and R4's states leave. http://hl7.org/fhir/uv/cow, "Cancelling and Modifying Orders"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from fhirsvc.referral.states import (
    ACTORS,
    STATES,
    Action,
    Actor,
    Record,
    State,
    destination,
    moves,
)

BUSINESS_STATUS = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
# The word of a second Task, which a dialect's arrows name though no status says it.
ABORT = "abort"

Arrows = Mapping[tuple[str, Actor], frozenset[str]]


@dataclass(frozen=True)
class Said:
    """A state as statuses: Task.status, the code of Task.businessStatus, ServiceRequest.status."""

    task: str
    business: str | None
    request: str


@dataclass(frozen=True)
class Dialect:
    """One guide's way to tell how a referral stands.

    ``words`` names each state in the arrows. A state that the other side could not know of has
    none, and is not entered. ``hears`` are values of Task.status that are read but never written.
    """

    name: str
    title: str
    says: Mapping[State, Said]
    words: Mapping[State, str]
    arrows: Arrows | None = None
    hears: Mapping[str, State] | None = None

    @property
    def has_business(self) -> bool:
        """Whether its Task has a business status."""
        return any(said.business for said in self.says.values())

    def draws(self, state: State, to: State, actor: Actor) -> bool:
        """Whether a move from one state to another is an arrow of the guide, for this actor.

        From a state that the guide cannot say every move is: the referral has to get out of it.
        """
        if to not in self.words:
            return False
        if self.arrows is None or state not in self.words:
            return True
        return self.words[to] in self.arrows.get((self.words[state], actor), frozenset())

    def moves(self, record: Record, actor: Actor) -> tuple[Action, ...]:
        """Name what an actor may do with a record, in the order of the table of the house."""
        state = cast("State", record["status"])
        return tuple(
            action
            for action in moves(state, actor)
            if self.draws(state, destination(record, action), actor)
        )


_TASK: dict[State, str] = {
    "draft": "draft",
    "sent": "requested",
    "accepted": "accepted",
    "declined": "rejected",
    "scheduled": "in-progress",
    "attended": "in-progress",
    "no_show": "in-progress",
    "visit_cancelled": "in-progress",
    "on_hold": "on-hold",
    "cancel_requested": "in-progress",
    "cancelled": "cancelled",
    "completed": "completed",
    "failed": "failed",
    "error": "entered-in-error",
}
# The request stays active when it was declined or failed: it can be asked of somebody else.
_REQUEST: dict[State, str] = dict.fromkeys(STATES, "active") | {
    "draft": "draft",
    "on_hold": "on-hold",
    "cancelled": "revoked",
    "completed": "completed",
    "error": "entered-in-error",
}
_BUSINESS: dict[State, str] = {
    "sent": "2.0",
    "accepted": "3.0",
    "declined": "4.0",
    "scheduled": "5.1.1",
    "no_show": "5.1.2",
    "visit_cancelled": "5.1.3",
    "attended": "5.1.4",
    "cancel_requested": "5.2",
    "cancelled": "6.0",
    "completed": "7.0",
}
_HEARD: dict[str, State] = {"received": "sent", "ready": "accepted"}


def _says(
    task: Mapping[State, str], business: Mapping[State, str] | None = None
) -> dict[State, Said]:
    return {
        state: Said(task[state], (business or {}).get(state), _REQUEST[state]) for state in STATES
    }


def _arrows(table: str) -> Arrows:
    """Read a table: from where, who (``either``: both), to where; ``*`` is from anywhere."""
    rows = [line.split() for line in table.strip().splitlines()]
    words = {word for start, _, *ends in rows for word in (start, *ends)} - {"*"}
    found: dict[tuple[str, Actor], set[str]] = {}
    for start, who, *ends in rows:
        for actor in ACTORS if who == "either" else (cast("Actor", who),):
            for word in words - {"entered-in-error"} if start == "*" else {start}:
                found.setdefault((word, actor), set()).update(ends)
    return {key: frozenset(ends) for key, ends in found.items()}


_BESIDE_CANCEL: dict[State, str] = {
    state: word for state, word in _TASK.items() if state != "cancel_requested"
}

HOUSE = Dialect(
    "house",
    "the house",
    _says(_TASK, _BUSINESS),
    {state: state for state in STATES},
    hears=_HEARD,
)
PLAIN = Dialect("plain", "plain R4", _says(_TASK), _BESIDE_CANCEL, hears=_HEARD)
GRAVITY = Dialect(
    "gravity",
    "Gravity 3.0",
    _says(_TASK),
    _BESIDE_CANCEL,
    _arrows(
        """
        draft        requester  requested
        requested    performer  accepted rejected
        requested    either     cancelled
        accepted     performer  in-progress on-hold completed failed
        accepted     either     cancelled
        in-progress  performer  in-progress on-hold completed failed
        in-progress  either     cancelled
        on-hold      performer  in-progress completed failed
        on-hold      either     cancelled
        *            requester  entered-in-error
        """
    ),
    _HEARD,
)
BSER = Dialect(
    "bser",
    "BSeR 2.0",
    _says(_TASK | {"sent": "received"}, _BUSINESS),
    _BUSINESS | {"draft": "draft", "error": "entered-in-error"},
    _arrows(
        """
        draft  requester  2.0
        2.0    performer  3.0 4.0
        3.0    performer  4.0 5.1.1 5.1.4 7.0
        5.1.1  performer  4.0 5.1.1 5.1.2 5.1.3 5.1.4 7.0
        5.1.2  performer  4.0 5.1.1 5.1.3
        5.1.3  performer  5.1.1
        5.1.4  performer  4.0 5.1.1 5.1.3 5.1.4 7.0
        2.0    requester  5.2
        3.0    requester  5.2
        5.1.1  requester  5.2
        5.1.2  requester  5.2
        5.1.3  requester  5.2
        5.1.4  requester  5.2
        5.2    performer  6.0 7.0
        *      requester  entered-in-error
        """
    ),
    {"requested": "sent"},
)
ORDERS = Dialect(
    "orders",
    "order workflows",
    _says(_TASK),
    _TASK | {"cancel_requested": ABORT},
    _arrows(
        """
        draft        requester  requested
        requested    performer  accepted rejected
        requested    requester  cancelled
        accepted     performer  in-progress on-hold completed failed
        accepted     requester  cancelled
        in-progress  performer  in-progress on-hold completed failed
        in-progress  requester  abort
        on-hold      performer  accepted in-progress completed failed
        on-hold      requester  abort
        abort        performer  accepted in-progress on-hold cancelled completed
        *            requester  entered-in-error
        """
    ),
    _HEARD,
)
DIALECTS: dict[str, Dialect] = {d.name: d for d in (HOUSE, PLAIN, GRAVITY, BSER, ORDERS)}
