"""Cancelling what is in progress by a second Task, as Clinical Order Workflows has it.

Who asked may not cancel a Task that is in progress. They send another one, code ``abort``, whose
focus is the Task to be cancelled; who was asked accepts or rejects it. Until then the first Task
stays as it is. http://hl7.org/fhir/uv/cow, "Cancelling and Modifying Orders".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.referral.acting import NOBODY, By, act
from fhirsvc.referral.dialects import ORDERS
from fhirsvc.referral.hearing import Heard, reason_of
from fhirsvc.referral.states import Action, Record

TASK_CODE = "http://hl7.org/fhir/CodeSystem/task-code"
IDENTIFIER = "urn:fhirsvc:referral-cancellation"
_SAME = ("groupIdentifier", "priority", "for", "requester", "owner")
# What an answer means; None: it has not been answered.
_ANSWERS: dict[str, Action | None] = {
    "draft": None,
    "requested": None,
    "received": None,
    "ready": None,
    "in-progress": None,
    "on-hold": None,
    "accepted": "confirm_cancel",
    "completed": "confirm_cancel",
    "rejected": "refuse_cancel",
    "failed": "refuse_cancel",
}


def abort_task(record: Record, tracked: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Make the Task that asks to cancel another.

    :param record: a referral that is ``cancel_requested``.
    :param tracked: the Task that tracks it where the new one is sent, with its id there.
    :param at: when it is asked, with its offset.

    Its identifier is of the step of the history, so asking twice is one request.
    :raises FhirsvcError: CONFLICT when nobody has asked to cancel the referral.
    """
    if record["status"] != "cancel_requested":
        raise FhirsvcError(Category.CONFLICT, "nobody asked to cancel the referral", "$.status")
    step = record["history"][-1]["event_id"] if record.get("history") else "cancel"
    made: dict[str, Any] = {
        "resourceType": "Task",
        "identifier": [{"system": IDENTIFIER, "value": f"{record['id']}/{step}"}],
        "status": "requested",
        "intent": "order",
        "code": {
            "coding": [
                {
                    "system": TASK_CODE,
                    "code": "abort",
                    "display": "Mark the focal resource as no longer active",
                }
            ]
        },
        "focus": {"reference": f"Task/{tracked['id']}"},
        "authoredOn": at,
        **{name: tracked[name] for name in _SAME if name in tracked},
    }
    if "status_reason" in record:
        made["reasonCode"] = {"text": record["status_reason"]}
    return made


def answer(abort: Mapping[str, Any]) -> Action | None:
    """Return the performer's move that an abort Task's status means; None while there is no answer.

    :raises FhirsvcError: INVALID for another kind of Task, or a status that is no answer: the
        request was taken back or made in error.
    """
    codings = (abort.get("code") or {}).get("coding", ())
    if not any(c.get("system") == TASK_CODE and c.get("code") == "abort" for c in codings):
        raise FhirsvcError(Category.INVALID, "expected a Task that asks to cancel", "Task.code")
    status = abort.get("status")
    if status not in _ANSWERS:
        raise FhirsvcError(Category.INVALID, "is no answer to a request to cancel", "Task.status")
    return _ANSWERS[status]


def answered(
    record: Record, abort: Mapping[str, Any], at: str, event_id: str, *, by: By = NOBODY
) -> Heard:
    """Do what the answer to an abort Task says; accepted and then completed is one answer.

    :raises FhirsvcError: as ``answer`` and ``act``.
    """
    action = answer(abort)
    if action is None or (action == "confirm_cancel" and record["status"] == "cancelled"):
        return Heard(record, ())
    made = act(
        record,
        action,
        "performer",
        at,
        event_id,
        by=by,
        reason=reason_of(abort),
        dialect=ORDERS,
        told=True,
    )
    return Heard(made, (action,))
