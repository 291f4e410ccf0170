"""Fixtures and generated records through the real servers: valid everywhere, back as they were."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from profiles import US_CORE_PROFILES
from servers import HapiServer, Validator

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS / "mapping"))

import shipped_clinic as clinic
from generated import records as any_record

from fhirsvc.errors import FhirsvcError
from fhirsvc.mapping.back import Back

pytestmark = pytest.mark.interop

FIXTURES = TESTS.parent / "fixtures"
Record = dict[str, Any]


def generated(count: int) -> list[Record]:
    """Return that many valid records that map, of all types in turn; the same at every run."""
    found: list[Record] = json.loads(_generated(count))
    return found


@cache
def _generated(count: int) -> str:
    found: list[Record] = []
    types = clinic.mappings().records()
    each = -(-count // len(types))
    for type_name in types:
        mine = _gathered(type_name, each)
        for number, record in enumerate(mine):
            record["id"] = f"gen-{number}"
        found += mine
    return json.dumps(found[:count])


def _gathered(type_name: str, count: int) -> list[Record]:
    found: list[Record] = []

    @settings(
        max_examples=count * 3,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(any_record(type_name, changes=6))
    def gather(record: Record) -> None:
        if len(found) < count and _maps(record):
            found.append(record)

    gather()
    return found


def _maps(record: Record) -> bool:
    try:
        clinic.mappings().forward(record)
    except FhirsvcError:
        return False
    return True


@cache
def _cases() -> str:
    cases = [json.loads(p.read_text()) for p in sorted(FIXTURES.glob("*/*/record.json"))]
    known = clinic.mappings().records()
    return json.dumps([*[c for c in cases if c["type"] in known], *clinic.records()])


def fixtures() -> list[Record]:
    """Every shipped fixture and demo record that has a mapping; the last of one id counts."""
    by_id = {(record["type"], record["id"]): record for record in json.loads(_cases())}
    return list(by_id.values())


@pytest.mark.parametrize("version", ["R4", "6.1.0", "7.0.0", "8.0.0"])
def test_generated_records_pass_the_validator(
    version: str, validator: Callable[[str], Validator]
) -> None:
    """0 errors for 500 generated records, against R4 and each US Core."""
    profiles = None if version == "R4" else US_CORE_PROFILES
    us_core = 8 if version == "R4" else int(version[0])
    many = generated(500)
    assert len(many) == 500
    made = [r for record in many for r in clinic.mappings().forward(record, us_core)]

    verdicts = validator(version).check(json.loads(json.dumps(made)), profiles)

    assert len(verdicts) == len(made)
    wrong = [(v.resource_type, v.id, e.location, e.message) for v in verdicts for e in v.errors]
    assert wrong == []


def _goldens() -> list[Record]:
    """Every resource that a fixture is said to become, the records of every word included."""
    files = [p for p in sorted(FIXTURES.glob("*/*/*.json")) if p.name != "record.json"]
    lists = sorted(FIXTURES.glob("*/every-word/resources.ndjson"))
    assert len(lists) == len(clinic.mappings().records())
    lines = [line for path in lists for line in path.read_text().splitlines()]
    return [json.loads(text) for text in [*(path.read_text() for path in files), *lines]]


def _golden_cases(us_core: int) -> list[Record]:
    """The goldens; an older US Core has none, and gets what their records become for it."""
    if us_core == 8:
        return _goldens()
    texts = [path.read_text() for path in sorted(FIXTURES.glob("*/*/record.json"))]
    for path in sorted(FIXTURES.glob("*/every-word/records.ndjson")):
        texts += path.read_text().splitlines()
    made = [r for text in texts for r in clinic.mappings().forward(json.loads(text), us_core)]
    found: list[Record] = json.loads(json.dumps(made))
    return found


@pytest.mark.parametrize("version", ["R4", "6.1.0", "7.0.0", "8.0.0"])
def test_golden_resources_pass_the_validator(
    version: str, validator: Callable[[str], Validator]
) -> None:
    """0 errors for every resource of the fixtures, against R4 and each US Core."""
    resources = _golden_cases(8 if version == "R4" else int(version[0]))
    assert len(resources) > 500

    verdicts = validator(version).check(resources, None if version == "R4" else US_CORE_PROFILES)

    assert len(verdicts) == len(resources)
    wrong = [(v.resource_type, v.id, e.location, e.message) for v in verdicts for e in v.errors]
    assert wrong == []


def test_ids_of_elements_are_seen_by_the_validator(validator: Callable[[str], Validator]) -> None:
    """A key in an id passes, and the same id twice in one resource does not."""
    (goal,) = (r for r in _goldens() if r["id"] == "goal.goal-w00")
    twice = json.loads(json.dumps(goal))
    found = [value for value in _id_places(twice) if "/" in value["id"]]
    assert len(found) > 1
    found[1]["id"] = found[0]["id"]

    good, bad = validator("R4").check([goal, twice])

    assert good.errors == ()
    assert any("id" in error.message.lower() for error in bad.errors)


def _id_places(node: Any, top: bool = True) -> Iterator[Record]:
    if isinstance(node, dict):
        if not top and isinstance(node.get("id"), str):
            yield node
        for value in node.values():
            yield from _id_places(value, top=False)
    elif isinstance(node, list):
        for value in node:
            yield from _id_places(value, top=False)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _put(hapi: HapiServer, resources: list[Record]) -> None:
    """Write resources under their local ids, with empty ones for what they refer to."""
    there = {f"{r['resourceType']}/{r['id']}" for r in resources}
    missing = {ref for r in resources for ref in _references(r)} - there
    empty = [dict(zip(("resourceType", "id"), ref.split("/"), strict=True)) for ref in missing]
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
        for r in [*empty, *resources]
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = hapi.request("POST", "", bundle)
    assert answer.status_code == 200, answer.text[:2000]


@pytest.mark.parametrize("source", ["fixtures", "generated"])
def test_records_come_back_through_a_server(source: str) -> None:
    """Written to HAPI, read back, mapped back: the records, and nothing lost on the way."""
    records = fixtures() if source == "fixtures" else generated(200)
    back = Back.of(clinic.mappings().library)
    made = {
        (r["type"], r["id"]): json.loads(json.dumps(clinic.mappings().forward(r))) for r in records
    }
    with HapiServer() as hapi:
        _put(hapi, [resource for resources in made.values() for resource in resources])
        for record in records:
            key = (record["type"], record["id"])
            read = [hapi.request("GET", f"{r['resourceType']}/{r['id']}").json() for r in made[key]]
            assert [r["meta"]["versionId"] for r in read] == ["1"] * len(read)

            returned = back.records(read, onto={key: record})
            assert returned.records in ([record], []), key
            told = [f for f in returned.findings if f.finding.severity != "information"]
            assert told == []
            assert _values(back.records(read).records) == _values(back.records(made[key]).records)


def _values(node: Any) -> Any:
    """Moments as the server may write them: the same instant, in whatever offset or precision."""
    if isinstance(node, dict):
        return {name: _values(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_values(value) for value in node]
    if isinstance(node, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT.*", node):
        return node.replace(".000", "").replace("+00:00", "Z")
    return node
