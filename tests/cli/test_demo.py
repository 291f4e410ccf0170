"""The demo as a person starts it: a process that leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys

import orjson
import pytest
import shipped_clinic as clinic

COMMAND = [sys.executable, "-m", "fhirsvc.cli"]


@pytest.fixture
def environment(tmp_path):
    """Nothing of ours from outside, and a database of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIRSVC_")}
    return {
        **kept,
        "FHIRSVC_DATABASE_URL": f"sqlite:///{tmp_path / 'f.sqlite'}",
        "FHIRSVC_SWEEP_S": "0.1",
    }


def test_the_demo_delivers_everything_once(tmp_path, environment):
    """In spite of the faults: one JSON line on standard output, exit 0, nothing left behind."""
    run = subprocess.run(
        [*COMMAND, "demo", "--once", "--json"],
        cwd=tmp_path,
        env={**environment, "TMPDIR": str(tmp_path)},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, b"")
    assert run.stdout.count(b"\n") == 1
    told = orjson.loads(run.stdout)
    assert list(told) == ["records", "resources", "delivered", "dead", "pending", "seconds"]
    assert told["records"] == len(clinic.records())
    assert told["delivered"] == told["records"] + 7  # the forms that the answers name go with them
    assert told["resources"] == len(clinic.resources())
    assert (told["dead"], told["pending"]) == (0, 0)
    assert list(tmp_path.iterdir()) == []
