"""``map coverage``: what a record touches is counted, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from shipped_clinic import ROOT, mappings

from fhirsvc.mapping.exercised import at, coverage, values

MET = json.loads((ROOT / "fixtures" / "goal" / "met" / "record.json").read_text(encoding="utf-8"))
GOAL = "goal/Goal.yaml"


def _bare(**more: Any) -> dict[str, Any]:
    kept = ("type", "id", "updated_at", "client_id", "statement", "lifecycle")
    return {**{name: MET[name] for name in kept}, **more}


def _line(element: str) -> str:
    """Where the line of an element at the top of Goal.yaml stands."""
    text = (ROOT / "mappings" / GOAL).read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(text, 1) if line.startswith(f"  {element}:"))
    return f"{GOAL}:{number}:3"


def test_a_line_counts_when_it_has_written():
    """A field that is not in the record leaves its line untouched."""
    found = coverage(mappings(), [_bare()]).files[GOAL]
    assert found.lines[_line("description.text")]
    assert not found.lines[_line("startDate")]
    assert _line("startDate") in found.missing()
    found = coverage(mappings(), [_bare(start_date="2026-01-05")]).files[GOAL]
    assert found.lines[_line("startDate")]


def test_a_field_counts_when_a_record_has_it():
    """False and zero are values; a part of an absent part is absent."""
    found = coverage(mappings(), [_bare(own_words=False)]).files[GOAL]
    assert found.fields["own_words"]
    assert not found.fields["objectives[].value"]
    objectives = [{"objective_id": "o", "measure": "nights", "op": "ge", "value": 0}]
    found = coverage(mappings(), [_bare(objectives=objectives)]).files[GOAL]
    assert found.fields["objectives[].value"]


def test_a_row_counts_when_its_word_was_said():
    """The record's word and no other; over several records they add up."""
    one = coverage(mappings(), [_bare(lifecycle="met")]).tables["goal_lifecycle"]
    assert ["met"] == [word for word, seen in one.items() if seen]
    two = coverage(mappings(), [_bare(lifecycle="met"), _bare(lifecycle="on_hold")])
    assert {"met", "on_hold"} == {w for w, seen in two.tables["goal_lifecycle"].items() if seen}


def test_a_word_without_a_code_counts_too():
    """``eq`` writes no comparator, on purpose; that a record says it is what can be seen."""
    assert not mappings().library.tables["comparator"].rows["eq"].some
    objectives = [{"objective_id": "o", "measure": "nights", "op": "eq", "value": 5}]
    found = coverage(mappings(), [_bare(objectives=objectives)]).tables["comparator"]
    assert ["eq"] == [word for word, seen in found.items() if seen]


def test_lines_of_any_us_core_version_count():
    """A line for receivers before 9 is exercised although the newest has another."""
    plan = json.loads(
        (ROOT / "fixtures" / "care_plan" / "trauma-dbt" / "record.json").read_text(encoding="utf-8")
    )
    found = coverage(mappings(), [plan]).files["care_plan/CarePlan.yaml"]
    text = (ROOT / "mappings" / "care_plan" / "CarePlan.yaml").read_text(encoding="utf-8")
    number = next(n for n, t in enumerate(text.splitlines(), 1) if 'us_core: "<9"' in t)
    assert [seen for place, seen in found.lines.items() if f":{number}:" in place] == [True]


def test_values_are_found_by_name_and_by_path():
    """Through lists, and nothing where a part is absent."""
    record = {"a": [{"b": 1}, {"b": [2, 3]}, {}], "c": {"d": False}}
    assert [1, 2, 3] == list(values(record, "a[].b"))
    assert [False] == list(values(record, "c.d"))
    assert [] == list(values(record, "c.x"))
    assert [2, 3] == at(record, "$.a[1].b")
