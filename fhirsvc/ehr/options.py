"""What a connection's ``options`` and ``tls`` may say, for each way to prove who it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fhirsvc.ehr.keys import ALGORITHMS
from fhirsvc.ehr.transport import Tls, is_private, origin
from fhirsvc.errors import Category, FhirsvcError

CLIENT_AUTH = ("client_secret_basic", "client_secret_post")
TLS = ("cert", "key", "ca")
_REFERENCE = re.compile(r"(env|file):\S.*")
_VISIBLE = re.compile(r"[\x21-\x7e]{1,500}")
# https://www.rfc-editor.org/rfc/rfc6749#section-3.3
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    plain = bool(_VISIBLE.fullmatch(value)) and not parts.fragment and "@" not in parts.netloc
    return plain and is_private(value)


@dataclass(frozen=True)
class Option:
    """One option: which auths know it, which need it, and what it has to be."""

    auths: tuple[str, ...]
    expected: str
    fits: Callable[[str], bool]
    needed: tuple[str, ...] = ()


BOTH = ("oauth2", "smart")
OPTIONS: dict[str, Option] = {
    "client_id": Option(
        BOTH, "the id the EHR registered us under", lambda v: bool(_VISIBLE.fullmatch(v)), BOTH
    ),
    "token_url": Option(
        BOTH, "an https URL without user, password or fragment (http on this machine)", _is_url
    ),
    "scope": Option(
        BOTH,
        "scopes with one space between, such as system/Patient.cruds",
        lambda v: bool(_SCOPE.fullmatch(v)),
        ("smart",),
    ),
    "audience": Option(
        BOTH, "what the EHR calls itself, visible characters", lambda v: bool(_VISIBLE.fullmatch(v))
    ),
    "client_auth": Option(("oauth2",), " or ".join(CLIENT_AUTH), lambda v: v in CLIENT_AUTH),
    "alg": Option(("smart",), " or ".join(ALGORITHMS), lambda v: v in ALGORITHMS),
    "key": Option(
        ("smart",), "file:PATH of a PEM or JWK (or env:NAME)", lambda v: bool(_REFERENCE.match(v))
    ),
    "kid": Option(("smart",), "the key's name at the EHR", lambda v: bool(_VISIBLE.fullmatch(v))),
    "jku": Option(("smart",), "the https URL of our key set", _is_url),
}


def check(
    base_url: str, auth: str, secret: str, options: Mapping[str, Any], tls: Mapping[str, Any]
) -> None:
    """Refuse options that the auth does not know, lacks or that are not what they have to be.

    :raises FhirsvcError: INVALID at ``connection.options.NAME`` or ``connection.tls.NAME``.
    """
    for name, value in options.items():
        if name == "systems":
            _check_systems(value)
            continue
        option = OPTIONS.get(name)
        if option is None or auth not in option.auths:
            known = ", ".join(one for one, it in OPTIONS.items() if auth in it.auths)
            raise _expected(known or f"nothing: {auth} has no options", f"options.{name}")
        if not isinstance(value, str) or not option.fits(value):
            raise _expected(option.expected, f"options.{name}")
    for name, option in OPTIONS.items():
        if auth in option.needed and name not in options:
            raise _expected(option.expected, f"options.{name}")
    if "kid" in options and "key" not in options:
        raise _expected("key, whose name this is", "options.key")
    if auth == "smart" and secret:
        raise _expected("nothing: smart proves itself by a key", "secret")
    _check_tls(base_url, tls)


def _check_systems(value: object) -> None:
    """Identifier systems of ours, by the name that the EHR has for each."""
    if not isinstance(value, Mapping) or not all(
        isinstance(one, str) and _VISIBLE.fullmatch(one) for pair in value.items() for one in pair
    ):
        raise _expected("our identifier systems and the EHR's names for them", "options.systems")


def _check_tls(base_url: str, tls: Mapping[str, Any]) -> None:
    for name, value in tls.items():
        if name not in TLS:
            raise _expected(", ".join(TLS), f"tls.{name}")
        if not isinstance(value, str) or not re.fullmatch(r"file:\S.*", value):
            raise _expected("file:PATH of a PEM", f"tls.{name}")
    if "key" in tls and "cert" not in tls:
        raise _expected("the certificate of this key", "tls.cert")
    if tls and origin(base_url)[0] != "https":
        raise _expected("an https address, where there are certificates", "base_url")


def tls_paths(tls: Mapping[str, str]) -> Tls:
    """The paths of checked ``tls``."""
    return Tls(**{name: value.removeprefix("file:") for name, value in tls.items()})


def _expected(expected: str, where: str) -> FhirsvcError:
    return FhirsvcError(Category.INVALID, f"expected: {expected}", f"connection.{where}")
