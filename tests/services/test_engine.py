"""The real engine on both databases: lanes run, once each, and nothing depends on its tables."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from fhirsvc.services.engine import DurableEngine
from fhirsvc.settings import load


class Recorder:
    """Runs lanes that wait until they are let go."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def run(self, connection_id: int) -> int:
        self.began.append(connection_id)
        self.go.wait(20)
        return 0


@pytest.fixture(name="recorder")
def _recorder():
    return Recorder()


@pytest.fixture(name="engine")
def _engine(database_url, recorder):
    url = load(database_url=database_url).engine_database_url
    engine = DurableEngine(url, "exec-1", recorder.run)
    engine.start()
    yield engine
    recorder.go.set()
    engine.stop()


def _until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def _tables(engine: DurableEngine, *statements: str) -> list[sa.Row]:
    database = sa.create_engine(engine._url)
    with database.begin() as tx:
        if database.dialect.name == "postgresql":
            tx.execute(sa.text("SET search_path TO dbos"))
        results = [tx.execute(sa.text(one)) for one in statements]
        rows = list(results[-1].all()) if results[-1].returns_rows else []
    database.dispose()
    return rows


def test_lanes_run_once_each(engine, recorder):
    """As many lanes run as were asked for; asking again adds none while they run."""
    recorder.go.clear()

    engine.dispatch(1, 2)
    assert _until(lambda: len(recorder.began) == 2)
    engine.dispatch(1, 2)
    engine.dispatch(1, 3)

    assert _until(lambda: len(recorder.began) == 3)
    jobs = _tables(engine, "SELECT workflow_uuid FROM workflow_status")
    assert len(jobs) == 3


def test_jobs_carry_numbers_only(engine, recorder):
    """The engine's tables hold two numbers of each job, as JSON, and ids that sort by time."""
    for _ in range(2):
        assert _until(lambda: engine.dispatch(7, 1) is None and recorder.began)
        assert _until(lambda: not engine._active)
        recorder.began.clear()

    jobs = _tables(
        engine,
        "SELECT s.workflow_uuid, i.inputs FROM workflow_status s JOIN workflow_input i "
        "ON i.workflow_uuid = s.workflow_uuid ORDER BY s.created_at",
    )
    for row in jobs:
        assert json.loads(row.inputs) == {"positionalArgs": [7, 0], "namedArgs": {}}
    names = [row.workflow_uuid for row in jobs]
    assert names == sorted(names)
    assert all(name.startswith("lane-000007-000-") for name in names)


def test_all_its_tables_wiped(engine, recorder):
    """With every row of the engine gone, the next dispatch works as ever."""
    engine.dispatch(1, 1)
    assert _until(lambda: recorder.began == [1])

    _tables(
        engine,
        "DELETE FROM workflow_input",
        "DELETE FROM workflow_status",
        "DELETE FROM queues",
        "DELETE FROM application_versions",
    )
    assert _until(lambda: engine.dispatch(1, 1) is None and len(recorder.began) > 1)


def test_all_its_tables_dropped(engine, recorder):
    """With the tables themselves gone, a restart makes them again."""
    if engine._url.get_backend_name() == "sqlite":
        names = _tables(engine, "SELECT name FROM sqlite_master WHERE type = 'table'")
        drops = [f'DROP TABLE "{row[0]}"' for row in names if not row[0].startswith("sqlite_")]
        _tables(engine, "PRAGMA foreign_keys=OFF", *drops)
    else:
        _tables(engine, "DROP SCHEMA dbos CASCADE")
    with pytest.raises(sa.exc.DBAPIError):
        engine.dispatch(1, 1)

    engine.restart()

    assert _until(lambda: engine.dispatch(1, 1) is None and len(recorder.began) > 0)


def test_jobs_of_a_dead_executor_are_dropped(engine, recorder):
    """A job that a dead executor holds keeps its lane from running, until it is dropped."""
    recorder.go.clear()
    engine.dispatch(1, 1)
    assert _until(lambda: recorder.began == [1])
    _tables(engine, "UPDATE workflow_status SET executor_id = 'dead'")
    engine._active.clear()
    engine.dispatch(1, 1)
    blocked = len(recorder.began)

    engine.tidy(["exec-1"])
    engine.dispatch(1, 1)

    assert blocked == 1
    assert _until(lambda: len(recorder.began) == 2)


def test_a_living_executors_jobs_stay(engine, recorder):
    """Tidying leaves what runs, also that of an executor that had to change its name."""
    recorder.go.clear()
    engine.dispatch(1, 1)
    assert _until(lambda: recorder.began == [1])

    engine.tidy(["exec-1#2", "other"])

    rows = _tables(engine, "SELECT status FROM workflow_status")
    assert [row.status for row in rows] == ["PENDING"]
