"""An EHR that only answers to those who ask it for a token, on loopback, over HTTP or TLS.

It verifies as the specifications say, with a library of its own choice of algorithms: signatures
against the client's published key set, audience, expiry, and that no assertion is used twice.
https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

import base64
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir

Json = dict[str, Any]
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Authority(ThreadingHTTPServer):
    """Serves FHIR below ``/fhir`` and tokens at ``/token``.

    ``secrets`` are those of clients with one, ``key_set`` gives what a client with keys publishes.
    ``faults``: the next answers of the token endpoint, instead of its own. ``grants`` are the
    scopes it knows; ``expires_in`` goes into its answers as it is.
    """

    daemon_threads = True

    def __init__(
        self,
        fhir: SimulatedFhir | None = None,
        *,
        secrets: Mapping[str, str] | None = None,
        key_set: Callable[[], Json] = lambda: {"keys": []},
        context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = "http" if context is None else "https"
        if context is not None:
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )
        self.fhir = fhir or SimulatedFhir(time.time)
        self.secrets = dict(secrets or {})
        self.key_set = key_set
        self.faults: deque[tuple[int, Json, bytes]] = deque()
        self.grants: set[str] | None = None
        self.expires_in: object = 300
        self.declares: Json | None = {}
        self.asked: list[Json] = []
        self.seen: list[tuple[str, str, str]] = []
        self.tokens: set[str] = set()
        self.jtis: set[tuple[str, str]] = set()
        self.why = ""
        self.clock: Callable[[], float] = time.time

    @property
    def root(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """The FHIR base."""
        return f"{self.root}/fhir"

    @property
    def token_url(self) -> str:
        return f"{self.root}/token"

    @contextmanager
    def running(self):
        """Serve in a thread of this process."""
        serving = threading.Thread(target=self.serve_forever, args=(0.02,))
        serving.start()
        try:
            yield self
        finally:
            self.shutdown()
            serving.join()
            self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Failed handshakes are what some tests are about."""

    def configuration(self) -> Json:
        return {
            "token_endpoint": self.token_url,
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "grant_types_supported": ["client_credentials"],
            "capabilities": ["client-confidential-asymmetric", "permission-v2"],
            **(self.declares or {}),
        }

    def token(self, headers: Mapping[str, str], form: Json) -> tuple[int, Json]:
        """The answer to a token request."""
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        self.why = self._refuses(headers, form)
        if self.why:
            return 400, {"error": "invalid_client"}
        asked = form.get("scope", "").split()
        granted = [one for one in asked if self.grants is None or one in self.grants]
        if asked and not granted:
            return 400, {"error": "invalid_scope"}
        token = uuid.uuid4().hex
        self.tokens.add(token)
        answer: Json = {"access_token": token, "token_type": "bearer"}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return 200, {**answer, "scope": " ".join(granted)} if asked else answer

    def _refuses(self, headers: Mapping[str, str], form: Json) -> str:
        if "client_assertion" in form:
            return self._refuses_assertion(form)
        kind, _, credentials = headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            pair = base64.b64decode(credentials).decode().split(":")
            client, secret = (unquote_plus(part) for part in pair)
        else:
            client, secret = form.get("client_id", ""), form.get("client_secret", "")
        return "" if self.secrets.get(client) == secret else "secret"

    def _refuses_assertion(self, form: Json) -> str:
        """Why an assertion is refused; '' when it is not."""
        if form.get("client_assertion_type") != JWT_BEARER:
            return "type"
        try:
            keys = KeySet.import_key_set(self.key_set())
            found = jwt.decode(form["client_assertion"], keys, algorithms=["RS384", "ES384"])
        except (JoseError, ValueError) as error:
            return f"signature: {type(error).__name__}"
        header, claims = found.header, found.claims
        named = [one for one in keys.keys if one.kid == header.get("kid")]
        now = self.clock()
        rules = {
            "typ": header.get("typ") == "JWT",
            "kid": len(named) == 1,
            "iss": claims.get("iss") == claims.get("sub") == "iop",
            "aud": claims.get("aud") == self.token_url,
            "exp": now < claims.get("exp", 0) <= now + 300,
            "jti": bool(claims.get("jti")) and ("iop", claims["jti"]) not in self.jtis,
        }
        self.jtis.add(("iop", claims.get("jti", "")))
        return next((name for name, holds in rules.items() if not holds), "")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body
    server: Authority

    def _serve(self) -> None:
        url = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = CaseInsensitiveDict(self.headers.items())
        self.server.seen.append((self.command, self.path, headers.get("Authorization", "")))
        if url.path == "/token":
            self._token(headers, data)
        elif url.path == "/fhir/.well-known/smart-configuration":
            if self.server.declares is None:
                self._answer(404, b"<html>", {})
            else:
                self._answer(200, orjson.dumps(self.server.configuration()), {})
        elif url.path.startswith("/fhir/"):
            self._fhir(url.path.removeprefix("/fhir"), url.query, headers, data)
        else:
            self._answer(404, b"", {})

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (the base class names them)

    def _token(self, headers: Mapping[str, str], data: bytes) -> None:
        form = {name: values[0] for name, values in parse_qs(data.decode()).items()}
        self.server.asked.append(form)
        if self.server.faults:
            status, more, body = self.server.faults.popleft()
            self._answer(status, body, more)
            return
        status, answer = self.server.token(headers, form)
        self._answer(status, orjson.dumps(answer), {"Content-Type": "application/json"})

    def _fhir(self, path: str, query: str, headers: Mapping[str, str], data: bytes) -> None:
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if path != "/metadata" and (kind != "Bearer" or token not in self.server.tokens):
            self._answer(401, b"", {})
            return
        reply: Reply = self.server.fhir.handle(self.command, path, query, headers, data)
        body = b"" if reply.body is None else orjson.dumps(reply.body)
        self._answer(reply.status, body, {"Content-Type": "application/fhir+json", **reply.headers})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""
