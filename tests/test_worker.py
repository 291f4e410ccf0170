"""The delivery process: until idle, alone on SQLite, and stopping cleanly."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
import tiny
from kill import WORKER

from fhirsvc import wiring
from fhirsvc.ehr.simulated import SimulatedServer
from fhirsvc.ehr.simulated_fhir import SimulatedFhir
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.settings import load
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.tables import delivery, executor
from fhirsvc.wiring import Wiring
from fhirsvc.worker import _only_one, run_worker


@pytest.fixture(name="ehr")
def _ehr() -> Iterator[SimulatedServer]:
    """A simulated EHR on a loopback port."""
    import time

    with SimulatedServer(SimulatedFhir(time.time)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(name="wired")
def _wired(database_url, ehr) -> Iterator[Wiring]:
    """A process with the tests' own mapping, and one connection."""
    settings = load(database_url=database_url, sweep_s=0.2)
    wired = wiring.build(
        settings, check=tiny.check, mapper=tiny.TinyMapper(), validate=tiny.no_findings
    )
    wired.database.upgrade()
    wired.operator.add_connection(NewConnection("ehr", ehr.url, rate=1000, burst=1000))
    yield wired
    wired.database.dispose()


def test_until_idle(wired, ehr):
    """It delivers everything there is, returns, and says that it stopped."""
    wired.publisher.accept(
        [
            tiny.care_plan(goal_ids=["g-1"]),
            tiny.goal(addresses="cp-1/dx1"),
            *[tiny.client(f"c-{n}") for n in range(1, 6)],
        ]
    )

    assert run_worker(wired, until_idle=True, timeout_s=60)

    assert [ehr.fhir.count(kind) for kind in ("Patient", "CarePlan", "Goal")] == [5, 1, 1]
    assert wired.operator.status()[0].counts == {"delivered": 7}
    with wired.database.read() as tx:
        assert tx.execute(sa.select(executor.c.stopped_at)).scalar() is not None


def test_a_second_run_finds_nothing_to_do(wired, ehr):
    """Restarting writes nothing again."""
    wired.publisher.accept([tiny.client()])
    run_worker(wired, until_idle=True, timeout_s=60)

    assert run_worker(wired, until_idle=True, timeout_s=60)

    patient = next(iter(ehr.fhir.handle("GET", "/Patient", "", {}, b"").body["entry"]))
    assert patient["resource"]["meta"]["versionId"] == "1"


def test_what_is_accepted_while_it_runs_is_delivered(wired, ehr):
    """A running worker finds new records by itself, and stops when it is told to."""
    stop = threading.Event()
    result: list[bool] = []
    worker = threading.Thread(target=lambda: result.append(run_worker(wired, stop=stop)))
    worker.start()
    wired.publisher.accept([tiny.client()])
    until = threading.Event()
    for _ in range(300):
        if ehr.fhir.count("Patient"):
            break
        until.wait(0.1)

    stop.set()
    worker.join(30)

    assert ehr.fhir.count("Patient") == 1
    assert not worker.is_alive()


def test_one_worker_per_sqlite_file(tmp_path):
    """A second worker on the same file is refused with a message, not left to wait."""
    settings = load(database_url=f"sqlite:///{tmp_path / 'f.sqlite'}")
    wired = wiring.build(
        settings, check=tiny.check, mapper=tiny.TinyMapper(), validate=tiny.no_findings
    )
    other = _only_one(wired.database, 0.0, threading.Event())
    with other, pytest.raises(FhirsvcError, match="another worker") as raised:
        run_worker(wired, until_idle=True)
    wired.database.dispose()

    assert raised.value.category == Category.CONFLICT


def test_a_patient_worker_begins_when_the_other_one_has_ended(tmp_path):
    """The one beside a server that was killed may still have something in hand."""
    settings = load(database_url=f"sqlite:///{tmp_path / 'f.sqlite'}", sweep_s=0.2)
    wired = wiring.build(
        settings, check=tiny.check, mapper=tiny.TinyMapper(), validate=tiny.no_findings
    )
    wired.database.upgrade()
    results: list[bool] = []

    def work() -> None:
        results.append(run_worker(wired, until_idle=True, timeout_s=60, patience_s=60))

    with _only_one(wired.database, 0.0, threading.Event()):
        worker = threading.Thread(target=work)
        worker.start()
        worker.join(0.3)
        with wired.database.read() as tx:
            assert tx.execute(sa.select(executor.c.id)).first() is None
    worker.join(60)
    wired.database.dispose()

    assert results == [True]


def test_sigterm_stops_cleanly(wired, database_url, ehr):
    """On SIGTERM it ends what it has in hand, says so, and leaves nothing in sending."""
    wired.publisher.accept([tiny.client(f"c-{n}") for n in range(60)])
    command = [*WORKER, database_url]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stderr:
            lines.append(json.loads(line))
            if lines[-1]["event"] == "delivery" and process.poll() is None:
                process.send_signal(signal.SIGTERM)
        code = process.wait(30)

    assert code == 0
    events = [line["event"] for line in lines]
    assert events[-2:] == ["worker_stopped", "exit"]
    assert lines[-2]["all_ended"] is True
    with wired.database.read() as tx:
        states = set(tx.execute(sa.select(delivery.c.state)).scalars())
    assert states <= {"delivered", "pending"}


def test_an_outdated_schema_is_refused_on_postgresql(database_url):
    """Where several processes share a database, none of them changes the schema unasked."""
    settings = load(database_url=database_url)
    wired = wiring.build(
        settings, check=tiny.check, mapper=tiny.TinyMapper(), validate=tiny.no_findings
    )
    if wired.database.is_sqlite:
        assert run_worker(wired, until_idle=True, timeout_s=60)
    else:
        with pytest.raises(FhirsvcError, match="db upgrade"):
            run_worker(wired, until_idle=True)
    wired.database.dispose()
