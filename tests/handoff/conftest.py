"""The demo clinic in a house of its own, and the documents it hands off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import shipped_clinic as clinic

from fhirsvc.services.hand_off import HandOff
from fhirsvc.settings import load
from fhirsvc.wiring import LateMappings, Wiring, product

NOW = 1_780_000_000.0  # 2026-05-28


@pytest.fixture(scope="session", name="late")
def _late() -> LateMappings:
    """The shipped mappings, compiled once."""
    found = LateMappings("")
    assert found.mappings
    return found


@pytest.fixture(name="house")
def _house(database_url: str, late: LateMappings) -> Iterator[Wiring]:
    """The clinic's records, stored."""
    made = product(load(database_url=database_url), mappings=late)
    made.clock = lambda: NOW
    made.database.upgrade()
    made.publisher.accept(clinic.records())
    yield made
    made.database.dispose()


@pytest.fixture(name="hand_off")
def _hand_off(house: Wiring) -> HandOff:
    """Makes its documents."""
    return house.hand_off()
