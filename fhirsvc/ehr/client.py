"""One EHR over HTTP: bounded in time, size and rate, and never an exception for an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import requests

from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.credentials import Auth
from fhirsvc.ehr.decide import Problem
from fhirsvc.ehr.tokens import TokenError
from fhirsvc.ehr.transport import Answer, Limits, Transport, origin
from fhirsvc.errors import Category, FhirsvcError

__all__ = ["FHIR_JSON", "Answer", "Client", "Limits"]

FHIR_JSON = "application/fhir+json"
_TOKEN: dict[Category, Problem] = {
    Category.BUSY: "token_busy",
    Category.UNAVAILABLE: "token_unavailable",
}


class Client:
    """Requests to one FHIR base URL; safe to share between threads.

    ``transport`` is the one that ``auth`` asks for tokens with, where it does; by default the
    client makes its own. ``clock`` gives seconds that never go back.
    """

    def __init__(
        self,
        base_url: str,
        auth: Auth,
        bucket: TokenBucket,
        limits: Limits,
        clock: Callable[[], float],
        *,
        pool_size: int = 8,
        transport: Transport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.bucket = bucket
        self.limits = limits
        self.auth = auth
        self.transport = transport or Transport(limits, clock, pool_size=pool_size)
        self._origin = origin(self.base_url)

    @property
    def session(self) -> requests.Session:
        """The session below, where an adapter can be mounted."""
        return self.transport.session

    def close(self) -> None:
        """Close the pooled connections."""
        self.transport.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        correlation_id: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Answer:
        """Send one request to ``path`` below the base; after a 401 once more with a new token.

        ``path`` may be a whole address, as paging links are, if it is of the base's origin: no
        credential goes to another, the answer is then the problem ``elsewhere``. With
        ``anonymous`` no credential goes along at all.
        """
        url = path if "://" in path else f"{self.base_url}/{path}"
        if origin(url) != self._origin:
            return Answer(None, problem="elsewhere")
        sent = {
            "Accept": FHIR_JSON,
            "User-Agent": "fhirsvc",
            "X-Correlation-Id": correlation_id,
            **(headers or {}),
        }
        data = None
        if body is not None:
            sent["Content-Type"] = FHIR_JSON
            data = orjson.dumps(body)

        def once(credential: str | None) -> Answer:
            named = {**sent, "Authorization": credential} if credential else sent
            self.bucket.take()
            return self.transport.send(method, url, named, params=params, data=data)

        return once(None) if anonymous else self._as_somebody(once)

    def _as_somebody(self, once: Callable[[str | None], Answer]) -> Answer:
        """Send with the credential, and once more with another when it is refused."""
        try:
            credential = self.auth.header()
        except FhirsvcError as error:
            return _unsent(error)
        answer = once(credential)
        if answer.status != 401:
            return answer
        try:
            if not self.auth.renew(credential):
                return answer
            again = once(self.auth.header())
        except FhirsvcError as error:
            return replace(answer, said=str(error))
        return replace(again, renewed=True)


def _unsent(error: FhirsvcError) -> Answer:
    """There was no credential to send the request with; the error's text is ours."""
    if isinstance(error, TokenError):
        problem = _TOKEN.get(error.category, "token_refused")
        return Answer(None, error.headers, problem=problem, said=str(error))
    return Answer(None, problem="secret", said=str(error))
