"""The CapabilityStatement is true: what it names is answered, what it does not name is not."""

from __future__ import annotations

from fhirsvc.fhir.validate import validate
from fhirsvc.services.submission import WRITABLE

OWN = ("Subscription", "Composition")  # what they answer is tested with them
PROBES = {
    "read": "/fhir/{type}/nobody",
    "vread": "/fhir/{type}/nobody/_history/1",
    "history-instance": "/fhir/{type}/nobody/_history",
    "history-type": "/fhir/{type}/_history",
    "search-type": "/fhir/{type}",
}


def test_it_is_valid_and_open_about_its_version(web):
    """R4 by our own check, and what is served is a kind of instance."""
    found = web.get("/fhir/metadata").json
    assert validate(found) == []
    assert found["fhirVersion"] == "4.0.1"


def test_every_interaction_is_answered(clinic):
    """An interaction that is named is neither unknown nor not allowed."""
    rest = clinic.get("/fhir/metadata").json["rest"][0]
    assert {one["type"] for one in rest["resource"]} >= {"Task", "CarePlan", "Patient", "Goal"}
    for one in rest["resource"]:
        if one["type"] in OWN:
            continue
        codes = {interaction["code"] for interaction in one["interaction"]}
        is_written = one["type"] in WRITABLE
        # Groups are made of records as they are now, without versions.
        named = {"read", "search-type"} if one["type"] == "Group" else PROBES.keys()
        assert codes == named | ({"create", "update"} if is_written else set())
        assert one.get("conditionalCreate", False) is is_written
        assert one.get("conditionalUpdate", False) is is_written
        for method, path in (("POST", ""), ("PUT", "/x"), ("PUT", "?_id=x")) if is_written else ():
            answer = clinic.open(f"/fhir/{one['type']}{path}", method=method, json={})
            assert (answer.status_code, "another type" in answer.text) == (400, True)
        for code in named:
            answer = clinic.get(PROBES[code].format(type=one["type"]))
            assert answer.status_code in (200, 404), code
            if answer.status_code == 404:
                assert "no such" in answer.text
    system = [one["code"] for one in rest["interaction"]]
    assert system == ["batch", "history-system", "transaction"]
    for kind in ("batch", "transaction"):
        body = {"resourceType": "Bundle", "type": kind}
        assert clinic.post("/fhir", json=body).json["type"] == f"{kind}-response"
        assert clinic.post("/fhir/", json=body).json["type"] == f"{kind}-response"
    assert clinic.get("/fhir/_history").status_code == 200


def test_writes_that_are_not_named_are_not_allowed(clinic):
    """405 for each, with an outcome."""
    for method, path in (
        ("PUT", "/fhir/Patient/x"),
        ("POST", "/fhir/Observation"),
        ("DELETE", "/fhir/Task/x"),
        ("PATCH", "/fhir/Task/x"),
        ("DELETE", "/fhir/Task"),
    ):
        answer = clinic.open(path, method=method, json={"resourceType": "Task"})
        assert answer.status_code == 405
        assert "GET" in answer.headers["Allow"]


def test_every_parameter_and_include_is_taken_and_no_other(clinic):
    """Each that is named is answered; one that is not is refused."""
    for one in clinic.get("/fhir/metadata").json["rest"][0]["resource"]:
        kind = one["type"]
        if kind in OWN:
            continue
        samples = {"date": "2026", "token": "x", "reference": "x", "string": "x", "uri": "x"}
        for parameter in one["searchParam"]:
            query = f"{parameter['name']}={samples[parameter['type']]}&_summary=count"
            assert clinic.get(f"/fhir/{kind}?{query}").status_code == 200, query
        for name, key in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
            for include in one.get(key, []):
                query = f"{name}={include}&_count=1"
                assert clinic.get(f"/fhir/{kind}?{query}").status_code == 200, query
        assert clinic.get(f"/fhir/{kind}?not-named=x").status_code == 400
