"""Accounts: who gets in, for how long, and that nothing kept lets anybody in."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.accounts import IDLE_S, ROLES, SESSION_S, TOKEN_S, Accounts
from fhirsvc.services.throttle import BURST, EVERY_S, Throttle
from fhirsvc.store.accounts import account, account_session

GOOD = "correct horse battery"


@pytest.fixture(name="kept")
def _kept(database, clock) -> Accounts:
    """Accounts of a person, of another who is disabled, and of a system."""
    numbers = itertools.count()
    made = Accounts(database, lambda: clock.now, lambda: f"secret-{next(numbers)}" * 3,
                    Throttle(lambda: clock.now))  # fmt: skip
    assert not made.are_kept
    made.add("ann", "case_manager", GOOD)
    made.add("bob", "clinician", GOOD)
    made.add("emr", "system")
    made.disable("bob")
    return made


def refused(category: Category, do, *args) -> FhirsvcError:
    """The error of something that is refused."""
    with pytest.raises(FhirsvcError) as raised:
        do(*args)
    assert raised.value.category == category
    return raised.value


def test_who_fits_gets_in(kept):
    """And is who they say, with what their role may."""
    assert kept.are_kept
    found = kept.holder(kept.sign_in("ann", GOOD), "page")
    assert (found.name, found.role) == ("ann", "case_manager")
    assert found.may("pages")
    assert not found.may("api")


@pytest.mark.parametrize(
    ("name", "password"),
    [("ann", "wrong horse battery"), ("ann", ""), ("eve", GOOD), ("bob", GOOD), ("emr", ""),
     ("emr", GOOD), ("ANN", GOOD), ("ann", GOOD + " "), ("a" * 1000, GOOD), ("", "")],
)  # fmt: skip
def test_who_does_not_fit_does_not(kept, name, password):
    """Told in the same words whatever it was: not which names there are."""
    said = refused(Category.UNAUTHENTICATED, kept.sign_in, name, password)
    assert str(said) == "name and password do not fit"


def test_after_some_failures_a_name_has_to_wait(kept, clock):
    """The right password too; others do not wait; in time it goes on."""
    for _ in range(BURST):
        refused(Category.UNAUTHENTICATED, kept.sign_in, "ann", "wrong")
    refused(Category.BUSY, kept.sign_in, "ann", GOOD)
    refused(Category.UNAUTHENTICATED, kept.sign_in, "eve", "wrong")
    clock.now += 2 * EVERY_S
    assert kept.sign_in("ann", GOOD)


def test_a_session_ends(kept, clock):
    """When nobody is there, after a day's work, by signing out, by another password."""
    session = kept.sign_in("ann", GOOD)
    clock.now += IDLE_S - 1
    assert kept.holder(session, "page")
    clock.now += IDLE_S - 1  # somebody was there in between
    assert kept.holder(session, "page")
    clock.now += IDLE_S + 1
    assert kept.holder(session, "page") is None
    long = kept.sign_in("ann", GOOD)
    for _ in range(int(SESSION_S / IDLE_S) + 1):
        clock.now += IDLE_S - 1
        kept.holder(long, "page")
    clock.now += IDLE_S
    assert kept.holder(long, "page") is None
    out = kept.sign_in("ann", GOOD)
    kept.sign_out(out)
    assert kept.holder(out, "page") is None
    other = kept.sign_in("ann", GOOD)
    kept.set_password("ann", "another horse battery")
    assert kept.holder(other, "page") is None
    refused(Category.UNAUTHENTICATED, kept.sign_in, "ann", GOOD)


def test_a_system_has_tokens(kept, clock):
    """For the API and for nothing else; until it is disabled, or a year is over."""
    token = kept.token("emr")
    assert kept.holder(token, "api").may("api")
    assert not kept.holder(token, "api").may("pages")
    assert kept.holder(token, "page") is None
    assert kept.holder(kept.sign_in("ann", GOOD), "api") is None
    refused(Category.INVALID, kept.token, "ann")
    refused(Category.NOT_FOUND, kept.token, "eve")
    old = kept.token("emr")
    clock.now += TOKEN_S + 1
    assert kept.holder(old, "api") is None
    new = kept.token("emr")
    assert kept.disable("emr") >= 1
    assert kept.holder(new, "api") is None
    refused(Category.INVALID, kept.token, "emr")


def test_what_is_kept_lets_nobody_in(kept, database):
    """Neither the password nor a session or token is in the database."""
    session, token = kept.sign_in("ann", GOOD), kept.token("emr")
    with database.read() as tx:
        rows = [*tx.execute(sa.select(account)), *tx.execute(sa.select(account_session))]
    for secret in (GOOD, session, token):
        assert secret not in str(rows)
    for row in rows:
        assert kept.holder(row[0], "page") is None
        assert kept.holder(row[0], "api") is None


@pytest.mark.parametrize(
    ("name", "role", "password", "where"),
    [
        ("Ann", "clinician", GOOD, "NAME"),
        ("a/b", "clinician", GOOD, "NAME"),
        ("carl", "king", GOOD, "--role"),
        ("carl", "clinician", "short", "password"),
        ("carl", "clinician", "x" * 257, "password"),
        ("carl", "system", GOOD, "password"),
    ],
)
def test_what_cannot_be_an_account(kept, name, role, password, where):
    """Located."""
    assert refused(Category.INVALID, kept.add, name, role, password).where == where


def test_names_are_taken_once(kept):
    """By a disabled account too: what it did stays its own."""
    refused(Category.CONFLICT, kept.add, "bob", "clinician", GOOD)
    refused(Category.NOT_FOUND, kept.disable, "eve")
    refused(Category.INVALID, kept.set_password, "emr", GOOD)


def test_every_role_may_something():
    """And no role what is not known."""
    assert all(may and may <= {"pages", "api"} for may in ROLES.values())
