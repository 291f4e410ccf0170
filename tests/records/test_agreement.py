"""check(), fields() and json_schema() say the same about every record, sound or broken."""

from __future__ import annotations

import copy
import datetime
import re
from itertools import islice

import pytest
from clinic import load
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

from fhirsvc.records import TYPES, check, fields, json_schema, schema_for

# Rules about one value alone; JSON Schema can say these. The others need several values at once.
SHAPE = {"required", "unknown", "type", "value", "repeated"}
DEMO = load()


def _pattern(validator, pattern, instance, schema):
    """Match as ECMA 262 does, where $ never stands before a final line break."""
    if isinstance(instance, str) and not re.search(pattern.removesuffix("$") + r"\Z", instance):
        yield ValidationError("does not match")


def _integer(checker, instance):
    """Refuse 5.0: JSON Schema takes it for a whole number, JSON readers do not."""
    return isinstance(instance, int) and not isinstance(instance, bool)


FORMATS = FormatChecker(formats=())


@FORMATS.checks("date", raises=ValueError)
def _date(value):
    return not isinstance(value, str) or bool(datetime.date.fromisoformat(value[:10]))


@FORMATS.checks("date-time", raises=ValueError)
def _date_time(value):
    return not isinstance(value, str) or bool(datetime.datetime.fromisoformat(value[:19]))


Validator = extend(
    Draft202012Validator,
    validators={"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _integer),
)
VALIDATORS = {t: Validator(json_schema(t), format_checker=FORMATS) for t in TYPES}


def by_check(record):
    """Return whether check() finds a fault of shape."""
    return any(f.rule in SHAPE for f in check(record))


def by_schema(record):
    """Return whether the JSON Schema refuses the record."""
    return not VALIDATORS[record["type"]].is_valid(record)


def places(node, at=()):
    """Yield the path of every value in ``node``, itself included."""
    yield at
    if isinstance(node, dict):
        for name, value in node.items():
            yield from places(value, (*at, name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from places(value, (*at, index))


ODD = st.sampled_from(
    [
        None, True, False, 0, 1, -1, 5, 7.5, 10**12, 1e300, "", " ", "\u00a0", "\ufeff", "x", "x\n",
        "two  spaces", " x", "a\x00b", "a\x0bb", "a\tb", "5", "true", "active", "2026-02-30",
        "2026-02-28", "2026-2-8", "20260208", "2026-02-28T10:00:00", "2026-02-28T10:00:00Z",
        "2026-02-28T24:00:00Z", "2026-02-28T10:00:00.5+01:00", "2026-02-28T10:00:00+14:30",
        "2026-02-28t10:00:00z", "-id", "id-", "a" * 36, "a" * 37, "é", "\U0001f600", [], {}, [[]],
        [None], ["x"], ["x", "x"], [{}], {"x": 1}, "x" * 100_001,
    ]
)  # fmt: skip


@st.composite
def mutants(draw):
    """Return a demo record with one or two values replaced, dropped, doubled or added."""
    record = copy.deepcopy(draw(st.sampled_from(DEMO)))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([p for p in places(record) if p and p != ("type",)]))
        parent = record
        for step in path[:-1]:
            parent = parent[step]
        action = draw(st.sampled_from(["replace", "drop", "double", "add", "rename"]))
        if action == "replace":
            parent[path[-1]] = copy.deepcopy(draw(ODD))
        elif action == "drop":
            del parent[path[-1]]
        elif action == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        elif action == "rename" and isinstance(parent, dict):
            parent[str(path[-1]) + "s"] = parent.pop(path[-1])
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(["note", "text", "Note", "x y", "", "status"]))] = (
                copy.deepcopy(draw(ODD))
            )
    return record


@settings(max_examples=600, deadline=None)
@given(mutants())
def test_checker_and_json_schema_refuse_the_same_records(record):
    """Over broken demo records, check() finds a fault of shape exactly where the schema does."""
    assert by_check(record) == by_schema(record)


@settings(max_examples=300, deadline=None)
@given(mutants())
def test_a_record_that_passes_is_unchanged_by_load(record):
    """The schema checks and never converts: what passes comes back as it was given."""
    if not check(record):
        assert schema_for(record["type"]).load(record) == record


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_finding_repeats_a_value(data):
    """Wherever a value stands, no finding about the record says it."""
    record = copy.deepcopy(data.draw(st.sampled_from(DEMO)))
    path = data.draw(st.sampled_from([p for p in places(record) if p]))
    parent = record
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = data.draw(st.sampled_from(["Rumpelstiltskin\x07", ["Rumpelstiltskin"]]))

    assert "Rumpelstiltskin" not in str(check(record))


def _drop(record, path):
    """Return ``record`` without the field at ``path`` in every part that has it, or None."""
    changed = copy.deepcopy(record)
    parts = [changed]
    *above, name = path.split(".")
    for step in above:
        parts = [p[step.removesuffix("[]")] for p in parts if step.removesuffix("[]") in p]
        if step.endswith("[]"):
            parts = [item for items in parts for item in items]
    found = False
    for part in parts:
        found = part.pop(name, None) is not None or found
    return changed if found else None


@pytest.mark.parametrize("type", TYPES)
def test_required_means_the_same_everywhere(type):
    """Dropping a field is a fault exactly when fields() and the JSON Schema call it required."""
    records = [r for r in DEMO if r["type"] == type]
    for field in fields(type).values():
        without = (_drop(r, field.path) for r in records if field.path != "type")
        for dropped in islice(filter(None, without), 2):
            missing = any(f.rule == "required" for f in check(dropped))

            assert missing == field.required, field.path
            assert by_schema(dropped) == field.required, field.path


@pytest.mark.parametrize("type", TYPES)
def test_json_schema_is_sound_and_takes_the_demo(type):
    """Each schema is a valid 2020-12 schema, refuses nothing of the demo, and is the caller's."""
    Draft202012Validator.check_schema(json_schema(type))
    errors = [
        (record["id"], error.json_path, error.message)
        for record in DEMO
        if record["type"] == type
        for error in VALIDATORS[type].iter_errors(record)
    ]
    json_schema(type)["properties"].clear()

    assert errors == []
    assert json_schema(type)["properties"]


@pytest.mark.parametrize("type", TYPES)
def test_json_schema_describes_every_field_closed(type):
    """Every property has a description and every object refuses unknown fields."""
    schema = json_schema(type)
    objects = [schema, *(d for d in schema["$defs"].values() if d.get("type") == "object")]
    described = [p.get("description") for o in objects for p in o["properties"].values()]

    assert all(described)
    assert all(o["additionalProperties"] is False for o in objects)
    assert set(schema["properties"]) == {p for p in fields(type) if "." not in p}
