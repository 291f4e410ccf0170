"""How each state is told in each dialect, and that the mapping files tell it the same way."""

from __future__ import annotations

import expected
import pytest
import yaml
from shipped_clinic import ROOT
from standing import standing

from fhirsvc.records.referral import REFERRAL_KINDS
from fhirsvc.referral.dialects import BSER, BUSINESS_STATUS, DIALECTS, GRAVITY, HOUSE, ORDERS
from fhirsvc.referral.states import ACTIONS, ACTORS, STATES
from fhirsvc.referral.telling import alike, written

R4_TASK_STATUS = set(
    "draft requested received accepted rejected ready cancelled in-progress on-hold failed "
    "completed entered-in-error".split()
)


def _table(name: str) -> dict[str, object]:
    text = (ROOT / "mappings" / "codes" / f"{name}.yaml").read_text(encoding="utf-8")
    rows: dict[str, object] = yaml.safe_load(text)["rows"]
    return rows


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_how_each_state_is_told(dialect: str, state: str):
    """Task.status, Task.businessStatus and ServiceRequest.status, as the guides have them."""
    told = written(standing(state), DIALECTS[dialect])
    task = "received" if (dialect, state) == ("bser", "sent") else expected.TASK[state]
    assert task == told.task["status"]
    assert {"status": expected.REQUEST.get(state, "active")} == told.request
    code = expected.BUSINESS.get(state) if dialect in ("house", "bser") else None
    coding = {"coding": [{"system": BUSINESS_STATUS, "code": code}]}
    assert (coding if code else None) == told.task.get("businessStatus")
    assert (dialect == "orders" and state == "cancel_requested") == told.abort


def test_the_reason_goes_along_as_words():
    """Gravity's statusReason has a text; nothing is said where there is no reason."""
    told = written(standing("on_hold", status_reason="Waiting for the insurer."), GRAVITY)
    assert {"text": "Waiting for the insurer."} == told.task["statusReason"]
    assert "statusReason" not in written(standing("on_hold"), GRAVITY).task


def test_gravity_writes_neither_received_nor_ready():
    """Its value set has neither; both are read."""
    values = {said.task for said in GRAVITY.says.values()}
    assert R4_TASK_STATUS - {"received", "ready"} == values
    assert {"received": "sent", "ready": "accepted"} == GRAVITY.hears


def test_a_request_to_cancel_leaves_the_task_of_order_workflows_as_it_is():
    """Who asked says it by a second Task; the first still says how the work stands."""
    told = written(
        standing("cancel_requested", after="on_hold", status_reason="Moved away."), ORDERS
    )
    assert ({"status": "on-hold"}, True, ()) == (told.task, told.abort, told.alike)


def test_the_mapping_files_tell_every_state_as_the_house_does():
    """One truth: mappings/codes and fhirsvc/referral agree on all 14 states."""
    task, request = _table("referral_task_status"), _table("referral_request_status")
    business = _table("referral_business_status")
    assert set(STATES) == task.keys() == request.keys() == business.keys()
    for state in STATES:
        said = HOUSE.says[state]
        assert (task[state], request[state]) == (said.task, said.request)
        row = business[state]
        code = row["code"] if isinstance(row, dict) else None
        assert code == said.business
    assert {r["system"] for r in business.values() if isinstance(r, dict)} == {"bser-status"}
    systems = yaml.safe_load((ROOT / "mappings" / "codes" / "systems.yaml").read_text())
    assert BUSINESS_STATUS == systems["bser-status"]


def test_words_of_steps_have_a_row_each():
    """Actions, actors and states of the history have codes."""
    assert set(ACTIONS) == _table("referral_action").keys()
    assert set(ACTORS) == _table("referral_actor").keys()
    assert set(STATES) == _table("referral_event").keys()


@pytest.mark.parametrize(
    "kind",
    "psychiatry step_down_outpatient step_up_php sud_program family_therapy peer_support "
    "primary_care employment education housing benefits community_resources".split(),
)
def test_every_kind_the_clinic_sends_has_a_code(kind: str):
    """A sourced code, or one of the house with words."""
    assert kind in REFERRAL_KINDS
    row = _table("referral_kind")[kind]
    assert isinstance(row, dict)
    codings = row.get("codings", [row])
    assert all(one["system"] in ("sct", "hcpcs", "referral-kind") for one in codings)
    assert all(one["display"] for one in codings)


def test_what_each_dialect_cannot_tell_apart():
    """BSeR says every state; Gravity has one word for all that is in progress."""
    working = {"scheduled", "attended", "no_show", "visit_cancelled"}
    assert working - {"no_show"} | {"cancel_requested"} == set(alike(GRAVITY, "no_show"))
    assert working - {"no_show"} == set(alike(ORDERS, "no_show"))
    for state in STATES:
        assert () == alike(BSER, state) == alike(HOUSE, state)
    assert {"on_hold", "failed"} == set(STATES) - BSER.words.keys()
    assert {"cancel_requested"} == set(STATES) - GRAVITY.words.keys()
    assert set(STATES) == ORDERS.words.keys()
