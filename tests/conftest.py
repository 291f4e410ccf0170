"""Fixtures that several folders share: a clean database on each kind, a clock, an EHR in memory."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tiny import FakeClock

from fhirsvc.store import Database

POSTGRES = os.environ.get("FHIRSVC_TEST_POSTGRES", "")


@pytest.fixture(params=["sqlite", *(["postgresql"] if POSTGRES else [])])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, on SQLite and on the PostgreSQL the environment names."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fhirsvc.sqlite'}"
        return
    name = f"fhirsvc_{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as tx:
        tx.execute(sa.text(f'CREATE DATABASE "{name}"'))
    url = sa.make_url(POSTGRES).set(database=name)
    yield url.render_as_string(hide_password=False)
    with server.connect() as tx:
        tx.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    server.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the newest schema."""
    database = Database(database_url)
    database.upgrade()
    yield database
    database.dispose()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that only moves when told to."""
    return FakeClock()
