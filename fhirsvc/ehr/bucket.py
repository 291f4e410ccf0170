"""A token bucket: how many requests a connection may make, per second and at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class TokenBucket:
    """Lets ``rate`` requests a second pass, after a burst of ``burst``; safe between threads.

    ``clock`` gives seconds that never go back, ``sleep`` waits for as many. ``share`` is the part
    of the rate that this process may use: where several processes send, each has one part.
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._tokens = float(burst)
        self._at = clock()
        self.share = 1.0

    def take(self) -> float:
        """Wait until a request may be made; returns the seconds waited."""
        wait = self._reserve()
        if wait > 0:
            self._sleep(wait)
        return wait

    def _reserve(self) -> float:
        # A token is taken even when there is none yet: the debt is what keeps waiting in line.
        with self._lock:
            now = self._clock()
            rate = self._rate * self.share
            self._tokens = min(self._burst, self._tokens + (now - self._at) * rate)
            self._at = now
            self._tokens -= 1.0
            return max(0.0, -self._tokens / rate)
