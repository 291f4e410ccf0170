"""Observations of a response, and what a response or an Observation claims, counted again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped_clinic import ROOT, mappings, records

from fhirsvc.fhir.extract import extract, read_total, recount_observation
from fhirsvc.fhir.response import answers_in, instrument_of, recount_response
from fhirsvc.fhir.scoring import Context, answers_of, score
from fhirsvc.fhir.validate import validate

SHIPPED = mappings().library.instruments
LOINC = "http://loinc.org"


def response(name: str, answers: dict[str, int], **more: Any) -> dict[str, Any]:
    """A completed response as this house writes it."""
    by = SHIPPED[name].answers()
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "r1",
        "questionnaire": SHIPPED[name].canonical,
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "encounter": {"reference": "Encounter/e1"},
        "authored": "2026-06-25T15:10:00-04:00",
        "author": {"reference": "Practitioner/s1"},
        "item": [by[n][value] for n, value in answers.items()],
        **more,
    }


def codes(observations: list[dict[str, Any]]) -> list[str]:
    """The code of each."""
    return [one["code"]["coding"][0]["code"] for one in observations]


PHQ = {str(n): 1 for n in range(1, 10)} | {"9": 2}


def test_a_response_becomes_a_panel_with_its_total_and_answers():
    """PHQ-9: nine answers and the total are members of the panel."""
    panel, total, *items = made = extract(response("phq-9", PHQ), SHIPPED)
    assert ["44249-1", "44261-6"] == codes([panel, total])
    assert [i.coding["code"] for i in SHIPPED["phq-9"].items[:9]] == codes(items)
    assert [f"Observation/{one['id']}" for one in made[1:]] == [
        member["reference"] for member in panel["hasMember"]
    ]
    assert {"value": 10, "unit": "{score}", "code": "{score}",
            "system": "http://unitsofmeasure.org"} == total["valueQuantity"]  # fmt: skip
    assert "moderate" == total["interpretation"][0]["coding"][0]["code"]
    assert "LA6570-1" == items[8]["valueCodeableConcept"]["coding"][0]["code"]


def test_what_the_response_says_of_itself_is_copied():
    """SDC: subject, encounter, basedOn; effective and issued are authored; performer is author."""
    more = {
        "basedOn": [{"reference": "ServiceRequest/q1"}],
        "partOf": [{"reference": "Observation/o1"}, {"reference": "Procedure/x1"}],
    }
    for one in extract(response("gad-7", {"1": 2}, **more), SHIPPED):
        assert "final" == one["status"]
        assert "survey" == one["category"][0]["coding"][0]["code"]
        assert {"reference": "Patient/p1"} == one["subject"]
        assert {"reference": "Encounter/e1"} == one["encounter"]
        assert [{"reference": "ServiceRequest/q1"}] == one["basedOn"]
        assert [{"reference": "Procedure/x1"}] == one["partOf"]
        assert one["effectiveDateTime"] == one["issued"] == "2026-06-25T15:10:00-04:00"
        assert [{"reference": "Practitioner/s1"}] == one["performer"]
        assert [{"reference": "QuestionnaireResponse/r1"}] == one["derivedFrom"]


def test_a_day_is_no_instant_and_a_device_no_performer():
    """What Observation cannot hold is left out."""
    more = {"authored": "2026-06-25", "author": {"reference": "Device/d1"}}
    for one in extract(response("gad-7", {"1": 2}, **more), SHIPPED):
        assert "2026-06-25" == one["effectiveDateTime"]
        assert not {"issued", "performer"} & one.keys()


@pytest.mark.parametrize(
    ("status", "made"),
    [("completed", "final"), ("amended", "amended"), ("in-progress", None), ("stopped", None),
     ("entered-in-error", None)],
)  # fmt: skip
def test_only_what_is_finished_is_extracted(status, made):
    """SDC: extraction only when completed; an update is amended."""
    found = extract(response("phq-9", PHQ, status=status), SHIPPED)
    assert ({made} if made else set()) == {one["status"] for one in found}


def test_missing_answers_make_nothing_and_no_total_is_made_up():
    """GAD-7 with one answer missing: six members; PHQ-9: a total that says so."""
    gad = {str(n): 1 for n in range(1, 7)}
    assert ["69737-5", "69725-0", "68509-9", "69733-4", "69734-2", "69735-9", "69689-8"] == codes(
        extract(response("gad-7", gad), SHIPPED)
    )
    eight = {n: value for n, value in PHQ.items() if n != "3"}
    total = extract(response("phq-9", eight), SHIPPED)[1]
    assert 10 == total["valueQuantity"]["value"]
    assert "1 of the scored answers missing" in total["note"][0]["text"]
    assert [] == extract(response("gad-7", {}), SHIPPED)


def test_a_risk_is_a_coded_value():
    """C-SSRS has no number."""
    answers = {str(n): 0 for n in range(1, 8)} | {"4": 1}
    risk = extract(response("c-ssrs", answers), SHIPPED)[1]
    assert "93374-7" == risk["code"]["coding"][0]["code"]
    assert "high" == risk["valueCodeableConcept"]["coding"][0]["code"]


def test_part_scores_are_members():
    """PCL-5: four clusters, by local codes."""
    made = extract(response("pcl-5", {str(n): 1 for n in range(1, 21)}), SHIPPED)
    parts = {c: o["valueQuantity"]["value"] for o, c in zip(made, codes(made), strict=True)
             if c.startswith("pcl-5.")}  # fmt: skip
    assert {"pcl-5.B": 5, "pcl-5.C": 2, "pcl-5.D": 7, "pcl-5.E": 6} == parts


def test_an_instrument_without_items_gives_the_total_that_is_stated():
    """MoCA: the one question of its Questionnaire."""
    moca = response("moca", {}, item=[{"linkId": "total", "answer": [{"valueInteger": 24}]}])
    panel, total = extract(moca, SHIPPED)
    assert ["72133-2", "72172-0"] == codes([panel, total])
    assert 24 == total["valueQuantity"]["value"]


def test_the_sex_decides_where_the_band_does():
    """AUDIT-C of three."""
    made = response("audit-c", {"1": 1, "2": 1, "3": 1})
    contexts = (Context(sex="female"), Context(sex="male"), Context())
    totals = [extract(made, SHIPPED, context)[1] for context in contexts]
    bands = [[b["coding"][0]["code"] for b in t.get("interpretation", [])] for t in totals]
    assert [["positive"], ["negative"], []] == bands


def _responses() -> list[dict[str, Any]]:
    made = [r for record in records() for r in mappings().forward(record)]
    return [r for r in made if r["resourceType"] == "QuestionnaireResponse"]


def test_the_demo_clinic_is_extracted_to_what_its_records_say():
    """Every instrument answered there: valid, conforming to us-core-2, and the record's total."""
    stated = {
        f"assessment.{record['id']}.{result['result_id']}": result
        for record in records() if record["type"] == "assessment"
        for result in record.get("instruments", [])
    }  # fmt: skip
    seen = 0
    for one in _responses():
        made = extract(one, SHIPPED)
        for observation in made:
            assert [] == validate(json.loads(json.dumps(observation)))
            value = any(name.startswith("value") for name in observation)
            assert value or observation["hasMember"]  # us-core-2
        ids = [observation["id"] for observation in made]
        assert len(ids) == len(set(ids))
        assert all(len(i) <= 64 for i in ids)
        if made:
            seen += 1
            assert stated[one["id"]]["total"] == made[1]["valueQuantity"]["value"]
            assert [] == recount_response(one, SHIPPED)
    assert seen > 50


@given(st.data())
def test_answers_read_back_are_those_that_were_written(data):
    """There and back for every instrument with items."""
    name = data.draw(st.sampled_from(sorted(n for n, i in SHIPPED.items() if i.items)))
    answers = {}
    for item in SHIPPED[name].items:
        value = data.draw(st.none() | st.sampled_from([o.value for o in item.options]))
        if value is not None:
            answers[item.n] = value
    written = response(name, answers)
    assert (answers, []) == answers_in(SHIPPED[name], written)
    made = extract(written, SHIPPED)
    for observation in made:
        assert [] == validate(observation)


# ---- responses of others -------------------------------------------------------------------


def test_a_form_of_others_is_recognised_by_its_items():
    """US Core's PHQ-9 has a canonical of its own; AUDIT holds AUDIT-C and is not taken for it."""
    theirs = {"questionnaire": "http://hl7.org/fhir/us/core/Questionnaire/phq-9-example"}
    assert "phq-9" == instrument_of(response("phq-9", PHQ, **theirs), SHIPPED).name
    audit = response("audit", {str(n): 0 for n in range(1, 11)}, questionnaire="urn:x")
    assert "audit" == instrument_of(audit, SHIPPED).name
    assert (
        "audit-c"
        == instrument_of(
            response("audit-c", {"1": 0, "2": 0, "3": 0}, questionnaire="urn:x"), SHIPPED
        ).name
    )
    assert instrument_of(response("phq-9", {"1": 0}, questionnaire="urn:x"), SHIPPED) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"valueCoding": {"system": LOINC, "code": "LA6570-1"}},
        {"valueCoding": {"code": "LA6570-1"}},
        {"valueInteger": 2},
        {"valueDecimal": 2.0},
        {"valueString": "2"},
        {"valueCoding": {"system": "urn:x", "code": "often", "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": 2}]}},
    ],
)  # fmt: skip
def test_an_answer_is_read_however_it_is_written(answer):
    """By its code, its number or its ordinal value; in a group as well."""
    inner = {"linkId": "/44250-9", "answer": [answer]}
    given = {"item": [{"linkId": "g", "item": [inner]}]}
    assert ({"1": 2}, []) == answers_in(SHIPPED["phq-9"], given)


def test_another_answer_list_is_read_and_never_written():
    """GAD-7 item 2 may carry LA18938-3."""
    coding = {"system": LOINC, "code": "LA18938-3"}
    given = {"item": [{"linkId": "/68509-9", "answer": [{"valueCoding": coding}]}]}
    assert ({"2": 2}, []) == answers_in(SHIPPED["gad-7"], given)
    assert "LA18938-3" not in json.dumps(SHIPPED["gad-7"].questionnaire())


@pytest.mark.parametrize(
    "answer",
    [
        {"valueCoding": {"system": LOINC, "code": "LA33-6"}}, {"valueInteger": 7},
        {"valueCoding": {"system": "urn:x", "code": "LA6570-1"}}, {"valueDecimal": 1.5},
        {"valueString": "some"}, {}, {"valueBoolean": "yes"}, 3,
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_finding_at_its_place(answer):
    """And counts as missing; the value is not repeated."""
    given = {"item": [{"linkId": "/44250-9", "answer": [answer]}]}
    answers, (found,) = answers_in(SHIPPED["phq-9"], given)
    assert {} == answers
    assert ("unknown-answer", "QuestionnaireResponse.item[0].answer") == (found.rule, found.where)


def test_a_boolean_answers_yes_or_no():
    """PC-PTSD-5 and C-SSRS are often built with booleans."""
    given = {"item": [{"linkId": "/93249-1", "answer": [{"valueBoolean": True}]}]}
    assert ({"4": 1}, []) == answers_in(SHIPPED["c-ssrs"], given)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["item", "answer", "linkId", "valueCoding", "code"]), inner),
))  # fmt: skip
def test_a_response_that_is_none_does_not_raise(node):
    """Whatever an EHR sends."""
    for given_ in (node, {"item": node}, {"item": [{"linkId": "/44250-9", "answer": node}]}):
        if isinstance(given_, dict):
            recount_response(given_, SHIPPED)
            answers_in(SHIPPED["phq-9"], given_)


# ---- claims --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stated", "wrong"),
    [({"valueDecimal": 12}, True), ({"valueInteger": 10}, False), ({"valueString": "12"}, True),
     ({"valueQuantity": {"value": 10}}, False), ({"valueString": "ten"}, False)],
)  # fmt: skip
def test_a_total_in_a_response_is_counted_again(stated, wrong):
    """US Core's PHQ-9 has an item for it; a mismatch is a warning at the answer."""
    given = response("phq-9", PHQ)
    given["item"].append({"linkId": "/44261-6", "answer": [stated]})
    found = recount_response(given, SHIPPED)
    assert ["QuestionnaireResponse.item[9].answer[0]"] * wrong == [f.where for f in found]
    assert all((f.rule, f.severity) == ("total-mismatch", "warning") for f in found)


def test_a_finished_response_with_missing_answers_is_told():
    """Completed responses answer what is required (SDC)."""
    (found,) = recount_response(response("gad-7", {"1": 1}), SHIPPED)
    assert ("incomplete", "6 scored items have no answer") == (found.rule, found.message)
    assert [] == recount_response(response("gad-7", {"1": 1}, status="in-progress"), SHIPPED)


@pytest.mark.parametrize(
    ("value", "number", "where"),
    [
        ({"valueQuantity": {"value": 12}}, 12, "Observation.valueQuantity.value"),
        ({"valueInteger": 12}, 12, "Observation.valueInteger"),
        ({"valueString": "12"}, 12, "Observation.valueString"),
        ({"valueString": " 12.0 "}, 12, "Observation.valueString"),
        ({"valueString": "twelve"}, None, "Observation.value[x]"),
        ({"valueQuantity": {"value": 12.5}}, None, "Observation.value[x]"),
        ({"valueBoolean": True}, None, "Observation.value[x]"),
        ({}, None, "Observation.value[x]"),
    ],
)
def test_a_score_is_read_as_quantity_integer_or_text(value, number, where):
    """A whole one; anything else is not taken for one."""
    assert (number, where) == read_total(value)


def test_an_inbound_total_is_held_against_the_answers():
    """US Core's own example sends it as text."""
    (found,) = recount_observation({"valueString": "12"}, SHIPPED["phq-9"], PHQ)
    assert ("Observation.valueString", "warning") == (found.where, found.severity)
    assert [] == recount_observation({"valueString": "10"}, SHIPPED["phq-9"], PHQ)
    assert [] == recount_observation({"valueString": "12"}, SHIPPED["phq-9"], {"1": 1})


def test_the_bands_are_those_of_the_code_table():
    """extract writes the same codes as mappings/codes/score_band.yaml."""
    rows = mappings().library.tables["score_band"].rows
    case = json.loads((ROOT / "fixtures/assessment/phq-9-item-9/record.json").read_text())
    items = answers_of(SHIPPED["phq-9"], case["instruments"][0]["items"])
    coding = extract(response("phq-9", items), SHIPPED)[1]["interpretation"][0]["coding"][0]
    assert rows[score(SHIPPED["phq-9"], items).severity].coding() == coding
