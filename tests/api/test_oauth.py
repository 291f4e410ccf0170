"""Access tokens: discovered, asked for with our own client, used, and ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import partner
import pytest
import responses
import structlog
from werkzeug.serving import make_server

from fhirsvc.app import create_app
from fhirsvc.ehr.assertion import Assertion, Signer
from fhirsvc.ehr.discovery import Discovery, oauth_uri
from fhirsvc.ehr.token_request import TokenRequest
from fhirsvc.ehr.transport import Limits, Transport
from fhirsvc.fhir.validate import validate
from fhirsvc.services import throttle
from fhirsvc.settings import load
from fhirsvc.store import partners
from fhirsvc.wiring import product

URL = "https://hospital.example/jwks.json"


@pytest.fixture
def registered(wiring):
    """A wired process that knows the partner by its keys."""
    wiring.partners.register(partner.NAME, "system/CarePlan.rs", jwks=partner.key_set())
    return wiring


def _post(web, assertion, **more):
    return web.post("/oauth/token", data=partner.form(assertion, **more))


@pytest.fixture
def served(wiring, late) -> Iterator[str]:
    """The base address of the app on a real socket."""
    wiring.clock = time.time
    app = create_app(wiring, lambda: late.mappings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.mark.parametrize(("alg", "key"), [("RS384", partner.rsa()), ("ES384", partner.curve())])
def test_our_own_client_gets_a_token_and_reads_with_it(wiring, served, demo, alg, key):
    """From the address of /fhir alone: discovered, proven, granted, used; revoked it is no more."""
    wiring.partners.register(
        partner.NAME, "system/CarePlan.rs system/Goal.r", jwks=partner.key_set()
    )
    wiring.publisher.accept(demo)
    transport = Transport(Limits(), time.monotonic)
    proof = Assertion(
        partner.NAME, lambda: Signer(key.kid, alg, key), time.time, lambda: f"jti-{alg}"
    )
    request = TokenRequest(
        transport, proof, Discovery(transport, f"{served}/fhir"), scope="system/CarePlan.rs"
    )

    token = request.ask()

    assert token.scopes == ("system/CarePlan.rs",)
    assert token.life_s == 300
    headers = {"Authorization": token.header}
    assert transport.send("GET", f"{served}/fhir/CarePlan", headers).status == 200
    assert transport.send("GET", f"{served}/fhir/Goal", headers).status == 403
    assert wiring.partners.revoke(partner.NAME) == 1
    answer = transport.send("GET", f"{served}/fhir/CarePlan", headers)
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    transport.close()


@pytest.mark.parametrize("key", [partner.rsa(), partner.curve()], ids=["RS384", "ES384"])
def test_the_answer_is_what_oauth_says(registered, web, clock, key):
    """200, JSON, not to be stored: token, kind, life and what was granted."""
    answer = _post(web, partner.sound(clock(), key))

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json.pop("access_token").isascii()
    assert {**answer.json, "access_token": ""} == {
        "access_token": "",
        "token_type": "bearer",
        "expires_in": 300,
        "scope": "system/CarePlan.rs",
    }


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/CarePlan.r", "system/CarePlan.r"),
        ("system/CarePlan.cruds", "system/CarePlan.rs"),
        ("system/*.rs", "system/CarePlan.rs"),
        ("system/*.cruds system/Goal.rs", "system/CarePlan.rs"),
        ("system/CarePlan.read", "system/CarePlan.rs"),
        ("system/CarePlan.*", "system/CarePlan.rs"),
    ],
)
def test_what_is_granted_is_registered_and_asked_for(registered, web, clock, asked, granted):
    """Never more than either, and the answer says what it is."""
    answer = _post(web, partner.sound(clock()), scope=asked)
    assert answer.json["scope"] == granted


def test_a_token_ends_after_five_minutes(registered, web, clock):
    """It is good for 300 s, and of it only a digest is kept; the sweep drops it."""
    token = _post(web, partner.sound(clock())).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    with registered.database.read() as tx:
        kept = [dict(row) for row in tx.execute(partners.partner_token.select()).mappings()]
    assert len(kept) == 1
    assert token not in str(kept)

    clock.now += 299
    assert web.get("/fhir/CarePlan", headers=headers).status_code == 200
    clock.now += 1
    assert web.get("/fhir/CarePlan", headers=headers).status_code == 401
    clock.now += 1
    registered.database.run(lambda tx: partners.forget(tx, clock()))
    with registered.database.read() as tx:
        assert tx.execute(partners.partner_token.select()).all() == []
        assert tx.execute(partners.partner_assertion.select()).all() == []


def test_registered_anew_it_needs_a_new_token(registered, web, clock):
    """A client that was revoked and comes back has none of its old tokens."""
    token = _post(web, partner.sound(clock())).json["access_token"]
    registered.partners.revoke(partner.NAME)
    registered.partners.register(partner.NAME, "system/CarePlan.rs", jwks=partner.key_set())

    answer = web.get("/fhir/CarePlan", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert _post(web, partner.sound(clock(), jti="another")).status_code == 200


@pytest.mark.parametrize("path", ["/.well-known", "/fhir/.well-known"])
def test_the_configuration_says_what_is_offered(web, path):
    """Anybody may read it; it names the endpoint, the method and the algorithms."""
    found = web.get(f"{path}/smart-configuration")
    assert found.content_type == "application/json"
    assert found.json["token_endpoint"] == partner.AUD
    assert found.json["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found.json["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "client-confidential-asymmetric" in found.json["capabilities"]


def test_the_capability_statement_names_smart(web):
    """The service by its code, and the same token endpoint as the configuration."""
    found = web.get("/fhir/metadata").json
    assert validate(found) == []
    assert oauth_uri(found) == partner.AUD
    service = found["rest"][0]["security"]["service"][0]
    assert service["coding"][0]["code"] == "SMART-on-FHIR"


def test_without_a_public_address_only_this_machine_is_answered(registered, web, clock):
    """From elsewhere nothing is told by a Host header: no endpoint, no token."""
    there = {"REMOTE_ADDR": "192.0.2.7"}
    assertion = partner.sound(clock())

    found = web.get("/.well-known/smart-configuration", environ_overrides=there)
    token = web.post("/oauth/token", data=partner.form(assertion), environ_overrides=there)
    statement = web.get("/fhir/metadata", environ_overrides=there).json

    assert found.status_code == 404
    assert (token.status_code, token.json["error"]) == (400, "invalid_request")
    assert "security" not in statement["rest"][0]


def test_the_public_address_is_the_audience(database_url, clock, late):
    """With ``public_url`` it is that address, whatever Host says, and from anywhere."""
    made = product(
        load(database_url=database_url, public_url="https://clinic.example/"), mappings=late
    )
    made.clock = clock
    made.database.upgrade()
    made.partners.register(partner.NAME, "system/CarePlan.rs", jwks=partner.key_set())
    web = create_app(made, lambda: late.mappings).test_client()
    there = {"REMOTE_ADDR": "192.0.2.7"}
    good = partner.sound(clock(), aud="https://clinic.example/oauth/token")
    bad = partner.sound(clock(), jti="b")

    answers = [
        web.post("/oauth/token", data=partner.form(one), environ_overrides=there)
        for one in (bad, good)
    ]

    assert [one.status_code for one in answers] == [400, 200]
    made.database.dispose()


@responses.activate
def test_a_key_set_is_read_where_it_was_registered_and_kept_as_it_says(wiring, web, clock):
    """Once within max-age, again after it; without Cache-Control each time."""
    wiring.partners.register(partner.NAME, "system/CarePlan.rs", jwks_url=URL)
    headers = {"Cache-Control": "max-age=60"}
    responses.add("GET", URL, json=partner.key_set(), headers=headers)

    def ask(number: int) -> int:
        header = partner.header(jku=URL)
        claims = partner.claims(clock(), jti=f"jti-{number}")
        assertion = partner.jwt(header, claims, partner.by_rsa(partner.rsa()))
        return _post(web, assertion).status_code

    assert [ask(1), ask(2)] == [200, 200]
    assert len(responses.calls) == 1
    clock.now += 60
    assert ask(3) == 200
    assert len(responses.calls) == 2
    responses.replace("GET", URL, json=partner.key_set())
    clock.now += 60
    assert [ask(4), ask(5)] == [200, 200]
    assert len(responses.calls) == 4


@responses.activate
def test_a_key_that_is_new_is_found(wiring, web, clock):
    """A kid that is not in what is kept makes it be read again, but not again at once."""
    wiring.partners.register(partner.NAME, "system/CarePlan.rs", jwks_url=URL)
    headers = {"Cache-Control": "max-age=3600"}
    old = partner.key_set(partner.public(partner.rsa()))
    responses.add("GET", URL, json=old, headers=headers)
    assert _post(web, partner.sound(clock())).status_code == 200
    responses.replace("GET", URL, json=partner.key_set(), headers=headers)

    found = []
    for number in range(3):
        assertion = partner.sound(clock(), partner.curve(), jti=f"new-{number}")
        found.append(_post(web, assertion).status_code)
        clock.now += 9

    assert found == [400, 400, 200]
    assert len(responses.calls) == 2


@responses.activate
@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 302, "headers": {"Location": "https://elsewhere.example/"}},
        {"body": b"<html>"},
        {"json": {"keys": "none"}},
        {"json": []},
        {"body": b" " * 70_000},
    ],
)
def test_a_key_set_that_cannot_be_read_proves_nobody(wiring, web, clock, answer):
    """No redirect is followed, no page is taken for a set; it is read again later, not at once."""
    wiring.partners.register(partner.NAME, "system/CarePlan.rs", jwks_url=URL)
    responses.add("GET", URL, **answer)

    with structlog.testing.capture_logs() as logs:
        codes = [_post(web, partner.sound(clock(), jti=f"{n}")).status_code for n in range(2)]

    assert codes == [400, 400]
    assert [one["reason"] for one in logs if one["event"] == "token_refused"] == ["key-set"] * 2
    assert len(responses.calls) == 1


def test_who_fails_again_and_again_is_slowed(registered, web, clock):
    """After ten failures 429, for that client from that address; others go on."""
    registered.partners.register("other", "system/CarePlan.rs", jwks=partner.key_set())
    claims = partner.claims(clock())
    forged = partner.jwt(partner.header(), claims, partner.by_rsa(partner.rsa("forged")))

    codes = [_post(web, forged).status_code for _ in range(throttle.BURST + 2)]

    assert codes == [400] * throttle.BURST + [429] * 2
    answer = _post(web, partner.sound(clock()))
    assert answer.status_code == 429
    assert answer.json["error"] == "temporarily_unavailable"
    assert 1 <= int(answer.headers["Retry-After"]) <= throttle.EVERY_S
    other = partner.sound(clock(), iss="other", sub="other")
    assert _post(web, other).status_code == 200
    again = web.post(
        "/oauth/token",
        data=partner.form(partner.sound(clock())),
        environ_overrides={"REMOTE_ADDR": "127.0.0.9"},
    )
    assert again.status_code == 200


def test_an_assertion_is_used_up_by_what_it_does_not_get(registered, web, clock):
    """One that was refused for its scopes alone is not good for another request."""
    assertion = partner.sound(clock())
    assert _post(web, assertion, scope="system/Goal.rs").json["error"] == "invalid_scope"
    assert _post(web, assertion).json["error"] == "invalid_client"


def test_a_bad_token_is_refused_where_none_is_needed(web):
    """With ``fhir_open`` a token that is not good is still refused."""
    assert web.get("/fhir/CarePlan").status_code == 200
    headers = {"Authorization": "Bearer nobody"}
    assert web.get("/fhir/CarePlan", headers=headers).status_code == 401
