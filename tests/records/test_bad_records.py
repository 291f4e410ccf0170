"""Every kind of broken record gets one clear message, located, that repeats no value."""

from __future__ import annotations

import copy

import pytest
from clinic import load

from fhirsvc.errors import Finding
from fhirsvc.records import TYPES, check
from fhirsvc.records.checking import FINDINGS_MAX

DEMO = {record["id"]: record for record in load()}
SECRET = "Rumpelstiltskin"  # stands where a person's data would


def broken(id, path, value):
    """Return a copy of a demo record with one value set; ``path`` as keys and indexes."""
    record = copy.deepcopy(DEMO[id])
    *above, last = path
    node = record
    for step in above:
        node = node[step]
    if value is ...:
        del node[last]
    elif isinstance(node, list) and last == len(node):
        node.append(value)
    else:
        node[last] = value
    return record


EPISODE = "episode-01"
PLAN, GOAL, CLIENT, INTAKE = "plan-01", "goal-01-1", "client-01", "assessment-01-intake"
# (what is wrong, record, rule, where, part of the message)
TABLE = [
    ("no object", [SECRET], "type", "$", "expected an object"),
    ("no type", {"id": "x"}, "required", "$.type", "is required; one of: client, staff"),
    ("a type misspelled", {"type": "care-plan"}, "value", "$.type", "did you mean 'care_plan'?"),
    ("a type that is no text", {"type": 7}, "value", "$.type", "expected one of: client"),
    ("an unknown field", broken(PLAN, ["modalites"], []), "unknown", "$.modalites",
     "unknown field; did you mean 'modalities'?"),
    ("an unknown field deep inside", broken(PLAN, ["modalities", 2, "knd"], SECRET), "unknown",
     "$.modalities[2].knd", "did you mean 'kind'?"),
    ("a field name that could be a value", broken(CLIENT, [f"{SECRET} 1970"], 1), "unknown", "$.*",
     "unknown field"),
    ("a required field left out", broken(GOAL, ["statement"], ...), "required", "$.statement",
     "is required"),
    ("staff without a family name", broken("staff-castellano", ["name", "family"], ...), "required",
     "$.name.family", "is required"),
    ("a race beside its being unknown", broken(CLIENT, ["race"], ["unknown", "white"]), "conflict",
     "$.race", "'unknown' stands alone"),
    ("two reasons for no race", broken(CLIENT, ["race"], ["declined", "unknown"]), "conflict",
     "$.race", "stands alone"),
    ("a contact who may be anyone",
     broken(CLIENT, ["contacts"], [{"contact_id": "k", "is_guardian": False}]), "needs",
     "$.contacts[0]", "needs at least one of: name, relationship"),
    ("an error with a clinical status",
     broken(EPISODE, ["diagnoses", 0, "verification"], "error"), "conflict",
     "$.diagnoses[0].clinical_status", "a diagnosis entered in error has none"),
    ("null", broken(PLAN, ["title"], None), "type", "$.title", "is null; leave the field out"),
    ("a word not in the list", broken(PLAN, ["modalities", 1, "kind"], "cbtt"), "value",
     "$.modalities[1].kind", "; did you mean 'cbt'?"),
    ("a status of another system", broken(PLAN, ["status"], "on-hold"), "value", "$.status",
     "did you mean 'on_hold'?"),
    ("a number as text", broken(PLAN, ["modalities", 0, "minutes"], "120"), "type",
     "$.modalities[0].minutes", "expected a whole number from 5 to 600"),
    ("a fraction where a whole number belongs", broken(PLAN, ["plan_version"], 1.0), "type",
     "$.plan_version", "expected a whole number"),
    ("a truth value as text", broken(CLIENT, ["interpreter_needed"], "yes"), "type",
     "$.interpreter_needed", "expected true or false"),
    ("text as a truth value", broken(CLIENT, ["pronouns"], True), "type", "$.pronouns",
     "expected text"),
    ("a number out of range", broken(GOAL, ["readiness"], 11), "value", "$.readiness",
     "expected a whole number from 0 to 10"),
    ("a day that does not exist", broken(PLAN, ["start_date"], "2026-02-30"), "value",
     "$.start_date", "expected a date YYYY-MM-DD; there is no such day"),
    ("an American date", broken(CLIENT, ["birth_date"], "05/03/1979"), "value", "$.birth_date",
     "expected a date YYYY-MM-DD"),
    ("a moment without offset", broken(PLAN, ["updated_at"], "2026-03-01T10:00:00"), "value",
     "$.updated_at", "expected a moment with offset"),
    ("an id with a space", broken(PLAN, ["client_id"], "client 01"), "value", "$.client_id",
     "expected an id: 1 to 36 letters"),
    ("an id too long", broken(PLAN, ["id"], "x" * 37), "value", "$.id", "1 to 36 letters"),
    ("an empty text", broken(GOAL, ["statement"], " \n "), "value", "$.statement", "is blank"),
    ("a control character", broken(GOAL, ["outcome"], f"{SECRET}\x07"), "value", "$.outcome",
     "holds a control character"),
    ("half a surrogate pair", broken(GOAL, ["outcome"], f"{SECRET}\ud83d"), "value", "$.outcome",
     "half a surrogate pair"),
    ("a text too long", broken(GOAL, ["outcome"], "x" * 100_001), "value", "$.outcome",
     "is longer than 100000 characters"),
    ("a list where an object belongs", broken(PLAN, ["schedule"], []), "type", "$.schedule",
     "expected an object"),
    ("an object where a list belongs", broken(PLAN, ["modalities"], {}), "type", "$.modalities",
     "expected a list"),
    ("an item that is no object", broken(PLAN, ["diagnoses", 2], SECRET), "type",
     "$.diagnoses[2]", "expected an object"),
    ("a key twice", broken(PLAN, ["modalities", 1, "modality_id"], "m1"), "unique",
     "$.modalities[1].modality_id", "repeats item [0]; each must differ"),
    ("a reference twice", broken(PLAN, ["goal_ids"], ["goal-01-1"] * 2), "repeated",
     "$.goal_ids[1]", "repeats item [0]"),
    ("a bad phone number", broken(CLIENT, ["phone"], SECRET), "value", "$.phone",
     "expected a phone number"),
    ("an NPI mistyped", broken("staff-okafor", ["npi"], "1345678010"), "check-digit", "$.npi",
     "the NPI's check digit does not fit"),
    ("an end before the start", broken(PLAN, ["target_end_date"], "2025-12-31"), "order",
     "$.target_end_date", "is before start_date"),
    ("a session that ends before it starts", broken(PLAN, ["schedule", "end_time"], "08:00"),
     "order", "$.schedule.end_time", "is not after start_time"),
    ("a modality that ends before it starts", broken(PLAN, ["modalities", 3, "end_date"],
     "2026-01-01"), "order", "$.modalities[3].end_date", "is before start_date"),
    ("a moment before another", broken(INTAKE, ["completed_at"], "2026-01-12T14:59:59Z"), "order",
     "$.completed_at", "is before started_at"),
    ("a total that does not add up", broken(INTAKE, ["instruments", 0, "total"], 18), "total",
     "$.instruments[0].total", "is not the sum of the answers"),
    ("a total beyond the scale", broken(INTAKE, ["instruments", 1, "total"], 13), "range",
     "$.instruments[1].total", "this instrument's total is 0 to 12"),
    ("an answer beyond the scale", broken(INTAKE, ["instruments", 0, "items", 4, "value"], 4),
     "range", "$.instruments[0].items", "an answer of this instrument is 0 to 3"),
    ("a code without its system", broken(EPISODE, ["diagnoses", 0, "code_system"], ...), "needs",
     "$.diagnoses[0].code_system", "code and code_system go together"),
    ("diagnoses of no episode", broken(GOAL, ["episode_id"], ...), "needs", "$.episode_id",
     "diagnosis_ids are diagnoses of an episode"),
    ("a target without a comparison", broken(GOAL, ["objectives", 0, "op"], ...), "needs",
     "$.objectives[0].op", "op and value go together"),
    ("a team member who is nobody", broken(PLAN, ["care_team", 0, "staff_id"], ...), "needs",
     "$.care_team[0]", "needs exactly one of: staff_id"),
    ("a nameless person", broken(CLIENT, ["name"], {}), "needs", "$.name",
     "needs at least one of: family, given, text"),
    ("dead and alive", {**DEMO[CLIENT], "deceased": False, "deceased_at": "2026-02-01T00:00:00Z"},
     "conflict", "$.deceased", "is false although deceased_at is set"),
    ("an active consent without purpose", broken("consent-01-1", ["purposes"], []), "needs",
     "$.purposes", "an active consent needs purposes or purpose_text"),
    ("a revoked consent without a moment", broken("consent-12-1", ["revoked_at"], ...), "needs",
     "$.revoked_at", "a revoked consent needs revoked_at"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "rule", "where", "message"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_each_fault_is_one_clear_located_message(record, rule, where, message):
    """One fault, one finding: its rule, its JSON path, what was expected; never the value."""
    (found,) = check(record)

    assert (found.rule, found.where) == (rule, where)
    assert message in found.message
    assert SECRET not in str(found)


def test_several_faults_are_all_found_in_the_schema_s_order():
    """Faults in many places are told at once, unknown fields last in each part."""
    record = copy.deepcopy(DEMO[PLAN])
    record |= {"zeal": 1, "status": "open", "id": ""}
    record["modalities"][0] |= {"minutes": "5", "kind": "x", "knd": 1}
    record["progress"]["feedback"][0]["on"] = "yesterday"

    assert [f.where for f in check(record)] == [
        "$.id",
        "$.status",
        "$.modalities[0].kind",
        "$.modalities[0].minutes",
        "$.modalities[0].knd",
        "$.progress.feedback[0].on",
        "$.zeal",
    ]


def test_findings_are_bounded():
    """A record with very many faults gets the first hundred and a last one saying so."""
    found = check({"type": "goal", **{f"f{n}": n for n in range(5000)}})

    assert len(found) == FINDINGS_MAX + 1
    assert found[-1] == Finding("more", f"more faults follow the first {FINDINGS_MAX}", "$")


@pytest.mark.parametrize("type", TYPES)
def test_an_empty_record_lacks_what_is_required_and_no_more(type):
    """A record with nothing but its type is told every required field and nothing else."""
    found = check({"type": type})

    assert {f.rule for f in found} == {"required"}
    assert {"$.id", "$.updated_at"} <= {f.where for f in found}


def test_sums_are_only_asked_of_full_sets_of_plain_sums():
    """A set with an answer missing, an unscored extra item, or DAST-10 is not added up."""
    record = copy.deepcopy(DEMO[INTAKE])
    result = record["instruments"][0]
    result["items"].append({"n": "10", "value": 2})

    assert check(record) == []

    result["items"].pop(0)
    result["total"] = 1

    assert check(record) == []

    dast = {"instrument": "dast-10", "total": 1}
    dast["items"] = [{"n": str(n), "value": 1} for n in range(1, 11)]
    result |= dast

    assert check(record) == []


def test_days_and_moments_are_compared_as_such():
    """Offsets count between moments; a day and a moment compare by the day as written."""
    record = copy.deepcopy(DEMO[INTAKE])
    record |= {"started_at": "2026-01-12T10:00:00-05:00", "completed_at": "2026-01-12T14:30:00Z"}

    assert [f.rule for f in check(record)] == ["order"]

    record["completed_at"] = "2026-01-12T15:30:00Z"

    assert check(record) == []
