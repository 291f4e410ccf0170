"""The demo's EHR as a process: ``python -m fhirsvc.cli.demo_ehr``.

Prints ``ready URL``; to every line on standard input it answers with the faults it threw so far,
as JSON; it ends when standard input does, so it never outlives the demo.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections import Counter

import orjson

from fhirsvc.ehr.simulated import Faults, SimulatedServer
from fhirsvc.ehr.simulated_fhir import SimulatedFhir

SEED = 7
KEPT = 0.2  # of the faults a real stress would have: the demo is to end in seconds


class _Fewer(Faults):
    """A part of the faults, the same ones every time."""

    def of(self, method: str, target: str, turn: int) -> str:
        """A fault's name, '' for none."""
        digest = hashlib.sha256(f"kept {self.seed} {method} {target} {turn}".encode()).digest()
        return super().of(method, target, turn) if digest[0] < 256 * KEPT else ""


class _Server(SimulatedServer):
    """Counts what it throws."""

    def __init__(self) -> None:
        self.thrown: Counter[str] = Counter()
        super().__init__(SimulatedFhir(time.time), 0, _Fewer(SEED), slow_s=0.3)

    def fault(self, method: str, target: str) -> str:
        """The fault that this request meets."""
        found = super().fault(method, target)
        if found:
            self.thrown[found] += 1
        return found


def main() -> None:
    """Serve until standard input ends."""
    with _Server() as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        _say(f"ready {server.url}")
        for _ in sys.stdin:
            _say(orjson.dumps(dict(server.thrown)).decode())
        server.shutdown()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
