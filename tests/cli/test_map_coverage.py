"""``map coverage``."""

from __future__ import annotations


def test_coverage_names_what_no_record_touches(shell, client_record):
    """By place, field and word; exit 1 while there is something, JSON a line each."""
    file = shell.file("c.ndjson", client_record)
    result = shell("map", "coverage", file)
    assert result.exit_code == 1
    assert "  goal/Goal.yaml:" in result.stdout
    assert "codes goal_lifecycle: 0 of 9 rows" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("all: ")
    found = {
        one.get("file") or one["table"]: one for one in shell.json("map", "coverage", file, code=1)
    }
    assert found["client/Patient.yaml"]["lines"]["exercised"] > 10
    assert "met" in found["goal_lifecycle"]["rows"]["missing"]


def test_coverage_is_of_the_demo_unless_files_are_named(shell):
    """The demo's clients say more words than one of them; a bad record is told and left out."""
    rows = {
        one["table"]: one["rows"] for one in shell.json("map", "coverage", code=1) if "table" in one
    }
    assert rows["goal_term"]["missing"] == []
    result = shell("map", "coverage", shell.file("c.ndjson", {"type": "goal", "id": "x"}))
    assert "$.statement: error" in result.stderr
