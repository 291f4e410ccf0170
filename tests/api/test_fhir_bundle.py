"""Batch and transaction at /fhir: each for itself, and all or none."""

from __future__ import annotations

import pytest

from fhirsvc.fhir.validate import validate

GOAL = "Goal/goal.goal-10-1"
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
CLIENT = {"reference": "Patient/client.client-01"}


def _goal(**changed):
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Walk every morning"},
        "subject": CLIENT,
        **changed,
    }


def _referral(**changed):
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "code": {
            "coding": [
                {
                    "system": "http://snomed.info/sct",
                    "code": "306226009",
                    "display": "Referral to mental health counseling service",
                }
            ]
        },
        "subject": CLIENT,
        "authoredOn": "2026-03-05",
        "requester": {"reference": "Practitioner/staff.staff-delgado"},
        "performer": [{"reference": "Organization/organization.org-willow"}],
        "reasonCode": [{"text": "Weekly therapy."}],
        **changed,
    }


def _entry(method, url, resource=None, name=None, **more):
    entry = {"request": {"method": method, "url": url, **more}}
    if resource is not None:
        entry["resource"] = resource
    return {**entry, "fullUrl": name} if name else entry


def _send(web, kind, *entries, **headers):
    body = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return web.post("/fhir", json=body, headers=headers)


def _statuses(answer):
    return [one["response"]["status"][:3] for one in answer.json["entry"]]


def _total(web, kind="Goal"):
    return web.get(f"/fhir/{kind}?_summary=count").json["total"]


def test_each_of_a_batch_is_answered_for_itself(clinic):
    """As alone: with a version, a place or an outcome; one that fails keeps nobody from it."""
    goal = clinic.get(f"/fhir/{GOAL}").json
    answer = _send(
        clinic,
        "batch",
        _entry("GET", GOAL),
        _entry("GET", "Patient?_id=client.client-01,client.client-02&_count=5"),
        _entry("PUT", GOAL, {**goal, "lifecycleStatus": "on-hold"}, ifMatch='W/"1"'),
        _entry("PUT", GOAL, {**goal, "lifecycleStatus": "active"}, ifMatch='W/"1"'),
        _entry("POST", "Goal", _goal()),
        _entry("POST", "Goal", _goal(lifecycleStatus="nonsense")),
        _entry("GET", "Nothing/x"),
        _entry("DELETE", GOAL),
        _entry("GET", GOAL, ifNoneMatch='W/"2"'),
        _entry("POST", "Goal", None),
    )
    assert answer.status_code == 200
    expected = ["200", "200", "200", "412", "201", "422", "404", "405", "304", "400"]
    assert _statuses(answer) == expected
    entries = answer.json["entry"]
    assert entries[0]["resource"] == goal
    assert len(entries[1]["resource"]["entry"]) == 2
    assert entries[2]["response"]["etag"] == 'W/"2"'
    assert "/Goal/goal." in entries[4]["response"]["location"]
    outcome = entries[5]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Goal.lifecycleStatus"]
    assert validate(answer.json) == []
    assert clinic.get(f"/fhir/{GOAL}").json["lifecycleStatus"] == "on-hold"


def test_a_transaction_is_whole(clinic):
    """New resources that name each other, an update and a read, in the order asked for."""
    goal = clinic.get(f"/fhir/{GOAL}").json
    answer = _send(
        clinic,
        "transaction",
        _entry("GET", GOAL),
        _entry("POST", "ServiceRequest", _referral(), URN),
        _entry("PUT", GOAL, {**goal, "lifecycleStatus": "on-hold"}),
        _entry(
            "POST", "Goal", _goal(extension=[{"url": "x:y", "valueReference": {"reference": URN}}])
        ),
    )
    assert (answer.status_code, _statuses(answer)) == (200, ["200", "201", "200", "201"])
    assert answer.json["type"] == "transaction-response"
    read, referral, _, new = (one["resource"] for one in answer.json["entry"])
    assert read["lifecycleStatus"] == "on-hold"  # what is read is read at the end
    assert validate(answer.json) == []
    assert new["extension"][0]["valueReference"]["reference"] == f"ServiceRequest/{referral['id']}"
    assert clinic.get(f"/fhir/ServiceRequest/{referral['id']}").json == referral


def _task(**changed):
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]
        },
        "focus": {"reference": URN},
        "for": CLIENT,
        "requester": {"reference": "Practitioner/staff.staff-delgado"},
        "owner": {"reference": "Organization/organization.org-willow"},
        "authoredOn": "2026-03-05T10:00:00Z",
        **changed,
    }


def test_a_referral_comes_with_its_task(clinic):
    """Both are one record; the Task keeps its sender's identifier and leads to the request."""
    mine = {"system": "https://partner.example/tasks", "value": "t-1"}
    answer = _send(
        clinic,
        "transaction",
        _entry("POST", "Task", _task(identifier=[mine])),
        _entry("POST", "ServiceRequest", _referral(), URN),
    )
    assert (answer.status_code, _statuses(answer)) == (200, ["201", "201"])
    task, referral = (one["resource"] for one in answer.json["entry"])
    assert task["focus"]["reference"] == f"ServiceRequest/{referral['id']}"
    assert mine in task["identifier"]
    assert clinic.get(f"/fhir/Task/{task['id']}").json == task
    found = clinic.get("/fhir/Task?identifier=https://partner.example/tasks|t-1").json["entry"]
    assert [one["resource"]["id"] for one in found] == [task["id"]]
    second = clinic.post("/fhir/Task", json=_task(focus={"reference": task["focus"]["reference"]}))
    assert second.status_code == 409  # a request has one


def test_two_resources_of_one_record_agree(clinic):
    """What they say differently is named, and neither is stored."""
    before = _total(clinic, "ServiceRequest")
    other = {"reference": "Practitioner/staff.staff-nakamura"}
    answer = _send(
        clinic,
        "transaction",
        _entry("POST", "ServiceRequest", _referral(), URN),
        _entry("POST", "Task", _task(requester=other)),
    )
    assert answer.status_code == 422
    assert "different things" in str(answer.json)
    assert _total(clinic, "ServiceRequest") == before


@pytest.mark.parametrize(
    ("entries", "status", "place"),
    [
        ([_entry("POST", "Goal", _goal(lifecycleStatus="x"))], 422, "entry[1].resource.lifecycle"),
        ([_entry("POST", "Goal", _goal(subject={"reference": "Patient/no"}))], 422, "[1].resource"),
        ([_entry("PUT", "Goal/none", _goal(id="none"))], 405, "Bundle.entry[1]"),
        ([_entry("DELETE", GOAL)], 405, "Bundle.entry[1].request.method"),
        ([_entry("POST", "Patient", {"resourceType": "Patient"})], 405, "Bundle.entry[1]"),
        ([_entry("POST", "Goal")], 400, "Bundle.entry[1].resource"),
        ([_entry("PUT", "", _goal())], 400, "Bundle.entry[1].request.url"),
        ([_entry("PUT", "https://other.example/Goal/1", _goal())], 400, "entry[1].request.url"),
        ([{"resource": _goal()}], 400, "Bundle.entry[1].request"),
        ([_entry("POST", "Goal", _goal(), "u:1"), _entry("POST", "Goal", _goal(), "u:1")], 400, ""),
        ([_entry("PUT", GOAL, {}), _entry("PUT", GOAL, {})], 400, "Bundle.entry[2]"),
        ([_entry("PUT", GOAL, _goal(id="goal.goal-10-1"), ifMatch='W/"7"')], 412, "entry[1]"),
        ([_entry("POST", "Goal", _goal(), ifNoneExist="nonsense=1")], 400, "nonsense"),
        ([_entry("FETCH", "Goal")], 400, "Bundle.entry[1].request.method"),
        (["x"], 400, "Bundle.entry[1].request"),
    ],
)
def test_none_of_a_transaction_that_fails(clinic, entries, status, place):
    """The outcome says which entry; the one before it is not stored."""
    before = _total(clinic)
    answer = _send(
        clinic, "transaction", _entry("POST", "Goal", _goal(startDate="2026-01-01")), *entries
    )
    assert (answer.status_code, answer.json["resourceType"]) == (status, "OperationOutcome")
    assert place in str(answer.json)
    assert validate(answer.json) == []
    assert _total(clinic) == before


def test_a_transaction_finds_what_is_there(clinic):
    """If-None-Exist in it: what refers to the new one refers to what was found."""
    mine = {"system": "https://partner.example/r", "value": "1"}
    query = "identifier=https://partner.example/r|1"
    new = _referral(identifier=[mine])
    extension = [{"url": "x:y", "valueReference": {"reference": URN}}]

    def send():
        return _send(
            clinic,
            "transaction",
            _entry("POST", "ServiceRequest", new, URN, ifNoneExist=query),
            _entry("POST", "Goal", _goal(extension=extension)),
        )

    first, second = send(), send()
    assert (_statuses(first), _statuses(second)) == (["201", "201"], ["200", "201"])
    names = {one.json["entry"][0]["resource"]["id"] for one in (first, second)}
    assert len(names) == 1
    lead = second.json["entry"][1]["resource"]["extension"][0]["valueReference"]["reference"]
    assert lead == f"ServiceRequest/{names.pop()}"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Bundle", "type": "collection"}, 400),
        ({"resourceType": "Goal"}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": {}}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": [_entry("GET", GOAL)] * 201}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": [_entry("GET", "../metrics")]}, 200),
        ({"resourceType": "Bundle", "type": "batch", "entry": [_entry("GET", "a//b")]}, 200),
        ({"resourceType": "Bundle", "type": "batch", "entry": [_entry("POST", "", {})]}, 400),
    ],
)
def test_what_is_no_bundle_to_be_done(clinic, body, status):
    """An outcome; an address leads nowhere but below ours."""
    answer = clinic.post("/fhir", json=body)
    assert answer.status_code == status
    if status == 200:
        assert _statuses(answer)[0] in ("404", "308")


def test_minimal_answers(clinic):
    """Prefer: return=minimal leaves the resources out, of batches and transactions."""
    for kind in ("batch", "transaction"):
        answer = _send(clinic, kind, _entry("POST", "Goal", _goal()), Prefer="return=minimal")
        assert [sorted(one) for one in answer.json["entry"]] in (
            [["response"]],
            [["fullUrl", "response"]],
        )
