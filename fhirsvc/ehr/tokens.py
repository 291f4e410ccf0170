"""Access tokens: read from an answer, kept until shortly before they expire, asked for once.

https://www.rfc-editor.org/rfc/rfc6749#section-5 and
https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr.transport import Answer
from fhirsvc.errors import Category, FhirsvcError

WHERE = "token endpoint"
LIFE_S = 300.0  # of a token that does not say: what SMART recommends
LONGEST_S = 86_400.0  # no token is kept longer, whatever it says
MARGIN_S = 30.0  # before its end another is asked for
AGAIN_S = 5.0  # after a renewal that failed, while the token at hand is still good
_VISIBLE = re.compile(r"[\x21-\x7e]{1,16384}")
# The only words of an authorization server that are repeated: RFC 6749 §5.2 and §4.1.2.1.
_KNOWN = (
    "invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type "
    "invalid_scope access_denied server_error temporarily_unavailable"
).split()
_PASSING = ("server_error", "temporarily_unavailable")


class TokenError(FhirsvcError):
    """There is no token to be had: BUSY and UNAVAILABLE pass, UNAUTHENTICATED needs somebody.

    ``headers`` holds the Retry-After of the answer, if there was one. Neither it nor the message
    repeats what was sent or got.
    """

    def __init__(
        self, category: Category, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(category, message, WHERE)
        asked = (headers or {}).get("Retry-After")
        self.headers = CaseInsensitiveDict({"Retry-After": asked} if asked else {})


@dataclass(frozen=True)
class Token:
    """An access token as a header, the seconds it is good for, and the scopes it was granted.

    ``scopes`` is None when the answer did not say: then they are those asked for.
    """

    header: str
    life_s: float
    scopes: tuple[str, ...] | None

    def __repr__(self) -> str:
        return f"Token(life_s={self.life_s}, scopes={self.scopes})"


def read_token(answer: Answer) -> Token:
    """The token in a token endpoint's answer.

    A missing ``token_type`` is taken as bearer, any other than bearer is refused. A missing or odd
    ``expires_in`` is :data:`LIFE_S`.

    :raises TokenError: there is none.
    """
    if answer.status is None:
        category = Category.UNAUTHENTICATED if answer.problem == "secret" else Category.UNAVAILABLE
        said = f" ({answer.said})" if answer.said else ""
        raise TokenError(category, f"no usable answer: {answer.problem}{said}")
    body = answer.body or {}
    if answer.status != 200:
        raise _refusal(answer, body)
    kind, token = body.get("token_type", "bearer"), body.get("access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenError(Category.UNAUTHENTICATED, "answered with a token that is not a bearer's")
    if not isinstance(token, str) or not _VISIBLE.fullmatch(token):
        raise TokenError(Category.UNAVAILABLE, "answered without an access token")
    scope = body.get("scope")
    scopes = tuple(scope.split()) if isinstance(scope, str) else None
    return Token(f"Bearer {token}", _life(body.get("expires_in")), scopes)


def _refusal(answer: Answer, body: Mapping[str, Any]) -> TokenError:
    status, code = answer.status or 0, body.get("error")
    word = code if isinstance(code, str) and code in _KNOWN else ""
    said = f"answered {status}" + (f", {word}" if word else "")
    if status == 429:
        return TokenError(Category.BUSY, said, answer.headers)
    if status in (408, 425) or status >= 500 or word in _PASSING:
        return TokenError(Category.UNAVAILABLE, said, answer.headers)
    if 300 <= status < 400:
        return TokenError(Category.UNAUTHENTICATED, f"{said}: redirects are not followed")
    return TokenError(Category.UNAUTHENTICATED, said)


def _life(expires_in: Any) -> float:
    if isinstance(expires_in, str) and re.fullmatch(r"[0-9]{1,9}", expires_in):
        expires_in = int(expires_in)
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return LIFE_S
    if not math.isfinite(expires_in) or expires_in <= 0:
        return LIFE_S
    return min(float(expires_in), LONGEST_S)


@dataclass(frozen=True)
class _Held:
    token: Token
    renew_at: float
    expires_at: float


class TokenAuth:
    """Bearer tokens, one request at a time for all threads together.

    ``ask`` gets a token, ``clock`` gives seconds that never go back. Whoever needs a token while
    one is being asked for waits for that one, and shares its failure. A renewal that fails leaves
    the token at hand in use until its end.
    """

    def __init__(self, ask: Callable[[], Token], clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._flight: Future[_Held] | None = None

    def header(self) -> str | None:
        """``Bearer …``; a TokenError when there is none to be had."""
        return self._get(None).token.header

    def renew(self, refused: str | None) -> bool:
        """Get another than the ``refused`` token, unless another thread already has."""
        return self._get(refused).token.header != refused

    def scopes(self) -> tuple[str, ...] | None:
        """The scopes that the token in use was granted, None when that was not said."""
        with self._lock:
            return self._held.token.scopes if self._held else None

    def _get(self, refused: str | None) -> _Held:
        with self._lock:
            held = self._held
            if held and held.token.header != refused and self._clock() < held.renew_at:
                return held
            flight = self._flight
            if is_mine := flight is None:
                flight = self._flight = Future()
        if is_mine:
            self._fly(flight, held if held and held.token.header != refused else None)
        return flight.result()

    def _fly(self, flight: Future[_Held], spare: _Held | None) -> None:
        """Ask, and tell all who wait; ``spare`` is what they go on with if that fails."""
        began = self._clock()  # an answer that takes long does not make a token last longer
        try:
            found = _kept(self._ask(), began)
        except BaseException as error:
            now = self._clock()
            if not isinstance(error, TokenError) or spare is None or now >= spare.expires_at:
                with self._lock:
                    self._flight = None
                flight.set_exception(error)
                return
            found = replace(spare, renew_at=now + AGAIN_S)
        with self._lock:
            self._held, self._flight = found, None
        flight.set_result(found)


def _kept(token: Token, began: float) -> _Held:
    margin = min(MARGIN_S, token.life_s / 2)
    return _Held(token, began + token.life_s - margin, began + token.life_s)
