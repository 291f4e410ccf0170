"""Tokens: what an answer says, when another is asked for, and that threads ask once together."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr import tokens
from fhirsvc.ehr.tokens import LIFE_S, Token, TokenAuth, TokenError, read_token
from fhirsvc.ehr.transport import Answer
from fhirsvc.errors import Category, FhirsvcError

GOOD = {"access_token": "abc.def", "token_type": "Bearer", "expires_in": 60}


def _answer(status=200, body=None, **headers) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, CaseInsensitiveDict(named), body)


def test_a_token_with_its_life_and_scopes():
    """The scopes are those granted, which may be fewer than those asked for."""
    token = read_token(_answer(body={**GOOD, "scope": "system/Patient.rs system/Goal.rs"}))

    assert token == Token("Bearer abc.def", 60.0, ("system/Patient.rs", "system/Goal.rs"))


@pytest.mark.parametrize(
    ("expires_in", "life"),
    [
        (None, LIFE_S),
        ("90", 90.0),
        (90.5, 90.5),
        ("soon", LIFE_S),
        (-5, LIFE_S),
        (0, LIFE_S),
        (True, LIFE_S),
        (float("inf"), LIFE_S),
        ([300], LIFE_S),
        (10**9, 86_400.0),
    ],
)
def test_an_odd_life(expires_in, life):
    """A token that does not say how long it is good for is used for as long as SMART recommends."""
    body = {**GOOD, "expires_in": expires_in}
    if expires_in is None:
        del body["expires_in"]

    assert read_token(_answer(body=body)).life_s == life


def test_without_a_type_or_scope():
    """A missing token_type is a bearer's; scopes that are not said are not known."""
    token = read_token(_answer(body={"access_token": "abc"}))

    assert (token.header, token.scopes) == ("Bearer abc", None)


@pytest.mark.parametrize(
    ("answer", "category", "said"),
    [
        (_answer(400, {"error": "invalid_client"}), Category.UNAUTHENTICATED, "invalid_client"),
        (_answer(401, {"error": "Zebulonqx"}), Category.UNAUTHENTICATED, "answered 401"),
        (_answer(403), Category.UNAUTHENTICATED, "answered 403"),
        (_answer(302, Location="https://evil.example"), Category.UNAUTHENTICATED, "redirects"),
        (_answer(404), Category.UNAUTHENTICATED, "answered 404"),
        (_answer(429, Retry_After="7"), Category.BUSY, "answered 429"),
        (_answer(503, Retry_After="7"), Category.UNAVAILABLE, "answered 503"),
        (_answer(500), Category.UNAVAILABLE, "answered 500"),
        (_answer(400, {"error": "temporarily_unavailable"}), Category.UNAVAILABLE, "temporarily"),
        (Answer(None, problem="timeout"), Category.UNAVAILABLE, "timeout"),
        (Answer(None, problem="malformed"), Category.UNAVAILABLE, "malformed"),
        (Answer(None, problem="oversize"), Category.UNAVAILABLE, "oversize"),
        (Answer(None, problem="connect", said="tls: x"), Category.UNAVAILABLE, "tls: x"),
        (Answer(None, problem="secret"), Category.UNAUTHENTICATED, "secret"),
        (_answer(200, {}), Category.UNAVAILABLE, "without an access token"),
        (_answer(200, {**GOOD, "access_token": "a\r\nX: y"}), Category.UNAVAILABLE, "without"),
        (_answer(200, {**GOOD, "token_type": "mac"}), Category.UNAUTHENTICATED, "not a bearer"),
        (_answer(200, {**GOOD, "token_type": 7}), Category.UNAUTHENTICATED, "not a bearer"),
    ],
)
def test_no_token(answer, category, said):
    """Each way to refuse has its category; only words of the standard are repeated."""
    with pytest.raises(TokenError) as raised:
        read_token(answer)

    assert raised.value.category == category
    assert said in str(raised.value)
    assert "Zebulonqx" not in str(raised.value)
    wanted = {"Retry-After": "7"} if "Retry-After" in answer.headers else {}
    assert dict(raised.value.headers) == wanted


def test_a_token_is_no_text_of_its_own():
    """What prints an object by mistake prints no token."""
    assert "abc" not in repr(read_token(_answer(body=GOOD)))


def _numbered(*lives):
    """Asks that give t1, t2 …; an exception among ``lives`` is raised instead."""
    told = iter(enumerate(lives, start=1))

    def ask():
        number, life = next(told)
        if isinstance(life, Exception):
            raise life
        return Token(f"Bearer t{number}", life, None)

    return ask


def test_it_is_kept_until_shortly_before_its_end(clock):
    """Thirty seconds before, and half its life before where that is shorter."""
    auth = TokenAuth(_numbered(300.0, 10.0, 300.0), clock)

    assert auth.header() == "Bearer t1"
    clock.now += 269
    assert auth.header() == "Bearer t1"
    clock.now += 2
    assert auth.header() == "Bearer t2"
    clock.now += 4
    assert auth.header() == "Bearer t2"
    clock.now += 2
    assert auth.header() == "Bearer t3"


def test_a_renewal_that_fails_leaves_the_token_in_use(clock):
    """Until its own end; then the failure is told."""
    down = TokenError(Category.UNAVAILABLE, "answered 503")
    auth = TokenAuth(_numbered(300.0, down, down), clock)
    auth.header()
    clock.now += 280

    assert auth.header() == "Bearer t1"
    assert auth.header() == "Bearer t1"  # and does not ask at every request
    clock.now += 21
    with pytest.raises(TokenError):
        auth.header()


def test_a_refused_token_is_not_what_one_falls_back_to(clock):
    """After a 401 a token that cannot be renewed is no token."""
    auth = TokenAuth(_numbered(300.0, TokenError(Category.UNAVAILABLE, "answered 503")), clock)
    refused = auth.header()

    with pytest.raises(TokenError):
        auth.renew(refused)


def test_a_renewed_token_is_not_renewed_again_for_those_who_had_the_old_one(clock):
    """Two requests that were refused with the same token cost one new token."""
    auth = TokenAuth(_numbered(300.0, 300.0), clock)
    old = auth.header()

    assert auth.renew(old)
    assert auth.renew(old)
    assert auth.header() == "Bearer t2"


def test_the_same_token_again_is_no_other(clock):
    """An authorization server that keeps giving the refused one has no other to give."""
    auth = TokenAuth(lambda: Token("Bearer same", 300.0, None), clock)

    assert not auth.renew(auth.header())


class _Gate:
    """A token request under way: it ends when told to, and counts how often it was made."""

    def __init__(self, outcome):
        self.calls = 0
        self.entered = threading.Event()
        self.leave = threading.Event()
        self._outcome = outcome

    def __call__(self):
        self.calls += 1
        self.entered.set()
        assert self.leave.wait(30)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.mark.parametrize(
    "outcome", [Token("Bearer one", 300.0, None), TokenError(Category.BUSY, "answered 429")]
)
def test_many_threads_ask_once(monkeypatch, clock, outcome):
    """Sixteen threads need a token at the same moment: one request, and all share what came.

    The request ends only when the fifteen others hold what they wait for.
    """
    gate = _Gate(outcome)
    waiting = threading.Semaphore(0)

    class Watched(Future):
        def result(self, timeout=None):
            waiting.release()
            return super().result(timeout)

    monkeypatch.setattr(tokens, "Future", Watched)
    auth = TokenAuth(gate, clock)

    def need():
        try:
            return auth.header()
        except FhirsvcError as error:
            return error.category

    with ThreadPoolExecutor(16) as pool:
        first = pool.submit(need)
        assert gate.entered.wait(30)
        others = [pool.submit(need) for _ in range(15)]
        assert all(waiting.acquire(timeout=30) for _ in range(15))
        gate.leave.set()
        found = {one.result(30) for one in [first, *others]}

    assert gate.calls == 1
    assert found == {"Bearer one" if isinstance(outcome, Token) else Category.BUSY}
