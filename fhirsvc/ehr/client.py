"""One EHR over HTTP: bounded in time, size and rate, and never an exception for an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr.auth import Auth
from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.decide import Problem
from fhirsvc.errors import FhirsvcError

FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True)
class Limits:
    """Seconds to connect, seconds for the whole answer, and its largest size in bytes."""

    connect_s: float = 5.0
    read_s: float = 30.0
    body_bytes: int = 8_000_000

    @property
    def total_s(self) -> float:
        """The longest that a request can be under way, in seconds."""
        return self.connect_s + 2 * self.read_s


@dataclass(frozen=True)
class Answer:
    """What came back: ``status`` None when nothing usable did, and ``problem`` says why.

    ``body`` is the parsed JSON object, None when there was none. ``renewed`` tells that the
    credential was renewed for this request.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=CaseInsensitiveDict)
    body: dict[str, Any] | None = None
    problem: Problem | None = None
    renewed: bool = False


class Client:
    """Requests to one FHIR base URL; safe to share between threads.

    Redirects are not followed (they would carry the token elsewhere), proxies and netrc of the
    environment are not used, cookies are not kept. ``clock`` gives seconds that never go back.
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
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.bucket = bucket
        self.limits = limits
        self._auth = auth
        self._clock = clock
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=pool_size, max_retries=0)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)

    def close(self) -> None:
        """Close the pooled connections."""
        self.session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        correlation_id: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request to ``path`` below the base; after a 401 once more with a new token."""
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
        answer = self._once(method, path, params, data, sent)
        if answer.status == 401 and self._renew():
            again = self._once(method, path, params, data, sent)
            return Answer(again.status, again.headers, again.body, again.problem, renewed=True)
        return answer

    def _renew(self) -> bool:
        try:
            return self._auth.renew()
        except FhirsvcError:
            return False

    def _once(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        try:
            authorization = self._auth.header()
        except FhirsvcError:
            return Answer(None, problem="secret")
        if authorization:
            headers = {**headers, "Authorization": authorization}
        self.bucket.take()
        try:
            with self.session.request(
                method,
                f"{self.base_url}/{path}",
                params=params,
                data=data,
                headers=headers,
                timeout=(self.limits.connect_s, self.limits.read_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._read(response)
        except requests.RequestException as error:
            return Answer(None, problem=_problem(error))

    def _read(self, response: requests.Response) -> Answer:
        until = self._clock() + self.limits.read_s
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_content(65536):
            size += len(chunk)
            if size > self.limits.body_bytes:
                return Answer(None, problem="oversize")
            if self._clock() > until:
                return Answer(None, problem="timeout")
            chunks.append(chunk)
        body = _parse(b"".join(chunks))
        if body is None and size and 200 <= response.status_code < 300:
            return Answer(None, response.headers, problem="malformed")
        return Answer(response.status_code, response.headers, body)


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _problem(error: requests.RequestException) -> Problem:
    """Whether the request can have reached the server: ``connect`` is the one that cannot."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError):
        return "connect"
    if isinstance(error, requests.Timeout):
        return "timeout"
    if isinstance(error, requests.ConnectionError) and _never_connected(error):
        return "connect"
    return "reset"


def _never_connected(error: requests.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return type(reason).__name__ in ("NewConnectionError", "NameResolutionError")
