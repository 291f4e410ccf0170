"""Bulk exports at /fhir: what is asked for is what arrives, and nobody gets another's."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path

import orjson
import pytest
from flask import Flask
from shipped_clinic import mappings

from fhirsvc.api.access import Access
from fhirsvc.api.export import export_routes
from fhirsvc.api.fhir_frame import Frame
from fhirsvc.api.problems import register
from fhirsvc.fhir.compartment import PARAMETERS, patients
from fhirsvc.fhir.scopes import EVERYTHING, parse
from fhirsvc.fhir.search_parameters import TYPES
from fhirsvc.fhir.validate import validate
from fhirsvc.services.exports import ACTIVE, KEPT

ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
LENIENT = {**ASYNC, "Prefer": "respond-async, handling=lenient"}
PLANTED = "Quibblethwaite"


@pytest.fixture(name="worker")
def _worker(wiring):
    """Makes every export there is to make."""

    def work(**options):
        exporter = wiring.exporter(lambda: "tester")
        for name, value in options.items():
            setattr(exporter, name, value)
        steps = 0
        while exporter.once():
            steps += 1
            assert steps < 500, "it never ends"
        return steps

    return work


def _begin(web, path, headers=ASYNC, **more):
    answer = web.get(f"/fhir/{path}", headers=headers, **more)
    assert answer.status_code == 202, answer.text
    return answer.headers["Content-Location"].removeprefix("http://localhost")


def _manifest(web, job):
    answer = web.get(job)
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/json"
    return answer.json


def _lines(web, manifest, kind="output"):
    found = []
    for one in manifest[kind]:
        answer = web.get(one["url"].removeprefix("http://localhost"))
        assert answer.status_code == 200, answer.text
        assert answer.content_type == "application/fhir+ndjson"
        lines = [orjson.loads(line) for line in answer.data.splitlines()]
        assert len(lines) == one["count"]
        assert {line["resourceType"] for line in lines} == {one["type"]}
        found += lines
    return found


def _export(web, worker, path, **more):
    job = _begin(web, path, **more)
    worker()
    return _manifest(web, job)


def _served(web):
    """Everything that a search of each type finds."""
    found = {}
    for name in TYPES:
        for one in web.get(f"/fhir/{name}?_count=1000").json.get("entry", []):
            found[f"{name}/{one['resource']['id']}"] = one["resource"]
    return found


def _named(resources):
    found = {f"{one['resourceType']}/{one['id']}": one for one in resources}
    assert len(found) == len(resources), "something is there twice"
    return found


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_whole_system(clinic, worker, clock, method):
    """Everything served arrives once, as a read answers it; the manifest says where and of when."""
    if method == "get":
        job = _begin(clinic, "$export?_outputFormat=ndjson")
    else:
        body = {
            "resourceType": "Parameters",
            "parameter": [{"name": "_outputFormat", "valueString": "application/fhir+ndjson"}],
        }
        answer = clinic.post("/fhir/$export", headers=ASYNC, json=body)
        assert answer.status_code == 202, answer.text
        job = answer.headers["Content-Location"].removeprefix("http://localhost")
    waiting = clinic.get(job)
    assert (waiting.status_code, waiting.data) == (202, b"")
    assert (waiting.headers["X-Progress"], waiting.headers["Retry-After"]) == ("waiting", "2")
    clock.sleep(5)

    worker()

    manifest = _manifest(clinic, job)
    assert _named(_lines(clinic, manifest)) == _served(clinic)
    assert set(manifest) == {
        "transactionTime", "request", "requiresAccessToken", "output", "error"
    }  # fmt: skip
    asked = "?_outputFormat=ndjson" if method == "get" else ""
    assert manifest["request"] == f"http://localhost/fhir/$export{asked}"
    assert manifest["requiresAccessToken"] is False
    assert "Expires" in clinic.get(job).headers


def test_patients_and_what_is_theirs(clinic, worker):
    """Of the compartment's types, what is of a Patient; nothing else."""
    manifest = _export(clinic, worker, "Patient/$export")

    found = _named(_lines(clinic, manifest))
    served = _served(clinic)
    wanted = {
        name: one
        for name, one in served.items()
        if one["resourceType"] in PARAMETERS and patients(one)
    }
    assert found == wanted
    kinds = {one["resourceType"] for one in found.values()}
    assert {"Patient", "CarePlan", "Observation", "RelatedPerson"} <= kinds
    assert not kinds & {"Practitioner", "Organization", "Task", "Questionnaire"}


def test_a_group(wiring, web, worker, demo, catch_up):
    """A program's clients and what is theirs; another program's are not there."""
    there = [one for one in demo if one["type"] == "organization" or "client_id" in one]
    moved = {"client-02", "client-03"}
    for one in (one for one in demo if one["type"] == "client"):
        program = "org-lakemont-php" if one["id"] in moved else one["program_id"]
        there.append({**one, "program_id": program})
    wiring.publisher.accept(there)
    catch_up(wiring)

    manifest = _export(web, worker, "Group/organization.org-lakemont-php/$export")

    found = _named(_lines(web, manifest))
    members = {f"client.{one}" for one in moved}
    served = _served(web)
    assert found == {
        name: one
        for name, one in served.items()
        if one["resourceType"] in PARAMETERS and patients(one) & members
    }
    assert {f"Patient/{one}" for one in members} <= set(found)
    group = web.get("/fhir/Group/organization.org-lakemont-php").json
    assert validate(group) == []
    assert {one["entity"]["reference"] for one in group["member"]} == {
        f"Patient/{one}" for one in members
    }


def test_groups_are_found(clinic, demo):
    """Each program is a Group; what is none is not there."""
    bundle = clinic.get("/fhir/Group").json
    assert validate(bundle) == []
    found = {one["resource"]["id"]: one["resource"] for one in bundle["entry"]}
    programs = {one["id"] for one in demo if one.get("kind") == "program"}
    assert set(found) == {f"organization.{one}" for one in programs}
    whole = found["organization.org-cedar-hollow"]
    assert whole["quantity"] == sum(one["type"] == "client" for one in demo)
    only = clinic.get("/fhir/Group?_id=organization.org-cedar-hollow,none").json
    assert [one["resource"] for one in only["entry"]] == [whole]
    assert clinic.get("/fhir/Group/organization.org-lakemont").status_code == 404
    assert clinic.get("/fhir/Group?name=x").status_code == 400


def test_types_that_are_asked_for(clinic, worker):
    """Those alone, however they are given."""
    manifest = _export(clinic, worker, "$export?_type=Goal,Patient&_type=Goal")
    assert {one["type"] for one in manifest["output"]} == {"Goal", "Patient"}
    served = _served(clinic)
    assert set(_named(_lines(clinic, manifest))) == {
        name for name in served if name.startswith(("Goal/", "Patient/"))
    }


def test_since_with_deletions(wiring, clinic, worker, clock, demo):
    """The next export since the last has what changed, and names what was deleted."""
    first = _export(clinic, worker, "$export")
    before = _served(clinic)
    goals = [one for one in demo if one["type"] == "goal"]
    clock.sleep(60)
    wiring.publisher.accept([{**goals[0], "statement": "Walk with my sister"}])
    wiring.publisher.delete(("goal", goals[1]["id"]))

    manifest = _export(clinic, worker, f"$export?_since={first['transactionTime']}")

    after = _served(clinic)
    changed = {name: one for name, one in after.items() if before.get(name) != one}
    assert changed
    assert _named(_lines(clinic, manifest)) == changed
    (bundle,) = _lines(clinic, manifest, "deleted")
    assert validate(bundle) == []
    assert bundle["type"] == "transaction"
    assert {(one["request"]["method"], one["request"]["url"]) for one in bundle["entry"]} == {
        ("DELETE", name) for name in before.keys() - after.keys()
    }
    nothing = _export(clinic, worker, f"$export?_since={manifest['transactionTime']}")
    assert (nothing["output"], nothing["deleted"]) == ([], [])


def test_since_and_until_meet(wiring, clinic, worker, clock, demo):
    """What a moment divides comes once: until it as it was, since it as it is."""
    clock.sleep(60)
    first = _export(clinic, worker, "$export")
    moment = first["transactionTime"]
    clock.sleep(60)
    goal = next(one for one in demo if one["type"] == "goal")
    wiring.publisher.accept([{**goal, "statement": "Walk with my sister"}])

    manifest = _export(clinic, worker, f"$export?_until={moment}")

    assert _named(_lines(clinic, manifest)) == _named(_lines(clinic, first))
    assert manifest["transactionTime"] < moment


KINDS = [
    ("$export", {"Accept": "application/fhir+json"}, 400, "Prefer"),
    ("$export", {"Prefer": "respond-async", "Accept": "text/html"}, 406, "Accept"),
    ("$export?_outputFormat=application/xml", ASYNC, 400, "_outputFormat"),
    ("$export?_type=Nonsense", ASYNC, 400, "_type"),
    ("$export?_type=", ASYNC, 400, "_type"),
    ("$export?_type=Goal,Encounter", ASYNC, 400, "_type"),
    ("$export?_type=Nonsense", LENIENT, 400, "_type"),
    ("Patient/$export?_type=Practitioner", ASYNC, 400, "_type"),
    ("$export?_since=yesterday", ASYNC, 400, "_since"),
    ("$export?_since=2026-01-01&_since=2026-01-02", ASYNC, 400, "_since"),
    ("$export?_until=soon", LENIENT, 400, "_until"),
    ("$export?_typeFilter=Goal%3Fnonsense%3Dx", ASYNC, 400, "_typeFilter"),
    ("$export?_typeFilter=Goal%3Fstart-date%3D2026", ASYNC, 400, "_typeFilter"),
    ("$export?_typeFilter=Goal%3F_count%3D5", ASYNC, 400, "_typeFilter"),
    ("$export?_typeFilter=Goal", ASYNC, 400, "_typeFilter"),
    ("$export?_typeFilter=Nonsense%3Fa%3Db", ASYNC, 400, "_typeFilter"),
    ("$export?_type=Task&_typeFilter=Goal%3Flifecycle-status%3Dactive", ASYNC, 400, "_type"),
    ("$export?_elements=id", ASYNC, 400, "_elements"),
    ("$export?includeAssociatedData=x", ASYNC, 400, "includeAssociatedData"),
    ("Patient/$export?patient=Patient/1", ASYNC, 400, "patient"),
    ("Patient/$export?patient=Patient/1", LENIENT, 400, "patient"),
    ("$export?Zebulon%20Pike=1", ASYNC, 400, "(not a name)"),
    ("Group/none/$export", ASYNC, 404, "Group"),
    ("Group/a_b/$export", ASYNC, 404, ""),
    ("Goal/$export", ASYNC, 404, ""),
]


@pytest.mark.parametrize(("path", "headers", "status", "where"), KINDS)
def test_what_is_refused(clinic, path, headers, status, where):
    """Bad kick-offs are answered with an OperationOutcome that names what is wrong, no value."""
    answer = clinic.get(f"/fhir/{path}", headers=headers)

    assert answer.status_code == status, answer.text
    assert answer.json["resourceType"] == "OperationOutcome"
    assert validate(answer.json) == []
    assert where in answer.text
    assert "Zebulon" not in answer.text


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("{}", "application/fhir+json", 400),
        ('{"resourceType": "Parameters", "parameter": {}}', "application/fhir+json", 400),
        ('{"resourceType": "Parameters", "parameter": [1]}', "application/fhir+json", 400),
        (
            '{"resourceType": "Parameters", "parameter": [{"name": "_type"}]}',
            "application/fhir+json",
            400,
        ),
        (
            '{"resourceType": "Parameters", "parameter": [{"name": "patient", '
            '"valueReference": {"reference": "Patient/1"}}]}',
            "application/fhir+json",
            400,
        ),
        ("{", "application/fhir+json", 422),
        ("_type=Goal", "application/x-www-form-urlencoded", 415),
    ],
)
def test_bodies_that_are_refused(clinic, body, content_type, status):
    """A POST has a Parameters resource, or is refused."""
    headers = {**ASYNC, "Content-Type": content_type}
    answer = clinic.post("/fhir/Patient/$export", headers=headers, data=body)
    assert (answer.status_code, answer.json["resourceType"]) == (status, "OperationOutcome")


def test_filters_of_types(clinic, worker):
    """Of a type with filters, what meets one of them, as its search finds; of others everything."""
    filters = "Goal%3Flifecycle-status%3Dactive%252Con-hold,Task%3Fstatus%3Drequested"
    more = "_typeFilter=Task%3Fstatus%3Din-progress%26patient%3Dclient.client-01"
    path = f"$export?_type=Goal,Task,Patient&_typeFilter={filters}&{more}"
    found = Counter()
    for one in _lines(clinic, _export(clinic, worker, path)):
        found[one["resourceType"]] += 1

    def count(query):
        return clinic.get(f"/fhir/{query}&_summary=count").json["total"]

    mine = count("Task?status=in-progress&patient=client.client-01")
    assert found == {
        "Goal": count("Goal?lifecycle-status=active,on-hold"),
        "Task": count("Task?status=requested") + mine,
        "Patient": 12,
    }
    assert 0 < mine < count("Task?status=in-progress")


def test_lenient_leaves_out(clinic, worker):
    """What is not offered is left out where that is agreed to, and not kept in the manifest."""
    path = f"$export?_elements={PLANTED}&_type=Goal,Nonsense&_outputFormat=csv"
    manifest = _export(clinic, worker, path, headers=LENIENT)

    assert {one["type"] for one in manifest["output"]} == {"Goal"}
    assert PLANTED not in str(manifest)


def test_another_clients_job(wiring, web, worker, demo):
    """Nobody sees, fetches or cancels a job but who began it."""
    wiring.publisher.accept(demo)
    who = ["first"]
    mine = _app(wiring, lambda: Access(who[0], EVERYTHING))
    job = _begin(mine, "$export?_type=Goal")
    worker()
    manifest = _manifest(mine, job)
    assert manifest["requiresAccessToken"] is True
    file = manifest["output"][0]["url"].removeprefix("http://localhost")

    who[0] = "second"

    for answer in (mine.get(job), mine.get(file), mine.delete(job)):
        assert (answer.status_code, answer.json["resourceType"]) == (404, "OperationOutcome")
    who[0] = "first"
    assert mine.get(file).status_code == 200


def _app(wiring, access):
    app = Flask("export")
    register(app, str)
    fhir = Frame(lambda _: access(), "")
    app.register_blueprint(export_routes(wiring.exports, wiring.groups, fhir))
    return app.test_client()


def test_only_what_the_access_allows(wiring, worker, demo):
    """Naming a type that may not be searched is refused; without a name it is not there."""
    wiring.publisher.accept(demo)
    scopes = ["system/Goal.s"]
    web = _app(wiring, lambda: Access("narrow", parse(scopes[0])))

    refused = web.get("/fhir/$export?_type=Goal,Patient", headers=ASYNC)
    assert (refused.status_code, refused.json["issue"][0]["code"]) == (403, "forbidden")
    assert web.get("/fhir/Group/organization.org-cedar-hollow").status_code == 403
    manifest = _export(web, worker, "$export")
    assert {one["type"] for one in manifest["output"]} == {"Goal"}
    file = manifest["output"][0]["url"].removeprefix("http://localhost")
    assert web.get(file).status_code == 200
    scopes[0] = "system/Patient.s"
    assert web.get(file).status_code == 403
    scopes[0] = ""
    assert web.get("/fhir/$export", headers=ASYNC).status_code == 403


def test_consent_is_asked_twice(wiring, worker, demo):
    """What may not leave when a file is made is not in it, and when it is fetched left out."""
    wiring.publisher.accept(demo)
    withheld: set[str] = {"Patient/client.client-01"}

    def may_send(type_, resource):
        return f"{type_}/{resource['id']}" not in withheld

    wiring.may_send = may_send
    web = _app(wiring, lambda: Access("open", EVERYTHING))
    manifest = _export(web, worker, "$export?_type=Patient")
    clients = sum(one["type"] == "client" for one in demo)
    assert len(_lines(web, manifest)) == clients - 1

    withheld.add("Patient/client.client-02")

    answer = web.get(manifest["output"][0]["url"].removeprefix("http://localhost"))
    ids = {orjson.loads(line)["id"] for line in answer.data.splitlines()}
    assert len(ids) == clients - 2
    assert not ids & {"client.client-01", "client.client-02"}


def test_asking_too_often(clinic, clock):
    """Two questions in a second are one too many; the answer says how long to wait."""
    job = _begin(clinic, "$export")
    assert clinic.get(job).status_code == 202
    clock.sleep(0.5)
    again = clinic.get(job)
    assert (again.status_code, again.headers["Retry-After"]) == (429, "2")
    assert again.json["issue"][0]["code"] == "throttled"
    clock.sleep(2)
    assert clinic.get(job).status_code == 202


def test_too_many_jobs(clinic, worker):
    """A client has a few jobs in hand and a few more kept; others' do not count."""
    jobs = [_begin(clinic, "$export?_type=Goal") for _ in range(ACTIVE)]
    refused = clinic.get("/fhir/$export", headers=ASYNC)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    while len(jobs) < KEPT:
        worker()
        jobs.append(_begin(clinic, "$export?_type=Goal"))
    worker()
    assert clinic.get("/fhir/$export", headers=ASYNC).status_code == 429
    assert clinic.delete(jobs[0]).status_code == 202
    _begin(clinic, "$export")


def test_cancelled(wiring, clinic, worker, clock, tmp_path):
    """A job that is deleted is gone with its files, before it is made and after."""
    kept, early = _begin(clinic, "$export"), _begin(clinic, "$export")
    assert clinic.delete(early).status_code == 202
    worker()
    folder = tmp_path / "exports"
    assert [one.name for one in folder.iterdir()] == [kept.rpartition("/")[2]]
    file = _manifest(clinic, kept)["output"][0]["url"].removeprefix("http://localhost")

    assert clinic.delete(kept).status_code == 202

    assert list(folder.iterdir()) == []
    for address in (kept, file, early):
        assert clinic.get(address).status_code == 404
    assert clinic.delete(kept).status_code == 404


def test_expired(clinic, worker, clock, tmp_path):
    """After its time a job is gone; a worker removes its files."""
    job = _begin(clinic, "$export")
    worker()
    clock.sleep(86399)
    file = _manifest(clinic, job)["output"][0]["url"].removeprefix("http://localhost")
    clock.sleep(2)

    assert clinic.get(job).status_code == 404
    assert clinic.get(file).status_code == 404
    worker()
    assert list((tmp_path / "exports").iterdir()) == []


def test_nobody_known_gets_nothing(clinic, worker):
    """Without an access every address of exports and Groups is 401."""
    job = _begin(clinic, "$export?_type=Goal")
    worker()
    file = _manifest(clinic, job)["output"][0]["url"].removeprefix("http://localhost")
    far = {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}}
    for path in ("/fhir/$export", "/fhir/Patient/$export", "/fhir/Group/x/$export"):
        for method in ("GET", "POST"):
            answer = clinic.open(path, method=method, headers=ASYNC, **far)
            assert (answer.status_code, answer.json["resourceType"]) == (401, "OperationOutcome")
    for path in (job, file, "/fhir/Group", "/fhir/Group/organization.org-cedar-hollow"):
        assert clinic.get(path, **far).status_code == 401
    assert clinic.delete(job, **far).status_code == 401
    head = clinic.head(file)
    assert (head.status_code, head.data) == (200, b"")
    assert head.content_length == len(clinic.get(file).data)


def test_files_are_private(clinic, worker, tmp_path):
    """Only the owner of the process reads them, and their names say nothing."""
    _export(clinic, worker, "$export")
    names = []
    for path in [tmp_path / "exports", *(tmp_path / "exports").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600)
        names.append(path.name)
    assert all(set(Path(one).stem) <= set("0123456789abcdef") for one in names[1:])


def test_the_capability_statement_says_so(clinic):
    """Each of the three operations is named where it is answered."""
    found = clinic.get("/fhir/metadata").json
    assert validate(found) == []
    rest = found["rest"][0]
    assert "export" in [one["name"] for one in rest["operation"]]
    exported = {}
    for one in rest["resource"]:
        defined = {each["name"]: each["definition"] for each in one.get("operation", [])}
        if "export" in defined:
            exported[one["type"]] = defined["export"]
    assert set(exported) == {"Patient", "Group"}
    for name, definition in exported.items():
        path = f"{name}/{'organization.org-cedar-hollow/' if name == 'Group' else ''}$export"
        assert definition.endswith(f"/{name.lower()}-export")
        assert clinic.get(f"/fhir/{path}", headers=ASYNC).status_code == 202


def test_counts_are_those_of_the_records(clinic, worker, demo):
    """What the records map to, counted by type."""
    manifest = _export(clinic, worker, "$export")
    counted = Counter()
    for one in manifest["output"]:
        counted[one["type"]] += one["count"]
    made = {
        (resource["resourceType"], resource["id"])
        for record in demo
        for resource in mappings().forward(record, 8)
    }
    wanted = Counter(type_ for type_, _ in made)
    del counted["Questionnaire"]  # the forms that are answered come by themselves
    del wanted["Questionnaire"]
    assert counted == wanted
