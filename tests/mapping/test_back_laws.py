"""The lens laws, over generated records of every type that has a mapping.

get-put: what a record becomes, put back onto it, is the record. put-get: what is put onto a record
is what mapping the result makes, on every line that is not one-way.
https://en.wikipedia.org/wiki/Bidirectional_transformation
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

import pytest
import shipped_clinic as clinic
from generated import records
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fhirsvc.errors import FhirsvcError
from fhirsvc.mapping.back import Back
from fhirsvc.mapping.notes import Reading

# FHIRSVC_EXAMPLES=10000 is the nightly profile: that many examples of each law, over all types.
EXAMPLES = int(os.environ.get("FHIRSVC_EXAMPLES", "300"))
TYPES = clinic.mappings().records()
LAW = settings(
    max_examples=-(-EXAMPLES // len(TYPES)),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@cache
def back() -> Back:
    """The way back of the shipped mappings."""
    return Back.of(clinic.mappings().library)


def forward(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources of a record as they arrive: JSON, read again."""
    found: list[dict[str, Any]] = json.loads(json.dumps(clinic.mappings().forward(record)))
    return found


def two_way(record: dict[str, Any]) -> dict[str, Any]:
    """What the two-way lines make of a record: resources without one-way elements, in no order."""
    found = {}
    for traced in clinic.mappings().explain(record):
        resource = json.loads(json.dumps(traced.resource))
        one_way = back().one_way(resource["resourceType"])
        for step in sorted({t.element for t in traced.trace if t.place in one_way}, reverse=True):
            _remove(resource, step.split(".")[1:])
        if back().reads(resource):
            found[resource["resourceType"], resource["id"]] = _in_order(resource)
    return found


def whole(record: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """What all lines make of a record, in no order."""
    return {(r["resourceType"], r["id"]): _in_order(r) for r in forward(record)}


def _remove(node: Any, steps: list[str]) -> None:
    name, _, index = steps[0].partition("[")
    at: Any = int(index[:-1]) if index else None
    if name not in node:
        return
    if len(steps) == 1:
        if at is None:
            del node[name]
        else:
            node[name][at] = None
        return
    inner = node[name] if at is None else node[name][at]
    if inner is not None:
        _remove(inner, steps[1:])


def _in_order(node: Any) -> Any:
    if isinstance(node, dict):
        found = {k: _in_order(v) for k, v in sorted(node.items())}
        kept = {k: v for k, v in found.items() if v not in (None, [], {})}
        return {} if kept.keys() == {"url"} else kept  # an extension of one-way parts
    if isinstance(node, list):
        kept = [v for v in map(_in_order, node) if v not in (None, {})]
        return sorted(kept, key=json.dumps)
    return node


def mapped(record: dict[str, Any]) -> bool:
    """Whether a record maps: ids longer than a resource id takes are refused, and located."""
    try:
        clinic.mappings().forward(record)
    except FhirsvcError:
        return False
    return True


@pytest.mark.parametrize("type_name", TYPES)
def test_get_put(type_name: str):
    """What a record becomes, put back onto it, changes nothing; not even the order of a list."""

    @LAW
    @given(records(type_name).filter(mapped))
    def law(record: dict[str, Any]) -> None:
        returned = back().records(forward(record), onto={(type_name, record["id"]): record})
        assert returned.records in ([record], [])
        assert [] == [f for f in returned.findings if f.finding.severity != "information"]

    law()


@pytest.mark.parametrize("type_name", TYPES)
def test_put_get(type_name: str):
    """What another record becomes, put onto this one, is what the result becomes."""

    @LAW
    @given(st.tuples(records(type_name), records(type_name)))
    def law(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
        record, other = pair
        other["id"] = record["id"]
        # A local id does not say where one dotted id ends and the next begins; links do.
        keys = [other.get("episode_id", ""), *other.get("diagnosis_ids", ())]
        keys += [problem["diagnosis_id"] for problem in other.get("diagnoses", ())]
        assume(not any("." in key for key in keys))
        longest = max(map(len, other.get("diagnosis_ids", ())), default=0)
        assume(len(other.get("episode_id", "")) + longest < 48)  # longer names are digests
        assume(mapped(other) and mapped(record))
        view = two_way(other)
        returned = back().records(forward(other), onto={(type_name, record["id"]): record})
        for result in returned.records:
            made = two_way(result)
            silent = {
                (r.resource["resourceType"], r.resource["id"])
                for r in returned.readings
                if not _tells(r)
            }
            for name, resource in view.items():
                if name in silent and name not in made:
                    continue
                if whole(other).get(name) == whole(result).get(name):
                    continue  # the same to the last element, one-way lines included
                assert [] == _differ(resource, made.get(name), name[0])

    law()


def _tells(reading: Reading) -> bool:
    """Whether a resource says anything of the part of the record that it is made for.

    A part of which the record has only what does not go out makes a resource of constants.
    """
    test = reading.plan.test
    if test is None or test.source.kind != "object":
        return True
    head = test.source.path
    return any(path[: len(head)] == head for path in (*reading.root.values, *reading.root.items))


def _differ(a: Any, b: Any, at: str) -> list[str]:
    """Where two values differ: paths only."""
    if isinstance(a, dict) and isinstance(b, dict):
        return [p for k in sorted({*a, *b}) for p in _differ(a.get(k), b.get(k), f"{at}.{k}")]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return [
            p
            for i, (x, y) in enumerate(zip(a, b, strict=True))
            for p in _differ(x, y, f"{at}[{i}]")
        ]
    return [] if a == b else [f"{at}: {json.dumps(a)} became {json.dumps(b)}"]
