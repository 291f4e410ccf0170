"""SMART Backend Services: a token request proven by an assertion that only our key can sign.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhirsvc.ehr.keys import ALGORITHMS, ClientKey, KeyFolder, signer
from fhirsvc.errors import Category, FhirsvcError

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE_S = 240  # an assertion's; 5 minutes are allowed, by a clock that is not quite ours
RSA_BITS = 3072
CURVE = "P-384"  # the one that ES384 has
KEY = "connection.options.key"


@dataclass(frozen=True)
class Signer:
    """A private key, under the name and for the algorithm that the EHR knows it by."""

    kid: str
    alg: str
    key: RSAKey | ECKey

    def __repr__(self) -> str:
        return f"Signer({self.kid!r}, {self.alg!r})"


def signed(
    by: Signer, client_id: str, audience: str, *, now: float, jti: str, jku: str = ""
) -> str:
    """An assertion: who we are, for whom it is, until when, and that it was never used before."""
    header = {"alg": by.alg, "kid": by.kid, "typ": "JWT"} | ({"jku": jku} if jku else {})
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "exp": int(now) + LIFE_S,
        "jti": jti,
    }
    return jwt.encode(header, claims, by.key, algorithms=list(ALGORITHMS))


class Assertion:
    """The proof of a SMART client; ``audience`` is the token URL unless the EHR wants another."""

    def __init__(
        self,
        client_id: str,
        signer: Callable[[], Signer],
        now: Callable[[], float],
        new_id: Callable[[], str],
        *,
        audience: str = "",
        jku: str = "",
    ) -> None:
        self._client_id = client_id
        self._signer = signer
        self._now = now
        self._new_id = new_id
        self._audience = audience
        self._jku = jku

    def add_to(self, form: dict[str, str], headers: dict[str, str], token_url: str) -> None:
        """A new assertion, signed with the key of the moment."""
        form["client_assertion_type"] = JWT_BEARER
        form["client_assertion"] = signed(
            self._signer(),
            self._client_id,
            self._audience or token_url,
            now=self._now(),
            jti=self._new_id(),
            jku=self._jku,
        )


def signer_for(
    options: Mapping[str, Any],
    keys: KeyFolder,
    read: Callable[[str], str],
    now: Callable[[], float],
) -> Callable[[], Signer]:
    """What signs for a connection: the one key that its options name, else the folder's.

    The result raises a FhirsvcError, UNAUTHENTICATED, when there is no such key.
    """
    alg = str(options["alg"]) if options.get("alg") else None
    if reference := options.get("key"):
        return lambda: named(read(str(reference)), alg, str(options.get("kid", "")))

    def from_folder() -> Signer:
        found = signer(keys.read()[0], alg, now())
        if found is None:
            message = f"no key{f' for {alg}' if alg else ''} that signs: `fhirsvc keys new`"
            raise FhirsvcError(Category.UNAUTHENTICATED, message, f"keys {keys.path}")
        return _signer(found)

    return from_folder


def _signer(key: ClientKey) -> Signer:
    kind = RSAKey if key.alg == "RS384" else ECKey
    try:
        return Signer(key.kid, key.alg, kind.import_key(dict(key.private or {})))
    except (JoseError, ValueError, KeyError, TypeError, UnsupportedAlgorithm):
        message = "the private key cannot be used"
        raise FhirsvcError(Category.UNAUTHENTICATED, message, f"key {key.kid}") from None


def named(text: str, alg: str | None, kid: str) -> Signer:
    """The key in a file: PEM or JWK, without a password.

    ``kid`` is the name the EHR knows it by; '' takes the JWK's own, or its thumbprint
    (https://www.rfc-editor.org/rfc/rfc7638).

    :raises FhirsvcError: UNAUTHENTICATED when it is no private key for RS384 or ES384, or not one
        for ``alg``.
    """
    key = _parsed(text.strip())
    fits = "RS384" if isinstance(key, RSAKey) else "ES384"
    wrong = not key.is_private or (isinstance(key, ECKey) and key.curve_name != CURVE)
    if wrong or alg not in (None, fits) or (fits == "RS384" and key.raw_value.key_size < 2048):
        message = f"not a private key for {alg or ' or '.join(ALGORITHMS)}"
        raise FhirsvcError(Category.UNAUTHENTICATED, message, KEY)
    return Signer(kid or key.kid or key.thumbprint(), fits, key)


def _parsed(text: str) -> RSAKey | ECKey:
    try:
        value: Any = orjson.loads(text) if text.startswith("{") else text
    except orjson.JSONDecodeError:
        value = ""
    for kind in (RSAKey, ECKey):
        try:
            return kind.import_key(value)
        except (JoseError, ValueError, KeyError, TypeError, UnsupportedAlgorithm, Warning):
            continue
    raise FhirsvcError(Category.UNAUTHENTICATED, "not a private key in PEM or JWK", KEY)


def new_key(alg: str, now: float) -> ClientKey:
    """A new key pair, named by its thumbprint; see :func:`fhirsvc.ehr.keys.scheduled`."""
    key = _generated(alg)
    while key.thumbprint().startswith("-"):  # a command would take it for an option
        key = _generated(alg)
    return ClientKey(
        key.thumbprint(),
        alg,
        created_at=now,
        signs_from=now,
        public=key.as_dict(private=False),
        private=key.as_dict(private=True),
    )


def _generated(alg: str) -> RSAKey | ECKey:
    return RSAKey.generate_key(RSA_BITS) if alg == "RS384" else ECKey.generate_key(CURVE)
