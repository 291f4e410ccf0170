"""``map back``: resources in, records out, findings with their place; ``map check`` of codes."""

from __future__ import annotations

import re
import shutil

import orjson
import pytest
import shipped_clinic as clinic

MAPPINGS = clinic.ROOT / "mappings"
DEMO = clinic.ROOT / "fixtures" / "demo"


def lines(text: str) -> list[dict]:
    return [orjson.loads(line) for line in text.splitlines()]


def by_id(records) -> dict:
    return {(record["type"], record["id"]): record for record in records}


@pytest.mark.parametrize("form", ["ndjson", "bundle"])
def test_there_and_back_again(shell, form: str):
    """The demo clinic mapped, as lines or as one Bundle, and put back onto itself is itself."""
    files = sorted(DEMO.glob("*.ndjson"))
    made = shell("map", "run", *files, "--format", form).stdout
    name = shell.folder / ("out.ndjson" if form == "ndjson" else "out.json")
    name.write_text(made, encoding="utf-8")
    onto = [word for file in files for word in ("--onto", file)]
    result = shell("map", "back", name, *onto)
    assert 0 == result.exit_code, result.stderr[-2000:]
    records = [record for file in files for record in lines(file.read_text(encoding="utf-8"))]
    assert by_id(records) == by_id(lines(result.stdout))


def test_what_is_not_understood_is_told_with_its_place(shell):
    """File, line, resource, element and rule; the record beside it is partial; exit code 1."""
    goal = {
        "resourceType": "Goal",
        "id": "g1",
        "lifecycleStatus": "on-fire",
        "description": {"text": "Sleep"},
        "subject": {"reference": "Patient/nobody"},
    }
    file = shell.file("goals.ndjson", {"resourceType": "Basic"}, goal)
    result = shell("map", "back", file)
    assert 1 == result.exit_code
    (record,) = lines(result.stdout)
    assert {"type": "goal", "id": "g1", "statement": "Sleep"} == record
    told = result.stderr
    assert f"{file}:2: Goal/g1: Goal.lifecycleStatus: warning: " in told
    assert "[unknown-code]" in told
    assert f"{file}:2: Goal/g1: Goal.subject: warning: " in told
    assert f"{file}:1: Basic/None: Basic: warning: no mapping reads this Basic [not-mapped]" in told
    assert "goal g1: $.client_id: error: is required [required]" in told
    assert "on-fire" not in told
    assert told.endswith("2 resources to 1 record\n")


def test_findings_as_json(shell):
    """--json: each finding an object on standard error, then the counts."""
    file = shell.file("one.json", {"resourceType": "Goal", "id": "g1", "lifecycleStatus": "x"})
    result = shell("map", "back", file, "--json")
    *told, counts = lines(result.stderr)
    assert {"resources": 1, "records": 1, "findings": len(told)} == counts
    first = next(one for one in told if one["rule"] == "unknown-code")
    assert ("warning", "Goal/g1: Goal.lifecycleStatus") == (first["severity"], first["where"])
    assert (str(file), 1) == (first["file"], first["line"])


def test_a_broken_line_is_told_and_passed_over(shell):
    """The rest is read."""
    made = shell("map", "run", DEMO / "goal.ndjson").stdout.splitlines()
    file = shell.folder / "goals.ndjson"
    file.write_text("\n".join([made[0], "{broken", made[1]]) + "\n", encoding="utf-8")
    result = shell("map", "back", file, "--onto", DEMO / "goal.ndjson")
    assert 1 == result.exit_code
    assert 2 == len(lines(result.stdout))
    assert f"{file}:2:" in result.stderr


def test_a_wrong_record_to_put_onto_is_told(shell):
    """It is not taken for one."""
    file = shell.file("r.ndjson", {"type": "goal", "id": "g1"})
    made = shell.folder / "goals.ndjson"
    made.write_text(shell("map", "run", DEMO / "goal.ndjson").stdout, encoding="utf-8")
    result = shell("map", "back", made, "--onto", file)
    assert 1 == result.exit_code
    assert f"{file}:1: $.statement: error" in result.stderr


def test_map_check_proves_codes_with_the_rest(shell):
    """A code whose check digit does not fit is a fault of the folder, at its place."""
    folder = shell.folder / "mappings"
    shutil.copytree(MAPPINGS, folder)
    file = folder / "client" / "Observation.yaml"
    text = file.read_text(encoding="utf-8").replace("76690-7", "76690-8")
    file.write_text(text, encoding="utf-8")
    result = shell("map", "check", folder)
    assert 1 == result.exit_code
    assert re.search(r"client/Observation\.yaml:\d+:\d+: error: .*\[check-digit\]", result.output)
