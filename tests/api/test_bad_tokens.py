"""What is no proof and no token: each is refused for its reason, and none of it is in a log."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import partner
import pytest
import responses
import structlog
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from partner import AUD, by_der, by_ec, by_pss, by_rsa, claims, curve, encoded, header, jwt, rsa
from tiny import FakeClock

from fhirsvc.app import create_app
from fhirsvc.services.token_office import digest
from fhirsvc.settings import load
from fhirsvc.store import partners
from fhirsvc.wiring import Wiring, product

NOW = 1_770_000_000.0
URL = "https://hospital.example/jwks.json"
SIGN = by_rsa(rsa())
JTI = f"jti-{NOW}-secret"


def _head(**more: Any) -> str:
    return jwt(header(**more), claims(NOW), SIGN)


def _said(**more: Any) -> str:
    return jwt(header(), claims(NOW, **more), SIGN)


def _ec(sign: Callable[[bytes], bytes]) -> str:
    return jwt(header(alg="ES384", kid="ec-1"), claims(NOW), sign)


def _hmac(alg: str, secret: bytes, name: str) -> str:
    sign = lambda data: hmac.digest(secret, data, name)  # noqa: E731 - one of a table
    return jwt(header(alg=alg), claims(NOW), sign)


def _rsa(sign: Callable[[bytes], bytes]) -> str:
    return jwt(header(), claims(NOW), sign)


def _other_payload() -> str:
    first, _, last = partner.sound(NOW).split(".")
    return f"{first}.{encoded(orjson.dumps(claims(NOW, jti='other')))}.{last}"


def _flipped() -> str:
    text = partner.sound(NOW)
    at = text.rindex(".") + 20
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def _not_canonical() -> str:
    """The same signature bytes, spelled with other bits that are not used."""
    text = partner.sound(NOW)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + letters[letters.index(text[-1]) ^ 1]


PEM = rsa().public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = rsa().public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
JWK = orjson.dumps(partner.public(rsa()))
P256 = curve("p256", "P-256")
# Name → an assertion, and the word for what is wrong with it.
ASSERTIONS: dict[str, tuple[str, str]] = {
    # The algorithm
    "alg none, unsigned": (jwt(header(alg="none"), claims(NOW), lambda _: b"")[:-1] + ".", "form"),
    "alg none, with a signature": (_head(alg="none"), "alg"),
    "alg NONE": (_head(alg="NONE"), "alg"),
    "alg None with a capital": (_head(alg="None"), "alg"),
    "HS256 with the public key in PEM": (_hmac("HS256", PEM, "sha256"), "alg"),
    "HS384 with the public key in PEM": (_hmac("HS384", PEM, "sha384"), "alg"),
    "HS384 with the public key in DER": (_hmac("HS384", DER, "sha384"), "alg"),
    "HS512 with the public JWK": (_hmac("HS512", JWK, "sha512"), "alg"),
    "RS384 that is an HMAC by the public key": (_hmac("RS384", PEM, "sha384"), "signature"),
    "RS256": (jwt(header(alg="RS256"), claims(NOW), by_rsa(rsa(), hashes.SHA256())), "alg"),
    "RS512": (jwt(header(alg="RS512"), claims(NOW), by_rsa(rsa(), hashes.SHA512())), "alg"),
    "PS384": (jwt(header(alg="PS384"), claims(NOW), by_pss(rsa())), "alg"),
    "RS384 signed as PS384": (jwt(header(), claims(NOW), by_pss(rsa())), "signature"),
    "RS384 over SHA-256": (jwt(header(), claims(NOW), by_rsa(rsa(), hashes.SHA256())), "signature"),
    "ES256": (jwt(header(alg="ES256", kid="p256"), claims(NOW), by_ec(P256, 32)), "alg"),
    "rs384 in small letters": (_head(alg="rs384"), "alg"),
    "no alg": (_head(alg=None), "alg"),
    "alg is a list": (_head(alg=["RS384"]), "alg"),
    # The key
    "another kid": (_head(kid="rsa-2"), "key"),
    "no kid": (_head(kid=None), "kid"),
    "an empty kid": (_head(kid=""), "kid"),
    "kid is a number": (_head(kid=1), "kid"),
    "kid is a path": (_head(kid="../../etc/passwd"), "key"),
    "ES384 by the kid of the RSA key": (jwt(header(alg="ES384"), claims(NOW), SIGN), "key"),
    "RS384 by the kid of the EC key": (_head(kid="ec-1"), "key"),
    "ES384 that the RSA key signed": (_ec(SIGN), "signature"),
    "another's key under this kid": (jwt(header(), claims(NOW), by_rsa(rsa("x"))), "signature"),
    # The header
    "no typ": (_head(typ=None), "typ"),
    "typ of an access token": (_head(typ="at+jwt"), "typ"),
    "jku elsewhere": (_head(jku="https://evil.example/jwks.json"), "jku"),
    "jku is no text": (_head(jku=[URL]), "jku"),
    "the key is embedded": (
        jwt(header(jwk=partner.public(rsa("x"))), claims(NOW), by_rsa(rsa("x"))),
        "header",
    ),
    "a certificate is embedded": (_head(x5c=["MIIB"]), "header"),
    "a certificate is elsewhere": (_head(x5u="https://evil.example/cert"), "header"),
    "crit": (_head(crit=["exp"], exp=1), "header"),
    "crit with b64": (_head(crit=["b64"], b64=False), "header"),
    "compressed": (_head(zip="DEF"), "header"),
    "a nested JWT": (_head(cty="JWT"), "header"),
    # The form
    "a JWT in a JWT": (jwt(header(), partner.sound(NOW).encode(), SIGN), "form"),
    "encrypted, five parts": (partner.sound(NOW) + ".AA.AA", "form"),
    "two parts": (partner.sound(NOW).rpartition(".")[0], "form"),
    "padding": (partner.sound(NOW) + "==", "form"),
    "the wrong base64": (partner.sound(NOW)[:-2] + "+/", "form"),
    "a space in it": (partner.sound(NOW).replace(".", ". ", 1), "form"),
    "bits that are not used are set": (_not_canonical(), "form"),
    "the header is no JSON": (jwt(b"{alg:RS384}", claims(NOW), SIGN), "form"),
    "the header is a list": (jwt([header()], claims(NOW), SIGN), "form"),
    "the claims are a list": (jwt(header(), [claims(NOW)], SIGN), "form"),
    "a claim is given twice": (
        jwt(header(), orjson.dumps(claims(NOW))[:-1] + b',"aud":"https://evil.example"}', SIGN),
        "form",
    ),
    "alg is given twice": (
        jwt(orjson.dumps(header())[:-1] + b',"alg":"none"}', claims(NOW), SIGN),
        "form",
    ),
    "oversize": (_said(more="x" * 9000), "form"),
    "nested too deep": (jwt(header(), b'{"a":' + b"[" * 99 + b"]" * 99 + b"}", SIGN), "form"),
    "three dots": ("...", "form"),
    "other letters": ("\U0001f600.\U0001f600.\U0001f600", "form"),
    # The signature
    "no signature": (partner.sound(NOW).rpartition(".")[0] + ".", "form"),
    "RSA, shorter by three bytes": (_rsa(lambda data: SIGN(data)[:-3]), "signature"),
    "RSA, half of it": (_rsa(lambda data: SIGN(data)[:128]), "signature"),
    "RSA, one bit": (_flipped(), "signature"),
    "RSA of zeros": (_rsa(lambda _: bytes(256)), "signature"),
    "ECDSA in DER": (_ec(by_der(curve())), "signature"),
    "ECDSA of zeros": (_ec(lambda _: bytes(96)), "signature"),
    "ECDSA of ones": (_ec(lambda _: b"\xff" * 96), "signature"),
    "ECDSA, half of it": (_ec(lambda data: by_ec(curve())(data)[:48]), "signature"),
    "ECDSA, a byte more": (_ec(lambda data: by_ec(curve())(data) + b"\0"), "signature"),
    "ECDSA, r and s swapped": (_ec(by_ec(curve(), swapped=True)), "signature"),
    "another payload": (_other_payload(), "signature"),
    # Who, for whom
    "no iss": (_said(iss=None), "client"),
    "no sub": (_said(sub=None), "iss"),
    "sub is another": (_said(sub="other"), "iss"),
    "iss is another that is known": (_said(iss="other"), "key"),
    "iss is nobody": (_said(iss="nobody", sub="nobody"), "client"),
    "iss in capitals": (_said(iss="HOSPITAL", sub="HOSPITAL"), "client"),
    "iss is a list": (_said(iss=["hospital"], sub=["hospital"]), "client"),
    "iss that begins as ours": (_said(iss="hospital" + "x" * 80), "client"),
    "no aud": (_said(aud=None), "aud"),
    "aud is empty": (_said(aud=""), "aud"),
    "aud is a list of it": (_said(aud=[AUD]), "aud"),
    "aud is a list of two": (_said(aud=["https://other.example/token", AUD]), "aud"),
    "aud begins as ours": (_said(aud=AUD + "/more"), "aud"),
    "aud is what ours begins with": (_said(aud=AUD[:-1]), "aud"),
    "aud by https": (_said(aud=AUD.replace("http:", "https:")), "aud"),
    "aud at another port": (_said(aud=AUD.replace("localhost", "localhost:8080")), "aud"),
    "aud is the service": (_said(aud="http://localhost"), "aud"),
    "aud is the FHIR base": (_said(aud="http://localhost/fhir"), "aud"),
    "aud is another's": (_said(aud="https://ehr.example/oauth/token"), "aud"),
    "aud in capitals": (_said(aud=AUD.upper()), "aud"),
    # When
    "expired": (_said(exp=int(NOW) - 11), "exp"),
    "expired long ago": (_said(exp=1), "exp"),
    "too far ahead": (_said(exp=int(NOW) + 311), "exp"),
    "for ever": (_said(exp=99_999_999_999), "exp"),
    "exp beyond all numbers": (
        jwt(header(), orjson.dumps(claims(NOW, exp=0)).replace(b'"exp":0', b'"exp":1e999'), SIGN),
        "form",
    ),
    "no exp": (_said(exp=None), "exp"),
    "exp is a text": (_said(exp=str(int(NOW) + 60)), "exp"),
    "exp is true": (_said(exp=True), "exp"),
    "exp in milliseconds": (_said(exp=int(NOW) * 1000), "exp"),
    "not yet": (_said(nbf=int(NOW) + 11), "nbf"),
    "nbf is a text": (_said(nbf="soon"), "nbf"),
    "from the future": (_said(iat=int(NOW) + 11), "iat"),
    "iat is a list": (_said(iat=[]), "iat"),
    # Once
    "no jti": (_said(jti=None), "jti"),
    "an empty jti": (_said(jti=""), "jti"),
    "jti is a number": (_said(jti=7), "jti"),
    "a jti too long": (_said(jti="x" * 201), "jti"),
}  # fmt: skip
GOOD = partner.form(partner.sound(NOW))
PAIRS = list(GOOD.items())
FORM = "application/x-www-form-urlencoded"
BASIC = "Basic aG9zcGl0YWw6c2VjcmV0"
# Name → how the request is made, and the word of the answer.
REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"{name} is given twice": (
            {"data": _form, "content_type": FORM},
            "invalid_request",
        )
        for name in GOOD
        for _form in [
            "&".join(f"{n}={v.replace(' ', '+')}" for n, v in [*PAIRS, (name, GOOD[name])])
        ]
    },
    "a secret": (
        {"data": {**partner.form(None, client_assertion_type=None), "client_id": "hospital",
                  "client_secret": "secret"}},
        "invalid_client",
    ),
    "a secret beside the assertion": ({"data": {**GOOD, "client_secret": ""}}, "invalid_client"),
    "the id alone": (
        {"data": {**partner.form(None, client_assertion_type=None), "client_id": "hospital"}},
        "invalid_client",
    ),
    "basic auth": (
        {"data": partner.form(None, client_assertion_type=None),
         "headers": {"Authorization": BASIC}},
        "invalid_client",
    ),
    "basic auth beside the assertion": (
        {"data": GOOD, "headers": {"Authorization": BASIC}},
        "invalid_client",
    ),
    "the assertion as a bearer's": (
        {"data": partner.form(None, client_assertion_type=None),
         "headers": {"Authorization": f"Bearer {partner.sound(NOW)}"}},
        "invalid_client",
    ),
    "another's client_id": ({"data": {**GOOD, "client_id": "other"}}, "invalid_client"),
    "JSON": ({"json": GOOD}, "invalid_request"),
    "multipart": ({"data": GOOD, "content_type": "multipart/form-data"}, "invalid_request"),
    "a text": ({"data": "x", "content_type": "text/plain"}, "invalid_request"),
    "in the address": ({"query_string": GOOD}, "invalid_request"),
    "in the address, as a form": (
        {"query_string": GOOD, "data": "", "content_type": FORM}, "invalid_request"),
    "nothing": ({"data": "", "content_type": FORM}, "invalid_request"),
    "no grant_type": ({"data": partner.form(partner.sound(NOW), grant_type=None)},
                      "invalid_request"),
    "grant_type password": ({"data": {**GOOD, "grant_type": "password"}},
                            "unsupported_grant_type"),
    "grant_type refresh_token": ({"data": {**GOOD, "grant_type": "refresh_token"}},
                                 "unsupported_grant_type"),
    "grant_type authorization_code": ({"data": {**GOOD, "grant_type": "authorization_code"}},
                                      "unsupported_grant_type"),
    "the assertion as a grant": (
        {"data": {**GOOD, "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                  "assertion": partner.sound(NOW)}},
        "unsupported_grant_type",
    ),
    "no assertion": ({"data": partner.form(None)}, "invalid_client"),
    "an empty assertion": ({"data": partner.form("")}, "invalid_client"),
    "no assertion type": (
        {"data": partner.form(partner.sound(NOW), client_assertion_type=None)}, "invalid_client"),
    "an assertion type of SAML": (
        {"data": {**GOOD, "client_assertion_type":
                  "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}},
        "invalid_client",
    ),
    "a large form": ({"data": {**GOOD, "more": "x" * 70_000}}, "invalid_request"),
    "many parameters": (
        {"data": "&".join(f"p{n}=1" for n in range(2000)), "content_type": FORM},
        "invalid_request",
    ),
    **{
        f"scope {name}": ({"data": partner.form(partner.sound(NOW), scope=text)}, "invalid_scope")
        for name, text in {
            "none": None,
            "of spaces": "  ",
            "of another type": "system/Goal.rs",
            "to write what may be read": "system/CarePlan.cud",
            "to write everything": "system/*.cud",
            "to write, of version 1": "system/CarePlan.write",
            "with a query": "system/CarePlan.rs?status=active",
            "of a patient": "patient/CarePlan.rs",
            "of a user": "user/CarePlan.rs",
            "openid": "openid fhirUser",
            "of a launch": "launch/patient",
            "offline": "offline_access",
            "of no type": "system/Treatment.rs",
            "in another order": "system/CarePlan.sr",
            "of no letter": "system/CarePlan.",
            "of other letters": "system/CarePlan.x",
            "of all, in one word": "*",
            "of more than one star": "system/*.*.*",
            "with one that is none": "system/CarePlan.rs system/CarePlan",
            "in line breaks": "system/CarePlan.rs\nsystem/*.cruds",
            "without end": "system/CarePlan.rs " * 201,
        }.items()
    },
}  # fmt: skip


@pytest.fixture(scope="module", name="shared")
def _shared(tmp_path_factory, late, demo, catch_up) -> Iterator[tuple[Wiring, FlaskClient]]:
    """A process that serves the demo clinic and stays: of what is refused nothing is left."""
    url = f"sqlite:///{tmp_path_factory.mktemp('shared') / 'fhirsvc.sqlite'}"
    made = product(load(database_url=url, fhir_open=True), mappings=late)
    made.clock = FakeClock(NOW)
    made.database.upgrade()
    made.publisher.accept(demo)
    catch_up(made)
    _register(made)
    made.partners.register("third", "system/*.cruds", jwks=partner.key_set())
    yield made, create_app(made, lambda: late.mappings).test_client()
    made.database.dispose()


@pytest.fixture
def known(wiring):
    """A wired process of its own that knows the partner, and another with other keys."""
    _register(wiring)
    return wiring


def _register(wiring: Wiring) -> None:
    assert wiring.clock() == NOW
    wiring.partners.register(partner.NAME, "system/CarePlan.rs", jwks=partner.key_set())
    others = partner.key_set(partner.public(rsa("other-1")))
    wiring.partners.register("other", "system/*.cruds", jwks=others)


def _from(name: str) -> dict[str, str]:
    """An address for each test: who fails is slowed."""
    number = int(hashlib.sha256(name.encode()).hexdigest()[:4], 16)
    return {"REMOTE_ADDR": f"127.1.{number >> 8}.{number & 255}"}


def _refused(web, known, secrets: list[str], how: dict[str, Any]) -> tuple[Any, str]:
    """The answer to a token request, and the reason in the log, which has nothing of it."""
    before = _tokens(known)
    with structlog.testing.capture_logs() as logs:
        answer = web.post("/oauth/token", **how, environ_overrides=_from(str(how)))
    assert 400 <= answer.status_code < 500
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json.keys() == {"error", "error_description"}
    assert _tokens(known) == before
    told = str(logs) + answer.text
    assert [one for one in secrets if len(one) > 8 and one in told] == []
    reasons = [one["reason"] for one in logs if one["event"] == "token_refused"]
    return answer, reasons[0] if reasons else ""


def _tokens(known: Wiring) -> int:
    """How many were ever given and are kept."""
    with known.database.read() as tx:
        return len(tx.execute(partners.partner_token.select()).all())


def test_the_request_that_all_these_differ_from_is_good(web, known):
    """Otherwise each of them might be refused for something else."""
    assert web.post("/oauth/token", data=GOOD).status_code == 200
    ec = partner.form(partner.sound(NOW, curve(), jti="ec"))
    assert web.post("/oauth/token", data=ec).status_code == 200
    edges = _said(exp=int(NOW) + 300, iat=int(NOW) + 9, nbf=int(NOW) + 9, jti="edges")
    assert web.post("/oauth/token", data=partner.form(edges)).status_code == 200


@pytest.mark.parametrize("name", ASSERTIONS)
def test_an_assertion_that_proves_nothing(shared, name):
    """invalid_client, for its own reason."""
    known, web = shared
    assertion, reason = ASSERTIONS[name]
    parts = [one for one in assertion.split(".") if one]
    secrets = [assertion, *parts, JTI]

    answer, why = _refused(web, known, secrets, {"data": partner.form(assertion)})

    assert (answer.json["error"], why) == ("invalid_client", reason)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_that_is_none(web, known, name):
    """The word that OAuth has for it."""
    how, word = REQUESTS[name]
    secrets = [GOOD["client_assertion"], *GOOD["client_assertion"].split("."), JTI, BASIC]

    answer, _ = _refused(web, known, secrets, dict(how))

    assert answer.json["error"] == word
    if "Basic" in str(how.get("headers")):
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic")


def test_a_get_is_no_request(web, known):
    """An assertion in an address would be in the logs of whatever is on the way."""
    answer = web.get("/oauth/token", query_string=GOOD)
    assert answer.status_code == 405
    assert GOOD["client_assertion"] not in answer.text


def test_a_client_that_was_revoked(web, known):
    """It is as unknown as any other."""
    known.partners.revoke(partner.NAME)
    answer, why = _refused(web, known, [JTI], {"data": GOOD})
    assert (answer.json["error"], why) == ("invalid_client", "client")


def test_a_replay_here_and_in_another_process(web, known, database_url, late, clock):
    """Once is once, for every process on the database; until it would be too old anyway."""
    other = product(known.settings, mappings=late)
    other.clock = clock
    elsewhere = create_app(other, lambda: late.mappings).test_client()
    assert web.post("/oauth/token", data=GOOD).status_code == 200
    again = partner.form(partner.sound(NOW, curve()))  # the same jti by another key

    with structlog.testing.capture_logs() as logs:
        answers = [one.post("/oauth/token", data=GOOD) for one in (web, elsewhere)]
        answers.append(elsewhere.post("/oauth/token", data=again))
        clock.now += 249
        answers.append(elsewhere.post("/oauth/token", data=GOOD))
        clock.now += 1
        answers.append(elsewhere.post("/oauth/token", data=GOOD))

    other.database.dispose()
    assert [one.json["error"] for one in answers] == ["invalid_client"] * 5
    reasons = [one["reason"] for one in logs if one["event"] == "token_refused"]
    assert reasons == ["replay"] * 4 + ["exp"]


def test_one_of_many_at_once(web, known):
    """However many come with it at the same time, one is given a token."""
    app = web.application

    def ask(number: int) -> int:
        there = {"REMOTE_ADDR": f"127.2.0.{number}"}
        client = app.test_client()
        return client.post("/oauth/token", data=GOOD, environ_overrides=there).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(ask, range(1, 17)))

    assert sorted(codes) == [200] + [400] * 15


WEAK = {
    "two keys of one kid": [partner.public(rsa()), partner.public(rsa("x"), kid="rsa-1")],
    "the same key twice": [partner.public(rsa()), partner.public(rsa())],
    "to encrypt": [partner.public(rsa(), use="enc")],
    "for another algorithm": [partner.public(rsa(), alg="RS256")],
    "not to verify": [partner.public(rsa(), key_ops=["sign"])],
    "with its private half": [{**rsa().as_dict(private=True), "kid": "rsa-1"}],
    "of another kind": [partner.public(rsa(), kty="oct", k="c2VjcmV0")],
    "a text": ["rsa-1"],
    "without an exponent": [{**partner.public(rsa()), "e": None}],
    "with an exponent of one": [{**partner.public(rsa()), "e": "AQ"}],
    "too short": [partner.public(rsa("short", 1024), kid="rsa-1")],
    "too long": [{**partner.public(rsa()), "n": "_" * 2000}],
    "none": [],
}


@responses.activate
@pytest.mark.parametrize("name", WEAK)
def test_a_published_key_that_proves_nothing(web, known, name):
    """What cannot be registered does not count where it is published either."""
    responses.add("GET", URL, json={"keys": WEAK[name]})
    known.partners.register("elsewhere", "system/CarePlan.rs", jwks_url=URL)
    key = rsa("short", 1024) if name == "too short" else rsa()
    text = jwt(header(), claims(NOW, iss="elsewhere", sub="elsewhere"), by_rsa(key))

    answer, why = _refused(web, known, [text], {"data": partner.form(text)})

    assert (answer.json["error"], why) == ("invalid_client", "key")


@responses.activate
def test_jku_is_the_registered_address_or_nothing(web, known):
    """No other address is ever read, however much it looks like the one that is known."""
    known.partners.register("elsewhere", "system/CarePlan.rs", jwks_url=URL)
    for jku in (f"{URL}?x", URL.replace("https", "http"), f"{URL}/", URL.upper(), ""):
        text = jwt(header(jku=jku), claims(NOW, iss="elsewhere", sub="elsewhere"), SIGN)
        _, why = _refused(web, known, [text], {"data": partner.form(text)})
        assert why == "jku"
    assert len(responses.calls) == 0


# ---- access tokens ------------------------------------------------------------------------------


def _token(web, scope: str = "system/CarePlan.rs", **more: Any) -> str:
    answer = web.post("/oauth/token", data=partner.form(partner.sound(NOW, **more), scope=scope))
    return str(answer.json["access_token"])


@pytest.fixture(scope="module", name="good")
def _good(shared) -> str:
    """A token that is good, to make others of it that are not."""
    token = _token(shared[1], iss="third", sub="third", jti="good")
    headers = {"Authorization": f"Bearer {token}"}
    assert shared[1].get("/fhir/CarePlan", headers=headers).status_code == 200
    return token


# Name → the Authorization header, made of a token that is good.
TOKENS: dict[str, Callable[[str], str]] = {
    "garbage": lambda _: "Bearer garbage",
    "empty": lambda _: "Bearer ",
    "the word alone": lambda _: "Bearer",
    "no word": lambda token: token,
    "another scheme": lambda token: f"Basic {token}",
    "DPoP": lambda token: f"DPoP {token}",
    "in capitals": lambda token: f"Bearer {token.upper()}",
    "two": lambda token: f"Bearer {token} {token}",
    "two by comma": lambda token: f"Bearer {token}, Bearer {token}",
    "cut": lambda token: f"Bearer {token[:-1]}",
    "longer": lambda token: f"Bearer {token}x",
    "padded": lambda token: f"Bearer {token}=",
    "its digest": lambda token: f"Bearer {digest(token)}",
    "its digest of bytes": lambda token: (
        "Bearer " + encoded(hashlib.sha256(token.encode()).digest())
    ),
    "an assertion": lambda _: f"Bearer {partner.sound(NOW, jti='access')}",
    "quoted": lambda token: f'Bearer "{token}"',
    "oversize": lambda token: f"Bearer {token * 40}",
    "of other letters": lambda _: "Bearer \xe9\xe8",
    "a wildcard": lambda _: "Bearer %",
    "SQL": lambda _: "Bearer ' OR '1'='1",
}


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("path", ["/fhir/CarePlan", "/fhir/CarePlan/x", "/fhir/_history"])
def test_an_access_token_that_is_none(shared, good, name, path):
    """401 with a challenge and an OperationOutcome, though the setting would let anybody in."""
    web, token = shared[1], good
    given = TOKENS[name](token)

    with structlog.testing.capture_logs() as logs:
        answer = web.get(path, headers={"Authorization": given})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.json["issue"][0]["code"] == "login"
    told = str(logs) + answer.text
    assert token not in told
    assert all(part not in told for part in given.split()[1:] if len(part) > 8)


@pytest.mark.parametrize("where", ["query", "form", "cookie", "nothing"])
def test_a_token_elsewhere_than_in_its_header(database_url, late, clock, where):
    """It is not looked for there; without one there is no access."""
    made = product(load(database_url=database_url), mappings=late)
    made.clock = clock
    made.database.upgrade()
    made.partners.register(partner.NAME, "system/CarePlan.rs", jwks=partner.key_set())
    web = create_app(made, lambda: late.mappings).test_client()
    token = _token(web)
    with structlog.testing.capture_logs() as logs:
        answer = {
            "query": lambda: web.get("/fhir/CarePlan", query_string={"access_token": token}),
            "form": lambda: web.post("/fhir/CarePlan/_search", data={"access_token": token}),
            "cookie": lambda: web.get(
                "/fhir/CarePlan", headers={"Cookie": f"access_token={token}"}
            ),
            "nothing": lambda: web.get("/fhir/CarePlan"),
        }[where]()
    made.database.dispose()
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="fhirsvc"'
    assert token not in str(logs) + answer.text


def test_a_token_that_expired_or_was_revoked(web, known, clock):
    """Both are refused as any other that is none; the other client's goes on."""
    headers = {"Authorization": f"Bearer {_token(web)}"}
    assert web.get("/fhir/CarePlan", headers=headers).status_code == 200
    known.partners.revoke(partner.NAME)
    assert web.get("/fhir/CarePlan", headers=headers).status_code == 401

    other = partner.jwt(
        header(kid="other-1"), claims(NOW, iss="other", sub="other"), by_rsa(rsa("other-1"))
    )
    granted = web.post("/oauth/token", data=partner.form(other, scope="system/*.rs"))
    headers = {"Authorization": f"Bearer {granted.json['access_token']}"}
    assert web.get("/fhir/CarePlan", headers=headers).status_code == 200
    clock.now += 300
    assert web.get("/fhir/CarePlan", headers=headers).status_code == 401


# Scope → requests that it does not allow.
OVERREACH = {
    "system/CarePlan.r": [
        "CarePlan",
        "CarePlan?patient=client.client-01",
        "CarePlan/_history",
        "_history",
        "Goal/goal.goal-01",
    ],
    "system/CarePlan.s": [
        "CarePlan/care-plan.plan-01",
        "CarePlan/care-plan.plan-01/_history",
        "CarePlan/care-plan.plan-01/_history/1",
        "Goal",
        "Goal/_history",
    ],
    "system/CarePlan.cud": ["CarePlan", "CarePlan/care-plan.plan-01", "CarePlan/_history"],
    "system/CarePlan.rs": [
        "Patient/client.client-01",
        "Patient?_id=client.client-01",
        "CarePlan?_include=CarePlan:goal",
        "CarePlan?_include=CarePlan:goal:Goal",
        "CarePlan?_include=CarePlan:subject",
        "CarePlan?_include:iterate=CarePlan:goal",
        "CarePlan?_include=*",
        "CarePlan?_include=Goal:subject",
        "CarePlan?_revinclude=Task:focus",
        "CarePlan?_revinclude:iterate=Task:focus",
        "CarePlan?_revinclude=Provenance:target",
        "CarePlan?patient.family=Example",
        "CarePlan?subject:Patient.family=Example",
        "CarePlan?goal.subject.family=Example",
        "CarePlan?_has:Task:focus:status=requested",
        "CarePlan?_has:CarePlan:part-of:_has:Task:focus:status=requested",
        "Composition/handoff.aftercare-02/$document",
    ],
    "system/Composition.rs system/CarePlan.rs": ["Composition/handoff.aftercare-02/$document"],
    "system/CarePlan.rs system/Goal.r": ["CarePlan?_include=CarePlan:goal", "Goal"],
    "system/CarePlan.rs system/Organization.rs": ["CarePlan?_include=CarePlan:performer"],
}


@pytest.mark.parametrize(
    ("scope", "path"), [(scope, path) for scope, paths in OVERREACH.items() for path in paths]
)
def test_scope_overreach(shared, scope, path):
    """403, with a challenge; a search that is posted no less than one in the address."""
    clinic = shared[1]
    claims = {"iss": "third", "sub": "third", "jti": f"{scope} {path}"}
    headers = {"Authorization": f"Bearer {_token(clinic, scope, **claims)}"}

    answers = [clinic.get(f"/fhir/{path}", headers=headers)]
    kind, _, query = path.partition("?")
    if query:
        url = f"/fhir/{kind}/_search"
        answers.append(clinic.post(url, data=query, content_type=FORM, headers=headers))

    for answer in answers:
        assert answer.status_code == 403
        assert "insufficient_scope" in answer.headers["WWW-Authenticate"]
        assert answer.json["issue"][0]["code"] == "forbidden"


ALLOWED = {
    "system/CarePlan.r": ["CarePlan/care-plan.plan-01", "CarePlan/care-plan.plan-01/_history"],
    "system/CarePlan.s": ["CarePlan?patient=Patient/client.client-01", "CarePlan/_history"],
    "system/CarePlan.rs system/Goal.s": ["CarePlan?_include=CarePlan:goal", "_history"],
    "system/CarePlan.s system/Task.s": ["CarePlan?_revinclude=Task:focus"],
    "system/CarePlan.rs system/Organization.rs": [
        "CarePlan?_include=CarePlan:performer:Organization"
    ],
    "system/*.rs": [
        "CarePlan?_include=CarePlan:performer",
        "Task?_revinclude=Provenance:target",
        "Composition/handoff.aftercare-02/$document",
    ],
}


@pytest.mark.parametrize(
    ("scope", "path"), [(scope, path) for scope, paths in ALLOWED.items() for path in paths]
)
def test_what_scopes_allow(shared, scope, path):
    """The rule is not that everything is refused."""
    clinic = shared[1]
    claims = {"iss": "third", "sub": "third", "jti": f"{scope} {path}"}
    headers = {"Authorization": f"Bearer {_token(clinic, scope, **claims)}"}
    assert clinic.get(f"/fhir/{path}", headers=headers).status_code == 200


def test_a_history_of_all_has_only_what_may_be_searched(clinic, known):
    """Types that the token says nothing of are not in it."""
    headers = {"Authorization": f"Bearer {_token(clinic)}"}
    found = clinic.get("/fhir/_history?_count=1000", headers=headers).json
    assert {one["resource"]["resourceType"] for one in found["entry"]} == {"CarePlan"}


def test_a_search_goes_on_with_the_rights_of_who_goes_on(clinic, known):
    """A next link of a wider token is not good for a narrower one of the same client."""
    known.partners.register("third", "system/*.rs", jwks=partner.key_set())
    wide, narrow = (
        {"Authorization": f"Bearer {_token(clinic, scope, iss='third', sub='third', jti=scope)}"}
        for scope in ("system/*.rs", "system/CarePlan.rs")
    )
    query = "/fhir/CarePlan?_include=CarePlan:goal&_count=1"
    links = clinic.get(query, headers=wide).json["link"]
    there = next(one["url"] for one in links if one["relation"] == "next")

    assert clinic.get(there, headers=wide).status_code == 200
    assert clinic.get(there, headers=narrow).status_code == 403


def test_there_are_enough_of_them():
    """Sixty and more, none of them twice."""
    assertions = [text for text, _ in ASSERTIONS.values()]
    assert len(set(assertions)) == len(assertions)
    assert len(ASSERTIONS) + len(REQUESTS) + len(TOKENS) + len(WEAK) >= 150
