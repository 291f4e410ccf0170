"""The suite of store, services and worker holds on a real PostgreSQL too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers import PostgresServer

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
SUITE = ("tests/store", "tests/services", "tests/test_worker.py")
LONGEST_S = 600


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
