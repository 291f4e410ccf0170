"""The demo and the server as a person starts them: as processes, ended by signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import orjson
import pytest

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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(url, process, seconds=60):
    """The body at a URL as soon as there is one."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, "it ended by itself"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.read()
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing at {url}")


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
    assert told["records"] == told["delivered"] >= 201
    assert told["resources"] >= 550
    assert (told["dead"], told["pending"]) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_serve_answers_delivers_and_ends_cleanly(tmp_path, environment):
    """A record put over HTTP is there; SIGTERM ends server and worker with exit 0."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert wait_for(f"{url}/healthz", process) == b"ok\n"
        assert b"No records yet" in wait_for(url, process)
        lock = tmp_path / "f.sqlite-worker.lock"
        until = time.monotonic() + 30
        while not lock.exists():
            assert time.monotonic() < until, "no worker"
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=40)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0
    assert out == f"serving {url}/\n"
    assert "Traceback" not in err
    assert '"event": "worker_stopped"' in err
