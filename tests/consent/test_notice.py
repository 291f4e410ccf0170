"""What goes along with a disclosure, and what is kept of it."""

from __future__ import annotations

import json

import pytest
from gate import STAFF, ask, consent, goal, request, tpo

from fhirsvc.consent import NOTICES, decide, disclosure, notice, scope_statement


def test_42_cfr_2_32_a__either_statement_goes_with_what_part_2_protects():
    """The long one for people, the other between machines."""
    decision = ask(consent())
    long, short = (NOTICES[str(notice(decision, reader))] for reader in ("person", "machine"))
    assert long.startswith("This record which has been disclosed to you is protected by Federal")
    assert "(iii) You have received the record from a covered entity" in long
    assert long.endswith("(see 42 CFR 2.31).")
    assert short == "42 CFR part 2 prohibits unauthorized use or disclosure of these records."
    assert "prohibit you from making any further disclosure" not in long  # the wording until 2024


@pytest.mark.parametrize("who", [None, STAFF])
def test_42_cfr_2_32_a__nothing_goes_with_what_it_does_not_protect(who: object):
    """Not with what is not of part 2, nor inside the program."""
    decision = ask(made=[goal()]) if who is None else ask(who=who)
    assert decision.outcome == "send"
    assert notice(decision, "person") is None


def test_42_cfr_2_32_b__the_scope_of_the_consent_is_told_in_words():
    """All that limits it, and no name of a client."""
    said = scope_statement(
        consent(
            recipient_ids=["org-willow", "org-x"],
            information=["goals", "care_plan"],
            excluded_information=["crisis_plan"],
            start_date="2026-03-05",
        ),
        {"org-willow": "Willow Street Counseling", "org-cedar-hollow": "Cedar Hollow"},
    )
    assert said.splitlines() == [
        "Consent: c-1",
        "Given on: 2026-03-04",
        "Discloser: Cedar Hollow",
        "Recipients: Willow Street Counseling; org-x",
        "Purposes: treatment",
        "Information: goals; care plan",
        "Not to be disclosed: crisis plan",
        "Sensitive information named: SUD",
        "First day: 2026-03-05",
        "Last day: 2026-12-31",
        "The person may revoke this consent in writing at any time.",
    ]


def test_42_cfr_2_32_b__a_class_and_an_event_are_told_as_they_stand():
    """In the consent's own words."""
    made = tpo(expires_on=None, expires_event="End of treatment", purpose_text="To treat me")
    said = scope_statement(made)
    assert "Recipients: My treating providers" in said
    assert "Purposes: treatment; payment; operations; To treat me" in said
    assert "Ends with: End of treatment" in said
    assert "Last day" not in said


def test_42_cfr_2_25__the_accounting_keeps_ids_paths_and_codes():
    """Who got what, when, why, by which consent, and what stayed; no value of the record."""
    asked = request(consent(), made=[goal("SUD", **{"note[0]": ["HIV"]})])
    kept = disclosure(decide(asked), asked)
    assert json.loads(json.dumps(kept)) == kept
    assert kept == {
        "client_id": "client-01",
        "recipient": {"kind": "ehr", "organization_id": "org-willow"},
        "purpose": "treatment",
        "at": "2026-04-01T12:00:00-04:00",
        "outcome": "redact",
        "basis": "consent",
        "consents": ["c-1"],
        "record": {"type": "goal", "id": "g-1", "version": 1},
        "resources": [{"reference": "Goal/goal.g-1", "labels": ["SUD"], "part2": True}],
        "withheld": [
            {
                "reference": "Goal/goal.g-1",
                "path": "Goal.note[0]",
                "labels": ["HIV", "SUD"],
                "rule": "42_cfr_2_31_a_3_sensitivity_by_name",
                "consent_id": None,
            },
            {
                "reference": "Goal/goal.g-1",
                "path": "Goal.text",
                "labels": ["SUD"],
                "rule": "narrative",
                "consent_id": None,
            },
        ],
        "notice": "42-cfr-2.32-a-2",
    }
    assert disclosure(decide(asked), asked, "person")["notice"] == "42-cfr-2.32-a-1"


def test_a_reason_names_no_value():
    """Names, words and dates of a record stay out of what is said about it."""
    asked = request(consent(recipients_text="Aunt Rosa", purposes=["research"]), made=[goal("SUD")])
    decision = decide(asked)
    said = json.dumps([vars(one) for one in decision.reasons]) + json.dumps(
        disclosure(decision, asked)
    )
    for value in ("Rosa", "M. E.", "2026-12-31", "Thirty days", "note words"):
        assert value not in said
