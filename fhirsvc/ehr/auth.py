"""How a connection proves who it is: the one place that knows all ways.

none              nothing                                                  :mod:`.credentials`
basic, bearer     a secret, read again after a 401                         :mod:`.credentials`
oauth2            client credentials: an id and a secret for a token       :mod:`.tokens`
smart             SMART Backend Services: a signed assertion for a token   :mod:`.assertion`

A client certificate can go with any of them: :class:`fhirsvc.ehr.transport.Tls`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.ehr.credentials import Auth, NoAuth, SecretAuth
from fhirsvc.ehr.discovery import Discovery
from fhirsvc.ehr.keys import KeyFolder
from fhirsvc.ehr.token_request import ClientSecret, Proof, TokenRequest
from fhirsvc.ehr.tokens import TokenAuth
from fhirsvc.ehr.transport import Transport

__all__ = ["Auth", "Login", "NoAuth", "SecretAuth", "auth_for"]


@dataclass(frozen=True)
class Login:
    """What an auth is made of.

    ``options`` are the connection's (:mod:`fhirsvc.ehr.options`), already checked. ``read`` gives
    the text that ``env:NAME`` or ``file:PATH`` names, as it is now. ``now`` is epoch seconds,
    ``clock`` seconds that never go back, ``new_id`` an id that was never used.
    """

    kind: str
    secret: str
    options: Mapping[str, Any]
    base_url: str
    transport: Transport
    keys: KeyFolder
    read: Callable[[str], str]
    now: Callable[[], float]
    clock: Callable[[], float]
    new_id: Callable[[], str]


def auth_for(login: Login) -> Auth:
    """The auth of a connection: none, basic, bearer, oauth2 or smart."""
    if login.kind == "none":
        return NoAuth()
    if login.kind in ("basic", "bearer"):
        return SecretAuth(login.kind, lambda: login.read(login.secret))
    proof = _assertion(login) if login.kind == "smart" else _client_secret(login)
    options = login.options
    request = TokenRequest(
        login.transport,
        proof,
        Discovery(login.transport, login.base_url, str(options.get("token_url", ""))),
        scope=str(options.get("scope", "")),
        audience=str(options.get("audience", "")) if login.kind == "oauth2" else "",
    )
    return TokenAuth(request.ask, login.clock)


def _client_secret(login: Login) -> Proof:
    return ClientSecret(
        str(login.options["client_id"]),
        lambda: login.read(login.secret),
        str(login.options.get("client_auth", "client_secret_basic")),
    )


def _assertion(login: Login) -> Proof:
    # Slow to import, and only SMART connections need it.
    from fhirsvc.ehr.assertion import Assertion, signer_for  # noqa: PLC0415

    options = login.options
    signer = signer_for(options, login.keys, login.read, login.now)
    return Assertion(
        str(options["client_id"]),
        signer,
        login.now,
        login.new_id,
        audience=str(options.get("audience", "")),
        jku=str(options.get("jku", "")),
    )
