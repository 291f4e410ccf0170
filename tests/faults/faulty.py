"""An EHR on a loopback port that misbehaves once, on command, and then behaves again."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import orjson
from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir

BASE = "/fhir"
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid"}]}
STATUSES = (400, 401, 403, 404, 405, 408, 410, 413, 415, 422, 423, 425, 428, 429)
STATUSES += (500, 501, 502, 503, 504)
# Name → what it is. Each happens to the next write, once.
FAULTS = {
    "none": "it behaves",
    **{f"status {one}": f"{one}, and nothing is stored" for one in STATUSES},
    "429 with Retry-After": "429 that asks for 40 s",
    "503 with a date": "503 whose Retry-After is a date, by a clock an hour ahead",
    "409 stale": "409: somebody changed it meanwhile",
    "412 stale": "412: somebody changed it meanwhile",
    "409 busy": "409, though nothing changed",
    "412 twice": "412: several match, because there is a second one",
    "false 200": "200 with the resource, and nothing is stored",
    "202": "202: accepted, and done later",
    "reset before": "the connection is reset before anything is stored",
    "reset after": "stored, then the connection is reset",
    "answer lost": "stored, and no answer comes",
    "slow drip": "stored, and the answer drips a byte at a time",
    "truncated body": "stored, and the answer ends in the middle",
    "mistyped body": "stored, and the answer is an HTML page",
    "wrong body": "stored, and the answer is another kind of JSON",
    "bare": "stored, and the answer has no ETag, Location or body",
    "oversize body": "stored, and the answer never ends",
    "redirect": "302 to another host",
    "certificate": "its certificate has expired",
    "index lag 1 s": "searches miss what is younger than 1 s; the answer is lost",
    "index lag 5 s": "searches miss what is younger than 5 s; the answer is lost",
    "clock skew": "its clock is an hour behind",
    "partial batch": "only the first entry of a batch is answered",
    "batch out of order": "the entries of a batch are answered in another number",
}


class FaultyServer(ThreadingHTTPServer):
    """Serves ``fhir``; ``fault`` is what happens to the next write."""

    daemon_threads = True

    def __init__(self, fhir: SimulatedFhir, context: ssl.SSLContext | None = None) -> None:
        self.fhir = fhir
        self.fault = "none"
        self.seen: list[tuple[str, str]] = []
        self.only_batches = False
        self.busy = 0
        self.quiet = threading.Condition()
        self.later: list[tuple[str, str, str, object, bytes]] = []
        self.meddle = lambda: None
        self.skew = [0.0]  # seconds that the EHR's clock is ahead of ours
        super().__init__(("127.0.0.1", 0), _Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self._scheme = "http" if context is None else "https"

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_address[1]}{BASE}"

    def wait_quiet(self) -> None:
        """Wait until every request is dealt with: the tests' clock knows nothing of it."""
        with self.quiet:
            assert self.quiet.wait_for(lambda: self.busy == 0, 20.0)

    def finish_later(self) -> None:
        """Do what was accepted and put off."""
        for method, path, query, headers, data in self.later:
            self.fhir.handle(method, path, query, headers, data)
        self.later.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextmanager
def serving(server: FaultyServer) -> Iterator[FaultyServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: FaultyServer

    def _serve(self) -> None:
        with self.server.quiet:
            self.server.busy += 1
        try:
            self._serve_one()
        finally:
            with self.server.quiet:
                self.server.busy -= 1
                self.server.quiet.notify_all()

    def _serve_one(self) -> None:
        url = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = url.path.removeprefix(BASE)
        self.server.seen.append((self.command, path))
        headers = CaseInsensitiveDict(self.headers.items())
        request = (self.command, path, url.query, headers, data)
        fault, writes = self.server.fault, self.command != "GET"
        if self.server.only_batches:
            writes = self.command == "POST" and path in ("", "/")
        if fault == "none" or not writes:
            self._answer(self.server.fhir.handle(*request))
            return
        self.server.fault = "none"
        self._misbehave(fault, request)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _misbehave(self, fault, request) -> None:
        fhir = self.server.fhir
        if fault.startswith("status "):
            status = int(fault.split()[1])
            self._answer(Reply(status, OUTCOME))
        elif fault == "429 with Retry-After":
            self._answer(Reply(429, OUTCOME, {"Retry-After": "40"}))
        elif fault == "503 with a date":
            at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(fhir._clock() + 3600))
            self._answer(Reply(503, OUTCOME, {"Retry-After": at}))
        elif fault in ("409 stale", "412 stale", "412 twice"):
            self.server.meddle()
            self._answer(Reply(int(fault[:3]), OUTCOME))
        elif fault == "409 busy":
            self._answer(Reply(409, OUTCOME))
        elif fault == "false 200":
            self._answer(self._pretended(request))
        elif fault == "202":
            self.server.later.append(request)
            self._answer(Reply(202))
        elif fault == "reset before":
            self._reset()
        elif fault == "redirect":
            self._answer(Reply(302, None, {"X-Location": "https://elsewhere.example/fhir"}))
        elif fault == "clock skew":
            self.server.skew[0] = -3600.0
            self._answer(fhir.handle(*request))
        elif fault in ("partial batch", "batch out of order"):
            reply = fhir.handle(*request)
            entries = (reply.body or {}).get("entry", [])
            cut = entries[:1] if fault == "partial batch" else [*entries[::-1], {}]
            self._answer(Reply(reply.status, {**(reply.body or {}), "entry": cut}, reply.headers))
        else:
            self._stored(fault, fhir.handle(*request))

    def _stored(self, fault, reply) -> None:
        """What goes wrong after the resource is stored."""
        body = orjson.dumps(reply.body) if reply.body is not None else b"{}"
        if fault == "reset after":
            self._reset()
        elif fault == "answer lost" or fault.startswith("index lag"):
            time.sleep(1.8)
            self.close_connection = True
        elif fault == "slow drip":
            self._head(reply.status, len(body))
            for byte in body[:8]:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.3)
            self.close_connection = True
        elif fault == "truncated body":
            self._head(reply.status, len(body))
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault == "mistyped body":
            page = b"<html><body>Saved.</body></html>"
            self._head(200, len(page), "text/html")
            self.wfile.write(page)
        elif fault == "wrong body":
            wrong = b'["saved"]'
            self._head(200, len(wrong))
            self.wfile.write(wrong)
        elif fault == "bare":
            self._answer(Reply(reply.status))
        elif fault == "oversize body":
            self._head(reply.status, 10**9)
            for _ in range(400):
                self.wfile.write(b" " * 65536)
            self.close_connection = True
        else:
            raise AssertionError(fault)

    def _pretended(self, request) -> Reply:
        """The answer of a success that stores nothing."""
        method, path, _, _, data = request
        if method == "DELETE":
            return Reply(204)
        body = orjson.loads(data)
        if body["resourceType"] == "Bundle":
            entries = [
                {"resource": self._stamped(one["resource"]), "response": {"status": "200"}}
                for one in body["entry"]
            ]
            return Reply(
                200, {"resourceType": "Bundle", "type": "batch-response", "entry": entries}
            )
        made = self._stamped(body)
        if len(path.strip("/").split("/")) == 2:
            made["id"] = path.strip("/").split("/")[1]
        return Reply(200, made, {"ETag": 'W/"77"'})

    def _stamped(self, resource):
        return {"id": "never-was", **resource, "meta": {"versionId": "77"}}

    def _reset(self) -> None:
        """End the connection with RST, as a host that dies does."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True
        self.wfile = _Nowhere()

    def _head(self, status: int, length: int, kind: str = "application/fhir+json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.flush()

    def _answer(self, reply: Reply) -> None:
        body = b"" if reply.body is None else orjson.dumps(reply.body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            shown = f"{self.server.url}/{value}" if name == "Location" else value
            self.send_header(name.removeprefix("X-"), shown)
        if body:
            self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


class _Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""

    closed = False
