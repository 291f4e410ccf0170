"""The demo clinic's own records and consents: what its people meant is what happens."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from gate import holds, sends
from shipped_clinic import mappings, records

from fhirsvc.consent import FIELDS, Decision, Recipient, Request, What, decide
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.sensitive import Sensitivity

WHEN = datetime.fromisoformat("2026-08-25T12:00:00-04:00")


@cache
def _clinic() -> dict[str, dict[str, Any]]:
    return {record["id"]: record for record in records()}


@cache
def _sensitivity() -> Sensitivity:
    plain = Sensitivity(mappings())
    known = plain.organizations(r for r in _clinic().values() if r["type"] == "organization")
    return Sensitivity(mappings(), known)


def _ask(record_id: str, to: str, **more: Any) -> Decision:
    record = _clinic()[record_id]
    client = record["id"] if record["type"] == "client" else record["client_id"]
    consents = [
        r for r in _clinic().values() if r["type"] == "consent" and r["client_id"] == client
    ]
    made = _sensitivity().marked(record, kinds=FIELDS.get(record["type"]))
    what = What(record["type"], record_id, 1, client, record.get("program_id"), made)
    who = Recipient("ehr", to, is_treating=True)
    return decide(Request(who, what, more.pop("why", "treatment"), WHEN, consents, **more))


def _types(decision: Decision) -> set[str]:
    return {str(one["resourceType"]) for one in decision.resources}


def test_willow_street_gets_what_marcus_named_of_his_plan():
    """The plan and medicines; not the team, the progress and the crisis plan, which he did not."""
    decision = _ask("plan-01", "org-willow")
    assert decision.outcome == "redact"
    assert decision.consents == ("consent-01-1",)
    assert decision.part2
    assert _types(decision) == {"CarePlan", "MedicationRequest", "Provenance"}
    plan = next(one for one in decision.resources if one["resourceType"] == "CarePlan")
    assert "careTeam" not in plan
    assert "text" not in plan
    for one in decision.resources:
        assert [f for f in validate(one) if f.severity == "error"] == []


def test_his_single_consent_waits_for_somebody_to_say_that_treatment_has_not_ended():
    """It ends with an event; and it says nothing of re-disclosure, which a TPO consent must."""
    decision = _ask("goal-01-1", "org-juniper")
    holds(decision, "42_cfr_2_31_a_7_expiry")
    open_ = frozenset({"consent-01-2"})
    holds(_ask("goal-01-1", "org-juniper", event_open=open_), "42_cfr_2_31_a_10_redisclosure")


def test_a_plan_that_is_not_about_substance_use_goes_for_treatment():
    """No consent is needed; what she left out of a consent for the hospital stays from there."""
    sends(_ask("plan-02", "org-juniper"))
    decision = _ask("plan-11", "org-lakemont-php")
    assert decision.outcome == "redact"
    rules = {one.why.rule for one in decision.withheld}
    assert "42_cfr_2_26_left_out" in rules
    assert rules <= {"42_cfr_2_26_left_out", "reference", "narrative"}
    crisis = "Completion of mental health crisis plan"
    assert crisis not in json.dumps(decision.resources)
    assert crisis in json.dumps(_ask("plan-11", "org-willow").resources)


def test_what_a_client_took_back_stays_from_whom_it_named():
    """She wants her papers in one place only; Juniper gets them."""
    (goal,) = [
        r["id"] for r in _clinic().values() if r["type"] == "goal" and r["client_id"] == "client-09"
    ][:1]
    holds(_ask(goal, "org-willow"), "42_cfr_2_31_a_6_refused_since")
    sends(_ask(goal, "org-juniper"))


def test_a_revoked_consent_for_substance_use_lets_nothing_of_it_out():
    """ "Not one more paper.\""""
    decision = _ask("episode-12", "org-lakemont")
    assert decision.outcome == "hold"
    assert not decision.resources


@pytest.mark.parametrize("record_id", ["episode-01", "episode-05", "episode-07", "episode-12"])
def test_episodes_of_the_program_for_substance_use_are_default_deny(record_id: str):
    """To a treating hospital without a consent of theirs."""
    decision = _ask(record_id, "org-family-med", why="care_coordination")
    assert decision.outcome == "hold"


def test_scores_go_by_a_consent_that_names_scores():
    """An instrument's result is of that kind as a whole, its answers too."""
    results = [
        r
        for r in _clinic().values()
        if r["type"] == "assessment" and r["client_id"] == "client-02" and r.get("instruments")
    ]
    decision = _ask(results[0]["id"], "org-willow", default="consent_for_all")
    assert "Observation" in _types(decision)
    assert decision.consents == ("consent-02-1",)
    held = [w for w in decision.withheld if w.path == "QuestionnaireResponse"]
    assert {w.resource.rpartition("/")[2] for w in held} == {f"assessment.{results[0]['id']}"}


def test_every_record_is_decided_for_everybody():
    """No record of the clinic trips the gate; what goes is valid, and labelled if of SUD."""
    for record in _clinic().values():
        if record["type"] in ("staff", "organization", "consent"):
            continue
        for to in ("org-willow", "org-juniper", "org-nobody"):
            decision = _ask(record["id"], to)
            for one in decision.resources:
                assert [f for f in validate(one) if f.severity == "error"] == []
            if "SUD" in record.get("sensitivity", ()):
                security = [one["meta"]["security"][0]["code"] for one in decision.resources]
                assert set(security) <= {"R"}
            assert "HIPAA" not in json.dumps(decision.withheld, default=str)
