"""Commands run as a person runs them: own folder, own database, nothing of the environment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import structlog
from click.testing import CliRunner, Result

from fhirsvc import shipped
from fhirsvc.cli import main
from fhirsvc.ehr.simulated import SimulatedServer
from fhirsvc.ehr.simulated_fhir import SimulatedFhir


@dataclass
class Shell:
    """Runs ``fhirsvc``; ``folder`` is where it runs."""

    folder: Path
    runner: CliRunner

    def __call__(self, *args: object, input: str | bytes | None = None) -> Result:
        result = self.runner.invoke(main, [str(one) for one in args], input=input)
        assert "Traceback" not in result.output
        return result

    def file(self, name: str, *records: object) -> Path:
        """A file of NDJSON, records as objects or as the text of a line."""
        lines = [one if isinstance(one, str) else orjson.dumps(one).decode() for one in records]
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def json(self, *args: object, code: int = 0, input: str | None = None) -> list[dict]:
        """The JSON lines that a command prints on standard output."""
        result = self(*args, "--json", input=input)
        assert result.exit_code == code, result.output
        return [orjson.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def shell(tmp_path, monkeypatch) -> Iterator[Shell]:
    """A shell with an empty database of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FHIRSVC_DATABASE_URL", f"sqlite:///{tmp_path / 'db' / 'fhirsvc.sqlite'}")
    monkeypatch.setenv("FHIRSVC_LOG_LEVEL", "error")
    yield Shell(tmp_path, CliRunner())
    structlog.reset_defaults()  # commands configure logging, for what they think is their process


def first(type: str) -> dict:
    """The demo's first record of a type."""
    return orjson.loads(shipped.demo()[f"{type}.ndjson"].splitlines()[0])


@pytest.fixture
def client_record() -> dict:
    """A sound client record."""
    return first("client")


@pytest.fixture
def demo_files(tmp_path) -> list[Path]:
    """The demo's records, as files."""
    folder = tmp_path / "demo"
    folder.mkdir()
    found = []
    for name, data in shipped.demo().items():
        (folder / name).write_bytes(data)
        found.append(folder / name)
    return found


@pytest.fixture
def ehr():
    """A simulated EHR without faults, in this process."""
    with SimulatedServer(SimulatedFhir(lambda: 1_800_000_000.0)) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()
