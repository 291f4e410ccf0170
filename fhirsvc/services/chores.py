"""Chores: what a worker does beside sending, each in a thread of its own, a piece at a time.

After a piece a chore rests as long as the piece took; after nothing to do, for a while. One that
takes the processor or the database from sending gives way while there is something to send: it
rests many times as long, so that sending keeps nine tenths of the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping

import structlog

from fhirsvc.services.ports import Clock

REST_S = 1.0  # the longest piece that is rested from in full
GIVE_WAY = 12  # rests for a piece, while there is something to send
# Does a piece of work; whether there may be more.
Piece = Callable[[], bool]
log = structlog.get_logger("fhirsvc.chores")


class Chores:
    """Does pieces of work, by name, again and again until it is stopped.

    Where there was nothing to do it looks again after ``every_s`` seconds; ``clock`` says how long
    a piece took, in seconds. Those that are ``heavy`` give way while ``is_busy``.
    """

    def __init__(
        self,
        pieces: Mapping[str, Piece],
        clock: Clock,
        every_s: float,
        is_busy: Callable[[], bool] = lambda: False,
        heavy: Collection[str] = (),
    ) -> None:
        self._pieces = dict(pieces)
        self._clock = clock
        self._every = every_s
        self._is_busy = is_busy
        self._heavy = frozenset(heavy)
        self._stop = threading.Event()
        self._idle: set[str] = set()
        self._threads = [
            threading.Thread(target=self._loop, args=(name,), name=f"chore-{name}")
            for name in self._pieces
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no more pieces, and wait for those that are being done."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def are_idle(self) -> bool:
        """Whether the last look at each found nothing to do."""
        return len(self._idle) == len(self._pieces)

    def _loop(self, name: str) -> None:
        while not self._stop.is_set():
            self._stop.wait(self.once(name))

    def once(self, name: str) -> float:
        """Do one piece; returns how many seconds to rest after it."""
        began = self._clock()
        try:
            is_more = self._pieces[name]()
        except Exception as error:
            # Whatever it is, the next round tries again; its text may hold values.
            log.error("chore_failed", chore=name, error=type(error).__name__)
            self._idle.discard(name)
            return self._every
        if is_more:
            self._idle.discard(name)
            took = min(self._clock() - began, REST_S)
            return took * GIVE_WAY if name in self._heavy and self._is_busy() else took
        self._idle.add(name)
        return self._every
