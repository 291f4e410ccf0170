"""Writing at /fhir: what a partner writes is in the record and served, or is refused by name."""

from __future__ import annotations

import threading

import orjson
import pytest
from werkzeug.datastructures import Headers

from fhirsvc.fhir.validate import validate
from fhirsvc.services.submission import WRITABLE
from fhirsvc.services.submit import Submitter
from fhirsvc.store import records

GOAL = "/fhir/Goal/goal.goal-10-1"
EXTENSION = {"url": "https://partner.example/note", "valueString": "kept"}
BASE = "http://localhost/fhir"


def _goal(**changed):
    """A Goal as a partner makes one, with nothing of this house but references."""
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Walk every morning"},
        "subject": {"reference": "Patient/client.client-01"},
        "expressedBy": {"reference": "Patient/client.client-01"},
        "startDate": "2026-03-02",
        **changed,
    }


def _record(wiring, type_, id_):
    with wiring.database.read() as tx:
        return records.version(tx, (type_, id_))


def _texts(answer):
    return [one["details"]["text"] for one in answer.json["issue"]]


def _places(answer):
    return [place for one in answer.json["issue"] for place in one.get("expression", [])]


def test_what_was_read_can_be_written_back(clinic):
    """Every resource that partners may write: the same again is the same version."""
    seen = 0
    for kind in WRITABLE:
        for entry in clinic.get(f"/fhir/{kind}?_count=1000").json["entry"]:
            resource = entry["resource"]
            if resource["id"].endswith(".item-9"):  # it follows from an answer
                continue
            answer = clinic.put(f"/fhir/{kind}/{resource['id']}", json=resource)
            assert (answer.status_code, answer.json) == (200, resource)
            seen += 1
    assert seen > 300


def test_an_update_is_in_the_record_and_served(clinic, wiring):
    """A new version of both; who wrote it is said, and when."""
    goal = clinic.get(GOAL).json
    before = _record(wiring, "goal", "goal-10-1")
    assert goal["lifecycleStatus"] == "completed"
    answer = clinic.put(GOAL, json={**goal, "lifecycleStatus": "on-hold"})
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    assert answer.json["lifecycleStatus"] == "on-hold"
    assert answer.json == clinic.get(GOAL).json
    after = _record(wiring, "goal", "goal-10-1")
    assert (after.version, after.source) == (before.version + 1, "open")
    assert '"lifecycle":"on_hold"' in after.body
    assert '"updated_at":"2' in after.body
    old = clinic.get(GOAL + "/_history/1").json
    assert old["lifecycleStatus"] == "completed"


def test_what_no_line_reads_is_kept(clinic, wiring):
    """Extensions and identifiers of a partner stay when the clinic changes the record."""
    goal = clinic.get(GOAL).json
    mine = [*goal["identifier"], {"system": "https://partner.example/goals", "value": "77"}]
    more = [*goal["extension"], EXTENSION]
    answer = clinic.put(GOAL, json={**goal, "extension": more, "identifier": mine})
    assert answer.json["extension"] == more
    assert answer.json["identifier"] == mine
    version = _record(wiring, "goal", "goal-10-1")
    assert version.version == 1  # the record says nothing new
    record = orjson.loads(version.body)
    wiring.publisher.accept([{**record, "statement": "Other words"}])
    found = clinic.get(GOAL)
    assert found.headers["ETag"] == 'W/"3"'
    assert found.json["description"]["text"] == "Other words"
    assert found.json["extension"] == more
    assert found.json["identifier"] == mine
    less = clinic.put(GOAL, json={**found.json, "extension": goal["extension"]})
    assert less.json["extension"] == goal["extension"]


def test_what_is_missing_and_ours_alone_is_put_back(clinic):
    """A client that drops what it does not know loses nothing for anybody."""
    goal = clinic.get(GOAL).json
    bare = {name: value for name, value in goal.items() if name not in ("identifier", "meta")}
    answer = clinic.put(GOAL, json=bare)
    assert (answer.status_code, answer.json) == (200, goal)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"identifier": [{"system": "urn:fhirsvc:goal", "value": "other"}]}, "Goal.identifier"),
        ({"subject": {"reference": "Patient/client.client-99"}}, "Goal.subject"),
        ({"subject": {"reference": "Patient/client.client-02"}}, "Goal.expressedBy"),
        (
            {
                "subject": {"reference": "Patient/client.client-02"},
                "expressedBy": {"reference": "Patient/client.client-02"},
            },
            "subject",
        ),
    ],
)
def test_what_is_not_a_partners_to_change_is_refused(clinic, wiring, change, place):
    """422 with the place; nothing is stored."""
    goal = clinic.get(GOAL).json
    answer = clinic.put(GOAL, json={**goal, **change})
    assert answer.status_code == 422
    assert any(place in text for text in (*_places(answer), *_texts(answer)))
    assert clinic.get(GOAL).json == goal
    assert _record(wiring, "goal", "goal-10-1").version == 1


@pytest.mark.parametrize("kind", WRITABLE)
def test_what_is_answered_with_yes_is_there(clinic, kind):
    """A status that no record can hold is refused, and nothing changes; else it is served."""
    entry = clinic.get(f"/fhir/{kind}?_count=1000").json["entry"]
    told = 0
    for one in entry[:12]:
        resource = one["resource"]
        for name, value in (("status", "entered-in-error"), ("lifecycleStatus", "proposed")):
            if resource.get(name) in (None, value):
                continue
            answer = clinic.put(f"/fhir/{kind}/{resource['id']}", json={**resource, name: value})
            assert answer.status_code in (200, 422)
            told += 1
            if answer.status_code == 200:
                assert answer.json[name] == value
            else:
                assert clinic.get(f"/fhir/{kind}/{resource['id']}").json == resource
    assert told > 5


def test_if_match(clinic):
    """Another version than is there: 412; what is no version: 400."""
    goal = clinic.get(GOAL).json
    changed = {**goal, "lifecycleStatus": "on-hold"}
    assert clinic.put(GOAL, json=changed, headers={"If-Match": 'W/"2"'}).status_code == 412
    assert clinic.put(GOAL, json=changed, headers={"If-Match": "two"}).status_code == 400
    assert clinic.put(GOAL, json=changed, headers={"If-Match": 'W/"1"'}).status_code == 200
    again = clinic.put(
        GOAL, json={**goal, "lifecycleStatus": "active"}, headers={"If-Match": '"1"'}
    )
    assert again.status_code == 412
    assert again.json["issue"][0]["code"] == "conflict"
    assert clinic.get(GOAL).json["lifecycleStatus"] == "on-hold"


def test_a_new_resource_becomes_a_record(clinic, wiring):
    """201 with where it is; it is served as it was written, with our names beside."""
    new = _goal(extension=[EXTENSION], id="theirs")
    answer = clinic.post("/fhir/Goal", json=new)
    assert answer.status_code == 201
    name = answer.json["id"]
    assert answer.headers["Location"] == f"{BASE}/Goal/{name}/_history/1"
    assert name.startswith("goal.")
    found = clinic.get(f"/fhir/Goal/{name}").json
    assert {key: found.get(key) for key in new if key != "id"} == {
        key: value for key, value in new.items() if key != "id"
    }
    assert validate(found) == []
    version = _record(wiring, "goal", name.removeprefix("goal."))
    assert (version.source, '"client_id":"client-01"' in version.body) == ("open", True)
    assert name in [
        one["resource"]["id"]
        for one in clinic.get("/fhir/Goal?patient=client.client-01").json["entry"]
    ]


def test_absolute_references_of_ours_are_ours(clinic):
    """As a client writes them that follows full URLs."""
    patient = {"reference": f"{BASE}/Patient/client.client-01"}
    answer = clinic.post("/fhir/Goal", json=_goal(subject=patient, expressedBy=patient))
    assert answer.status_code == 201
    assert answer.json["subject"] == {"reference": "Patient/client.client-01"}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"resourceType": "Task"}, 400, "another type"),
        ([], 400, "a JSON object"),
        (_goal(lifecycleStatus="nonsense"), 422, "Goal.lifecycleStatus"),
        (_goal(subject={"reference": "Patient/nobody"}), 422, "Goal.subject"),
        (_goal(subject={"reference": "https://other.example/Patient/1"}), 422, "Goal.subject"),
        ({"resourceType": "Goal", "id": "x"}, 422, "Goal.lifecycleStatus"),
        (_goal(startDate=None), 422, "Goal.startDate"),
        (_goal(identifier=[{"system": "urn:fhirsvc:goal", "value": "goal-10-1"}]), 409, "already"),
    ],
)
def test_what_cannot_be_a_record_is_refused(clinic, body, status, said):
    """With an outcome that says where, and nothing is stored."""
    before = clinic.get("/fhir/Goal?_summary=count").json["total"]
    answer = clinic.post("/fhir/Goal", json=body)
    assert (answer.status_code, answer.json["resourceType"]) == (status, "OperationOutcome")
    assert said in str(answer.json)
    assert clinic.get("/fhir/Goal?_summary=count").json["total"] == before


def test_broken_bodies(clinic):
    """400 with the line; 415 for what is no JSON."""
    answer = clinic.post("/fhir/Goal", data=b'{"a": 1,\n "a": 2}', content_type="application/json")
    assert (answer.status_code, "2:" in str(answer.json)) == (400, True)
    assert clinic.post("/fhir/Goal", data=b"{}", content_type="text/plain").status_code == 415
    xml = clinic.post("/fhir/Goal", json=_goal(), headers={"Accept": "application/fhir+xml"})
    assert xml.status_code == 406
    assert clinic.get("/fhir/Goal?_summary=count").json["total"] == 27


def test_there_is_nothing_to_update(clinic, wiring):
    """405: ids are given here; 410 where it is deleted; 400 where the body says another."""
    assert clinic.put("/fhir/Goal/x", json=_goal(id="x")).status_code == 405
    assert clinic.put(GOAL, json=_goal(id="x")).status_code == 400
    assert clinic.put(GOAL, json=_goal()).status_code == 400
    goal = clinic.get(GOAL).json
    wiring.publisher.delete(("goal", "goal-10-1"))
    assert clinic.put(GOAL, json=goal).status_code == 410


@pytest.mark.parametrize(
    ("prefer", "kind"),
    [
        ("return=minimal", None),
        ("return=representation", "Goal"),
        ("return=OperationOutcome", "OperationOutcome"),
        ("handling=strict", "Goal"),
    ],
)
def test_what_is_answered_is_chosen(clinic, prefer, kind):
    """By Prefer; version and place are there in any case."""
    answer = clinic.post("/fhir/Goal", json=_goal(), headers={"Prefer": prefer})
    assert (answer.status_code, answer.headers["ETag"]) == (201, 'W/"1"')
    assert "/Goal/goal." in answer.headers["Location"]
    assert (answer.json["resourceType"] if answer.data else None) == kind


MINE = {"system": "https://partner.example/goals", "value": "g-1"}
QUERY = "identifier=https%3A%2F%2Fpartner.example%2Fgoals%7Cg-1"


def test_create_only_where_there_is_none(clinic):
    """The second finds the first; with two of them nothing can be meant."""
    headers = {"If-None-Exist": QUERY}
    first = clinic.post("/fhir/Goal", json=_goal(identifier=[MINE]), headers=headers)
    second = clinic.post("/fhir/Goal", json=_goal(identifier=[MINE]), headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json == second.json
    clinic.post("/fhir/Goal", json=_goal(identifier=[MINE]))
    third = clinic.post("/fhir/Goal", json=_goal(identifier=[MINE]), headers=headers)
    assert (third.status_code, third.json["issue"][0]["code"]) == (412, "conflict")
    for query in ("", "nonsense=1", "_count=1", "identifier="):
        answer = clinic.post("/fhir/Goal", json=_goal(), headers={"If-None-Exist": query})
        assert answer.status_code == 400, query


def test_update_what_a_search_finds(clinic):
    """None: created; one: replaced; several: 412."""
    new = clinic.put(f"/fhir/Goal?{QUERY}", json=_goal(identifier=[MINE]))
    assert new.status_code == 201
    text = {"text": "Walk every evening"}
    same = clinic.put(f"/fhir/Goal?{QUERY}", json=_goal(identifier=[MINE], description=text))
    assert (same.status_code, same.json["id"], same.json["description"]) == (
        200,
        new.json["id"],
        text,
    )
    other = clinic.put(f"/fhir/Goal?{QUERY}", json=_goal(id="x", identifier=[MINE]))
    assert other.status_code == 400
    assert clinic.put("/fhir/Goal?_id=x", json=_goal(id="x")).status_code == 405
    assert clinic.put("/fhir/Goal?patient=client.client-01", json=_goal()).status_code == 412
    assert clinic.put("/fhir/Goal", json=_goal()).status_code == 400


def test_many_at_once_make_one(clinic, wiring, late):
    """Conditional creates that race: one is created, all others are told of it."""
    app = clinic.application
    answers = []

    def write() -> None:
        headers = Headers({"If-None-Exist": QUERY})
        answer = app.test_client().post(
            "/fhir/Goal", json=_goal(identifier=[MINE]), headers=headers
        )
        answers.append((answer.status_code, answer.json.get("id")))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200] * 7 + [201]
    assert len({name for _, name in answers}) == 1


def _in_between(monkeypatch, happens):
    """Let something happen once, after a write has read what is there and before it is stored."""
    changes = Submitter._changes
    waiting = [happens]

    def then(self, work, view):
        found = changes(self, work, view)
        if waiting:
            waiting.pop()()
        return found

    monkeypatch.setattr(Submitter, "_changes", then)


def _noted(clinic, number, **headers):
    """Goal 10-1 with a note of a partner's own, which no record says anything of."""
    goal = clinic.get(GOAL + "/_history/1").json
    note = {"url": f"https://partner.example/{number}", "valueInteger": number}
    body = {**goal, "extension": [*goal["extension"], note]}
    return clinic.put(GOAL, json=body, headers=headers)


def test_a_write_in_between_is_seen_though_the_record_stays(clinic, monkeypatch):
    """Of two that mean the same version one is refused, also where no line reads what changed."""
    seen = []
    mine = {"If-Match": 'W/"1"'}
    _in_between(monkeypatch, lambda: seen.append(_noted(clinic, 1, **mine).status_code))
    assert _noted(clinic, 2, **mine).status_code == 412
    assert seen == [200]
    urls = [one["url"] for one in clinic.get(GOAL).json["extension"]]
    assert "https://partner.example/1" in urls
    assert "https://partner.example/2" not in urls


def test_a_write_in_between_is_begun_again(clinic, monkeypatch):
    """Without If-Match it is compared with what is there by then, never with what was."""
    goal = clinic.get(GOAL).json
    words = {"text": "Other words"}
    _in_between(monkeypatch, lambda: clinic.put(GOAL, json={**goal, "description": words}))
    changed = {**goal, "description": words, "lifecycleStatus": "on-hold"}
    assert clinic.put(GOAL, json=changed).status_code == 200
    found = clinic.get(GOAL).json
    assert (found["description"], found["lifecycleStatus"]) == (words, "on-hold")
    assert found["meta"]["versionId"] == "3"


def test_many_that_mean_one_version(clinic):
    """Exactly one of them is stored."""
    app = clinic.application
    statuses = []

    def write(number: int) -> None:
        statuses.append(_noted(app.test_client(), number, **{"If-Match": 'W/"1"'}).status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, *[412] * 5]
    assert clinic.get(GOAL).headers["ETag"] == 'W/"2"'


def test_what_is_written_goes_out(clinic, wiring):
    """A partner's change is delivered like any other."""
    from fhirsvc.store import connections
    from fhirsvc.store.connections import NewConnection

    new = NewConnection("ehr", "https://ehr.example/fhir")
    wiring.database.run(lambda tx: connections.add(tx, new, 1.0))
    clinic.put(GOAL, json={**clinic.get(GOAL).json, "lifecycleStatus": "on-hold"})
    found = wiring.operator.deliveries(record=("goal", "goal-10-1"))
    assert [one.state for one in found] == ["pending"]
