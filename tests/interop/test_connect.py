"""``connect test`` against a real HAPI FHIR server: what it says of one is true."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from servers import HapiServer

from fhirsvc.cli import main

pytestmark = pytest.mark.interop


@pytest.fixture(name="test_hapi")
def _test_hapi(hapi: HapiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs ``connect test`` on HAPI and gives what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FHIRSVC_DATABASE_URL", f"sqlite:///{tmp_path / 'f.sqlite'}")
    monkeypatch.setenv("FHIRSVC_LOG_LEVEL", "error")
    runner = CliRunner()
    added = runner.invoke(main, ["connect", "add", "hapi", "--url", hapi.url, "--rate", "200"])
    assert added.exit_code == 0, added.output

    def run(*args: str) -> dict:
        result = runner.invoke(main, ["connect", "test", "hapi", "--json", *args])
        assert result.exit_code == 0, result.output
        return orjson.loads(result.stdout)

    return run


def test_hapi_passes_or_warns_with_writing(hapi: HapiServer, test_hapi) -> None:
    """Every check of writing passes, and nothing stays behind."""
    for name in ("Patient", "Goal"):
        body = {"resourceType": name, "identifier": [{"system": "urn:test", "value": "connect"}]}
        if name == "Goal":
            body |= {"lifecycleStatus": "active", "description": {"text": "walk"}}
            body["subject"] = {"display": "nobody"}
        for _ in range(2):
            assert hapi.request("POST", name, body).status_code == 201
    before = hapi.count("Basic")

    said = test_hapi("--write")

    assert said["verdict"] in ("pass", "warn")
    found = {one["id"]: one for one in said["checks"]}
    for id_ in (
        *("metadata", "clock", "conditional", "batch", "Goal.search", "Goal.identifier"),
        *("Goal.read", "parameter._id", "parameter._lastUpdated", "parameter.unknown", "paging"),
        *("outcome", "write.create", "write.read", "write.search", "write.conditional"),
        *("write.stale", "write.delete"),
    ):
        assert found[id_]["verdict"] == "pass", found[id_]
    assert hapi.count("Basic") == before
    assert said["capability"]["fhir"] == "4.0.1"


def test_it_writes_nothing_unless_told_to(hapi: HapiServer, test_hapi) -> None:
    """The run without --write leaves the server as it was."""
    before = hapi.request("GET", "_history?_summary=count").json()["total"]
    test_hapi()

    assert hapi.request("GET", "_history?_summary=count").json()["total"] == before
