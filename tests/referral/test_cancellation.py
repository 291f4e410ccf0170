"""Cancelling by a second Task: what is sent, and what each answer means."""

from __future__ import annotations

from typing import Any

import pytest
from standing import NOW, REASON, standing

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.validate import validate
from fhirsvc.referral.acting import act
from fhirsvc.referral.cancellation import abort_task, answer, answered
from fhirsvc.referral.dialects import ORDERS
from fhirsvc.referral.hearing import heard

TRACKED = {
    "resourceType": "Task",
    "id": "task-77",
    "groupIdentifier": {"system": "urn:fhirsvc:referral", "value": "referral-1"},
    "status": "in-progress",
    "intent": "order",
    "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
    "focus": {"reference": "ServiceRequest/sr-1"},
    "for": {"reference": "Patient/p-1"},
    "requester": {"reference": "Practitioner/d-1"},
    "owner": {"reference": "Organization/o-1"},
}
# Task.status of the answer → what it is: from the guide, accepted or rejected; completed is done.
ANSWERS = {
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


def _asked(after: str = "scheduled") -> dict[str, Any]:
    record = standing(after) if after != "on_hold" else standing("on_hold")
    return act(record, "request_cancel", "requester", NOW, "h8", reason=REASON, dialect=ORDERS)


def test_the_task_that_asks():
    """Code abort, requested, its focus the Task to be cancelled; valid R4."""
    made = abort_task(_asked(), TRACKED, NOW)
    assert {
        "resourceType": "Task",
        "identifier": [{"system": "urn:fhirsvc:referral-cancellation", "value": "referral-1/h8"}],
        "status": "requested",
        "intent": "order",
        "code": {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/CodeSystem/task-code",
                    "code": "abort",
                    "display": "Mark the focal resource as no longer active",
                }
            ]
        },
        "focus": {"reference": "Task/task-77"},
        "authoredOn": NOW,
        "groupIdentifier": TRACKED["groupIdentifier"],
        "for": {"reference": "Patient/p-1"},
        "requester": {"reference": "Practitioner/d-1"},
        "owner": {"reference": "Organization/o-1"},
        "reasonCode": {"text": REASON},
    } == made
    assert [] == validate(made)


def test_it_is_made_only_when_somebody_asked():
    """Nothing is cancelled that nobody wants cancelled."""
    with pytest.raises(FhirsvcError) as refused:
        abort_task(standing("scheduled"), TRACKED, NOW)
    assert Category.CONFLICT == refused.value.category


@pytest.mark.parametrize(("status", "action"), ANSWERS.items())
def test_what_each_answer_means(status: str, action: str | None):
    """Every status of R4, but those that take the request itself back."""
    abort = {**abort_task(_asked(), TRACKED, NOW), "status": status}
    assert action == answer(abort)
    told = answered(_asked(), abort, NOW, "h9")
    assert ((action,) if action else ()) == told.actions
    to = {"confirm_cancel": "cancelled", "refuse_cancel": "scheduled", None: "cancel_requested"}
    assert to[action] == told.record["status"]


@pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "nonsense"])
def test_what_is_no_answer_is_said_to_be_none(status: str):
    """A request that was taken back has no answer."""
    abort = {**abort_task(_asked(), TRACKED, NOW), "status": status}
    with pytest.raises(FhirsvcError) as refused:
        answered(_asked(), abort, NOW, "h9")
    assert (Category.INVALID, "Task.status") == (refused.value.category, refused.value.where)


def test_another_task_is_no_answer():
    """The Task that tracks the referral is not taken for it."""
    with pytest.raises(FhirsvcError) as refused:
        answer({**TRACKED, "status": "accepted"})
    assert "Task.code" == refused.value.where


def test_accepted_then_completed_is_one_answer():
    """The second says nothing new."""
    abort = abort_task(_asked(), TRACKED, NOW)
    once = answered(_asked(), {**abort, "status": "accepted"}, NOW, "h9").record
    twice = answered(once, {**abort, "status": "completed"}, NOW, "h10")
    assert (once, ()) == (twice.record, twice.actions)


def test_a_refusal_leads_back_and_gives_its_reason():
    """To being on hold, where it was; the words of the answer are kept."""
    record = _asked("on_hold")
    abort = {**abort_task(record, TRACKED, NOW), "status": "rejected"}
    abort["statusReason"] = {"text": "She came today."}
    told = answered(record, abort, NOW, "h9")
    assert ("on_hold", "She came today.") == (told.record["status"], told.record["status_reason"])


def test_an_answer_to_what_nobody_asked_is_refused():
    """The referral is being worked on."""
    abort = {**abort_task(_asked(), TRACKED, NOW), "status": "accepted"}
    with pytest.raises(FhirsvcError) as refused:
        answered(standing("scheduled"), abort, NOW, "h9")
    assert Category.CONFLICT == refused.value.category


def test_the_first_task_may_say_it_too():
    """Cancelled by its owner after the request, it is the confirmation."""
    told = heard(_asked(), {**TRACKED, "status": "cancelled"}, ORDERS, NOW, "h9")
    assert ("confirm_cancel",) == told.actions
    again = answered(
        told.record, {**abort_task(_asked(), TRACKED, NOW), "status": "completed"}, NOW, "h10"
    )
    assert () == again.actions
