"""Reading beside sending: a sick EHR delays nobody else, and no mistake ends the reading."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from tiny import FakeClock

from fhirsvc.services.intake import Intake
from fhirsvc.store import connections, cursors
from fhirsvc.store.connections import NewConnection


class Slow:
    """Reads connection 1 until it is let go, and connection 2 at once."""

    def __init__(self, database) -> None:
        self.database = database
        self.free = threading.Event()
        self.read = Counter()
        self.done = threading.Event()
        self.prepared = 0

    def prepare(self):
        self.prepared += 1

    def again(self, connection_id):
        if connection_id == 1:
            assert self.free.wait(20)

    def next(self, connection_id):
        self.read[connection_id] += 1
        if connection_id == 2:
            self.database.run(lambda tx: cursors.hurry(tx, 2, 1e12))
            self.done.set()


class Tender:
    def __init__(self, error=None) -> None:
        self.error, self.called = error, threading.Event()

    def tend(self):
        self.called.set()
        if self.error:
            raise self.error


@pytest.fixture(name="due")
def _due(database, clock: FakeClock):
    """Two connections with something to read."""
    for name in ("one", "two"):
        new = NewConnection(name, f"https://{name}.example/fhir")
        made = database.run(lambda tx, n=new: connections.add(tx, n, clock()))
        database.run(lambda tx, m=made: cursors.want(tx, m.id, ["Goal"], clock()))
    return database


def test_a_sick_ehr_delays_nobody(due, clock):
    """While the first does not answer the second is read, and the first is not begun twice."""
    slow = Slow(due)
    intake = Intake(due, slow, Tender(), clock, 0.01)
    intake.once()

    assert slow.done.wait(20)
    intake.once()
    intake.once()
    slow.free.set()
    intake.start()
    intake.stop()

    assert slow.read[1] >= 1
    assert slow.prepared == 1


def test_a_mistake_ends_nothing(due, clock):
    """Whatever breaks in one part is logged by its type, and the next round goes on."""
    slow, tender = Slow(due), Tender(ValueError("Zebulonqx"))
    slow.free.set()
    intake = Intake(due, slow, tender, clock, 0.01)
    intake.start()

    assert tender.called.wait(20)
    assert slow.done.wait(20)
    intake.stop()
