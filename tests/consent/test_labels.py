"""Security labels: one confidentiality code, the policy as its basis, the finer sensitivity."""

from __future__ import annotations

from gate import ask, consent, goal

from fhirsvc.consent import high_water
from fhirsvc.consent.labels import ACT_CODE, ACT_REASON, BASIS, CONFIDENTIALITY, labelled, security
from fhirsvc.fhir.validate import validate


def _codes(labels: list[str], why: str = "treatment") -> list[str]:
    return [one["code"] for one in security(labels, why)]


def test_what_part_2_protects_carries_all_its_tags():
    """As the DS4P guide has them; NORDSCLCD, since NORDSLCD is retired."""
    tags = security(["SUD"], "treatment")
    assert tags[0] == {
        "system": CONFIDENTIALITY,
        "code": "R",
        "extension": [
            {"url": BASIS, "valueCoding": {"system": ACT_CODE, "code": "42CFRPart2"}},
        ],
    }
    rest = ["42CFRPart2", "SUD", "NORDSCLCD", "CPLYCD", "PERSISTLABEL"]
    assert tags[1:-1] == [{"system": ACT_CODE, "code": code} for code in rest]
    assert tags[-1] == {"system": ACT_REASON, "code": "TREAT"}


def test_the_finer_sensitivity_stands_for_the_wider():
    """Alcohol or opioids where they are known; others beside them stay."""
    assert _codes(["SUD", "ETHUD", "HIV"])[2:4] == ["ETHUD", "HIV"]
    assert _codes(["SUD", "ETH"])[2:4] == ["ETH", "SUD"]


def test_what_is_sensitive_otherwise_is_restricted_without_that_policy():
    """HIV is not of part 2."""
    tags = security(["HIV"], "payment")
    assert [one["code"] for one in tags] == ["R", "HIV", "PERSISTLABEL", "HPAYMT"]
    assert "extension" not in tags[0]


def test_a_purpose_of_the_house_has_no_tag():
    """v3-ActReason has no word for housing."""
    assert _codes(["SUD"], "housing")[-1] == "PERSISTLABEL"


def test_what_is_not_sensitive_is_the_same_object():
    """No tag, no copy."""
    resource = goal().resource
    assert labelled(resource, (), "treatment") is resource


def test_tags_that_are_there_stay_and_one_confidentiality_code_is_left():
    """The highest; what is said already is not said again."""
    there = [
        {"system": CONFIDENTIALITY, "code": "V"},
        {"system": CONFIDENTIALITY, "code": "N"},
        {"system": ACT_CODE, "code": "SUD"},
        {"system": "urn:x", "code": "mine"},
    ]
    made = labelled({**goal().resource, "meta": {"security": there}}, ["SUD"], "treatment")
    levels = [t["code"] for t in made["meta"]["security"] if t["system"] == CONFIDENTIALITY]
    assert levels == ["V"]
    codes = [t["code"] for t in made["meta"]["security"]]
    assert codes.count("SUD") == 1
    assert "mine" in codes
    assert list(made)[:3] == ["resourceType", "id", "meta"]


def test_a_bundle_carries_the_high_water_mark_alone():
    """Its other tags would tell of every entry what holds for one."""
    sensitive = labelled(goal().resource, ["SUD"], "treatment")
    assert high_water([goal().resource, sensitive]) == [{"system": CONFIDENTIALITY, "code": "R"}]
    assert high_water([goal().resource]) == [{"system": CONFIDENTIALITY, "code": "N"}]
    assert high_water([]) == [{"system": CONFIDENTIALITY, "code": "N"}]


def test_what_goes_out_is_labelled_by_what_is_in_it_still():
    """A label of an element that is withheld would tell of it."""
    made = [goal("SUD", **{"note[0]": ["HIV"]})]
    decision = ask(consent(), made=made)
    (sent,) = decision.resources
    codes = [tag["code"] for tag in sent["meta"]["security"]]
    assert "SUD" in codes
    assert "HIV" not in codes
    assert decision.labels == {"Goal/goal.g-1": {"SUD"}}
    both = ask(consent(sensitivities=["SUD", "HIV"]), made=made).resources[0]
    assert "HIV" in [tag["code"] for tag in both["meta"]["security"]]
    assert [f for f in (*validate(sent), *validate(both)) if f.severity == "error"] == []
