"""How a referral stands, told in a dialect: elements of its Task and its ServiceRequest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from fhirsvc.referral.dialects import ABORT, BUSINESS_STATUS, Dialect
from fhirsvc.referral.states import STATES, Record, State, before


@dataclass(frozen=True)
class Told:
    """What goes out.

    ``task`` has ``status``, ``statusReason`` where there is a reason, ``businessStatus`` where the
    dialect has one; ``request`` has ``status``. ``abort`` asks for the second Task that
    ``cancellation.abort_task`` makes. ``alike`` names the states that the other side cannot tell
    from this one.
    """

    task: dict[str, Any]
    request: dict[str, Any]
    abort: bool
    alike: tuple[State, ...]


def written(record: Record, dialect: Dialect) -> Told:
    """Tell how a referral stands.

    A statusReason is words only, as Gravity's profile demands of one (``statusReason.text``).
    """
    state = cast("State", record["status"])
    abort = dialect.words.get(state) == ABORT
    said = dialect.says[before(record) if abort else state]
    task: dict[str, Any] = {"status": said.task}
    if "status_reason" in record and not abort:
        task["statusReason"] = {"text": record["status_reason"]}
    if said.business is not None:
        task["businessStatus"] = {"coding": [{"system": BUSINESS_STATUS, "code": said.business}]}
    return Told(task, {"status": said.request}, abort, alike(dialect, state))


def alike(dialect: Dialect, state: State) -> tuple[State, ...]:
    """Name the other states that a dialect says with the same statuses."""
    same = [one for one in STATES if dialect.says[one] == dialect.says[state]]
    apart = [one for one in same if dialect.words.get(one) == ABORT]
    return () if state in apart else tuple(one for one in same if one not in (state, *apart))
