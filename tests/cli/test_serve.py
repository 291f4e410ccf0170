"""The server as a person starts it: a process that takes records, delivers them, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from fhirsvc import shipped
from fhirsvc.ehr.simulated import SimulatedServer
from fhirsvc.ehr.simulated_fhir import SimulatedFhir

COMMAND = [sys.executable, "-m", "fhirsvc.cli"]


@pytest.fixture(name="environment")
def _environment(tmp_path):
    """Nothing of ours from outside, and a database of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIRSVC_")}
    return {
        **kept,
        "FHIRSVC_DATABASE_URL": f"sqlite:///{tmp_path / 'f.sqlite'}",
        "FHIRSVC_SWEEP_S": "0.1",
    }


@pytest.fixture(name="ehr")
def _ehr():
    """A simulated EHR without faults, in this process."""
    with SimulatedServer(SimulatedFhir(time.time)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def until(holds, said, seconds=60):
    """Ask again and again until it holds; what it answered."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, said
        time.sleep(0.1)
    return found


def body(url, **request):
    """What is at a URL; nothing while nobody answers there."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **request), timeout=5) as answer:
            return answer.read()
    except urllib.error.HTTPError:
        raise
    except OSError:
        return b""


@contextmanager
def serving(tmp_path, environment, *more):
    """``fhirsvc serve`` on a free port: its URL and its process, gone at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (tmp_path / "stderr.log").open("ab") as log:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(port), *more],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: body(f"{url}/healthz"), "it does not answer")
        yield url, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def put(url, record):
    """Put a record as another program would; the answer's JSON."""
    return orjson.loads(
        body(
            f"{url}/api/v1/records/{record['type']}/{record['id']}",
            method="PUT",
            data=orjson.dumps(record),
            headers={"Content-Type": "application/json"},
        )
    )


def fhirsvc(tmp_path, environment, *args):
    """Run a command beside the server; its JSON line."""
    run = subprocess.run(
        [*COMMAND, *args, "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return orjson.loads(run.stdout)


def test_serve_takes_a_record_delivers_it_and_ends_cleanly(tmp_path, environment, ehr):
    """Put over HTTP it arrives at the EHR once, and its page says so; SIGTERM ends with exit 0."""
    fhirsvc(tmp_path, environment, "connect", "add", "ehr", "--url", ehr.url, "--index-lag", "0")
    record = orjson.loads(shipped.demo()["organization.ndjson"].splitlines()[0])
    with serving(tmp_path, environment) as (url, process):
        assert b"No records yet" in body(url)
        assert put(url, record)["outcome"] == "created"
        until(lambda: ehr.fhir.count("Organization"), "it is not delivered")
        page = f"{url}/records/organization/{record['id']}"
        until(lambda: b">delivered<" in body(page), "its page does not say so")
        assert put(url, record)["outcome"] == "unchanged"
        assert fhirsvc(tmp_path, environment, "sync", "status")["delivered"] == 1
        assert ehr.fhir.count("Organization") == 1
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert out == f"serving {url}/\n"
    err = (tmp_path / "stderr.log").read_text()
    assert "Traceback" not in err
    assert record["name"] not in err
    assert '"event":"worker_stopped"' in err


def test_a_worker_that_fails_beside_a_server_ends_with_a_message(tmp_path, environment):
    """It still waits for its input to end when it stops: that is no crash at the very end."""
    (tmp_path / "f.sqlite-worker.lock").mkdir()  # what it wants to lock cannot be opened
    process = subprocess.Popen(
        [*COMMAND, "worker", "--with-input"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        said = process.stderr.read()
        assert process.wait(30) == 3
    assert said == "error: files: Is a directory\n"


def test_nothing_goes_on_after_a_killed_server(tmp_path, environment):
    """Neither what answers nor what delivers outlives it, so that it can be started again."""
    with serving(tmp_path, environment) as (url, process):
        until(lambda: b"worker_started" in (tmp_path / "stderr.log").read_bytes(), "no worker")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        port = int(url.rpartition(":")[2])
        until(lambda: not listens(port), "something still listens")
        until(lambda: b"worker_stopped" in (tmp_path / "stderr.log").read_bytes(), "it goes on")


def test_a_process_that_answers_and_ends_is_started_again(tmp_path, environment):
    """The server goes on with another one."""
    with serving(tmp_path, environment) as (url, process):
        (answering,) = [
            pid
            for task in Path(f"/proc/{process.pid}/task").glob("*/children")
            for pid in map(int, task.read_text().split())
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        os.kill(answering, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{answering}").exists(), "it is not gone")
        until(lambda: body(f"{url}/healthz"), "nobody answers")
        assert process.poll() is None


def listens(port):
    """Whether somebody takes connections at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
