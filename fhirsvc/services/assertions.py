"""A client's assertion: read without trust, its signature verified, its claims checked. Pure.

Each way in which one can be wrong has a word (``REASONS``): words go to the log, and their
sentences to whoever asked. Nothing of an assertion itself is repeated anywhere.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html,
https://www.rfc-editor.org/rfc/rfc7523 and https://www.rfc-editor.org/rfc/rfc8725
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import Limits, parse
from fhirsvc.services.partner_keys import KINDS

AHEAD_S = 300.0  # the furthest that `exp` may be
LEEWAY_S = 10.0  # by which a client's clock may differ
LONGEST = 8192  # characters
_STRANGERS = "the client is not known here, or this is not signed by its one key of this kid"
REASONS = {
    "form": "expected a JWT of three parts in base64url",
    "alg": "expected alg RS384 or ES384",
    "kid": "expected a kid in the header",
    "typ": "expected typ JWT",
    "header": "expected no jwk, x5c, x5u, crit, b64, zip or cty in the header",
    "jku": "jku is not the registered address of the key set",
    "client": _STRANGERS,
    "key": _STRANGERS,
    "signature": _STRANGERS,
    "key-set": _STRANGERS,
    "iss": "iss and sub are both the client id",
    "aud": "aud is the address of this token endpoint, as a string",
    "exp": "exp is in the future, by five minutes at most",
    "nbf": "nbf is a moment that is past",
    "iat": "iat is a moment that is past",
    "jti": "expected a jti of 1 to 200 characters",
    "replay": "this was used before",
}
_PART = re.compile(r"[A-Za-z0-9_-]+")
_FORBIDDEN = frozenset(("jwk", "x5c", "x5u", "crit", "b64", "zip", "cty", "enc"))
_LIMITS = Limits(bytes=LONGEST, depth=8)


class AssertionRefusedError(FhirsvcError):
    """An assertion that proves nothing; ``reason`` is one of ``REASONS``."""

    def __init__(self, reason: str) -> None:
        super().__init__(Category.UNAUTHENTICATED, REASONS[reason], "client_assertion")
        self.reason = reason


@dataclass(frozen=True)
class Assertion:
    """What an assertion says. Its claims are as good as its signature, which see :func:`verify`."""

    text: str
    alg: str
    kid: str
    jku: str | None
    claims: Mapping[str, Any]

    def __repr__(self) -> str:
        return "Assertion()"

    @property
    def issuer(self) -> str:
        """The client id that it claims; '' without one."""
        found = self.claims.get("iss")
        return found if isinstance(found, str) else ""


def read(text: str) -> Assertion:
    """Read an assertion that anybody may have written.

    :raises AssertionRefusedError: it is none, or in a form that is never right.
    """
    parts = text.split(".")
    if len(text) > LONGEST or len(parts) != 3:
        raise AssertionRefusedError("form")
    header, claims = _json(parts[0]), _json(parts[1])
    _decoded(parts[2])
    alg, kid, jku = header.get("alg"), header.get("kid"), header.get("jku")
    if not isinstance(alg, str) or alg not in KINDS:
        raise AssertionRefusedError("alg")
    if header.get("typ") != "JWT":
        raise AssertionRefusedError("typ")
    if _FORBIDDEN & header.keys():
        raise AssertionRefusedError("header")
    if not isinstance(kid, str) or not kid:
        raise AssertionRefusedError("kid")
    if "jku" in header and not isinstance(jku, str):
        raise AssertionRefusedError("jku")
    return Assertion(text, alg, kid, jku, claims)


def verify(assertion: Assertion, key: RSAKey | ECKey) -> None:
    """Check the signature with the key that the client registered for the assertion's algorithm.

    :raises AssertionRefusedError: it is not that key's.
    """
    try:
        jws.deserialize_compact(assertion.text, key, algorithms=[assertion.alg])
    except (JoseError, ValueError):
        raise AssertionRefusedError("signature") from None


def check(assertion: Assertion, client: str, audience: str, now: float) -> float:
    """Check the claims of an assertion whose signature is good.

    :param now: epoch seconds.
    :returns: the moment from which it would be too old anyway, in epoch seconds.
    :raises AssertionRefusedError: a claim is missing or wrong.
    """
    claims = assertion.claims
    if not claims.get("iss") == claims.get("sub") == client:
        raise AssertionRefusedError("iss")
    if claims.get("aud") != audience or not audience:
        raise AssertionRefusedError("aud")
    expires = _moment(claims, "exp")
    if expires is None or not now < expires + LEEWAY_S or expires > now + AHEAD_S + LEEWAY_S:
        raise AssertionRefusedError("exp")
    for name in ("nbf", "iat"):
        if name in claims:
            moment = _moment(claims, name)
            if moment is None or moment > now + LEEWAY_S or moment > expires:
                raise AssertionRefusedError(name)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 200:
        raise AssertionRefusedError("jti")
    return expires + LEEWAY_S


def digest(assertion: Assertion) -> str:
    """What tells a client's assertion from its others: a digest of its issuer and jti."""
    jti = assertion.claims.get("jti", "")
    return hashlib.sha256(f"{assertion.issuer}\0{jti}".encode()).hexdigest()


def _moment(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate; None where it is none, or beyond what clocks say."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value < 1e11 else None


def _json(part: str) -> dict[str, Any]:
    try:
        found = parse(_decoded(part), _LIMITS)
    except FhirsvcError:
        raise AssertionRefusedError("form") from None
    if not isinstance(found, dict):
        raise AssertionRefusedError("form")
    return found


def _decoded(part: str) -> bytes:
    """The bytes of a part; there is one way to write them, and no padding."""
    if not _PART.fullmatch(part):
        raise AssertionRefusedError("form")
    try:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (ValueError, binascii.Error):
        raise AssertionRefusedError("form") from None
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != part:
        raise AssertionRefusedError("form")
    return data
