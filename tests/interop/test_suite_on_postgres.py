"""Store, services and worker on a real PostgreSQL: the suite holds; without it they still end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from child import wait_until
from servers import PostgresServer

from fhirsvc import shipped
from fhirsvc.ehr.simulated import SimulatedServer
from fhirsvc.ehr.simulated_fhir import SimulatedFhir
from fhirsvc.settings import load
from fhirsvc.store.database import IDLE_S, Database
from fhirsvc.store.tables import delivery

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
ORGANIZATION = orjson.loads(shipped.demo()["organization.ndjson"].splitlines()[0])
SUITE = ("tests/store", "tests/services", "tests/test_worker.py")
LONGEST_S = 1200


def test_store_services_and_worker_hold_on_postgresql(postgres: PostgresServer) -> None:
    """Every test of theirs passes, and those of the PostgreSQL database are among them."""
    command = [sys.executable, "-m", "pytest", *SUITE, "-q", "-rA", "--no-header", "-p"]
    run = subprocess.run(
        [*command, "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "FHIRSVC_TEST_POSTGRES": postgres.url},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    passed = [line for line in run.stdout.splitlines() if line.startswith("PASSED")]
    on_postgresql = [line for line in passed if "[postgresql" in line]
    assert len(on_postgresql) > len(passed) / 4, run.stdout[-2000:]


def test_fhir_holds_on_postgresql(postgres: PostgresServer) -> None:
    """Everything that partners do at /fhir, with PostgreSQL below."""
    command = [sys.executable, "-m", "pytest", "tests/api", "-q", "-k", "postgresql", "--no-header"]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "FHIRSVC_TEST_POSTGRES": postgres.url},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert int(run.stdout.split(" passed")[0].split()[-1]) > 300


def test_a_worker_ends_when_its_database_is_gone(postgres: PostgresServer, tmp_path: Path) -> None:
    """SIGTERM ends it within seconds though jobs were running when PostgreSQL was killed."""
    # The shared server is asked for above so that this is skipped where there is none.
    assert postgres.port
    with PostgresServer() as server, SimulatedServer(SimulatedFhir(time.time)) as ehr:
        serving = threading.Thread(target=ehr.serve_forever)
        serving.start()
        command = [sys.executable, "-m", "fhirsvc.cli"]
        kept = {name: one for name, one in os.environ.items() if not name.startswith("FHIRSVC_")}
        env = {**kept, "FHIRSVC_DATABASE_URL": server.url, "FHIRSVC_STOP_S": "2"}
        organizations = b"".join(
            orjson.dumps({**ORGANIZATION, "id": f"org-{n}"}) + b"\n" for n in range(500)
        )
        add = ["connect", "add", "ehr", "--url", ehr.url, "--rate", "10"]
        load = ["load", "-", "--input-format", "ndjson"]
        for args in (["db", "upgrade"], add, load):
            subprocess.run([*command, *args], env=env, input=organizations, check=True)
        with (tmp_path / "log").open("wb") as log:
            worker = subprocess.Popen([*command, "worker"], env=env, stderr=log)
        try:
            wait_until(lambda: ehr.fhir.count("Organization") > 5, "nothing is delivered")
            server.kill9()
            wait_until(
                lambda: b"database_failed" in (tmp_path / "log").read_bytes(), "not noticed", 30
            )
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        finally:
            worker.kill()
            worker.wait()
            ehr.shutdown()
            serving.join()
    said = (tmp_path / "log").read_text()
    assert "worker_stopped" in said
    assert "Traceback" not in said


def test_who_stands_still_in_a_transaction_keeps_nobody_waiting(postgres: PostgresServer) -> None:
    """PostgreSQL ends its session, and with it its locks, before others take over its work."""
    url = postgres.new_database()
    frozen, other = Database(url, idle_s=0.5), Database(url)
    other.upgrade()
    begun = time.monotonic()
    with frozen.engine.connect() as standing:
        standing.exec_driver_sql("LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE")
        with other.read() as waiting:
            waiting.exec_driver_sql("SET LOCAL statement_timeout = '20s'")
            assert waiting.execute(sa.select(sa.func.count()).select_from(delivery)).scalar() == 0
        took = time.monotonic() - begun
        with pytest.raises(sa.exc.InternalError):
            standing.execute(sa.select(delivery.c.id))
    for one in (frozen, other):
        one.dispose()
    assert 0.4 < took < 15.0
    assert load().dead_after_s >= 2 * IDLE_S
