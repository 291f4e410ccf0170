"""What commands work on: the wiring of a process, its database brought up to date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from fhirsvc import settings as settings_
from fhirsvc import shipped
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.forward import Mappings
from fhirsvc.records import check
from fhirsvc.settings import Settings
from fhirsvc.wiring import Wiring, build, configure_logs


class LateMapper:
    """The mappings of a folder, compiled when something is mapped: most commands map nothing."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    @cached_property
    def mappings(self) -> Mappings:
        """The compiled mappings; a MappingsError names every mistake in them."""
        return Mappings.load(shipped.mappings(self._folder))

    def forward(self, record: Mapping[str, Any], us_core: int) -> list[dict[str, Any]]:
        """The resources of one record."""
        return self.mappings.forward(record, us_core)


@contextmanager
def house(settings: Settings | None = None) -> Iterator[Wiring]:
    """Wire this process, on a database with the newest schema.

    An SQLite file is brought up to date; PostgreSQL is its operator's to upgrade.
    """
    settings = settings or settings_.load()
    configure_logs(settings.log_level)
    mapper = LateMapper(settings.mappings)
    wiring = build(settings, check=check, mapper=mapper, validate=validate)
    try:
        if wiring.database.is_sqlite:
            wiring.database.upgrade()
        else:
            wiring.database.check()
        yield wiring
    finally:
        wiring.database.dispose()
