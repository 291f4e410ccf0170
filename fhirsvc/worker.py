"""The delivery process: starts the engine, sweeps until told to stop, and stops cleanly."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import sqlalchemy as sa
import structlog

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.sweep import Swept
from fhirsvc.store.database import Database
from fhirsvc.wiring import Delivering, Wiring

LOOK_S = 0.05  # between two looks whether another worker has ended
log = structlog.get_logger("fhirsvc.worker")


def run_worker(
    wiring: Wiring,
    *,
    until_idle: bool = False,
    stop: threading.Event | None = None,
    timeout_s: float | None = None,
    patience_s: float = 0.0,
) -> bool:
    """Deliver until told to stop.

    That is when ``stop`` is set, ``timeout_s`` seconds are over or, with ``until_idle``, all is
    done.
    Returns whether everything was done that could be without somebody's help. On SQLite there
    can be one worker per database: CONFLICT when another one still runs after ``patience_s``
    seconds. On PostgreSQL any number can.
    """
    stop = stop or threading.Event()
    database = wiring.database
    database.prepare()
    with _only_one(database, patience_s, stop) as is_alone:
        parts = wiring.delivery(is_alone=is_alone)
        parts.identity.register()
        # What a predecessor left in hand is due again before anything else happens.
        parts.identity.bury_the_dead()
        parts.engine.start()
        log.info("worker_started", executor=parts.identity.id)
        parts.chores.start()
        if parts.intake is not None:
            parts.intake.start()
        try:
            return _loop(wiring, parts, until_idle, stop, timeout_s)
        finally:
            _shut_down(wiring, parts)


def _loop(
    wiring: Wiring,
    parts: Delivering,
    until_idle: bool,
    stop: threading.Event,
    timeout_s: float | None,
) -> bool:
    wake = threading.Event()
    parts.lanes.on_end = wake.set
    until = None if timeout_s is None else wiring.clock() + timeout_s
    swept = Swept(0, False)
    while not stop.is_set() and (until is None or wiring.clock() < until):
        wake.clear()
        try:
            swept = parts.sweeper.sweep()
        except sa.exc.DBAPIError as error:
            log.error("database_failed", error=type(error).__name__)
        if until_idle and swept.is_idle and parts.chores.are_idle:
            return True
        wake.wait(wiring.settings.sweep_s)
    return swept.is_idle


def _shut_down(wiring: Wiring, parts: Delivering) -> None:
    parts.chores.stop()
    parts.notifier.close()
    if parts.intake is not None:
        parts.intake.stop()
    ended = parts.lanes.stop(wiring.settings.stop_s)
    parts.engine.stop()
    parts.clients.close()
    try:
        parts.identity.stop()
    except sa.exc.DBAPIError as error:
        log.error("database_failed", error=type(error).__name__)
    log.info("worker_stopped", executor=parts.identity.id, all_ended=ended)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; only in a process's main thread."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _only_one(database: Database, patience_s: float, stop: threading.Event) -> Iterator[bool]:
    """Hold the lock of an SQLite database's worker; whether it is held (PostgreSQL needs none).

    The kernel drops it when the process ends, however it ends.
    """
    if not database.is_sqlite:
        yield False
        return
    path = Path(f"{database.path}-worker.lock")
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    until = time.monotonic() + patience_s
    try:
        while not _locked(handle):
            if time.monotonic() >= until or stop.wait(LOOK_S):
                raise FhirsvcError(
                    Category.CONFLICT, "another worker delivers from this database", str(path)
                )
        yield True
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
