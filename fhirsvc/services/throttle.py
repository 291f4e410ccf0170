"""Slowing down those who fail: after some failures at once, only one more now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable

BURST = 10  # failures at once
EVERY_S = 6.0  # then one more in this many seconds
MOST = 10_000  # who are remembered; beyond, those who failed longest ago are forgotten


class Throttle:
    """Counts failures by a name; safe between threads, and each process counts its own."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._debts: dict[str, tuple[float, float]] = {}  # name → failures held against it, since

    def wait_s(self, name: str) -> float:
        """The seconds after which somebody may try again; 0 where they may now."""
        with self._lock:
            over = self._debt(name) - BURST + 1
        return max(0.0, over * EVERY_S)

    def failed(self, name: str) -> None:
        """Note a failure."""
        with self._lock:
            debt = min(self._debt(name) + 1, float(BURST))
            self._debts.pop(name, None)
            self._debts[name] = debt, self._clock()
            while len(self._debts) > MOST:
                del self._debts[next(iter(self._debts))]

    def _debt(self, name: str) -> float:
        debt, since = self._debts.get(name, (0.0, 0.0))
        return max(0.0, debt - (self._clock() - since) / EVERY_S)
