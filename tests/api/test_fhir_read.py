"""Reading at /fhir: what was accepted is there at once, with its versions and its history."""

from __future__ import annotations

import pytest
from shipped_clinic import mappings

from fhirsvc.app import create_app
from fhirsvc.fhir.validate import validate
from fhirsvc.services.project import FEW
from fhirsvc.settings import load
from fhirsvc.wiring import product

PATIENT = "/fhir/Patient/client.client-01"


def _first(demo, kind, id_):
    return next(one for one in demo if (one["type"], one["id"]) == (kind, id_))


def test_what_is_served_is_what_the_records_map_to(clinic, demo):
    """Every resource of every record, with its version and time, and valid R4."""
    seen = 0
    for record in demo:
        for resource in mappings().forward(record, 8):
            name = f"{resource['resourceType']}/{resource['id']}"
            found = clinic.get(f"/fhir/{name}").json
            meta = found.pop("meta")
            assert (meta.pop("versionId"), bool(meta.pop("lastUpdated"))) == ("1", True), name
            assert {**found, **({"meta": meta} if meta else {})} == resource
            seen += 1
    assert seen > 500


def test_a_read_says_its_version_and_when(clinic):
    """ETag and Last-Modified; who has that version gets no body."""
    answer = clinic.get(PATIENT)
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert answer.headers["X-Request-ID"]
    assert answer.content_type == "application/fhir+json"
    again = clinic.get(PATIENT, headers={"If-None-Match": 'W/"1"'})
    assert (again.status_code, again.data) == (304, b"")
    assert clinic.get(PATIENT, headers={"If-None-Match": 'W/"2"'}).status_code == 200


def test_a_version_counts_up_only_when_what_is_said_changes(clinic, wiring, demo, clock):
    """Notes that never leave make a version of the record, and none of a resource."""
    plan = _first(demo, "care_plan", "plan-01")
    clock.now += 60
    wiring.publisher.accept([{**plan, "psychotherapy_notes": "something else"}])
    assert clinic.get("/fhir/CarePlan/care-plan.plan-01").headers["ETag"] == 'W/"1"'
    wiring.publisher.accept([{**plan, "title": "Another title"}])
    assert clinic.get("/fhir/CarePlan/care-plan.plan-01").headers["ETag"] == 'W/"2"'
    old = clinic.get("/fhir/CarePlan/care-plan.plan-01/_history/1").json
    assert (old["title"], old["meta"]["versionId"]) == (plan["title"], "1")
    assert clinic.get("/fhir/CarePlan/care-plan.plan-01/_history/3").status_code == 404


def test_a_deleted_record_is_gone_and_its_history_stays(clinic, wiring, demo, clock):
    """410, not found by searches, and what it was is still there to read; it can come again."""
    clock.now += 60
    wiring.publisher.delete(("goal", "goal-01-1"))
    name = "/fhir/Goal/goal.goal-01-1"
    assert clinic.get(name).status_code == 410
    assert "entry" not in clinic.get("/fhir/Goal?_id=goal.goal-01-1").json
    past = clinic.get(f"{name}/_history").json["entry"]
    assert [one["request"]["method"] for one in past] == ["DELETE", "POST"]
    assert "resource" not in past[0]
    assert clinic.get(f"{name}/_history/1").status_code == 200
    assert clinic.get(f"{name}/_history/2").status_code == 410

    wiring.publisher.accept([_first(demo, "goal", "goal-01-1")])

    assert clinic.get(name).headers["ETag"] == 'W/"3"'
    assert len(clinic.get("/fhir/Goal?_id=goal.goal-01-1").json["entry"]) == 1


def test_what_a_record_maps_to_no_more_is_gone(clinic, wiring, demo):
    """A medication taken off the plan is deleted, the plan is not."""
    plan = _first(demo, "care_plan", "plan-01")
    support = {**plan["medication_support"], "medications": []}
    done = wiring.publisher.accept([{**plan, "medication_support": support}])
    assert done.count("changed") == 1
    assert clinic.get("/fhir/MedicationRequest/care-plan.plan-01.rx1").status_code == 410
    assert clinic.get("/fhir/CarePlan/care-plan.plan-01").status_code == 200


def test_histories_go_on_page_by_page(clinic, wiring, demo, clock):
    """Every version once, newest first, of all types or of one; _since leaves out older ones."""
    clock.now += 3600
    wiring.publisher.accept([{**_first(demo, "care_plan", "plan-01"), "title": "Newer"}])
    url, seen = "/fhir/_history?_count=200", []
    while url:
        bundle = clinic.get(url).json
        assert validate(bundle) == []
        seen += [(one["fullUrl"], one["response"]["etag"]) for one in bundle["entry"]]
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), None)
    assert len(seen) == len(set(seen)) > 500
    assert seen[0] == ("http://localhost/fhir/CarePlan/care-plan.plan-01", 'W/"2"')
    newest = clinic.get("/fhir/_history?_count=1").json["entry"][0]["response"]["lastModified"]
    late = clinic.get("/fhir/CarePlan/_history", query_string={"_since": newest}).json["entry"]
    assert [one["request"]["method"] for one in late] == ["PUT"]
    assert clinic.get("/fhir/CarePlan/nothing/_history").status_code == 404


def test_a_record_that_does_not_map_is_accepted_and_not_served(
    clinic, wiring, demo, monkeypatch, late
):
    """Whatever happens in mapping, nothing accepted is lost; the others of its batch are served."""
    forward = type(late).forward

    def broken(self, record, us_core):
        if record["id"] == "goal-01-1":
            raise ZeroDivisionError
        return forward(self, record, us_core)

    monkeypatch.setattr(type(late), "forward", broken)
    goals = [_first(demo, "goal", f"goal-01-{n}") for n in (1, 2)]
    done = wiring.publisher.accept([{**one, "statement": "Something new"} for one in goals])
    assert [one.outcome for one in done.receipts] == ["changed", "changed"]
    assert clinic.get("/fhir/Goal/goal.goal-01-1").status_code == 410  # what it was is outdated
    said = clinic.get("/fhir/Goal/goal.goal-01-2").json
    assert said["description"]["text"] == "Something new"
    assert "fhirsvc_records_unserved 1.0" in clinic.get("/metrics").text


def test_what_was_accepted_before_is_caught_up(database_url, demo, late, catch_up):
    """Records that nobody mapped are served after the sweeps; then nothing is left to do."""
    wiring = product(load(database_url=database_url, fhir_open=True), mappings=late)
    wiring.database.upgrade()
    lens, wiring.lens = wiring.lens, None
    wiring.publisher.accept(demo)
    web = create_app(wiring, lambda: late.mappings).test_client()
    assert web.get(PATIENT).status_code == 404
    wiring.lens = lens
    assert catch_up(wiring) > 1
    assert web.get(PATIENT).status_code == 200
    assert web.get("/fhir/Patient?_summary=count").json["total"] == 12
    wiring.database.dispose()


def test_many_records_are_served_by_the_sweep(wiring, web, demo, catch_up):
    """What is accepted by the hundred is due, and counted, until then; a later change as well."""
    wiring.publisher.accept(demo)
    assert web.get(PATIENT).status_code == 404
    due = len(demo) + len(wiring.companions(demo[0]))
    assert _due(web) >= due
    entry = web.get("/fhir/Patient").json["entry"][-1]
    assert entry["search"] == {"mode": "outcome"}
    assert entry["resource"]["issue"][0]["code"] == "incomplete"
    moved = {**_first(demo, "client", "client-01"), "birth_date": "1990-01-02"}
    wiring.publisher.accept([moved])
    assert web.get(PATIENT).json["birthDate"] == "1990-01-02"
    changed = [{**one, "statement": "Something new"} for one in demo if one["type"] == "goal"]
    assert len(changed) > FEW
    assert catch_up(wiring) > 1
    assert _due(web) == 0
    assert len(web.get("/fhir/Patient").json["entry"]) == 12
    assert web.get(PATIENT).headers["ETag"] == 'W/"1"'
    wiring.publisher.accept(changed)
    assert _due(web) == len(changed)
    assert catch_up(wiring) > 0
    found = web.get("/fhir/Goal?_count=1000").json["entry"]
    said = {one["resource"]["description"]["text"] for one in found}
    assert (len(found), said) == (len(changed), {"Something new"})


def _due(web):
    lines = web.get("/metrics").text.splitlines()
    return next(float(one.split()[1]) for one in lines if one.startswith("fhirsvc_records_due "))


def test_other_mappings_serve_anew_without_new_versions(clinic, wiring, late, monkeypatch):
    """Where they say the same, resources keep their version and are still found."""
    monkeypatch.setitem(vars(late), "fingerprint", "other mappings")
    projector = wiring.projector
    assert projector.catch_up()
    while projector.catch_up():
        pass
    assert clinic.get(PATIENT).headers["ETag"] == 'W/"1"'
    assert clinic.get("/fhir/Patient?gender:missing=false&_summary=count").json["total"] == 12


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/fhir/Patient/none", {}, 404),
        ("GET", "/fhir/Patient/a_b", {}, 404),
        ("GET", "/fhir/Encounter/x", {}, 404),
        ("GET", "/fhir/patient", {}, 404),
        ("GET", "/fhir", {}, 405),
        ("GET", "/fhir/a/b/c/d", {}, 404),
        ("GET", f"{PATIENT}/_history/0", {}, 404),
        ("GET", f"{PATIENT}?_elements=name", {}, 400),
        ("GET", f"{PATIENT}?_format=xml", {}, 406),
        ("GET", PATIENT, {"Accept": "application/fhir+xml"}, 406),
        ("GET", f"{PATIENT}?_format=application/fhir+json&_pretty=true", {"Accept": "x/y"}, 200),
        ("GET", "/fhir/_history?_count=x", {}, 400),
        ("GET", "/fhir/_history?_since=yesterday", {}, 400),
        ("GET", "/fhir/_history?_page=abc", {}, 400),
        ("GET", "/fhir/_history?_at=2020", {}, 400),
        ("PATCH", PATIENT, {}, 405),
        ("PUT", PATIENT, {}, 405),
        ("TRACE", PATIENT, {}, 405),
        ("POST", "/fhir/metadata", {}, 405),
        ("POST", "/fhir/Patient/_search", {"Content-Type": "text/plain"}, 415),
    ],
)
def test_what_cannot_be_answered_is_an_outcome(clinic, method, path, headers, status):
    """The status says what is wrong, and so does an OperationOutcome that is valid R4."""
    answer = clinic.open(path, method=method, headers=headers)
    assert answer.status_code == status
    if status != 200:
        assert answer.json["resourceType"] == "OperationOutcome"
        assert answer.content_type == "application/fhir+json"
        assert validate(answer.json) == []


@pytest.mark.parametrize(
    ("is_open", "host", "address"),
    [
        (False, "localhost", "127.0.0.1"),
        (True, "localhost", "192.0.2.7"),
        (True, "localhost", None),
        (True, "ehr.example", "127.0.0.1"),
    ],
)
def test_without_a_login_it_is_for_this_machine_alone(database_url, late, is_open, host, address):
    """And only where the setting says so; what is served is known to anybody."""
    wiring = product(load(database_url=database_url, fhir_open=is_open), mappings=late)
    wiring.database.upgrade()
    web = create_app(wiring, lambda: late.mappings, hosts=None).test_client()
    there = {"REMOTE_ADDR": address} if address else {"REMOTE_ADDR": ""}
    asked = {"base_url": f"http://{host}/", "environ_overrides": there}
    for path in (PATIENT, "/fhir/Patient", "/fhir/_history", "/fhir/Nothing/x"):
        answer = web.get(path, **asked)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert answer.json["issue"][0]["code"] == "login"
    assert web.get("/fhir/metadata", **asked).status_code == 200
    wiring.database.dispose()
