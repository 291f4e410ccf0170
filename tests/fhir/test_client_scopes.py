"""Scopes: what is read is what is written, and what two lists share is what both allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc.ehr.scopes import allowed
from fhirsvc.fhir.scopes import EVERYTHING, LETTERS, ScopeError, parse
from fhirsvc.fhir.search_parameters import TYPES
from fhirsvc.fhir.search_reach import reached

NAMES = ("*", "CarePlan", "Goal", "Task")
one = st.builds(
    lambda name, letters: f"system/{name}.{''.join(c for c in LETTERS if c in letters)}",
    st.sampled_from(NAMES),
    st.sets(st.sampled_from(LETTERS), min_size=1),
)
lists = st.lists(one, max_size=5).map(" ".join)


@given(lists, lists)
def test_what_two_lists_share_is_what_both_allow(first, second):
    """For every type and letter, also of types that neither names."""
    both = parse(first) & parse(second)
    for name in (*NAMES[1:], "Patient"):
        for letter in LETTERS:
            expected = all(parse(text).permits(name, letter) for text in (first, second))
            assert both.permits(name, letter) == expected


@given(lists, lists)
def test_sharing_has_no_order_and_no_surprise(first, second):
    """Commutative, idempotent, and everything takes nothing away."""
    a, b = parse(first), parse(second)
    assert a & b == b & a
    assert a & a == a
    assert a & EVERYTHING == a
    assert not parse("") & a


@given(lists)
def test_what_is_written_is_read_again(text):
    """And our own client reads it as we mean it."""
    scopes = parse(text)
    assert parse(str(scopes)) == scopes
    for name in NAMES[1:]:
        letters = {letter for letter in LETTERS if scopes.permits(name, letter)}
        assert letters == allowed(str(scopes).split(), name)


@pytest.mark.parametrize(
    ("first", "second"),
    [("read", "rs"), ("write", "cud"), ("*", "cruds")],
)
def test_version_one_is_the_letters_it_stands_for(first, second):
    """https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html"""
    assert parse(f"system/Goal.{first}") == parse(f"system/Goal.{second}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("system/Goal.rs?category=x", "scope 1: scopes with a query"),
        ("system/Goal.rs system/Goal.sr", "scope 2: expected system/Type.cruds"),
        ("system/Goal.", "expected"),
        ("system/Goal", "expected"),
        ("patient/Goal.rs", "expected"),
        ("system/Goals.rs", "not a resource type"),
        ("system/Resource.rs", "not a resource type"),
        ("system/Goal.rs\tsystem/Task.rs", "expected"),
        ("openid", "expected"),
        ("system/Goal.rs " * 201, "more than 200"),
    ],
)
def test_what_is_no_scope_is_refused(text, said):
    """With its place in the list, and without its words."""
    with pytest.raises(ScopeError, match=said) as raised:
        parse(text)
    assert "category" not in str(raised.value)


@pytest.mark.parametrize(
    ("query", "types"),
    [
        ("patient=Patient/1", set()),
        ("subject:Patient=1", set()),
        ("status=active", set()),
        ("_include=CarePlan:goal", {"Goal"}),
        ("_include=CarePlan:performer:Organization", {"Organization"}),
        ("_revinclude=Task:focus", {"Task"}),
        ("_include:iterate=Goal:patient", {"Patient"}),
        ("_include=*", {"*"}),
        ("_include=Provenance:target", set(TYPES)),
        ("_include=nothing", set()),
        ("_include=CarePlan:status", set()),
        ("_revinclude=Nothing:focus", set()),
        ("patient.name=x", {"Patient"}),
        ("goal.patient.general-practitioner:Organization.name=x",
         {"Goal", "Patient", "Organization"}),
        ("_has:Task:focus:status=x", {"Task"}),
        ("_has:Task:focus:_has:Provenance:target:agent=x", {"Task", "Provenance"}),
    ],
)  # fmt: skip
def test_which_types_a_search_reaches_into(query, types):
    """Those whose resources come along or decide; a reference alone is compared and no more."""
    name, _, value = query.partition("=")
    assert reached("CarePlan", [("status", "active"), (name, value)]) == types
