"""A house of the services on a real database, with an EHR in memory at the other end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from tiny import FakeClock, TinyMapper, check, no_findings
from wire import BASE, Wire, client_on

from fhirsvc.ehr.simulated_fhir import SimulatedFhir
from fhirsvc.services.deliver import Deliverer
from fhirsvc.services.operate import Operator
from fhirsvc.services.publish import Publisher
from fhirsvc.store import Database, queue, turns
from fhirsvc.store.connections import Connection, NewConnection
from fhirsvc.store.tables import delivery


@dataclass
class House:
    """Everything that delivers, driven by hand."""

    database: Database
    clock: FakeClock
    fhir: SimulatedFhir
    wire: Wire
    publisher: Publisher
    operator: Operator
    deliverer: Deliverer
    connection: Connection

    def accept(self, *records):
        return self.publisher.accept(records, "corr-1")

    def turn(self, owner="me", connection_id=None):
        """One turn of whatever is due; None when nothing is."""
        wanted = connection_id or self.connection.id
        taken = self.database.run(lambda tx: turns.claim(tx, wanted, owner, self.clock()))
        return None if taken is None else self.end(taken)

    def end(self, taken):
        """Run the turn of a claimed delivery; the state it ended in, '' if it was taken away."""
        change = self.deliverer.run(taken)
        if change is None:
            return ""
        return self.database.run(lambda tx: turns.finish(tx, taken, change, self.clock()))

    def drain(self, limit=200):
        """Turns until nothing is due; their final states."""
        states = []
        while (state := self.turn()) is not None:
            states.append(state)
            assert len(states) < limit, "it never ends"
        return states

    def deliveries(self, **filters):
        with self.database.read() as tx:
            return queue.find(tx, limit=10_000, **filters)

    def states(self):
        """(record, version, state) of every delivery, oldest first."""
        return [("/".join(one.record), one.version, one.state) for one in self.deliveries()]

    def only(self, record_id):
        """The one delivery of a record's newest version."""
        return [one for one in self.deliveries() if one.record_id == record_id][-1]

    def moves(self, delivery_id):
        """The states a delivery went through."""
        with self.database.read() as tx:
            return [event.to_state for event in queue.events(tx, delivery_id)]

    def held(self, resource_type):
        """What the EHR holds of one type, by business identifier."""
        bundle = self.fhir.handle("GET", f"/{resource_type}", "", {}, b"").body
        resources = [entry["resource"] for entry in bundle.get("entry", [])]
        return {one["identifier"][0]["value"]: one for one in resources}

    def count(self, state):
        with self.database.read() as tx:
            query = sa.select(sa.func.count()).where(delivery.c.state == state)
            return tx.execute(query).scalar()


@pytest.fixture(name="house")
def _house(database, clock):
    """A house with one connection, ``ehr``."""
    fhir = SimulatedFhir(clock)
    wire = Wire(fhir)
    publisher = Publisher(database, check, clock)
    operator = Operator(database, publisher, clock)
    made = client_on(wire, clock)
    deliverer = Deliverer(database, TinyMapper(), no_findings, lambda _: made, clock, lambda: 0.5)
    connection = operator.add_connection(NewConnection("ehr", BASE))
    return House(database, clock, fhir, wire, publisher, operator, deliverer, connection)
