"""Gravity's own referral examples are read in and go on in our state machine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shipped_clinic import ROOT, mappings
from standing import NOW, OUTCOME, VISIT

from fhirsvc.mapping.back import Back
from fhirsvc.records import check
from fhirsvc.referral.acting import act
from fhirsvc.referral.dialects import GRAVITY
from fhirsvc.referral.hearing import entered, heard
from fhirsvc.referral.telling import written

EXAMPLES = ROOT.parent / "shared" / "examples" / "gravity"
TASKS = {
    "SDOHCC-TaskReferralManagementOrderFulfillmentAcceptedExample": "accepted",
    "SDOHCC-TaskReferralManagementOrderFulfillmentCompletedExample": "completed",
    "SDOHCC-TaskReferralManagementOrderSubtaskAcceptedExample": "accepted",
    "SDOHCC-TaskReferralManagementOrderSubtaskCompletedExample": "completed",
}
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no ../shared/examples here")


def _example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _asked(task: dict[str, Any]) -> dict[str, Any]:
    """What a Task asks for, as it was sent: its request and its patient read by our mappings.

    The examples show one order at several times, and the requests of the subtasks are completed
    already; the state is the Task's to tell.
    """
    about = [_example(task[name]["reference"].replace("/", "-")) for name in ("focus", "for")]
    read = Back.of(mappings().library).records(about)
    (record,) = (one for one in read.records if one["type"] == "referral")
    return {**record, "updated_at": NOW, "status": "sent"}


def test_all_of_them_are_here():
    """Four Tasks for referral management and three requests."""
    assert TASKS.keys() == {p.stem[5:] for p in EXAMPLES.glob("Task-SDOHCC-TaskReferralMan*.json")}
    requests = [_example(p.stem) for p in EXAMPLES.glob("ServiceRequest-*.json")]
    assert ["active", "completed", "completed"] == sorted(r["status"] for r in requests)


@pytest.mark.parametrize(("name", "state"), TASKS.items())
def test_each_is_read_in_and_told_as_it_was(name: str, state: str):
    """Request and patient by the mappings, the Task by the machine: a valid record, told alike."""
    task = _example(f"Task-{name}")
    assert state == entered(task["status"], None, GRAVITY)
    told = heard(_asked(task), task, GRAVITY, NOW, "t1")
    assert (("accept",) if state == "accepted" else ("accept", "complete")) == told.actions
    assert (state, "community_resources") == (told.record["status"], told.record["kind"])
    assert [] == check(told.record)
    assert task["status"] == written(told.record, GRAVITY).task["status"]
    assert () == heard(told.record, task, GRAVITY, NOW, "t2").actions


@pytest.mark.parametrize("kind", ["Fulfillment", "Subtask"])
def test_one_accepted_goes_on_to_completed_by_its_own_task(kind: str):
    """The same order, completed: what its output tells is the outcome."""
    name = f"Task-SDOHCC-TaskReferralManagementOrder{kind}"
    accepted, completed = _example(f"{name}AcceptedExample"), _example(f"{name}CompletedExample")
    record = heard(_asked(accepted), accepted, GRAVITY, NOW, "t1").record
    told = heard(record, completed, GRAVITY, NOW, "t2")
    assert (("complete",), "completed") == (told.actions, told.record["status"])
    assert {"reported_at": NOW} == told.record["outcome"]
    assert [] == check(told.record)


def test_one_accepted_goes_on_step_by_step():
    """Scheduled, attended, completed by our moves; Gravity's statuses follow."""
    task = _example("Task-SDOHCC-TaskReferralManagementOrderFulfillmentAcceptedExample")
    record, told = heard(_asked(task), task, GRAVITY, NOW, "t1").record, []
    for n, (action, said) in enumerate(
        [("schedule", {"appointment": VISIT}), ("attend", {}), ("complete", {"outcome": OUTCOME})]
    ):
        record = act(record, action, "performer", NOW, f"h{n}", dialect=GRAVITY, **said)
        told.append(written(record, GRAVITY).task["status"])
    assert ["in-progress", "in-progress", "completed"] == told
    assert [] == check(record)
    steps = [step["action"] for step in record["history"]]
    assert ["accept", "schedule", "attend", "complete"] == steps
