"""Real EHRs' output is not what guides promise: what is met is read, or told where it stands."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
import shipped_clinic as clinic
from test_back_laws import back, forward
from test_back_quick import _mangle

from fhirsvc.mapping.back import Returned
from fhirsvc.mapping.links import House

HCPCS = "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"


def _record(type_name: str, having: str | None = None) -> dict[str, Any]:
    return next(
        r for r in clinic.records() if r["type"] == type_name and (having is None or r.get(having))
    )


def _made(record: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(r for r in forward(record) if r["resourceType"] == kind)


def _told(returned: Returned) -> list[tuple[str, str]]:
    """Rule and place of what is more than information."""
    return [
        (one.finding.rule, one.finding.where)
        for one in returned.findings
        if one.finding.severity != "information"
    ]


def _score() -> tuple[dict[str, Any], dict[str, Any]]:
    record = next(
        r for r in clinic.records() for i in r.get("instruments", ()) if i.get("total") == 5
    )
    made = next(r for r in forward(record) if r.get("valueQuantity", {}).get("value") == 5)
    return record, made


@pytest.mark.parametrize(
    "value",
    [
        {"valueQuantity": {"value": 5}},
        {"valueQuantity": {"value": 5.0, "unit": "points"}},
        {"valueQuantity": {"value": 5, "system": "http://unitsofmeasure.org", "code": "1"}},
        {"valueInteger": 5},
        {"valueString": "5"},
        {"valueString": " 5 "},
    ],
)
def test_a_total_is_a_number_in_any_dress(value: dict[str, Any]):
    """Quantity, integer or decimal-like text."""
    _, made = _score()
    del made["valueQuantity"]
    (record,) = back().records([{**made, **value}]).records
    assert 5 == record["instruments"][0]["total"]


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"valueString": "about five"}, "not-carried"),
        ({"valueString": "5 of 27"}, "not-carried"),
        ({"valueQuantity": {"value": 5, "comparator": ">"}}, "comparator"),
        ({"valueQuantity": {"value": 5, "code": "mg"}}, "unit"),
        ({"valueQuantity": {"value": True}}, "type"),
        ({"valueBoolean": True}, "not-carried"),
    ],
)
def test_what_is_no_total_is_told_and_takes_nothing_away(value: dict[str, Any], rule: str):
    """The finding names the element; the record's own total stays where the element is there."""
    record, made = _score()
    changed = {**{k: v for k, v in made.items() if k != "valueQuantity"}, **value}
    returned = back().records([changed], onto={("assessment", record["id"]): record})
    (name,) = value
    told = {(f.finding.rule, f.finding.where) for f in returned.findings}
    assert (rule, f"Observation.{name}") in told
    if name == "valueQuantity":
        assert [record] == returned.records


def test_both_uris_of_hcpcs_are_read():
    """http, as VSAC writes it, and https."""
    record = next(r for r in clinic.records() if r["type"] == "episode" and "billing_code" in r)
    made = _made(record, "EpisodeOfCare")
    text = json.dumps(made).replace(HCPCS.replace("https", "http"), HCPCS)
    assert HCPCS in text
    returned = back().records([json.loads(text)])
    assert record["billing_code"] == returned.records[0]["billing_code"]
    assert [] == _told(returned)


@pytest.mark.parametrize("us_core", [6, 7, 8, 9])
def test_the_categories_of_every_us_core_are_read(us_core: int):
    """With assess-plan or without it, a CarePlan is the same record."""
    plan = _record("care_plan")
    made = json.loads(json.dumps(clinic.mappings().forward(plan, us_core)))
    returned = back().records(made, onto={("care_plan", plan["id"]): plan})
    assert [plan] == returned.records
    assert [] == _told(returned)


def test_codings_may_stand_in_any_order_among_strangers():
    """An EHR puts its own coding first and turns the others round."""
    plan = _record("care_plan", "modalities")
    made = _made(plan, "CarePlan")
    for activity in made["activity"]:
        coding = activity.get("detail", {}).get("code", {}).get("coding")
        if coding:
            coding.reverse()
            coding.insert(0, {"system": "https://ehr.example/codes", "code": "77"})
    returned = back().records([made], onto={("care_plan", plan["id"]): plan})
    assert [plan] == returned.records
    assert [] == _told(returned)


def test_lists_may_stand_in_any_order():
    """Items are met by key: turned round, they are the same."""
    plan = _record("care_plan", "modalities")
    made = _made(plan, "CarePlan")
    for name in ("activity", "goal", "note", "category", "extension"):
        made.get(name, []).reverse()
    returned = back().records([made], onto={("care_plan", plan["id"]): plan})
    (found,) = returned.records
    assert plan["modalities"] == found["modalities"]
    assert sorted(plan["goal_ids"]) == sorted(found["goal_ids"])
    assert [] == _told(returned)


def test_items_without_their_ids_are_met_by_what_they_say():
    """An EHR that drops Element.id loses no item and doubles none; doubt is told."""
    plan = _record("care_plan", "modalities")
    made = _made(plan, "CarePlan")
    for activity in made["activity"]:
        activity.pop("id", None)
    returned = back().records([made], onto={("care_plan", plan["id"]): plan})
    assert [plan] == returned.records
    assert {"ambiguous"} >= {rule for rule, _ in _told(returned)}


def test_missing_optional_parts_are_told_as_removed():
    """What is gone at the EHR goes here, and each field that goes is named."""
    plan = _record("care_plan", "summary")
    made = _made(plan, "CarePlan")
    del made["description"]
    returned = back().records([made], onto={("care_plan", plan["id"]): plan})
    assert "summary" not in returned.records[0]
    removed = [f.finding.where for f in returned.findings if f.finding.rule == "removed"]
    assert ["$.summary"] == removed


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/77",
        "Patient/77/_history/3",
        "https://ehr.example/fhir/Patient/77",
        "https://ehr.example/fhir/Patient/77/_history/3",
    ],
)
def test_references_are_relative_absolute_or_of_a_version(reference: str):
    """All of them name the resource that the link table knows."""
    goal = _record("goal")
    made = _made(goal, "Goal")
    made["subject"] = {"reference": reference}
    made.pop("expressedBy", None)
    known = {"Patient/77": House("client", ("client-09",))}
    returned = back().records([made], known=known, base="https://ehr.example/fhir")
    assert "client-09" == returned.records[0]["client_id"]


def test_another_servers_reference_is_not_taken_for_ours():
    """The same type and id at another base are somebody else: told, not guessed."""
    goal = _record("goal")
    made = _made(goal, "Goal")
    made["subject"] = {"reference": "https://other.example/fhir/Patient/77"}
    made.pop("expressedBy", None)
    known = {"Patient/77": House("client", ("client-09",))}
    returned = back().records([made], known=known, base="https://ehr.example/fhir")
    assert "client_id" not in returned.records[0]
    assert ("unresolved", "Goal.subject") in _told(returned)


def test_urn_references_of_a_bundle_are_its_entries():
    """``urn:uuid`` is the fullUrl of another entry."""
    goal, client = _record("goal"), _record("client")
    made = _made(goal, "Goal")
    patient = _made(client, "Patient")
    del patient["id"]
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    made["subject"] = {"reference": urn}
    made.pop("expressedBy", None)
    entries = [{"fullUrl": urn, "resource": patient}, {"resource": made}]
    returned = back().records([{"resourceType": "Bundle", "type": "collection", "entry": entries}])
    found = next(r for r in returned.records if r["type"] == "goal")
    assert client["id"] == found["client_id"]


@pytest.mark.parametrize("how", ["contained", "identifier"])
def test_contained_and_logical_references_are_known_by_identifier(how: str):
    """``#p`` names a contained Patient; a Reference may have an identifier alone."""
    goal, client = _record("goal"), _record("client")
    made, patient = _made(goal, "Goal"), _made(client, "Patient")
    if how == "contained":
        made["contained"] = [{**patient, "id": "p"}]
        made["subject"] = {"reference": "#p"}
    else:
        made["subject"] = {"type": "Patient", "identifier": patient["identifier"][0]}
    made.pop("expressedBy", None)
    returned = back().records([made])
    assert client["id"] == returned.records[0]["client_id"]


def test_nothing_that_arrives_makes_it_fail():
    """A thousand resources with up to twelve places broken: a result and findings each time."""
    rng = random.Random(4)
    records = clinic.records()
    for _ in range(1000):
        record = rng.choice(records)
        made = forward(record)
        for _ in range(rng.randint(1, 12)):
            _mangle(rng.choice(made), rng)
        onto = {(record["type"], record["id"]): record} if rng.random() < 0.5 else None
        before = copy.deepcopy(record)
        returned = back().records(made, onto=onto)
        assert before == record  # what it is put onto is not changed under the caller
        for one in returned.findings:
            assert one.finding.where or one.finding.rule == "type"


@pytest.mark.parametrize("odd", [None, 5, "x", [], {}, {"resourceType": 7}, {"resourceType": "X"}])
def test_what_is_no_resource_is_told(odd: Any):
    """A finding, beside what else was given."""
    goal = _record("goal")
    returned = back().records([odd, *forward(goal)], onto={("goal", goal["id"]): goal})
    assert [goal] == returned.records
    assert {"type", "not-mapped"} & {one.finding.rule for one in returned.findings}


def test_findings_repeat_no_value():
    """A name planted everywhere a text can be is in no finding."""
    rng = random.Random(9)
    for record in clinic.records():
        made = forward(record)

        def plant(node: Any) -> None:
            for key, value in node.items() if isinstance(node, dict) else enumerate(node):
                if isinstance(value, dict | list):
                    plant(value)
                elif key not in ("resourceType", "id", "url") and rng.random() < 0.3:
                    node[key] = "Zebulon Quillfeather"

        for resource in made:
            plant(resource)
        returned = back().records(made, onto={(record["type"], record["id"]): record})
        for one in returned.findings:
            assert "Zebulon" not in f"{one.about} {one.finding.message} {one.finding.where}"
