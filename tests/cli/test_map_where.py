"""``map where``: both directions, with line and version."""

from __future__ import annotations

import orjson
import pytest

from fhirsvc import shipped


def test_from_a_field_to_its_elements(shell):
    """Through lists, with or without their brackets; a part says all below it."""
    one = shell("map", "where", "goal.objectives[].due_date")
    assert one.exit_code == 0
    assert one.stdout.startswith("goal.objectives[].due_date -> Goal.target.dueDate: as it is  [")
    assert ", version 1.0.0]" in one.stdout
    assert shell("map", "where", "goal.objectives.due_date").stdout == one.stdout
    assert one.stdout in shell("map", "where", "goal.objectives").stdout


def test_from_an_element_to_its_fields(shell):
    """Every field that can fill it, each with its own line."""
    found = shell.json("map", "where", "Goal.target.dueDate")
    assert {one["field"] for one in found} == {"goal.objectives[].due_date", "goal.target_date"}
    assert len({one["place"] for one in found}) == 2
    assert {one["version"] for one in found} == {"1.0.0"}


def test_the_trace_of_a_record_agrees(shell):
    """What ran is what is said: place by place, for a goal of the demo."""
    goal = shipped.demo()["goal.ndjson"].splitlines()[0].decode()
    run = shell("map", "run", "-", "--trace", input=goal)
    steps = [s for line in run.stdout.splitlines() for s in orjson.loads(line)["trace"]]
    said = {one["place"] for one in shell.json("map", "where", "goal")}
    assert {s["place"] for s in steps if s["field"] is not None} <= said
    assert len(steps) > 10


@pytest.mark.parametrize("name", ["goal.statment", "Goal.nothing", "x"])
def test_a_name_that_is_none_is_said(shell, name):
    """Exit 2 and the nearest right word, where one is near."""
    result = shell("map", "where", name)
    assert result.exit_code == 2
    assert "no field and no element is called so" in result.stderr
    assert ("did you mean 'goal.statement'?" in result.stderr) is (name == "goal.statment")
