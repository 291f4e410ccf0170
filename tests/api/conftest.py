"""A process that serves the demo clinic at /fhir, and a client that asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from shipped_clinic import texts
from tiny import FakeClock

from fhirsvc import shipped
from fhirsvc.app import create_app
from fhirsvc.settings import load
from fhirsvc.wiring import LateMappings, Wiring, product

FHIR = "application/fhir+json"


@pytest.fixture(scope="session", name="late")
def _late() -> LateMappings:
    """The shipped mappings, compiled once."""
    assert texts()
    found = LateMappings("")
    assert found.mappings
    return found


@pytest.fixture
def wiring(
    database_url: str, clock: FakeClock, late: LateMappings, tmp_path: Path
) -> Iterator[Wiring]:
    """A wired process on an empty database, open to whoever is on this machine."""
    settings = load(database_url=database_url, fhir_open=True, exports=str(tmp_path / "exports"))
    made = product(settings, mappings=late)
    made.clock = clock
    made.database.upgrade()
    yield made
    made.database.dispose()


@pytest.fixture
def web(wiring: Wiring, late: LateMappings) -> FlaskClient:
    """A client of the app."""
    return create_app(wiring, lambda: late.mappings).test_client()


@pytest.fixture(scope="session")
def demo() -> list[dict[str, Any]]:
    """The records of the demo clinic, the last version of each."""
    lines = [line for data in shipped.demo().values() for line in data.splitlines()]
    return list({(r["type"], r["id"]): r for r in map(orjson.loads, lines)}.values())


@pytest.fixture(scope="session")
def catch_up() -> Callable[[Wiring], int]:
    """Serves what is due, as the worker's sweep does, and says in how many rounds."""

    def rounds(wiring: Wiring) -> int:
        projector = wiring.projector
        assert projector is not None
        return next(n for n in range(20) if not projector.catch_up())

    return rounds


@pytest.fixture
def clinic(
    wiring: Wiring,
    web: FlaskClient,
    demo: list[dict[str, Any]],
    catch_up: Callable[[Wiring], int],
) -> FlaskClient:
    """A client of an app that serves the demo clinic."""
    wiring.publisher.accept(demo)
    catch_up(wiring)
    return web
