"""What proves who a connection is: the door that all of them have, and those that ask nobody."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Protocol

from fhirsvc.errors import Category, FhirsvcError


class Auth(Protocol):
    """Gives the Authorization header of a request; safe to share between threads."""

    def header(self) -> str | None:
        """The header's value; None to send none.

        :raises FhirsvcError: UNAUTHENTICATED when the secret is missing, and what
            :class:`fhirsvc.ehr.tokens.TokenError` says when there is no token to be had.
        """

    def renew(self, refused: str | None) -> bool:
        """Get another than the ``refused`` header after a 401; False when there is no other."""

    def scopes(self) -> tuple[str, ...] | None:
        """The scopes that the token in use was granted; None where there is none that says so."""


class NoAuth:
    """An EHR that asks for nothing, such as one on the same machine."""

    def header(self) -> str | None:
        """No header."""
        return None

    def renew(self, refused: str | None) -> bool:
        """There is nothing to renew."""
        return False

    def scopes(self) -> tuple[str, ...] | None:
        """Nobody grants any."""
        return None


class SecretAuth:
    """Basic or bearer with a secret that is read when first needed, and again after a 401.

    ``secret`` returns the secret as it is now: a file may have been rotated since.
    https://www.rfc-editor.org/rfc/rfc7617 and https://www.rfc-editor.org/rfc/rfc6750
    """

    def __init__(self, kind: str, secret: Callable[[], str]) -> None:
        self._kind = kind
        self._secret = secret
        self._lock = threading.Lock()
        self._header: str | None = None

    def header(self) -> str | None:
        """``Basic …`` or ``Bearer …``."""
        with self._lock:
            if self._header is None:
                self._header = self._make()
            return self._header

    def renew(self, refused: str | None) -> bool:
        """Read the secret again; True when it is another than the refused one."""
        with self._lock:
            self._header = self._make()
            return self._header != refused

    def scopes(self) -> tuple[str, ...] | None:
        """It does not say."""
        return None

    def _make(self) -> str:
        secret = one_line(self._secret())
        if self._kind == "bearer":
            return f"Bearer {secret}"
        return "Basic " + base64.b64encode(secret.encode()).decode("ascii")


def one_line(secret: str) -> str:
    """A secret without the white space around it; UNAUTHENTICATED when it is no single line."""
    secret = secret.strip()
    if not secret or not secret.isprintable():
        raise FhirsvcError(Category.UNAUTHENTICATED, "the secret is empty or not one line")
    return secret
