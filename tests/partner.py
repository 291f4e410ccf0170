"""A partner's client: keys of each kind, and assertions as they should be or as they should not."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import ECKey, RSAKey

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AUD = "http://localhost/oauth/token"
NAME = "hospital"
Json = dict[str, Any]
Sign = Callable[[bytes], bytes]


@cache
def rsa(name: str = "rsa-1", bits: int = 2048) -> RSAKey:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a short key is what a test wants
        return RSAKey.generate_key(bits, {"kid": name})


@cache
def curve(name: str = "ec-1", crv: str = "P-384") -> ECKey:
    return ECKey.generate_key(crv, {"kid": name})


def public(key: RSAKey | ECKey, **more: Any) -> Json:
    """The public half as a JWK."""
    return {**key.as_dict(private=False), "kid": key.kid, **more}


def key_set(*keys: Json) -> Json:
    """A JWK set; of the two keys of the partner where none are given."""
    return {"keys": list(keys) or [public(rsa()), public(curve())]}


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def jwt(header: object, claims: object, sign: Sign) -> str:
    """A JWT of whatever parts; bytes are taken as they are."""
    parts = [one if isinstance(one, bytes) else orjson.dumps(one) for one in (header, claims)]
    text = ".".join(map(encoded, parts))
    return f"{text}.{encoded(sign(text.encode()))}"


def by_rsa(key: RSAKey, hash_: hashes.HashAlgorithm | None = None) -> Sign:
    """Signs with PKCS #1 v1.5, as RS384 does unless it is told another hash."""
    return lambda data: key.private_key.sign(data, padding.PKCS1v15(), hash_ or hashes.SHA384())


def by_pss(key: RSAKey) -> Sign:
    hash_ = hashes.SHA384()
    pss = padding.PSS(padding.MGF1(hash_), hash_.digest_size)
    return lambda data: key.private_key.sign(data, pss, hash_)


def by_der(key: ECKey) -> Sign:
    """ECDSA as X.509 writes it, which JWS does not."""
    return lambda data: key.private_key.sign(data, ec.ECDSA(hashes.SHA384()))


def by_ec(key: ECKey, size: int = 48, swapped: bool = False) -> Sign:
    """ECDSA as JWS writes it."""

    def sign(data: bytes) -> bytes:
        pair = decode_dss_signature(by_der(key)(data))
        return b"".join(one.to_bytes(size) for one in (pair[::-1] if swapped else pair))

    return sign


def header(**more: Any) -> Json:
    """The header of a sound assertion by RS384; None leaves a member out."""
    return _with({"alg": "RS384", "kid": "rsa-1", "typ": "JWT"}, more)


def claims(now: float, **more: Any) -> Json:
    """The claims of a sound assertion; None leaves one out."""
    made = {"iss": NAME, "sub": NAME, "aud": AUD, "exp": int(now) + 240, "jti": f"jti-{now}-secret"}
    return _with(made, more)


def _with(made: Json, more: Json) -> Json:
    return {name: value for name, value in {**made, **more}.items() if value is not None}


def form(assertion: str | None, **more: Any) -> Json:
    """A token request; None leaves a parameter out."""
    made = {
        "grant_type": "client_credentials",
        "scope": "system/CarePlan.rs",
        "client_assertion_type": JWT_BEARER,
        "client_assertion": assertion,
    }
    return _with(made, more)


def sound(now: float, key: RSAKey | ECKey | None = None, **more: Any) -> str:
    """A sound assertion; ``more`` are claims."""
    key = key or rsa()
    if isinstance(key, RSAKey):
        return jwt(header(kid=key.kid), claims(now, **more), by_rsa(key))
    return jwt(header(alg="ES384", kid=key.kid), claims(now, **more), by_ec(key))
