"""Operations at /fhir: they answer what the library says, and store nothing."""

from __future__ import annotations

import orjson
import pytest
from shipped_clinic import mappings

from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.back import Back

PATIENT = "Patient/client.client-01"


def _first(demo, kind):
    return next(one for one in demo if one["type"] == kind)


def _codes(answer):
    return [one["code"] for one in answer.json["issue"]]


def _response(clinic):
    """A completed PHQ-9, as it is served."""
    found = clinic.get("/fhir/QuestionnaireResponse?status=completed&_count=1000").json["entry"]
    return next(one["resource"] for one in found if "phq-9" in one["resource"]["questionnaire"])


def _but_narrative(bundle):
    """The resources without what they say for people, where more is said than is read back."""
    return [{**one["resource"], "text": None} for one in bundle["entry"]]


@pytest.mark.parametrize("wrapped", [False, True])
def test_validate(clinic, wrapped):
    """200 in any case; what is wrong is in the outcome, with its place."""
    patient = clinic.get(f"/fhir/{PATIENT}").json

    def ask(resource, path="/fhir/Patient/$validate"):
        parameter = [{"name": "resource", "resource": resource}]
        body = {"resourceType": "Parameters", "parameter": parameter} if wrapped else resource
        return clinic.post(path, json=body)

    good = ask(patient)
    assert (good.status_code, _codes(good)) == (200, ["informational"])
    bad = ask({**patient, "gender": "nonsense", "birthDate": "soon"})
    assert bad.status_code == 200
    places = [one["expression"][0] for one in bad.json["issue"]]
    assert sorted(places) == ["Patient.birthDate", "Patient.gender"]
    assert "nonsense" not in bad.text
    assert ask(patient, f"/fhir/{PATIENT}/$validate").status_code == 200
    assert ask(patient, "/fhir/Patient/other/$validate").status_code == 400
    assert ask(patient, "/fhir/Goal/$validate").status_code == 400
    assert ask(patient, "/fhir/Nonsense/$validate").status_code == 404
    assert clinic.get(f"/fhir/{PATIENT}/$validate").json == good.json
    assert clinic.get("/fhir/Patient/none/$validate").status_code == 404


def test_validate_says_what_it_does_not(clinic):
    """Profiles are refused, in the address and in Parameters, not passed over."""
    patient = clinic.get(f"/fhir/{PATIENT}").json
    profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    answer = clinic.post(f"/fhir/Patient/$validate?profile={profile}", json=patient)
    assert answer.status_code == 400
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "resource": patient},
            {"name": "profile", "valueUri": profile},
        ],
    }
    assert clinic.post("/fhir/Patient/$validate", json=body).status_code == 400
    assert clinic.post("/fhir/Patient/$validate?mode=x", json=patient).status_code == 400
    assert clinic.post("/fhir/Patient/$validate?mode=update", json=patient).status_code == 200
    del body["parameter"][0]
    assert clinic.post("/fhir/Patient/$validate", json=body).status_code == 400


def test_validate_counts_again(clinic):
    """A total that the answers do not bear out is a warning at its place."""
    response = _response(clinic)
    response["item"].append({"linkId": "44261-6", "answer": [{"valueInteger": 1}]})
    answer = clinic.post("/fhir/QuestionnaireResponse/$validate", json=response)
    (issue,) = answer.json["issue"]
    assert issue["severity"] == "warning"
    assert issue["expression"][0].startswith("QuestionnaireResponse.item[")


def test_extract(clinic):
    """Observations as a transaction; of what is served, and of what is sent."""
    response = _response(clinic)
    there = clinic.get(f"/fhir/QuestionnaireResponse/{response['id']}/$extract")
    assert there.status_code == 200
    assert (there.json["type"], validate(there.json)) == ("transaction", [])
    made = [one["resource"] for one in there.json["entry"]]
    assert {one["resourceType"] for one in made} == {"Observation"}
    named = {one["derivedFrom"][0]["reference"] for one in made}
    assert named == {f"QuestionnaireResponse/{response['id']}"}
    sent = clinic.post("/fhir/QuestionnaireResponse/$extract", json=response)
    assert sent.json == there.json
    body = {"name": "questionnaire-response", "resource": response}
    wrapped = {"resourceType": "Parameters", "parameter": [body]}
    assert clinic.post("/fhir/QuestionnaireResponse/$extract", json=wrapped).json == there.json
    for change in ({"status": "in-progress"}, {"questionnaire": "urn:x:y", "item": []}):
        answer = clinic.post("/fhir/QuestionnaireResponse/$extract", json={**response, **change})
        assert answer.status_code == 422
    assert clinic.post("/fhir/QuestionnaireResponse/$extract", json={}).status_code == 400
    assert clinic.get("/fhir/QuestionnaireResponse/none/$extract").status_code == 404


def test_map(clinic, demo):
    """What forward maps a record to, for each version of US Core; nothing is stored."""
    before = clinic.get("/fhir/_history?_count=1").json
    for kind in ("care_plan", "goal", "referral", "assessment", "client"):
        record = _first(demo, kind)
        for us_core in (6, 7, 8):
            answer = clinic.post(f"/fhir/$map?us-core={us_core}", json=record)
            made = mappings().forward(record, us_core)
            assert (answer.status_code, answer.json["type"]) == (200, "collection")
            assert [one["resource"] for one in answer.json["entry"]] == made
    assert clinic.post("/fhir/$map?us-core=5", json={}).status_code == 400
    assert clinic.get("/fhir/_history?_count=1").json == before


def test_map_says_what_is_wrong_and_where(clinic, demo):
    """Each finding with the path of the record, and of the list."""
    good, bad = _first(demo, "goal"), {**_first(demo, "goal"), "lifecycle": "nonsense", "x": 1}
    answer = clinic.post("/fhir/$map", json=bad)
    texts = [one["details"]["text"] for one in answer.json["issue"]]
    assert answer.status_code == 422
    assert {text.partition(":")[0] for text in texts} == {"$.lifecycle", "$.x"}
    assert "nonsense" not in answer.text
    answer = clinic.post("/fhir/$map", json=[good, bad])
    texts = [one["details"]["text"] for one in answer.json["issue"]]
    assert {text.partition(":")[0] for text in texts} == {"$[1].lifecycle", "$[1].x"}
    for body in ([], {}, "x", [1]):
        assert clinic.post("/fhir/$map", json=body).status_code in (200, 422)
    assert clinic.post("/fhir/$map", json=[1] * 1001).status_code == 413


def test_map_back(clinic, demo):
    """The records that the same resources are read into; they map to the same again."""
    records = [_first(demo, kind) for kind in ("care_plan", "goal", "referral")]
    bundle = clinic.post("/fhir/$map", json=records).json
    answer = clinic.post("/fhir/$map-back", json=bundle)
    assert (answer.status_code, validate(answer.json)) == (200, [])
    back = [
        orjson.loads(one["valueString"])
        for one in answer.json["parameter"]
        if one["name"] == "record"
    ]
    given = [one["resource"] for one in bundle["entry"]]
    assert back == Back.of(mappings().library).records(given).records
    again = clinic.post("/fhir/$map", json=answer.json)
    texts = [one["details"]["text"] for one in again.json["issue"]]
    assert texts == [f"$[{n}].updated_at: is required [required]" for n in range(3)]
    whole = [
        {**one, "updated_at": given["updated_at"]} for one, given in zip(back, records, strict=True)
    ]
    made = clinic.post("/fhir/$map", json=whole).json
    assert _but_narrative(made) == _but_narrative(bundle)
    assert clinic.post("/fhir/$map-back", json=given).json["parameter"][0]["name"] == "record"
    strange = clinic.post("/fhir/$map-back", json={"resourceType": "Claim", "status": "active"})
    outcome = strange.json["parameter"][-1]["resource"]
    assert "no mapping reads this Claim" in str(outcome)
    for body in ([], {}, "x", [1], {"resourceType": "Bundle", "entry": 5}):
        assert clinic.post("/fhir/$map-back", json=body).status_code == 200
    assert clinic.post("/fhir/$map-back", json=[1] * 1001).status_code == 413


def test_operations_are_named(clinic):
    """Those that are answered stand in the CapabilityStatement, and no others."""
    rest = clinic.get("/fhir/metadata").json["rest"][0]
    names = {one["name"] for one in rest["operation"]}
    assert names >= {"map", "map-back"}
    for one in rest["resource"]:
        if one["type"] not in ("Group", "Subscription", "Composition"):
            assert "validate" in {operation["name"] for operation in one["operation"]}
    assert clinic.get("/fhir/$map").status_code == 404
    assert clinic.post("/fhir/$nonsense", json={}).status_code == 404


DOCUMENT = "/fhir/Composition/handoff.aftercare-02/$document"


def test_document(clinic, wiring):
    """The handoff of an aftercare plan: what ``handoff build`` makes, at an address."""
    answer = clinic.get(DOCUMENT)
    assert (answer.status_code, answer.content_type) == (200, "application/fhir+json")
    assert answer.json == wiring.hand_off().build("episode-02").bundle
    assert clinic.get(f"{DOCUMENT}?persist=false").status_code == 200
    operations = clinic.get("/fhir/metadata").json["rest"][0]["resource"]
    told = {
        (one["type"], operation["name"])
        for one in operations
        for operation in one.get("operation", ())
    }
    assert ("Composition", "document") in told


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (DOCUMENT.replace("aftercare-02", "aftercare-99"), 404),
        (DOCUMENT.replace("handoff.aftercare-02", "other"), 404),
        (DOCUMENT.replace("aftercare-02", "aftercare-01"), 403),  # speaks of substance use
        (f"{DOCUMENT}?persist=true", 400),
        (f"{DOCUMENT}?graph=urn:x", 400),
    ],
)
def test_documents_that_there_are_not(clinic, path, status):
    """Each an OperationOutcome."""
    answer = clinic.get(path)
    assert (answer.status_code, answer.json["resourceType"]) == (status, "OperationOutcome")
