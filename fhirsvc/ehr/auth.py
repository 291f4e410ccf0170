"""How a connection proves who it is: nothing, a user and password, or a bearer token."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Protocol

from fhirsvc.errors import Category, FhirsvcError


class Auth(Protocol):
    """Gives the Authorization header of a request."""

    def header(self) -> str | None:
        """The header's value; None to send none. UNAUTHENTICATED when the secret is missing."""

    def renew(self) -> bool:
        """Get a new credential after a 401; False when there cannot be another one."""


class NoAuth:
    """An EHR that asks for nothing, such as one on the same machine."""

    def header(self) -> str | None:
        """No header."""
        return None

    def renew(self) -> bool:
        """There is nothing to renew."""
        return False


class SecretAuth:
    """Basic or bearer with a secret that is read when first needed, and again after a 401.

    ``secret`` returns the secret as it is now: a file may have been rotated since.
    https://www.rfc-editor.org/rfc/rfc7617 and https://www.rfc-editor.org/rfc/rfc6750
    """

    def __init__(self, kind: str, secret: Callable[[], str]) -> None:
        self._kind = kind
        self._secret = secret
        self._header: str | None = None

    def header(self) -> str | None:
        """``Basic …`` or ``Bearer …``."""
        if self._header is None:
            self._header = self._make()
        return self._header

    def renew(self) -> bool:
        """Read the secret again; True when it has changed."""
        before, self._header = self._header, self._make()
        return self._header != before

    def _make(self) -> str:
        secret = self._secret().strip()
        if not secret or not secret.isprintable():
            raise FhirsvcError(Category.UNAUTHENTICATED, "the secret is empty or not one line")
        if self._kind == "bearer":
            return f"Bearer {secret}"
        return "Basic " + base64.b64encode(secret.encode()).decode("ascii")


def auth_for(kind: str, secret: Callable[[], str]) -> Auth:
    """The auth of a connection: ``none``, ``basic`` or ``bearer``."""
    return NoAuth() if kind == "none" else SecretAuth(kind, secret)
