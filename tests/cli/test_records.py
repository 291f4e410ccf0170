"""``records check``, ``records schema`` and ``load``."""

from __future__ import annotations

import orjson

from fhirsvc import shipped


def test_sound_records_are_fine(shell, demo_files):
    """Exit 0, and the count on standard output."""
    result = shell("records", "check", *demo_files)
    assert result.exit_code == 0
    assert result.stdout == "228 records, 0 with faults\n"


def test_every_fault_is_located(shell, client_record):
    """File, line and JSON path; the sound record between them is not mentioned."""
    file = shell.file("c.ndjson", {**client_record, "sex": "M"}, client_record, "{")
    result = shell("records", "check", file)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{file}:1: $.sex: error: ")
    assert lines[1].startswith(f"{file}:3:2: error: ")
    assert len(lines) == 2
    assert result.stderr == "3 records, 2 with faults\n"


def test_json_has_a_line_for_each_finding_and_a_count(shell, client_record):
    """So that a program reads what a person reads."""
    file = shell.file("c.ndjson", {**client_record, "sex": "M"})
    finding, count = shell.json("records", "check", file, code=1)
    assert finding["line"] == 1
    assert finding["where"] == "$.sex"
    assert finding["severity"] == "error"
    assert count == {"records": 1, "wrong": 1}


def test_a_dash_is_standard_input(shell, client_record):
    """NDJSON unless --input-format says otherwise."""
    line = orjson.dumps(client_record).decode()
    assert shell("records", "check", "-", input=line).exit_code == 0
    listed = shell("records", "check", "-", "--input-format", "json", input=f"[{line},{line}]")
    assert listed.stdout == "2 records, 0 with faults\n"


def test_a_csv_without_a_type_column_is_told_its_type(shell):
    """--type names it."""
    path = shell.folder / "o.csv"
    path.write_text(
        "id,updated_at,active,name,kind\no-1,2026-01-01T00:00:00Z,true,North,hospital\n"
    )
    assert shell("records", "check", path, "--type", "organization").exit_code == 0
    assert shell("records", "check", path).exit_code == 1


def test_the_schema_of_a_type_is_json_schema(shell):
    """Indented for people, on one line with --json; both the same."""
    spread = orjson.loads(shell("records", "schema", "client").stdout)
    (one,) = shell.json("records", "schema", "client")
    assert one == spread
    assert one["$id"] == "urn:fhirsvc:record:client"


def test_loading_again_changes_nothing(shell, demo_files):
    """Created the first time, unchanged the second; an edit makes one new version."""
    (first,) = shell.json("load", *demo_files)
    (second,) = shell.json("load", *demo_files)
    assert first["created"] == 228
    assert (second["created"], second["unchanged"]) == (0, 228)
    client = orjson.loads(shipped.demo()["client.ndjson"].splitlines()[0])
    (third,) = shell.json("load", shell.file("c.ndjson", {**client, "mrn": "X-1"}))
    assert third["changed"] == 1


def test_one_bad_record_never_stops_the_rest(shell, client_record):
    """It is refused with its place, the others are in, and the exit code is 1."""
    good = {**client_record, "id": "c-2"}
    file = shell.file("c.ndjson", "nonsense", {**client_record, "sex": 1}, good)
    *findings, counts = shell.json("load", file, code=1)
    assert [one["line"] for one in findings] == [1, 2]
    assert (counts["created"], counts["refused"]) == (1, 2)
