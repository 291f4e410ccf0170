"""Partners' public keys: which one is meant, and whether it is fit for what it is to prove. Pure.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from fhirsvc.errors import Finding

KINDS = {"RS384": "RSA", "ES384": "EC"}
CURVE = "P-384"
BITS = range(2048, 8193)  # of an RSA key
MOST = 50  # keys in a set
Jwk = Mapping[str, Any]
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,2048}")
_KID = re.compile(r"[\x20-\x7e]{1,200}")


def keys_of(key_set: object) -> list[Jwk] | None:
    """The keys of a JWK set; None where it is none. https://www.rfc-editor.org/rfc/rfc7517"""
    keys = key_set.get("keys") if isinstance(key_set, Mapping) else None
    if not isinstance(keys, list) or len(keys) > MOST:
        return None
    return [one for one in keys if isinstance(one, Mapping)]


def meant(keys: Sequence[Jwk], kid: str, alg: str) -> RSAKey | ECKey | None:
    """The one key of this name and kind; None where there is none, more than one, or an unfit one.

    :param alg: ``RS384`` or ``ES384``.
    """
    named = [one for one in keys if one.get("kid") == kid and one.get("kty") == KINDS[alg]]
    return _imported(named[0]) if len(named) == 1 and not unfit(named[0]) else None


def unfit(jwk: Jwk) -> str:
    """Why a key proves nothing here; '' for one that does."""
    kid, kind = jwk.get("kid"), jwk.get("kty")
    if _PRIVATE & jwk.keys():
        return "it has a private half, which nobody else may know: make a new one"
    if kind not in KINDS.values():
        return "expected kty RSA or EC"
    if not isinstance(kid, str) or not _KID.fullmatch(kid):
        return "expected a kid"
    alg = next(name for name, one in KINDS.items() if one == kind)
    operations = jwk.get("key_ops", ["verify"])
    is_ours = jwk.get("use", "sig") == "sig" and jwk.get("alg", alg) == alg
    if not is_ours or not isinstance(operations, list) or "verify" not in operations:
        return f"expected one to verify {alg}"
    if kind == "EC" and jwk.get("crv") != CURVE:
        return f"expected crv {CURVE}"
    if kind == "RSA" and _bits(jwk.get("n")) not in BITS:
        return f"expected {BITS[0]} to {BITS[-1]} bits"
    return "" if _imported(jwk) is not None else "its numbers are no key"


def findings(key_set: object) -> list[Finding]:
    """What is wrong with a set that is to be registered."""
    keys = key_set.get("keys") if isinstance(key_set, Mapping) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= MOST:
        return [Finding("jwks", f"expected a JWK set of 1 to {MOST} keys", "$.keys")]
    found = [
        Finding("jwk", why, f"$.keys[{index}]")
        for index, one in enumerate(keys)
        if (why := unfit(one) if isinstance(one, Mapping) else "expected an object")
    ]
    names = [(one.get("kid"), one.get("kty")) for one in keys_of(key_set) or ()]
    return found + [
        Finding("jwk-kid", "another key of its kty has this kid", f"$.keys[{index}]")
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _imported(jwk: Jwk) -> RSAKey | ECKey | None:
    """The key by its numbers alone: whatever else a JWK says was looked at before."""
    names = ("n", "e") if jwk.get("kty") == "RSA" else ("crv", "x", "y")
    plain: dict[str, Any] = {name: jwk.get(name) for name in ("kty", *names)}
    numbers = [value for name, value in plain.items() if name not in ("kty", "crv")]
    if not all(isinstance(one, str) and _NUMBER.fullmatch(one) for one in numbers):
        return None
    try:
        key = (RSAKey if jwk["kty"] == "RSA" else ECKey).import_key(plain)
        key.get_op_key("verify")
    except (JoseError, ValueError, KeyError, TypeError, UnsupportedAlgorithm, Warning):
        return None
    return key


def _bits(number: object) -> int:
    """How many bits a base64url number has; 0 where it is none."""
    if not isinstance(number, str) or not _NUMBER.fullmatch(number):
        return 0
    try:
        data = base64.urlsafe_b64decode(number + "=" * (-len(number) % 4))
    except (ValueError, binascii.Error):
        return 0
    return int.from_bytes(data).bit_length()
