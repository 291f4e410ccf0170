"""Both ways with a real HAPI FHIR server: its people edit, it notifies, nobody is overwritten."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from servers import HapiServer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import shipped_clinic as clinic
from clinic_sides import goal_id, is_needed

from fhirsvc import settings, wiring
from fhirsvc.store import cursors
from fhirsvc.store.connections import NewConnection
from fhirsvc.wiring import Wiring
from fhirsvc.worker import run_worker

pytestmark = pytest.mark.interop
JSON = {"Content-Type": "application/fhir+json"}
INBOUND = {"poll_s": 3600, "compare_s": 86400, "verify": 1.0}


@pytest.fixture(scope="module", name="hapi_alone")
def _hapi_alone() -> Any:
    """Return a server of its own: what is there is compared."""
    with HapiServer(validate=True) as server:
        yield server


@pytest.fixture(scope="module", name="wired")
def _wired(tmp_path_factory: pytest.TempPathFactory, hapi_alone: HapiServer) -> Any:
    """Return the product on SQLite with one client's records at that server."""
    path = tmp_path_factory.mktemp("two-way") / "fhirsvc.sqlite"
    wired = wiring.product(settings.load(database_url=f"sqlite:///{path}"))
    wired.database.upgrade()
    new = NewConnection(
        "hapi", hapi_alone.url, rate=1000.0, burst=1000, index_lag_s=0.3, inbound=INBOUND
    )
    wired.operator.add_connection(new)
    wired.publisher.accept([one for one in clinic.records() if is_needed(one)])
    assert run_worker(wired, until_idle=True)
    yield wired
    wired.database.dispose()


def _goal(hapi: HapiServer) -> dict[str, Any]:
    (found,) = hapi.search("Goal", identifier=f"urn:fhirsvc:goal|{goal_id()}")
    return found


def _put(hapi: HapiServer, resource: dict[str, Any]) -> None:
    url = f"{hapi.url}/{resource['resourceType']}/{resource['id']}"
    answer = requests.put(url, data=json.dumps(resource), headers=JSON, timeout=30)
    assert answer.status_code == 200, answer.text


def _pull(wired: Wiring, kind: str = "Goal") -> dict[str, int]:
    """Read every type once; what became of one of them."""
    clients = wired.clients()
    puller = wired.puller(clients)
    assert puller is not None
    found: dict[str, int] = {}
    puller.prepare()
    with wired.database.write() as tx:
        left = cursors.hurry(tx, 1, wired.clock() - 1.0, compare=True)
    for _ in range(left):
        one = puller.next(1)
        assert one is not None
        assert one.is_whole, one.reason
        if one.resource_type == kind:
            found = one.states
    clients.close()
    return found


def _record(wired: Wiring) -> dict[str, Any]:
    with wired.database.read() as tx:
        from fhirsvc.store import records

        return dict(json.loads(records.version(tx, ("goal", goal_id())).body))


def test_what_we_wrote_is_an_echo(wired: Wiring, hapi_alone: HapiServer):
    """Reading everything back takes nothing in."""
    states = _pull(wired)

    assert set(states) == {"echo"}
    assert wired.reviewer(wired.clients()).items(("review", "refused")) == []


def test_an_edit_comes_back_with_what_we_do_not_know(wired: Wiring, hapi_alone: HapiServer):
    """Their words are in the record; their extension survives our next version."""
    resource = _goal(hapi_alone)
    resource["description"]["text"] = "Walk with my sister"
    extension = {"url": "https://hospital.example/ward", "valueString": "7 B"}
    resource["extension"] = [*resource.get("extension", []), extension]
    _put(hapi_alone, resource)
    time.sleep(1.1)

    assert _pull(wired)["merged"] >= 1
    record = _record(wired)
    assert record["statement"] == "Walk with my sister"

    lifecycle = "on_hold" if record["lifecycle"] != "on_hold" else "active"
    wired.publisher.accept([{**record, "lifecycle": lifecycle}])
    assert run_worker(wired, until_idle=True)
    there = _goal(hapi_alone)
    assert there["description"]["text"] == "Walk with my sister"
    assert there["lifecycleStatus"] == {"on_hold": "on-hold"}.get(lifecycle, lifecycle)
    assert extension in there["extension"]
    time.sleep(1.1)
    assert set(_pull(wired)) == {"echo"}


def test_a_conflict_is_kept_and_decided(wired: Wiring, hapi_alone: HapiServer):
    """Both values are kept; after the decision both sides have it, and all is quiet."""
    resource = _goal(hapi_alone)
    resource["description"]["text"] = "Their wording"
    _put(hapi_alone, resource)
    wired.publisher.accept([{**_record(wired), "statement": "Our wording"}])
    run_worker(wired, until_idle=True)

    (found,) = wired.operator.conflicts()
    assert (found.clash.ours.value, found.clash.theirs.value) == ("Our wording", "Their wording")
    assert _goal(hapi_alone)["description"]["text"] == "Their wording"

    wired.operator.resolve(found.id, "ours", "tests")
    assert run_worker(wired, until_idle=True)
    assert _goal(hapi_alone)["description"]["text"] == "Our wording"
    assert wired.operator.conflicts(("open", "decided")) == []


def test_a_notification_brings_a_change_in_at_once(
    wired: Wiring, hapi_alone: HapiServer, tmp_path: Path
):
    """HAPI's own rest-hook tells us, and the change is in the record without any reading."""
    port = _free_port()
    inbound = {"poll_s": 86400, "subscribe": ["Goal?"], "hook_secret": "env:HOOK_SECRET"}

    def changed(before: NewConnection) -> NewConnection:
        from dataclasses import fields, replace

        kept = {one.name: getattr(before, one.name) for one in fields(NewConnection)}
        return replace(NewConnection(**kept), inbound=inbound)

    wired.operator.change_connection("hapi", changed)
    environment = {
        **os.environ,
        "FHIRSVC_DATABASE_URL": str(wired.database.url),
        "FHIRSVC_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "HOOK_SECRET": "a-long-secret",
    }
    command = [sys.executable, "-m", "fhirsvc.cli", "serve", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _await(lambda: _active(hapi_alone), 60, "the subscription is active")
            resource = _goal(hapi_alone)
            resource["description"]["text"] = "Told by HAPI"
            _put(hapi_alone, resource)
            _await(lambda: _record(wired)["statement"] == "Told by HAPI", 30, "it is in the record")
        finally:
            process.terminate()
            process.wait(30)
    assert "Told by HAPI" not in (tmp_path / "log").read_text()


def _active(hapi: HapiServer) -> bool:
    return any(one["status"] == "active" for one in hapi.search("Subscription"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(holds: Any, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return
        time.sleep(0.25)
    raise AssertionError(f"not within {seconds} s: {what}")
