"""The simulated EHR as a process of its own: ``python -m fhirsvc.ehr.simulated --port N``.

Prints ``ready URL`` when it answers. With ``--faults SEED`` it misbehaves as networks and servers
do; the same seed misbehaves the same way for the n-th time that the same request is made.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import orjson
from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir

BASE = "/fhir"
# Each as a share of 1000 writes or reads; the rest is answered as it should be.
FAULTS = {
    "busy": 20,  # 429 with Retry-After
    "unavailable": 30,  # 503
    "reset": 20,  # the connection drops before anything is stored
    "drop": 30,  # stored, but the answer is lost
    "bare": 20,  # stored, but answered without ETag, Location and body
    "slow": 20,  # answered late
}


@dataclass(frozen=True)
class Faults:
    """Which request goes wrong and how, decided by a seed; ``kinds`` are those that happen."""

    seed: int
    kinds: frozenset[str] = frozenset(FAULTS)

    def of(self, method: str, target: str, turn: int) -> str:
        """A name out of :data:`FAULTS`, or '' for none."""
        text = f"{self.seed} {method} {target} {turn}"
        drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 1000
        for name, share in FAULTS.items():
            if drawn < share:
                return name if name in self.kinds else ""
            drawn -= share
        return ""


class SimulatedServer(ThreadingHTTPServer):
    """Serves one :class:`SimulatedFhir` on a loopback port; 0 takes a free one."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, fhir: SimulatedFhir, port: int = 0, faults: Faults | None = None, slow_s: float = 0.5
    ) -> None:
        self.fhir = fhir
        self.faults = faults
        self.slow_s = slow_s
        self._turns: Counter[str] = Counter()
        self._turns_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def url(self) -> str:
        """The FHIR base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}{BASE}"

    def fault(self, method: str, target: str) -> str:
        """The fault that this request meets."""
        if self.faults is None:
            return ""
        with self._turns_lock:
            self._turns[f"{method} {target}"] += 1
            turn = self._turns[f"{method} {target}"]
        return self.faults.of(method, target, turn)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the simulation."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet for head and body
    server: SimulatedServer
    REASONS: ClassVar[dict[str, Reply]] = {
        "busy": Reply(429, None, {"Retry-After": "1"}),
        "unavailable": Reply(503),
    }

    def _serve(self) -> None:
        url = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not url.path.startswith(BASE + "/"):
            self._answer(Reply(404))
            return
        fault = self.server.fault(self.command, self.path)
        if fault == "reset":
            self.close_connection = True
            return
        if fault in self.REASONS:
            self._answer(self.REASONS[fault])
            return
        if fault == "slow":
            time.sleep(self.server.slow_s)
        reply = self.server.fhir.handle(
            self.command,
            url.path[len(BASE) :],
            url.query,
            CaseInsensitiveDict(self.headers.items()),
            data,
        )
        if fault == "drop":
            self.close_connection = True
        elif fault == "bare" and self.command != "GET" and reply.status < 300:
            self._answer(Reply(reply.status))
        else:
            self._answer(reply)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 (the base class names them)

    def _answer(self, reply: Reply) -> None:
        body = b"" if reply.body is None else orjson.dumps(reply.body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            shown = f"{self.server.url}/{value}" if name == "Location" else value
            self.send_header(name, shown)
        if body:
            self.send_header("Content-Type", "application/fhir+json")
        if correlation := self.headers.get("X-Correlation-Id"):
            self.send_header("X-Correlation-Id", correlation)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: what is asked for would stand in the log."""


def main(argv: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m fhirsvc.ehr.simulated", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--faults", type=int, metavar="SEED", help="misbehave, as this seed says")
    parser.add_argument("--index-lag", type=float, default=0.0, metavar="SECONDS")
    options = parser.parse_args(argv)
    faults = None if options.faults is None else Faults(options.faults)
    fhir = SimulatedFhir(time.time, index_lag_s=options.index_lag)
    with SimulatedServer(fhir, options.port, faults) as server:
        sys.stdout.write(f"ready {server.url}\n")
        sys.stdout.flush()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
