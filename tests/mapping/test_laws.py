"""What holds for every resource of the demo clinic, whatever its golden says."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
import shipped_clinic as clinic

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.forward import Mappings
from fhirsvc.services.references import identifier_of

PLANTED = ("quiet heron", "glass orchard")  # in internal_notes and psychotherapy_notes


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}")
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _leaves(value, f"{path}[{i}]")
    else:
        yield path, node


def test_the_three_forms_of_a_mapping_agree():
    """Dicts, JSON at once and the traced form say the same of every record."""
    for record in clinic.records():
        plain = clinic.mappings().forward(record)
        written = [json.loads(line) for line in clinic.mappings().ndjson(record).splitlines()]
        traced = [t.resource for t in clinic.mappings().explain(record)]
        assert plain == written
        assert plain == traced


def test_a_shape_that_recurs_is_written_as_before():
    """Code made for recurring shapes gives the same bytes as the code for any record."""
    mappings = Mappings.load(clinic.texts())
    for record in clinic.records():
        first = mappings.ndjson(record)
        for _ in range(100):
            mappings.ndjson(record)
        assert first == mappings.ndjson(record)


@pytest.mark.parametrize("us_core", [6, 7, 8, 9])
def test_every_resource_is_r4_under_every_us_core_version(us_core: int):
    """Nothing that the compiled mapping makes is refused by the validator."""
    for record in clinic.records():
        for resource in clinic.mappings().forward(record, us_core):
            assert [] == validate(json.loads(json.dumps(resource)))


def test_us_core_decides_the_category_of_a_care_plan():
    """assess-plan is sent up to US Core 8 and not from 9 on (the slice was removed)."""
    plan = next(r for r in clinic.records() if r["type"] == "care_plan")
    for us_core, expected in ((8, ["assess-plan", "734163000"]), (9, ["734163000"])):
        made = clinic.mappings().forward(plan, us_core)
        care_plan = next(r for r in made if r["resourceType"] == "CarePlan")
        assert expected == [c["coding"][0]["code"] for c in care_plan["category"]]


def test_every_element_is_explained():
    """Each leaf lies under an element whose field, file, line and version the trace names."""
    for record in clinic.records():
        for traced in clinic.mappings().explain(record):
            kind = traced.resource["resourceType"]
            known = {e.element for e in traced.trace}
            for path, _ in _leaves(traced.resource, kind):
                if path in (f"{kind}.resourceType", f"{kind}.id"):
                    continue
                above = path
                while above not in known and above != kind:
                    above = above[: max(above.rfind("."), above.rfind("["))]
                assert above != kind, f"{path} has no origin"


def test_a_trace_names_the_field_that_the_value_came_from():
    """Copies and answers: the value at the traced field is the value of the element."""
    checked = 0
    for record in clinic.records():
        for traced in clinic.mappings().explain(record):
            leaves = dict(_leaves(traced.resource, traced.resource["resourceType"]))
            values = dict(_leaves(record, "$"))
            for e in traced.trace:
                if e.transform in ("from", "form") and e.element in leaves:
                    checked += 1
                    value, made = values[e.field], leaves[e.element]
                    if e.element.endswith(".id"):  # the key of a form's group, after its list
                        assert made.endswith(f".{value}")
                    else:
                        assert made in (value, str(value).replace("_", " "))
    assert checked > 2_000


def test_identifiers_and_local_ids_are_unique():
    """One identity per resource: type and first identifier, type and local id."""
    seen_ids, seen_identifiers = set(), set()
    for resource in clinic.resources():
        kind = resource["resourceType"]
        seen_ids.add((kind, resource["id"]))
        seen_identifiers.add((kind, *identifier_of(resource)))
    assert len(clinic.resources()) == len(seen_ids) == len(seen_identifiers)


def test_every_reference_resolves_in_the_clinic():
    """No resource points at one that nothing makes."""
    there = {f"{r['resourceType']}/{r['id']}" for r in clinic.resources()}
    for resource in clinic.resources():
        for path, value in _leaves(resource, resource["resourceType"]):
            if path.endswith(".reference"):
                assert value in there, path


def test_what_must_not_leave_does_not_leave():
    """Internal and psychotherapy notes are in the records and in no resource."""
    assert all(phrase in json.dumps(clinic.records()) for phrase in PLANTED)
    for resource in clinic.resources():
        for phrase in PLANTED:
            assert phrase not in json.dumps(resource)


_ODD = (None, "", "  ", 5, -1, True, [], {}, ["x"], {"a": 1}, "a\x00", "\ud800", "nonsense",
        "2026-02-30", "ok text", "<b>&", "line\nbreak", "🌱 שלום", 10**12, 1.5, [None], [{}],
        "x" * 50)  # fmt: skip


def _mangle(node: Any, rng: random.Random) -> None:
    """Change one place of a record, anywhere in it but its type."""
    places = []

    def walk(parent: Any) -> None:
        for key, value in parent.items() if isinstance(parent, dict) else enumerate(parent):
            if not (parent is node and key == "type"):
                places.append((parent, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(node)
    parent, key = rng.choice(places)
    if rng.random() < 0.2 and isinstance(parent, dict):
        del parent[key]
    else:
        parent[key] = rng.choice(_ODD)


def _run(record: dict[str, Any]) -> tuple[list[dict[str, Any]], FhirsvcError | None]:
    try:
        return clinic.mappings().forward(record), None
    except FhirsvcError as error:
        return [], error


def test_a_record_that_does_not_fit_is_refused_with_its_place_or_makes_valid_fhir():
    """6,000 mangled records: valid resources or one located error; never a traceback."""
    rng = random.Random(7)
    originals = clinic.records()
    refused = made = 0
    for _ in range(6_000):
        record = json.loads(json.dumps(rng.choice(originals)))
        _mangle(record, rng)
        resources, error = _run(record)
        if error is not None:
            refused += 1
            assert error.category is Category.INVALID
            assert error.where.startswith("$")
            with pytest.raises(FhirsvcError):
                clinic.mappings().ndjson(record)
            continue
        made += 1
        for resource in resources:
            assert [] == validate(json.loads(json.dumps(resource))), record
        written = [json.loads(line) for line in clinic.mappings().ndjson(record).splitlines()]
        assert resources == written

    assert refused > 1_000
    assert made > 1_000
