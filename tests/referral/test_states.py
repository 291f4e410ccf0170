"""Every state, every move, both actors: legal or not as the table of the tests has it."""

from __future__ import annotations

import copy
import itertools
from typing import get_args

import expected
import pytest
from standing import NOW, said_with, standing

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records import check
from fhirsvc.records.referral import REFERRAL_ACTIONS, REFERRAL_ACTORS, REFERRAL_STATUSES
from fhirsvc.referral import dialects
from fhirsvc.referral.acting import act
from fhirsvc.referral.dialects import DIALECTS
from fhirsvc.referral.states import ACTIONS, ACTORS, CLOSED, MOVES, STATES, Action, moves

EXPECTED = expected.rows()
DRAWN = {
    "house": lambda *_: True,
    "plain": expected.plain,
    "gravity": expected.gravity,
    "bser": expected.bser,
    "orders": expected.orders,
}
BEFORE = ("sent", "accepted", "scheduled")


def _legal(dialect: str, state: str, actor: str, before: str) -> dict[str, str]:
    return {
        action: end
        for action, to in EXPECTED[state, actor].items()
        for end in [before if to == "~" else to]
        if DRAWN[dialect](state, end, actor)
    }


def test_states_actions_and_actors_are_those_of_the_record():
    """One list of words, in the record's schema and in the machine."""
    assert REFERRAL_STATUSES == STATES
    assert REFERRAL_ACTORS == ACTORS
    assert set(REFERRAL_ACTIONS) == set(ACTIONS) == set(get_args(Action))
    assert set(itertools.product(STATES, ACTORS)) == set(EXPECTED)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("before", BEFORE)
def test_every_legal_and_every_illegal_move(dialect: str, before: str):
    """14 states, 18 moves, two actors: where each leads, or how it is refused."""
    tried = 0
    for state, action, actor in itertools.product(STATES, ACTIONS, ACTORS):
        record = (
            standing(state, after=before) if state not in (*BEFORE, "draft") else standing(state)
        )
        kept = copy.deepcopy(record)
        legal = _legal(dialect, state, actor, before)
        said = said_with(action)
        if action in legal:
            made = act(record, action, actor, NOW, "h9", dialect=DIALECTS[dialect], **said)
            assert legal[action] == made["status"], (state, action, actor)
            assert [] == check(made)
        else:
            with pytest.raises(FhirsvcError) as refused:
                act(record, action, actor, NOW, "h9", dialect=DIALECTS[dialect], **said)
            _refusal(refused.value, legal, state, action, actor)
        assert kept == record, "the record given is left as it was"
        tried += 1
    assert 14 * 18 * 2 == tried


def _refusal(error: FhirsvcError, legal: dict[str, str], state: str, action: str, actor: str):
    """It says what this actor may do instead, and who may do this."""
    other = "performer" if actor == "requester" else "requester"
    wrong_side = action in EXPECTED[state, other] and action not in EXPECTED[state, actor]
    assert (Category.FORBIDDEN if wrong_side else Category.CONFLICT) == error.category
    named = error.message.partition(f"the {actor} may: ")[2]
    assert (set(named.split(", ")) if legal else {"do nothing with it"}) == (
        set(legal) if legal else {named}
    )
    assert not wrong_side or f"{action} is for the {other}" in error.message


@pytest.mark.parametrize(("state", "actor"), EXPECTED)
def test_moves_names_them(state: str, actor: str):
    """``moves`` has those of the table and no other."""
    assert set(EXPECTED[state, actor]) == set(moves(state, actor))


def test_what_moves_demand():
    """Reasons, an appointment, an outcome: just where the table of the tests has them."""
    assert {a for a, m in MOVES.items() if m.reason} == expected.NEEDS_REASON
    needs = {a: m.needs for a, m in MOVES.items() if m.needs}
    assert needs == dict.fromkeys(expected.NEEDS_APPOINTMENT, "appointment") | dict.fromkeys(
        expected.NEEDS_OUTCOME, "outcome"
    )


def test_every_state_is_reached_and_every_open_one_has_a_way_out():
    """From draft to each; from each that is not closed to a closed one other than an error."""
    leads = {
        state: {to for actor in ACTORS for to in EXPECTED[state, actor].values() if to != "~"}
        for state in STATES
    }

    def reached(start: str) -> set[str]:
        found, todo = {start}, [start]
        while todo:
            new = leads[todo.pop()] - found
            found |= new
            todo += new
        return found

    assert set(STATES) == reached("draft")
    for state in set(STATES) - CLOSED:
        assert reached(state) & (CLOSED - {"error"}), state


@pytest.mark.parametrize("dialect", [d for d in DIALECTS if d != "house"])
def test_nothing_gets_stuck_in_a_dialect(dialect: str):
    """Whatever a dialect lets a referral come to, it lets it leave, if it is not closed."""
    for state in set(STATES) - CLOSED:
        for before in BEFORE:
            record = (
                standing(state, after=before)
                if state not in (*BEFORE, "draft")
                else standing(state)
            )
            ways = [a for actor in ACTORS for a in DIALECTS[dialect].moves(record, actor)]
            assert set(ways) - {"mark_error"}, (state, before)


def test_an_unknown_action_is_named():
    """It is not a move, and the message lists those that are."""
    with pytest.raises(FhirsvcError) as refused:
        act(standing("sent"), "approve", "performer", NOW, "h9")  # type: ignore[arg-type]
    assert Category.INVALID == refused.value.category
    assert "$.action" == refused.value.where
    assert "accept, decline" in refused.value.message


def test_the_dialects_are_five():
    """Each has its own name and title."""
    assert ["house", "plain", "gravity", "bser", "orders"] == list(DIALECTS)
    assert 5 == len({one.title for one in DIALECTS.values()})
    assert dialects.HOUSE is DIALECTS["house"]
