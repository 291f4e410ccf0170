"""Logins against a real authorization server on loopback, which verifies all that it is given."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from authority import Authority
from logins import client_for, read_one

from fhirsvc.ehr.assertion import new_key
from fhirsvc.ehr.client import Limits
from fhirsvc.ehr.decide import decide
from fhirsvc.ehr.keys import KEEP_S, PUBLISH_S, KeyFolder, jwks, retired, scheduled
from fhirsvc.errors import Category

SECRET = "sesame: open+100%/Zebulonqx"  # characters that each way of sending writes differently
SCOPE = "system/Patient.cruds system/Goal.cruds"
SMART = {"client_id": "iop", "scope": SCOPE}


@pytest.fixture(name="keys")
def _keys(tmp_path):
    return KeyFolder(tmp_path / "keys")


@pytest.fixture(name="ehr")
def _ehr(keys):
    """An EHR that knows one client by a secret and by what it publishes."""
    key_set = lambda: jwks(keys.read()[0], time.time())  # noqa: E731 - read at each request
    with Authority(secrets={"iop": SECRET}, key_set=key_set).running() as server:
        yield server


@pytest.fixture(name="connect")
def _connect(ehr, keys):
    """Makes clients of the EHR, and closes them."""
    with contextlib.ExitStack() as stack:

        def connect(kind, options, **more):
            client = client_for(ehr.url, kind, options, keys=keys, **more)
            stack.callback(client.close)
            return client

        yield connect


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_client_credentials(ehr, connect, method):
    """An id and a secret for a token, in the header or the form; one token for many requests."""
    options = {"client_id": "iop", "client_auth": method, "token_url": ehr.token_url}
    client = connect("oauth2", options, secret=SECRET)

    assert [read_one(client).status for _ in range(3)] == [404, 404, 404]
    (form,) = ehr.asked
    assert ("client_secret" in form) == (method == "client_secret_post")
    assert "scope" not in form


@pytest.mark.parametrize("alg", ["RS384", "ES384"])
def test_smart_backend_services(ehr, connect, keys, alg):
    """Discovered, signed with the folder's key, verified against what it publishes."""
    keys.write(new_key(alg, time.time()))
    client = connect("smart", SMART)

    assert read_one(client).status == 404, ehr.why
    assert client.auth.scopes() == tuple(SCOPE.split())
    assert ehr.asked[0]["scope"] == SCOPE
    assert "client_secret" not in ehr.asked[0]


def test_the_granted_scopes_are_read_back(ehr, connect, keys):
    """An EHR may grant less than it was asked for, and says so."""
    keys.write(new_key("ES384", time.time()))
    ehr.grants = {"system/Goal.cruds"}
    client = connect("smart", SMART)
    assert client.auth.scopes() is None
    read_one(client)

    assert client.auth.scopes() == ("system/Goal.cruds",)


def test_each_assertion_is_used_once(ehr, connect, keys):
    """A new one for each token, so that a server that refuses replays refuses none of ours."""
    keys.write(new_key("ES384", time.time()))
    client = connect("smart", SMART)
    for _ in range(3):
        ehr.tokens.clear()
        read_one(client)

    assert len(ehr.asked) == len(ehr.jtis) == 3
    _, replayed = ehr.token({}, ehr.asked[0])
    assert (replayed, ehr.why) == ({"error": "invalid_client"}, "jti")


@pytest.mark.parametrize(
    ("options", "why"),
    [({"audience": "https://other.example/token"}, "aud"), ({"client_id": "else"}, "iss")],
)
def test_the_server_of_these_tests_refuses_what_is_wrong(ehr, connect, keys, options, why):
    """It does verify: another audience or client is refused, and the refusal has its category."""
    keys.write(new_key("ES384", time.time()))
    answer = read_one(connect("smart", {**SMART, **options}))

    assert (answer.problem, ehr.why) == ("token_refused", why)
    assert answer.said == "token endpoint: answered 400, invalid_client"


def test_an_expired_assertion_is_refused(ehr, connect, keys):
    """A clock that is ten minutes slow does not get in, one that is ten fast neither."""
    keys.write(new_key("ES384", time.time() - 900))
    for skew in (-600, 600):
        read_one(connect("smart", SMART, now=lambda skew=skew: time.time() + skew))
        assert ehr.why == "exp"


def test_a_key_that_is_not_published_is_refused(ehr, connect, keys):
    """Until the key set has it."""
    keys.write(new_key("ES384", time.time()))
    ehr.key_set = lambda: {"keys": []}
    assert read_one(connect("smart", SMART)).problem == "token_refused"
    assert ehr.why.startswith("signature")


def test_rotation_is_never_refused(ehr, connect, keys):
    """An EHR that reads our key set once an hour accepts us through a whole rotation."""
    start = time.time()
    old = new_key("ES384", start)
    keys.write(old)
    options = {**SMART, "token_url": ehr.token_url}

    def accepted(moment, key_set):
        """Whether a token is given at a moment to who signs then, by a key set read earlier."""
        ehr.clock, ehr.key_set = lambda: moment, lambda: key_set
        return read_one(connect("smart", options, now=ehr.clock)).status == 404

    before = jwks(keys.read()[0], start)
    new = scheduled(new_key("ES384", start + 10), [old], PUBLISH_S)
    keys.write(new)
    assert accepted(start + 20, before)
    assert accepted(start + PUBLISH_S + 9, before)
    during = jwks(keys.read()[0], start + 11)
    assert accepted(start + PUBLISH_S + 11, during)
    assert not accepted(start + PUBLISH_S + 11, before)  # it is the new key that signs
    gone = start + PUBLISH_S + 20
    keys.write(retired(old, gone))
    assert accepted(gone + 1, jwks(keys.read()[0], gone + 1))
    after = jwks(keys.read()[0], gone + KEEP_S)
    assert [one["kid"] for one in after["keys"]] == [new.kid]
    assert accepted(gone + KEEP_S, after)


def test_a_token_that_is_refused_is_renewed_once(ehr, connect):
    """An EHR that forgot its tokens gets one more request, and one more token."""
    client = connect("oauth2", {"client_id": "iop"}, secret=SECRET)
    read_one(client)
    ehr.tokens.clear()

    answer = read_one(client)

    assert (answer.status, answer.renewed, len(ehr.asked)) == (404, True, 2)


def test_many_threads_that_are_refused_renew_once(ehr, connect):
    """Eight requests with a dead token cost one new token, not eight."""
    client = connect("oauth2", {"client_id": "iop"}, secret=SECRET)
    dead = client.auth.header()
    ehr.tokens.clear()

    with ThreadPoolExecutor(8) as pool:
        renewed = list(pool.map(lambda _: client.auth.renew(dead), range(8)))

    assert renewed == [True] * 8
    assert len(ehr.asked) == 2


def test_an_ehr_that_refuses_every_token_is_not_asked_for_ever(ehr, connect):
    """401, a new token, 401: the answer, for the deliverer to rest."""
    client = connect("oauth2", {"client_id": "iop"}, secret=SECRET)
    ehr.tokens = type("Forgetful", (set,), {"add": lambda *_: None})()

    answer = read_one(client)

    assert (answer.status, answer.renewed, len(ehr.asked)) == (401, True, 2)
    decision = decide("GET", answer.status, answer.headers, answer.problem, renewed=answer.renewed)
    assert (decision.action, decision.category, decision.rests) == (
        "retry",
        Category.UNAUTHENTICATED,
        True,
    )


def test_a_token_without_expiry(ehr, connect):
    """It is used."""
    ehr.expires_in = None
    client = connect("oauth2", {"client_id": "iop"}, secret=SECRET)

    assert [read_one(client).status for _ in range(2)] == [404, 404]
    assert len(ehr.asked) == 1


HTML = b"<html>Zebulonqx</html>"
BIG = b'{"access_token": "' + b"x" * 70_000 + b'"}'


@pytest.mark.parametrize(
    ("fault", "problem", "category", "delay"),
    [
        ((400, {}, b'{"error":"invalid_client"}'), "token_refused", "unauthenticated", 0.5),
        ((401, {}, HTML), "token_refused", "unauthenticated", 0.5),
        ((429, {"Retry-After": "17"}, b""), "token_busy", "busy", 17),
        ((429, {"Retry-After": "99999"}, b""), "token_busy", "busy", 3600),
        ((503, {"Retry-After": "17"}, HTML), "token_unavailable", "unavailable", 17),
        ((500, {}, HTML), "token_unavailable", "unavailable", 0.5),
        ((200, {}, HTML), "token_unavailable", "unavailable", 0.5),
        ((200, {}, BIG), "token_unavailable", "unavailable", 0.5),
        ((302, {"Location": "/token"}, b""), "token_refused", "unauthenticated", 0.5),
        ((200, {}, b'{"access_token":"x","token_type":"mac"}'), "token_refused", None, 0.5),
    ],
)
def test_what_the_token_endpoint_answers_is_an_answer(
    ehr, connect, fault, problem, category, delay
):
    """Never an exception; the write was not sent, and its connection rests as long as asked."""
    ehr.faults.append(fault)
    limits = Limits(connect_s=5, read_s=5, body_bytes=50_000)
    client = connect("oauth2", {"client_id": "iop"}, secret=SECRET, limits=limits)

    answer = client.request("PUT", "Patient/1", correlation_id="c", body={})

    assert (answer.status, answer.problem) == (None, problem)
    decision = decide("PUT", None, answer.headers, answer.problem)
    assert (decision.action, decision.rests, decision.unknown) == ("retry", True, False)
    assert decision.category == (category or Category.UNAUTHENTICATED)
    assert decision.delay == delay
    assert "Zebulonqx" not in answer.said
    assert [path for _, path, _ in ehr.seen if path.startswith("/fhir/Patient")] == []
    assert len(ehr.asked) == 1


def test_it_works_again_when_the_endpoint_does(ehr, connect):
    """Nothing of a failure is kept."""
    ehr.faults.append((503, {}, b""))
    client = connect("oauth2", {"client_id": "iop"}, secret=SECRET)

    assert [read_one(client).status for _ in range(2)] == [None, 404]


def test_a_token_endpoint_where_nobody_listens(connect):
    """As any server that is down: try again later."""
    options = {"client_id": "iop", "token_url": "http://127.0.0.1:9/token"}
    answer = read_one(connect("oauth2", options, secret=SECRET))

    assert answer.problem == "token_unavailable"


def test_a_missing_secret_or_key(ehr, connect):
    """Nothing is sent, and what is missing is named."""
    secret = read_one(connect("oauth2", {"client_id": "iop"}))
    key = read_one(connect("smart", SMART))

    assert (secret.problem, key.problem) == ("secret", "secret")
    assert "env:SECRET" in secret.said
    assert "fhirsvc keys new" in key.said
    assert ehr.asked == []


def test_no_secret_token_or_assertion_is_said(ehr, connect, keys, caplog, capfd):
    """In no log line of any level and no error, whatever goes wrong; libraries included."""
    caplog.set_level(0)
    keys.write(new_key("ES384", time.time()))
    said = []
    for kind, options, secret in (
        ("oauth2", {"client_id": "iop"}, SECRET),
        ("oauth2", {"client_id": "iop", "client_auth": "client_secret_post"}, SECRET),
        ("smart", SMART, ""),
        ("bearer", {}, SECRET),
        ("basic", {}, SECRET),
    ):
        for fault in ((400, {}, b"{}"), (200, {}, HTML), (503, {}, b""), None):
            if fault and kind in ("oauth2", "smart"):
                ehr.faults.append(fault)
            client = connect(kind, options, secret=secret)
            answer = read_one(client)
            said += [answer.said, repr(answer), repr(client.auth)]
            ehr.tokens.clear()
            said.append(read_one(client).said)

    told = caplog.text + "".join(capfd.readouterr()) + "\n".join(said)
    used = [header.split()[-1] for _, _, header in ehr.seen if header]
    sent = [form["client_assertion"] for form in ehr.asked if "client_assertion" in form]
    private = [one.private["d"] for one in keys.read()[0]]
    assert len(used) > 5
    assert len(sent) > 3
    assert [word for word in ("Zebulonqx", *used, *sent, *private) if word in told] == []
