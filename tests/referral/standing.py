"""A referral at any state, with a history that led there."""

from __future__ import annotations

from typing import Any

from fhirsvc.referral.states import STATES

NOW = "2026-05-20T09:00:00-04:00"
VISIT = {"appointment_id": "v9", "start_at": "2026-06-02T10:00:00-04:00"}
OUTCOME = {"result": "service_started", "text": "Came and will come again."}
REASON = "No openings before August."

# How each state was come to, where it was not by a step from ``scheduled``.
_WAYS = {
    "draft": (),
    "sent": ("sent",),
    "accepted": ("sent", "accepted"),
    "declined": ("sent", "declined"),
    "scheduled": ("sent", "accepted", "scheduled"),
    "on_hold": ("sent", "accepted", "scheduled", "on_hold"),
    "error": ("sent", "error"),
}


def standing(state: str, *, after: str | None = None, **more: Any) -> dict[str, Any]:
    """A referral at a state; ``after`` is where it stood before, ``scheduled`` if not said."""
    assert state in STATES
    way = (*_WAYS[after or "scheduled"], state) if after or state not in _WAYS else _WAYS[state]
    history = [
        {"event_id": f"h{n}", "status": one, "at": f"2026-05-{n:02}T09:00:00-04:00"}
        for n, one in enumerate(way, start=1)
    ]
    record = {
        "type": "referral",
        "id": "referral-1",
        "updated_at": history[-1]["at"] if history else "2026-05-01T08:00:00-04:00",
        "client_id": "client-1",
        "kind": "psychiatry",
        "status": state,
        "requested_on": "2026-05-01",
        **more,
    }
    return {**record, "history": history} if history else record


def said_with(action: str) -> dict[str, Any]:
    """What each move is made with, so that only its legality is in question."""
    said: dict[str, Any] = {"reason": REASON}
    if action in ("schedule", "reschedule"):
        said["appointment"] = VISIT
    if action == "complete":
        said["outcome"] = OUTCOME
    return said
