"""Asks for a token with the client credentials grant; who asks is proven by a secret or a key.

https://www.rfc-editor.org/rfc/rfc6749#section-4.4
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote_plus

from fhirsvc.ehr.credentials import one_line
from fhirsvc.ehr.discovery import Discovery
from fhirsvc.ehr.tokens import Token, read_token
from fhirsvc.ehr.transport import Transport

MOVED = (404, 405, 410)  # nobody gives tokens at this address


class Proof(Protocol):
    """Proves which client asks."""

    def add_to(self, form: dict[str, str], headers: dict[str, str], token_url: str) -> None:
        """Put the proof into a token request.

        :raises FhirsvcError: UNAUTHENTICATED when the secret or key is missing.
        """


class ClientSecret:
    """An id and a secret, in the header (``client_secret_basic``) or the form (``…_post``).

    https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
    """

    def __init__(self, client_id: str, secret: Callable[[], str], method: str) -> None:
        self._client_id = client_id
        self._secret = secret
        self._method = method

    def add_to(self, form: dict[str, str], headers: dict[str, str], token_url: str) -> None:
        """The secret as it is now."""
        secret = one_line(self._secret())
        if self._method == "client_secret_post":
            form |= {"client_id": self._client_id, "client_secret": secret}
            return
        pair = f"{quote_plus(self._client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")


class TokenRequest:
    """One client's way to a token. ``scope`` and ``audience`` are left out when ''."""

    def __init__(
        self,
        transport: Transport,
        proof: Proof,
        discovery: Discovery,
        *,
        scope: str = "",
        audience: str = "",
    ) -> None:
        self._transport = transport
        self._proof = proof
        self._discovery = discovery
        self._more = {"scope": scope, "audience": audience}

    def ask(self) -> Token:
        """A new token.

        :raises FhirsvcError: UNAUTHENTICATED when the secret or key is missing; a TokenError says
            what the authorization server did not give.
        """
        url = self._discovery.token_url()
        form = {"grant_type": "client_credentials"}
        form |= {name: value for name, value in self._more.items() if value}
        headers = {"Accept": "application/json", "User-Agent": "fhirsvc"}
        self._proof.add_to(form, headers, url)
        answer = self._transport.send("POST", url, headers, data=form)
        if answer.status in MOVED or (answer.status and 300 <= answer.status < 400):
            self._discovery.forget()
        return read_token(answer)
