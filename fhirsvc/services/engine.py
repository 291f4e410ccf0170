"""The durable engine, DBOS: it runs lanes on worker threads of one process or many.

A job is one lane of one connection, and its arguments are two numbers: nothing of a record is in
the engine's tables. One lane at a time has one job, in all processes together, because the engine
takes no second job with the same deduplication id; that is what bounds a connection's concurrency.
What to send is decided by claiming in our own tables. https://docs.dbos.dev/python
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType
from typing import Any

import sqlalchemy as sa
import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer
from dbos import _dbos as dbos_module
from dbos import error as dbos_error

from fhirsvc.store.database import IDLE_S

# Jobs are only taken by processes of the same version; a lane's arguments have not changed since.
VERSION = "fhirsvc-1"
JOB = "lane"
POLL_S = 0.2
log = structlog.get_logger("fhirsvc.engine")


class DurableEngine:
    """One DBOS in this process; ``url`` is an SQLAlchemy URL, ``run_lane`` sends what is due.

    There can be only one at a time in a process, because DBOS is one.
    """

    def __init__(self, url: str, executor_id: str, run_lane: Callable[[int], int]) -> None:
        self._url = sa.make_url(url)
        self._executor_id = executor_id
        self._run_lane = run_lane
        self._lock = threading.Lock()
        self._active: set[tuple[int, int]] = set()
        self._database: sa.Engine | None = None

    def start(self) -> None:
        """Create the engine's tables if need be, and begin to take jobs."""
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # it logs what it is told in full
        config: DBOSConfig = {
            "name": "fhirsvc",
            "system_database_url": self._url.render_as_string(hide_password=False),
            "application_version": VERSION,
            "executor_id": self._executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "run_migrations": True,
            "enable_otlp": False,
            "log_level": "CRITICAL",
            "notification_listener_polling_interval_sec": 1.0,
            "sys_db_idle_transaction_timeout_sec": IDLE_S,
        }
        if self._url.get_backend_name() == "sqlite":
            self._database = _sqlite_engine(self._url)
            config["system_database_engine"] = self._database

        def lane_job(connection_id: int, lane: int) -> int:
            return self._job(connection_id, lane)

        DBOS(config=config)
        DBOS.workflow(name=JOB)(lane_job)  # a bound method cannot be one
        DBOS.launch()

    def stop(self) -> None:
        """Take no more jobs; whatever still runs is cut off."""
        _wait_no_more()
        DBOS.destroy(destroy_registry=True)
        if self._database is not None:
            self._database.dispose()

    def restart(self) -> None:
        """Begin anew, on empty tables if need be."""
        log.warning("engine_restarted")
        self.stop()
        self.start()

    def dispatch(self, connection_id: int, lanes: int) -> None:
        """See to it that this many lanes of a connection run; those that run already count."""
        queue = f"connection-{connection_id:06d}"
        with self._lock:
            missing = [n for n in range(lanes) if (connection_id, n) not in self._active]
        if not missing:
            return
        if DBOS.retrieve_queue(queue) is None:
            DBOS.register_queue(queue, polling_interval_sec=POLL_S, on_conflict="always_update")
        for lane in missing:
            self._enqueue(queue, connection_id, lane)

    def _enqueue(self, queue: str, connection_id: int, lane: int) -> None:
        # Zero-padded, so that ids sort as they were made.
        stamp = f"{time.time_ns() // 1000:020d}"
        try:
            DBOS.enqueue_workflow_with_options(
                {
                    "workflow_name": JOB,
                    "queue_name": queue,
                    "workflow_id": f"lane-{connection_id:06d}-{lane:03d}-{stamp}",
                    "deduplication_id": f"lane-{lane:03d}",
                    "app_version": VERSION,
                },
                connection_id,
                lane,
            )
        except dbos_error.DBOSQueueDeduplicatedError:
            return  # it is queued, or runs in another process

    def tidy(self, living: list[str]) -> None:
        """Drop finished jobs, jobs of executors that are not ``living``, and jobs that hang.

        An executor that was thought dead goes on as ``NAME#2``, but its jobs stay with ``NAME``.
        A job hangs when this process has it but no thread of it runs it.
        """
        alive = {one.partition("#")[0] for one in living}
        with self._lock:
            active = set(self._active)
        begun = int((time.time() - 5.0) * 1000)
        dropped = [
            one.workflow_id
            for one in DBOS.list_workflows(
                name=JOB, status="PENDING", load_input=False, load_output=False
            )
            if one.executor_id not in alive
            or (
                one.executor_id == self._executor_id
                and (one.dequeued_at or 0) < begun
                and _lane_of(one.workflow_id) not in active
            )
        ]
        if dropped:
            DBOS.cancel_workflows(dropped)
        before = datetime.fromtimestamp(time.time() - 60.0, UTC).isoformat()
        done = DBOS.list_workflows(
            name=JOB,
            status=["SUCCESS", "ERROR", "CANCELLED"],
            end_time=before,
            limit=1000,
            load_input=False,
            load_output=False,
        )
        if done:
            DBOS.delete_workflows([one.workflow_id for one in done])

    def _job(self, connection_id: int, lane: int) -> int:
        """What the engine runs: one lane of a connection."""
        key = (connection_id, lane)
        with self._lock:
            self._active.add(key)
        try:
            return self._run_lane(connection_id)
        finally:
            with self._lock:
                self._active.discard(key)


def _wait_no_more() -> None:
    """Let jobs fail whose database is gone.

    The engine has them try for ever, in threads that a process waits for at its end. There is no
    option for this but on its client; nothing is lost, what to send stands in our own tables.
    """
    dbos = getattr(dbos_module, "_dbos_global_instance", None)
    database = getattr(dbos, "_sys_db_field", None)
    if database is not None:
        database._retry_connection_errors = False


def _lane_of(workflow_id: str) -> tuple[int, int]:
    _, connection_id, lane, _ = workflow_id.split("-")
    return int(connection_id), int(lane)


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    """An engine as DBOS makes its own, but one that does not wait for the disk.

    Nothing in these tables is worth a flush: they are made again from ours.
    """
    module = _sqlite_module()
    options: dict[str, Any] = {"hide_parameters": True, "pool_size": 20, "max_overflow": 40}
    if module is not None:
        options["module"] = module
    engine = sa.create_engine(url, **options)

    @sa.event.listens_for(engine, "connect")
    def _tune(dbapi: Any, _record: object) -> None:
        dbapi.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL"):
            dbapi.execute(f"PRAGMA {pragma}")
        dbapi.execute("PRAGMA synchronous=NORMAL")

    return engine


def _sqlite_module() -> ModuleType | None:
    """Another SQLite where Python's own is too old for DBOS: before 3.42, from Python 3.12 on."""
    if sys.version_info < (3, 12) or sqlite3.sqlite_version_info >= (3, 42):
        return None
    return import_module("pysqlite3")
