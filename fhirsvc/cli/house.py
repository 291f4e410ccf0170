"""What commands work on: the wiring of a process, its database brought up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fhirsvc import settings as settings_
from fhirsvc.services.logs import configure_logs
from fhirsvc.settings import Settings
from fhirsvc.wiring import Wiring, product


@contextmanager
def house(settings: Settings | None = None) -> Iterator[Wiring]:
    """Wire this process, on a database with the newest schema.

    An SQLite file is brought up to date; PostgreSQL is its operator's to upgrade.
    """
    settings = settings or settings_.load()
    configure_logs(settings.log_level)
    wiring = product(settings, late=True)
    try:
        wiring.database.prepare()
        yield wiring
    finally:
        wiring.database.dispose()
