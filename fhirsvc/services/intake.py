"""Intake: the part of a worker that reads EHRs, beside the part that sends.

Each connection is read by one thread at a time, so that a slow EHR delays nobody else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Protocol

import structlog

from fhirsvc.services.ports import Clock
from fhirsvc.services.pull import Puller
from fhirsvc.services.reading import Pulled
from fhirsvc.store import cursors, inbox
from fhirsvc.store.database import Database

THREADS = 4
PREPARE_S = 30.0
_WATCHES = 0  # no connection has this id
log = structlog.get_logger("fhirsvc.intake")


class Tender(Protocol):
    """Looks after Subscriptions."""

    def tend(self) -> None:
        """Look after those that are due."""


class Intake:
    """Reads what is due, again and again, until it is stopped."""

    def __init__(
        self, database: Database, puller: Puller, watcher: Tender, clock: Clock, every_s: float
    ) -> None:
        self._database = database
        self._puller = puller
        self._watcher = watcher
        self._clock = clock
        self._every = every_s
        self._stop = threading.Event()
        self._busy: set[int] = set()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")
        self._thread = threading.Thread(target=self._loop, name="intake")
        self._prepared = -1e18

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait for what is being read."""
        self._stop.set()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self.once()
            except Exception as error:
                # Whatever it is, the next round tries again; its text may hold values.
                log.error("intake_failed", error=type(error).__name__)
            self._stop.wait(self._every)

    def once(self) -> None:
        """One round: what is due is begun."""
        now = self._clock()
        if now - self._prepared >= PREPARE_S:
            self._puller.prepare()
            self._begin(_WATCHES, self._watcher.tend)
            self._prepared = now
        with self._database.read() as tx:
            due = {*cursors.due(tx, now), *inbox.expecting(tx, now)}
        for connection_id in sorted(due):
            self._begin(connection_id, partial(self._read, connection_id))

    def _begin(self, what: int, work: Callable[[], None]) -> None:
        """Do something in a thread of its own, unless it is being done."""
        with self._lock:
            if what in self._busy:
                return
            self._busy.add(what)
        self._pool.submit(self._do, what, work)

    def _do(self, what: int, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            log.error("intake_broke", connection=what, error=type(error).__name__)
        finally:
            with self._lock:
                self._busy.discard(what)

    def _read(self, connection_id: int) -> None:
        self._puller.again(connection_id)
        while not self._stop.is_set():
            pulled = self._puller.next(connection_id)
            if pulled is None:
                return
            _tell(connection_id, pulled)


def _tell(connection_id: int, pulled: Pulled) -> None:
    log.info(
        "pulled",
        connection=connection_id,
        resource=pulled.resource_type,
        seen=pulled.seen,
        is_whole=pulled.is_whole,
        **pulled.states,
    )
