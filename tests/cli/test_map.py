"""``map run``, ``map check``, ``validate`` and ``codes lint``."""

from __future__ import annotations

import orjson
import pytest
import shipped_clinic as clinic

from fhirsvc import shipped


def resources(result):
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_a_record_becomes_resources_a_line_each(shell, client_record):
    """On standard output; the count is on standard error."""
    result = shell("map", "run", shell.file("c.ndjson", client_record))
    assert result.exit_code == 0
    assert [one["resourceType"] for one in resources(result)] == ["Patient", "RelatedPerson"]
    assert result.stderr == "1 record to 2 resources, 0 passed over\n"


def test_a_folder_gets_a_file_per_type(shell, demo_files):
    """Named as Bulk Data names them, and no half-written file is left."""
    to = shell.folder / "out"
    result = shell("map", "run", *demo_files, "--to", to)
    assert result.exit_code == 0
    names = sorted(path.name for path in to.iterdir())
    assert "CarePlan.ndjson" in names
    assert not [name for name in names if not name.endswith(".ndjson")]
    lines = (to / "Patient.ndjson").read_bytes().splitlines()
    assert {orjson.loads(line)["resourceType"] for line in lines} == {"Patient"}


def test_a_bundle_is_one_transaction_whose_references_are_its_entries(shell, demo_files):
    """Every entry is a PUT to its own address; what one refers to is there."""
    bundle = orjson.loads(shell("map", "run", *demo_files, "--format", "bundle").stdout)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    for entry in bundle["entry"]:
        resource = entry["resource"]
        url = f"{resource['resourceType']}/{resource['id']}"
        assert entry["request"] == {"method": "PUT", "url": url}
    urls = [entry["request"]["url"] for entry in bundle["entry"]]
    assert len(urls) == len(set(urls))
    patients = {
        entry["resource"]["subject"]["reference"]
        for entry in bundle["entry"]
        if "subject" in entry["resource"]
    }
    assert patients <= set(urls)


def test_several_processes_say_the_same(shell, demo_files):
    """Same resources, same order."""
    alone = shell("map", "run", *demo_files)
    assert resources(shell("map", "run", *demo_files, "--jobs", 2)) == resources(alone)


def test_a_bad_record_is_reported_and_passed_over(shell, client_record):
    """With file, line and path; the others are mapped and the exit code is 1."""
    file = shell.file("c.ndjson", {**client_record, "sex": "M"}, client_record)
    result = shell("map", "run", file)
    assert result.exit_code == 1
    assert len(resources(result)) == 2
    assert result.stderr.startswith(f"{file}:1: $.sex: error: ")
    assert result.stderr.endswith("2 records to 2 resources, 1 passed over\n")


def test_json_of_a_run_is_on_standard_error(shell, client_record):
    """Standard output is for the resources."""
    file = shell.file("c.ndjson", {**client_record, "sex": "M"}, client_record)
    result = shell("map", "run", file, "--json")
    finding, counts = map(orjson.loads, result.stderr.splitlines())
    assert (finding["line"], finding["where"]) == (1, "$.sex")
    assert counts == {"records": 2, "wrong": 1, "resources": 2, "unmapped": {}}


def test_a_type_without_a_mapping_is_said_not_hidden(shell, monkeypatch):
    """A site's own folder may map less: what is left out is counted."""
    folder = shell.folder / "mine"
    for name, text in shipped.mappings().items():
        if name.startswith(("codes/", "organization/")):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("FHIRSVC_MAPPINGS", str(folder))
    staff = shipped.demo()["staff.ndjson"].decode()
    result = shell("map", "run", "-", "--json", input=staff)
    assert result.exit_code == 0
    assert orjson.loads(result.stderr)["unmapped"] == {"staff": 10}
    assert "no mapping makes FHIR of staff" in shell("map", "run", "-", input=staff).stderr


def test_a_trace_names_field_and_line_of_every_element(shell, client_record):
    """A line holds the resource and the origin of its elements."""
    file = shell.file("c.ndjson", client_record)
    traced = resources(shell("map", "run", file, "--trace"))[0]
    found = {step["element"]: step for step in traced["trace"]}
    assert found["Patient.birthDate"]["field"] == "$.birth_date"
    assert found["Patient.birthDate"]["place"].startswith("client/Patient.yaml:")


def test_us_core_decides_what_is_made(shell):
    """Up to 8 the category assess-plan is sent, in 9 it is gone."""
    plan = shipped.demo()["care_plan.ndjson"].splitlines()[0].decode()
    old = shell("map", "run", "-", "--us-core", "6.1", input=plan).stdout
    new = shell("map", "run", "-", "--us-core", "9", input=plan).stdout
    assert "assess-plan" in old
    assert "assess-plan" not in new


def test_the_shipped_mappings_have_no_faults(shell):
    """Neither the mappings nor the codes they use."""
    assert shell("map", "check").exit_code == 0
    assert shell("codes", "lint").exit_code == 0


@pytest.fixture
def folder(shell):
    """A copy of the shipped mappings, to be spoilt."""
    folder = shell.folder / "mappings"
    for name, text in shipped.mappings().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def spoil(path, before, after):
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_a_mistake_in_a_mapping_is_located(shell, folder):
    """file:line:col and the rule, as text and as JSON."""
    spoil(folder / "client" / "Patient.yaml", "birthDate:", "birthDat:")
    result = shell("map", "check", folder)
    assert result.exit_code == 1
    assert "client/Patient.yaml:58:3: error:" in result.stdout
    assert any(
        one["where"] == "client/Patient.yaml:58:3"
        for one in shell.json("map", "check", folder, code=1)
    )


def test_running_with_a_mistake_in_the_mappings_names_it(shell, folder, monkeypatch, client_record):
    """Each on a line of its own, exit 1, nothing mapped."""
    spoil(folder / "client" / "Patient.yaml", "birthDate:", "birthDat:")
    monkeypatch.setenv("FHIRSVC_MAPPINGS", str(folder))
    result = shell("map", "run", shell.file("c.ndjson", client_record))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "error: client/Patient.yaml:58:3" in result.stderr


@pytest.mark.parametrize(
    ("file", "before", "after", "rule"),
    [
        ("instruments/phq-9.yaml", "44261-6", "44261-7", "check-digit"),
        ("instruments/phq-9.yaml", "LA6568-5", "LA6568-6", "check-digit"),
        ("codes/modality.yaml", "228557008", "228557009", "check-digit"),
        ("codes/modality.yaml", "228557008", "720174008", "no-source"),
        ("codes/billing_code.yaml", "H0015: H0015", "H0015: H9999", "no-source"),
        ("codes/sources.csv", "75624-7,B", "75624-7,U", "unverified"),
    ],
)
def test_a_wrong_code_is_found(shell, folder, file, before, after, rule):
    """By its check digit, by having no source, or by a source nobody verified."""
    spoil(folder / file, before, after)
    found = shell.json("codes", "lint", folder, code=1)
    assert [one["rule"] for one in found if one["severity"] == "error"] == [rule]


def test_validate_answers_each_line_with_an_outcome(shell):
    """In order: fine, a value outside its binding, not a resource at all."""
    good = {"resourceType": "Patient", "id": "p"}
    bad = {"resourceType": "Patient", "gender": "Q"}
    result = shell("validate", shell.file("r.ndjson", good, bad, "[1]"))
    assert result.exit_code == 1
    fine, wrong, unreadable = resources(result)
    assert {one["resourceType"] for one in (fine, wrong, unreadable)} == {"OperationOutcome"}
    assert fine["issue"][0]["severity"] == "information"
    assert wrong["issue"][0]["expression"] == ["Patient.gender"]
    assert wrong["issue"][0]["code"] == "code-invalid"
    assert unreadable["issue"][0]["severity"] == "error"
    assert '"Q"' not in result.stdout


def test_what_is_mapped_validates(shell, demo_files):
    """Every resource of the demo, through both commands."""
    mapped = shell("map", "run", *demo_files).stdout
    result = shell("validate", "-", input=mapped)
    assert result.exit_code == 0
    expected = len(clinic.resources())
    assert result.stderr == f"{expected} resources, 0 with errors\n"


def test_a_goals_achievement_follows_from_scores_when_asked(shell):
    """Two passes over the files: the goal may come before the assessments that judge it."""
    goal = next(r for r in clinic.records() if r["id"] == "goal-01-1")
    stated = {**goal, "progress": "worsening", "progress_text": "Bad weeks"}
    of_client = [
        r
        for r in clinic.records()
        if r["type"] == "assessment" and r["client_id"] == goal["client_id"]
    ]
    file = shell.file("chart.ndjson", stated, *of_client)

    def achievement(*options):
        result = shell("map", "run", file, *options)
        assert result.exit_code == 0
        (made,) = [one for one in resources(result) if one["resourceType"] == "Goal"]
        return made["achievementStatus"]

    assert ("worsening", "Bad weeks") == (
        achievement()["coding"][0]["code"],
        achievement()["text"],
    )
    told = achievement("--achievement-from-scores", "--jobs", 2)
    assert ("achieved", None) == (told["coding"][0]["code"], told.get("text"))
    refused = shell("map", "run", "-", "--achievement-from-scores", input="")
    assert refused.exit_code == 2
    assert "twice" in refused.stderr
