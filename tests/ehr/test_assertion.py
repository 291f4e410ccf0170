"""Assertions: what is signed, with which key, and that no key is found in any message."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey, import_key

from fhirsvc.ehr.assertion import LIFE_S, Signer, named, new_key, signed, signer_for
from fhirsvc.ehr.keys import KeyFolder
from fhirsvc.errors import Category, FhirsvcError

NOW = 1_800_000_000.0


def pem(key, password=None) -> str:
    how = serialization.BestAvailableEncryption(password) if password else None
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        how or serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize(("alg", "kty"), [("RS384", "RSA"), ("ES384", "EC")])
def test_an_assertion_says_what_smart_asks_for(alg, kty):
    """Header alg, kid, typ; claims iss = sub = client, aud, exp within five minutes, jti."""
    key = new_key(alg, NOW)
    with_key = Signer(key.kid, alg, import_key(dict(key.private)))

    text = signed(with_key, "iop", "https://ehr.example/token", now=NOW + 0.7, jti="j-1")

    found = jwt.decode(text, import_key(dict(key.public)), algorithms=[alg])
    assert found.header == {"alg": alg, "kid": key.kid, "typ": "JWT"}
    assert found.claims == {
        "iss": "iop",
        "sub": "iop",
        "aud": "https://ehr.example/token",
        "exp": NOW + LIFE_S,
        "jti": "j-1",
    }
    assert LIFE_S <= 300
    assert key.public["kty"] == kty
    assert key.kid == import_key(dict(key.public)).thumbprint()


def test_jku_goes_along_when_there_is_one():
    """Some EHRs tell clients by it."""
    key = new_key("ES384", NOW)
    with_key = Signer(key.kid, "ES384", ECKey.import_key(dict(key.private)))
    jku = "https://iop.example/.well-known/jwks.json"

    text = signed(with_key, "iop", "https://ehr.example/token", now=NOW, jti="j", jku=jku)

    assert jwt.decode(text, with_key.key, algorithms=["ES384"]).header["jku"] == jku


def test_a_key_in_a_file_of_its_own(tmp_path):
    """PEM or JWK; its name is the given one, the JWK's, or its thumbprint."""
    rsa_key = rsa.generate_private_key(65537, 2048)
    curve = ec.generate_private_key(ec.SECP384R1())
    jwk = ECKey.import_key(pem(curve), {"kid": "mine"}).as_dict(private=True)
    jwk_text = str(jwk).replace("'", '"')

    assert named(pem(rsa_key), None, "").kid == RSAKey.import_key(pem(rsa_key)).thumbprint()
    assert (named(pem(rsa_key), None, "x").alg, named(pem(rsa_key), "RS384", "x").kid) == (
        "RS384",
        "x",
    )
    assert (named(jwk_text, "ES384", "").kid, named(jwk_text, None, "").alg) == ("mine", "ES384")


PUBLIC = str(ECKey.generate_key("P-384").as_dict(private=False)).replace("'", '"')


@pytest.mark.parametrize(
    ("text", "alg"),
    [
        ("", None),
        ("Zebulonqx", None),
        ("{", None),
        ('{"kty": "oct", "k": "Zebulonqx"}', None),
        ("-----BEGIN PRIVATE KEY-----\nZebulonqx\n-----END PRIVATE KEY-----", None),
        (PUBLIC, None),
        (pem(ec.generate_private_key(ec.SECP256R1())), None),
        (pem(ec.generate_private_key(ec.SECP384R1())), "RS384"),
        (pem(ec.generate_private_key(ec.SECP384R1()), b"password"), None),
    ],
    ids=range(9),
)
def test_what_is_no_key_for_this(text, alg):
    """One clear sentence, with nothing of the file in it."""
    with pytest.raises(FhirsvcError) as raised:
        named(text, alg, "")

    assert raised.value.category == Category.UNAUTHENTICATED
    assert raised.value.where == "connection.options.key"
    assert "Zebulonqx" not in str(raised.value)


def test_the_folders_key_of_the_moment_signs(tmp_path):
    """Read at each assertion: a key that was rotated counts at once."""
    folder = KeyFolder(tmp_path)
    sign = signer_for({}, folder, lambda _: "", lambda: NOW)
    with pytest.raises(FhirsvcError, match="fhirsvc keys new"):
        sign()
    first, second = new_key("ES384", NOW - 10), new_key("ES384", NOW - 5)
    folder.write(first)
    assert sign().kid == first.kid
    folder.write(second)
    assert sign().kid == second.kid


def test_a_folders_key_for_another_algorithm_does_not_sign(tmp_path):
    """The EHR asked for the one it was told of."""
    folder = KeyFolder(tmp_path)
    folder.write(new_key("ES384", NOW))

    with pytest.raises(FhirsvcError, match="no key for RS384"):
        signer_for({"alg": "RS384"}, folder, lambda _: "", lambda: NOW)()


def test_a_signer_is_no_text_of_its_own():
    """What prints an object by mistake prints no private key."""
    key = ECKey.generate_key("P-384")
    assert repr(Signer("k", "ES384", key)) == "Signer('k', 'ES384')"
