"""Intake: the part of a worker that reads EHRs, beside the part that sends.

Each connection is read by one thread at a time, so that a slow EHR delays nobody else.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog

from fhirsvc.services.ports import Clock
from fhirsvc.services.pull import Puller
from fhirsvc.services.reading import Pulled
from fhirsvc.store import cursors
from fhirsvc.store.database import Database

THREADS = 4
PREPARE_S = 30.0
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
            self._watcher.tend()
            self._prepared = now
        self._puller.again()
        with self._database.read() as tx:
            due = cursors.due(tx, now)
        for connection_id in due:
            with self._lock:
                if connection_id in self._busy:
                    continue
                self._busy.add(connection_id)
            self._pool.submit(self._read, connection_id)

    def _read(self, connection_id: int) -> None:
        try:
            while not self._stop.is_set():
                pulled = self._puller.next(connection_id)
                if pulled is None:
                    return
                _tell(connection_id, pulled)
        except Exception as error:
            log.error("pull_broke", connection=connection_id, error=type(error).__name__)
        finally:
            with self._lock:
                self._busy.discard(connection_id)


def _tell(connection_id: int, pulled: Pulled) -> None:
    log.info(
        "pulled",
        connection=connection_id,
        resource=pulled.resource_type,
        seen=pulled.seen,
        is_whole=pulled.is_whole,
        **pulled.states,
    )
