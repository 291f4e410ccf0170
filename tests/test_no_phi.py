"""A planted name goes to the EHR in bodies, and nowhere else: no log, no reason, no URL."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

import sqlalchemy as sa
import tiny
from kill import WORKER

from fhirsvc import wiring
from fhirsvc.ehr.simulated import Faults, SimulatedServer
from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir
from fhirsvc.settings import load
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.tables import metadata

PLANTED = "Zebulonqx"
# Where a record's or an EHR's own words may be kept.
BODIES = {("record_version", "body"), ("attempt", "body"), ("attempt", "response")}


class EchoingFhir(SimulatedFhir):
    """An EHR that refuses goals and quotes the patient in every part of its refusal."""

    def __init__(self) -> None:
        super().__init__(time.time)
        self.seen: list[str] = []

    def handle(self, method, path, query, headers, data):
        self.seen.append(f"{method} {path}?{query} {dict(headers)}")
        if method in ("PUT", "POST") and path.startswith("/Goal"):
            issue = {
                "severity": "error",
                "code": "invalid",
                "diagnostics": f"{PLANTED} is not valid",
                "details": {"text": PLANTED},
                "expression": [f"Goal.where(text = '{PLANTED}')", PLANTED + " x"],
            }
            return Reply(422, {"resourceType": "OperationOutcome", "issue": [issue]})
        return super().handle(method, path, query, headers, data)


def test_a_planted_name_stays_in_bodies(database_url, tmp_path: Path):
    """A name in records is in stored bodies alone, after deliveries that went well and badly."""
    fhir = EchoingFhir()
    log_path = tmp_path / "log"
    with SimulatedServer(fhir, faults=Faults(3)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        settings = load(database_url=database_url)
        wired = wiring.build(
            settings, check=tiny.check, mapper=tiny.TinyMapper(), validate=tiny.no_findings
        )
        wired.database.upgrade()
        wired.operator.add_connection(NewConnection("ehr", server.url, index_lag_s=0.1))
        accepted = wired.publisher.accept(
            [
                *[tiny.client(f"c-{n}", family=PLANTED) for n in range(10)],
                *[tiny.goal(f"g-{n}", f"c-{n}", statement=PLANTED) for n in range(4)],
                tiny.care_plan(title=PLANTED, goal_ids=["none"]),
                tiny.client("bad", family=PLANTED, refuse=PLANTED),
                {"type": PLANTED, "id": PLANTED},
            ]
        )
        _deliver(database_url, log_path, lambda: _is_done(wired))
        server.shutdown()
        thread.join()

    log = log_path.read_text()
    assert '"state":"dead"' in log
    assert PLANTED not in log
    assert PLANTED not in str(accepted)
    assert not any(PLANTED in one for one in fhir.seen)
    found = _where(wired.database.engine, metadata)
    assert found <= BODIES
    assert ("record_version", "body") in found
    assert ("attempt", "response") in found
    engine = sa.create_engine(settings.engine_database_url)
    jobs = sa.MetaData()
    jobs.reflect(engine, schema=None if wired.database.is_sqlite else "dbos")
    assert _where(engine, jobs) == set()
    engine.dispose()
    wired.database.dispose()


def _is_done(wired) -> bool:
    counts = wired.operator.status()[0].counts
    return not counts.get("pending") and not counts.get("sending")


def _deliver(database_url: str, log_path: Path, is_done) -> None:
    """Run a worker of its own until everything has ended, with all that it prints in a file."""
    with log_path.open("wb") as log:
        command = [*WORKER, database_url]
        process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while not is_done() and time.monotonic() < until:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert is_done()


def _where(engine: sa.Engine, tables: sa.MetaData) -> set[tuple[str, str]]:
    """Every (table, column) that holds the planted name."""
    found = set()
    with engine.connect() as tx:
        for table in tables.sorted_tables:
            for row in tx.execute(sa.select(table)).mappings():
                found |= {
                    (table.name, name) for name, value in row.items() if PLANTED in str(value)
                }
    return found
