"""Deliveries whose login fails: nothing is sent, the connection rests, and the reason is told."""

from __future__ import annotations

import dataclasses

import pytest
import tiny
from wire import client_on

from fhirsvc.ehr.simulated_fhir import Reply
from fhirsvc.ehr.tokens import Token, TokenAuth, TokenError
from fhirsvc.errors import Category
from fhirsvc.store import connections


def _with(house, ask):
    """The house's deliverer, with a login that asks for tokens."""
    made = client_on(house.wire, house.clock, auth=TokenAuth(ask, house.clock))
    house.deliverer = dataclasses.replace(house.deliverer, client_for=lambda _: made)


def _raising(error):
    def ask():
        raise error

    return ask


@pytest.mark.parametrize(
    ("error", "category", "rest"),
    [
        (
            TokenError(Category.UNAUTHENTICATED, "answered 400, invalid_client"),
            "unauthenticated",
            0,
        ),
        (TokenError(Category.BUSY, "answered 429", {"Retry-After": "90"}), "busy", 90),
        (TokenError(Category.UNAVAILABLE, "answered 503", {"Retry-After": "9"}), "unavailable", 9),
    ],
)
def test_no_token(house, error, category, rest):
    """Not sent, tried again later, with the authority's word as the reason."""
    _with(house, _raising(error))
    house.accept(tiny.client())

    assert house.turn() == "pending"
    delivery = house.only("c-1")
    assert delivery.reason == f"Patient/client.c-1: {category}: {error}"
    assert house.wire.seen == []
    with house.database.read() as tx:
        resting = connections.by_id(tx, house.connection.id)
    assert resting.rest_until >= house.clock() + rest
    assert resting.failures == 1


def test_it_goes_out_once_the_login_works(house):
    """Exactly once."""
    answers = iter([TokenError(Category.UNAVAILABLE, "answered 503"), Token("Bearer t", 300, None)])

    def ask():
        found = next(answers)
        if isinstance(found, TokenError):
            raise found
        return found

    _with(house, ask)
    house.accept(tiny.client())
    assert house.turn() == "pending"
    house.clock.now += 3600

    assert house.drain() == ["delivered"]
    assert list(house.held("Patient")) == ["client.c-1"]
    assert house.wire.requests[0].headers["Authorization"] == "Bearer t"


def test_a_token_that_dies_meanwhile(house):
    """401 to a write, no other token to be had: the write is known not to have happened."""
    answers = iter([Token("Bearer t", 300, None)])

    def ask():
        for found in answers:
            return found
        raise TokenError(Category.UNAUTHENTICATED, "answered 400, invalid_client")

    _with(house, ask)
    house.wire.faults.append(Reply(401))
    house.accept(tiny.client())

    assert house.turn() == "pending"
    assert "unauthenticated: token endpoint: answered 400" in house.only("c-1").reason
    assert len(house.wire.seen) == 1
    assert house.held("Patient") == {}
