"""References: found, ordered and rewritten without touching what was mapped."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc.errors import FhirsvcError
from fhirsvc.services.references import (
    identifier_of,
    in_order,
    local_of,
    possible_records,
    references,
    resolve,
)


def _resource(name: str, *needs: str) -> dict:
    return {
        "resourceType": "Task",
        "id": name,
        "basedOn": [{"reference": f"Task/{need}"} for need in needs],
    }


def test_only_local_references_count():
    """Fragments, URLs and logical references are left alone."""
    resource = {
        "a": {"reference": "Patient/client.c-1"},
        "b": [{"c": {"reference": "Goal/goal.g.1", "display": "x"}}],
        "d": [{"reference": "#contained"}, {"reference": "urn:uuid:1"}],
        "e": {"reference": "https://other/fhir/Patient/1"},
        "f": {"identifier": {"value": "v"}, "type": "Patient"},
        "reference": 7,
        "questionnaire": "Questionnaire/phq-9",
    }

    assert references(resource) == {("Patient", "client.c-1"), ("Goal", "goal.g.1")}


def test_resolve_copies_only_what_changes():
    """The mapped resource stays as it was, and parts without references are shared."""
    resource = {"subject": {"reference": "Patient/x"}, "note": [{"text": "n"}]}
    before = copy.deepcopy(resource)

    resolved = resolve(resource, {("Patient", "x"): "Patient/77"})

    assert resolved == {"subject": {"reference": "Patient/77"}, "note": [{"text": "n"}]}
    assert resource == before
    assert resolved["note"] is resource["note"]


def test_resolve_of_an_unknown_reference_is_an_error():
    """A reference is never sent in its local form."""
    with pytest.raises(KeyError):
        resolve({"subject": {"reference": "Patient/x"}}, {})


@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_each_comes_after_what_it_needs(order, pairs):
    """For any needs without a circle: nothing is lost, and nothing comes before its needs."""
    needs = {n: sorted({low for high, low in pairs if high == n and low < n}) for n in range(6)}
    given_ = [_resource(str(n), *map(str, needs[n])) for n in order]

    ordered = [int(one["id"]) for one in in_order(given_)]

    assert sorted(ordered) == list(range(6))
    for place, number in enumerate(ordered):
        assert set(needs[number]) <= set(ordered[:place])


def test_a_circle_is_an_error():
    """Resources of one record that need each other can never be sent."""
    with pytest.raises(FhirsvcError, match="circle: Task/a, Task/b"):
        in_order([_resource("a", "b"), _resource("b", "a"), _resource("c")])


def test_the_same_local_id_twice_is_an_error():
    """One of the two would be lost."""
    with pytest.raises(FhirsvcError, match="same local id"):
        in_order([_resource("a"), _resource("a")])


@pytest.mark.parametrize(
    "odd", [{}, {"resourceType": "Task"}, {"resourceType": "Task", "id": "a b"}]
)
def test_a_resource_without_a_local_id_is_an_error(odd):
    """Nothing could refer to it, and no link could be kept."""
    with pytest.raises(FhirsvcError, match="no local id"):
        local_of(odd)


@pytest.mark.parametrize(
    "identifier",
    [[{"system": "s", "value": "v"}, {"system": "t", "value": "w"}], {"system": "s", "value": "v"}],
)
def test_the_first_identifier_is_ours(identifier):
    """Both a list and a single identifier are understood."""
    assert identifier_of({"identifier": identifier}) == ("s", "v")


@pytest.mark.parametrize("odd", [None, [], [{}], [{"system": "s"}], "x"])
def test_a_resource_without_identifier_is_an_error(odd):
    """Without one it could not be recognised at the EHR."""
    with pytest.raises(FhirsvcError, match="business identifier"):
        identifier_of({"resourceType": "Task", "identifier": odd})


@pytest.mark.parametrize(
    ("local_id", "expected"),
    [
        ("client.c-1", [("client", "c-1")]),
        (
            "care-plan.cp.1.dx",
            [("care_plan", "cp"), ("care_plan", "cp.1"), ("care_plan", "cp.1.dx")],
        ),
        ("odd", []),
    ],
)
def test_possible_records(local_id, expected):
    """Every record that the local id can belong to."""
    assert possible_records(local_id) == expected
