"""The fast form of the way back says what the readers say, or leaves it to them."""

from __future__ import annotations

import copy
import json
import os
import random
from typing import Any

import pytest
import shipped_clinic as clinic
from generated import records
from hypothesis import given, settings
from hypothesis import strategies as st
from test_back_laws import LAW, TYPES, back, forward, mapped

from fhirsvc.mapping.back import Returned


def slowly(resources: list[dict[str, Any]]) -> Returned:
    """The same resources by the readers alone."""
    names = [(f"{r.get('resourceType')}/{r.get('id')}", r) for r in resources]
    return back().by_readers(resources, names, {}, {}, "", Returned())


def _by_id(found: Returned) -> dict[tuple[str, str], Any]:
    return {(record["type"], record["id"]): record for record in found.records}


def test_nearly_all_of_the_clinic_is_read_fast():
    """What mappings write is what the fast forms expect."""
    made = [resource for record in clinic.records() for resource in forward(record)]
    done = back().quick.read(made, {})
    assert len(done.left) < len(made) / 50
    assert _by_id(slowly(made)).items() >= done.records.items()


@pytest.mark.parametrize("type_name", TYPES)
def test_both_forms_agree(type_name: str):
    """Any record's resources, as they were written."""

    @LAW
    @given(records(type_name).filter(mapped))
    def agree(record: dict[str, Any]) -> None:
        made = forward(record)
        assert _by_id(slowly(made)) == _by_id(back().records(made))

    agree()


_ODD = (None, "", 5, -1, True, [], {}, ["x"], {"a": 1}, "nonsense", "2026-02-30", "2026-02", 1.5,
        {"coding": []}, {"reference": "Patient/x"}, {"text": "words"}, [None], [{}],
        "12")  # fmt: skip


def _mangle(node: Any, rng: random.Random) -> None:
    """Change one place of a resource: take away, put in, swap, replace."""
    places: list[tuple[Any, Any]] = []

    def walk(parent: Any) -> None:
        for key, value in parent.items() if isinstance(parent, dict) else enumerate(parent):
            if key not in ("resourceType", "id") or parent is not node:
                places.append((parent, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(node)
    parent, key = rng.choice(places)
    chance = rng.random()
    if chance < 0.3:
        del parent[key]
    elif chance < 0.4 and isinstance(parent, list):
        rng.shuffle(parent)
    elif chance < 0.5 and isinstance(parent, list):
        parent.append(copy.deepcopy(parent[key]))
    elif chance < 0.6 and isinstance(parent, dict):
        parent[rng.choice(("extension", "id", "display", "text", "_birthDate"))] = [{"url": "x"}]
    else:
        parent[key] = rng.choice(_ODD)


@settings(LAW, derandomize=not os.environ.get("FHIRSVC_EXAMPLES"))
@given(st.integers(0, 2**32))
def test_both_forms_agree_on_resources_that_nobody_wrote(seed: int):
    """Resources of a record with one to three places changed: the same record, or both none."""
    rng = random.Random(seed)
    made = forward(rng.choice(clinic.records()))
    for _ in range(rng.randint(1, 3)):
        _mangle(rng.choice(made), rng)
    made = json.loads(json.dumps(made))
    assert _by_id(slowly(made)) == _by_id(back().records(made))
