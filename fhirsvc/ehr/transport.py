"""One HTTP exchange: bounded in time and size, never redirected, never an exception.

Both the FHIR client and the token request stand on it, so that the same certificates, limits and
readings of what went wrong hold for both.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode, urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, check_header_validity

from fhirsvc.ehr.decide import Problem

HOSTS = 4  # whose connections are kept: the EHR, its token endpoint, and a change of either
_PORTS = {"http": 80, "https": 443}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# An address in which there is nothing to be put right or made safe before it is asked.
_PLAIN = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?::[0-9]+)?(?:/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+")


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
class Tls:
    """Paths of PEM files: our certificate, its key ('' when they are one file), whom we trust.

    An own ``ca`` takes the place of the system's authorities, it does not add to them.
    """

    cert: str = ""
    key: str = ""
    ca: str = ""


@dataclass(frozen=True)
class Answer:
    """What came back: ``status`` None when nothing usable did, and ``problem`` says why.

    ``body`` is the parsed JSON object, None when there was none. ``renewed`` tells that the
    credential was renewed for this request. ``said`` is what is known beside that, safe to log.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=CaseInsensitiveDict)
    body: dict[str, Any] | None = None
    problem: Problem | None = None
    renewed: bool = False
    said: str = ""


class Transport:
    """Sends requests; safe to share between threads.

    Redirects are not followed (they would carry the token elsewhere), proxies and netrc of the
    environment are not used, cookies are not kept. ``clock`` gives seconds that never go back.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float],
        *,
        pool_size: int = 8,
        tls: Tls | None = None,
    ) -> None:
        self.limits = limits
        self.tls = tls or Tls()
        self._clock = clock
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._usual = {name: str(value) for name, value in self.session.headers.items()}
        # Paths, not contexts: files that are replaced count from the next connection on.
        self.session.verify = self.tls.ca or True
        if self.tls.cert:
            self.session.cert = (self.tls.cert, self.tls.key) if self.tls.key else self.tls.cert
        adapter = HTTPAdapter(pool_connections=HOSTS, pool_maxsize=pool_size, max_retries=0)
        self.session.mount("https://", adapter)
        self.session.mount("http://", adapter)

    def close(self) -> None:
        """Close the pooled connections."""
        self.session.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, str] | None = None,
    ) -> Answer:
        """One request and its answer; a mapping as ``data`` goes as a form."""
        session = self.session
        try:
            if _PLAIN.fullmatch(url) and (data is None or isinstance(data, bytes)):
                request = self._prepared(method, url, headers, params, data)
            else:
                asked = requests.Request(method, url, dict(headers), data=data, params=params)
                request = session.prepare_request(asked)
            with session.get_adapter(url).send(
                request,
                stream=True,
                timeout=(self.limits.connect_s, self.limits.read_s),
                verify=session.verify or True,
                cert=session.cert,
                proxies={},
            ) as response:
                return self._read(response)
        except requests.exceptions.SSLError as error:
            return _after_tls(error) if context_for(self.tls) else _UNUSABLE
        except requests.RequestException as error:
            return Answer(None, problem=_problem(error))
        except OSError:  # a certificate's file that cannot be read
            return _UNUSABLE

    def _prepared(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        data: bytes | None,
    ) -> requests.PreparedRequest:
        """What ``Session.prepare_request`` makes of it, in a tenth of its time."""
        request = requests.PreparedRequest()
        request.method = method
        request.url = f"{url}?{urlencode(params)}" if params else url
        for header in headers.items():
            check_header_validity(header)
        request.headers = CaseInsensitiveDict({**self._usual, **headers})
        if data or method not in ("GET", "HEAD"):
            request.headers["Content-Length"] = str(len(data or b""))
        request.body = data or None
        return request

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


UNUSABLE = "connection.tls: a file cannot be read or used"
_UNUSABLE = Answer(None, problem="secret", said=UNUSABLE)


def context_for(tls: Tls) -> ssl.SSLContext | None:
    """What OpenSSL makes of the files, None when it can make nothing of one of them."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or DEFAULT_CA_BUNDLE_PATH)
        if tls.cert:
            # A password would be asked for on the terminal: an encrypted key is refused instead.
            context.load_cert_chain(tls.cert, tls.key or None, password=lambda: "")
    except (OSError, ValueError):
        return None
    return context


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an absolute address; ('', '', None) when it is none.

    https://www.rfc-editor.org/rfc/rfc6454
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None
    if parts.scheme not in _PORTS or not parts.hostname:
        return "", "", None
    return parts.scheme, parts.hostname, port


def is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there: https, or this very machine."""
    scheme, host, _ = origin(url)
    return scheme == "https" or (scheme == "http" and host in LOOPBACK)


def _parse(data: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _problem(error: requests.RequestException) -> Problem:
    """Whether the request can have reached the server: ``connect`` is the one that cannot."""
    if isinstance(error, requests.ConnectTimeout):
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


# What OpenSSL calls a handshake that failed, before any request was read by the other side.
_HANDSHAKE = ("ALERT", "CERTIFICATE", "HANDSHAKE", "PROTOCOL", "WRONG_VERSION", "CIPHER", "KEY_")


def _after_tls(error: requests.exceptions.SSLError) -> Answer:
    """A failed handshake sent nothing; a connection that broke later may have sent everything."""
    cause = _ssl_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        said = getattr(cause, "verify_message", "")
        return Answer(None, problem="connect", said=f"tls: {said}")
    reason = str(getattr(cause, "reason", None) or "")  # only those of the library have one
    is_handshake = any(word in reason for word in _HANDSHAKE)
    said = f"tls: {reason.lower().replace('_', ' ')}" if reason else "tls"
    return Answer(None, problem="connect" if is_handshake else "reset", said=said)


def _ssl_cause(error: BaseException) -> ssl.SSLError | None:
    """The library's own error inside those that wrap it."""
    found: object = error
    for _ in range(6):
        if isinstance(found, ssl.SSLError):
            return found
        inner = getattr(found, "reason", None)
        args = getattr(found, "args", ())
        found = inner if isinstance(inner, BaseException) else (args[0] if args else None)
    return None
