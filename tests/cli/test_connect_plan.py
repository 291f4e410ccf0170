"""``fhirsvc connect plan``: for people, for programs, of files and of connections."""

from __future__ import annotations

import json

import pytest
import responses
from statements import EHRS, everything

from fhirsvc.cli.house import house
from fhirsvc.ehr.capability import Capabilities
from fhirsvc.store import connections

BASE = "https://ehr.example/fhir"
DOCUMENTS = everything(without="CarePlan")


@pytest.fixture
def statement(tmp_path):
    """A statement of one that takes all but CarePlan, as a file."""
    path = tmp_path / "statement.json"
    path.write_text(json.dumps(DOCUMENTS), encoding="utf-8")
    return path


def _rung(rungs: list[dict], record: str, resource: str) -> dict:
    return next(r for r in rungs if (r["record"], r["resource"]) == (record, resource))


def test_a_table_for_people(shell, statement):
    """One line a resource, with the rung, how, and how many fields; and a sum."""
    result = shell("connect", "plan", "--capability", statement)
    lines = result.stdout.splitlines()
    (plan,) = (line for line in lines if line.startswith("care_plan  ") and "  CarePlan " in line)

    assert result.exit_code == 0
    assert lines[0].split() == [
        "record", "resource", "rung", "via", "carried", "downgraded", "dropped"
    ]  # fmt: skip
    assert plan.split()[2:4] == ["document", "DocumentReference"]
    assert lines[-1] == "31 forms: 29 native, 2 document"


def test_fields_are_listed_when_asked(shell, statement):
    """Each with what becomes of it, and the rung with its reason."""
    said = shell("connect", "plan", "--capability", statement, "--fields").stdout
    assert "    why: the statement names no interaction of CarePlan; " in said
    assert "    downgraded  modalities[].kind: as readable text and attached FHIR" in said
    assert "    dropped     psychotherapy_notes: never leave (42 CFR 2.11)" in said
    assert "    carried     lifecycle" in said


def test_json_is_a_list_of_rungs(shell, statement):
    """The shape that a delivery keeps."""
    (rungs,) = shell.json("connect", "plan", "--capability", statement)
    assert len(rungs) == 31
    assert set(rungs[0]) == {
        "record", "resource", "rung", "via", "why", "blocks", "later", "carried", "downgraded",
        "dropped",
    }  # fmt: skip
    plan = _rung(rungs, "care_plan", "CarePlan")
    assert plan["downgraded"][0] == {
        "field": "title",
        "how": "as readable text and attached FHIR",
    }


def test_on_hold_is_a_finding(shell):
    """Exit 1 where deliveries would wait; what is only left out is none."""
    held = shell("connect", "plan", "--capability", "-", input=json.dumps(EHRS["athena"]))
    fine = shell("connect", "plan", "--capability", "-", input=json.dumps(EHRS["epic"]))
    assert held.exit_code == 1
    assert "deliveries wait for " in held.stdout
    assert fine.exit_code == 0


def test_rungs_are_chosen(shell, statement):
    """For a resource, or for that of one record type."""
    options = ["--rung", "Goal=document", "--rung", "care_plan/CarePlan=hold"]
    (rungs,) = shell.json("connect", "plan", "--capability", statement, *options, code=1)
    assert _rung(rungs, "goal", "Goal")["rung"] == "document"
    assert _rung(rungs, "care_plan", "CarePlan")["rung"] == "hold"
    assert _rung(rungs, "aftercare_plan", "CarePlan")["rung"] == "document"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rung", "Gaol=document"], "no mapping makes 'Gaol'; did you mean 'Goal'?"),
        (["--rung", "Goal=papyrus"], "'papyrus' is no rung; they are native, equivalent, document"),
        (["--rung", "Goal"], "'' is no rung"),
        (["ehr"], "give the name of a connection, or --capability FILE"),
    ],
)
def test_usage(shell, statement, options, said):
    """What is not known is said, with the nearest right word."""
    result = shell("connect", "plan", "--capability", statement, *options)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{\n nope", "<stdin>:2:2: this is no JSON"),
        ('{"resourceType": "Patient"}', "<stdin>: resourceType: this is no CapabilityStatement"),
        ("[]", "<stdin>: resourceType: this is no CapabilityStatement"),
    ],
)
def test_what_is_no_statement(shell, text, place):
    """A located error, exit 2."""
    result = shell("connect", "plan", "--capability", "-", input=text)
    assert (result.exit_code, result.stderr.strip()) == (2, f"error: {place}")


def test_a_file_that_is_not_there(shell):
    """Exit 2."""
    result = shell("connect", "plan", "--capability", "nowhere.json")
    assert result.exit_code == 2
    assert "nowhere.json: cannot be read" in result.stderr


def _connect(shell) -> None:
    assert shell("connect", "add", "ehr", "--url", BASE).exit_code == 0


def test_of_a_connection_with_a_statement(shell):
    """The one that is stored, with what was refused and what was chosen since."""
    _connect(shell)
    with house() as wiring:
        kept = next(one for one in wiring.operator.connections() if one.name == "ehr")

        def note(tx):
            known = Capabilities.parse(DOCUMENTS).to_json()
            connections.set_capability(tx, kept.id, json.dumps(known), 1.0)
            connections.refuse(tx, kept.id, "Goal", "create", 403, 2.0)
            connections.refuse(tx, kept.id, "Goal", "update", 403, 2.0)

        wiring.database.run(note)
    assert shell("connect", "set", "ehr", "--rung", "Condition=hold").exit_code == 0
    (rungs,) = shell.json("connect", "plan", "ehr", "--rung", "Flag=document", code=1)

    goal = _rung(rungs, "goal", "Goal")
    assert (goal["rung"], "was refused here" in goal["why"]) == ("document", True)
    assert _rung(rungs, "episode", "Condition")["rung"] == "hold"
    assert _rung(rungs, "assessment", "Flag")["rung"] == "document"


@responses.activate
def test_a_connection_that_was_not_asked_yet_is_asked(shell):
    """Its metadata now; nothing is stored."""
    responses.get(f"{BASE}/metadata", json=EHRS["epic"])
    _connect(shell)
    (rungs,) = shell.json("connect", "plan", "ehr")
    assert _rung(rungs, "care_plan", "CarePlan")["rung"] == "document"
    with house() as wiring:
        assert wiring.operator.connections()[0].capability is None


@responses.activate
@pytest.mark.parametrize(("status", "body"), [(503, {}), (200, {"resourceType": "Patient"})])
def test_a_connection_that_does_not_say(shell, status, body):
    """The other side failed: exit 3."""
    responses.get(f"{BASE}/metadata", json=body, status=status)
    _connect(shell)
    result = shell("connect", "plan", "ehr")
    assert result.exit_code == 3
    assert f"connection ehr: answered {status} without a CapabilityStatement" in result.stderr


def test_no_such_connection(shell):
    """Exit 2."""
    result = shell("connect", "plan", "nobody")
    assert result.exit_code == 2
    assert "connection nobody: no such connection" in result.stderr
