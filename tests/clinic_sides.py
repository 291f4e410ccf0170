"""The product's own mappings on a real database, with an EHR in memory that people edit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
import shipped_clinic
from wire import BASE, Wire, client_on

from fhirsvc.ehr.search import Reader
from fhirsvc.ehr.simulated_fhir import TYPES, SimulatedFhir
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.carried import carried
from fhirsvc.records import check
from fhirsvc.services.arranging import Arranger
from fhirsvc.services.deliver import Deliverer
from fhirsvc.services.lens import Lens
from fhirsvc.services.operate import Operator
from fhirsvc.services.publish import Publisher
from fhirsvc.services.receive import Receiver
from fhirsvc.services.references import identifier_of
from fhirsvc.store import conflicts, deliveries, inbox, links, queue, records, turns
from fhirsvc.store.connections import NewConnection

CLIENT = "client-01"  # whose records the tests deliver


class Mapper:
    """The shipped mappings as the services take them."""

    fingerprint = "shipped"

    def forward(self, record, us_core):
        return shipped_clinic.mappings().forward(record, us_core)


@dataclass
class Clinic:
    """A clinic with one connection, ``hospital``; both sides can be edited."""

    database: Any
    clock: Any
    fhir: SimulatedFhir
    wire: Wire
    publisher: Publisher
    operator: Operator
    deliverer: Deliverer
    receiver: Receiver
    connection: Any
    client: Any
    clients: list[Any]

    def accept(self, *listed):
        accepted = self.publisher.accept(listed, "corr-1")
        assert not accepted.count("refused"), accepted.receipts
        return accepted

    def drain(self, limit=400):
        """Turns until nothing is due; their final states."""
        states = []
        while True:
            taken = self.database.run(
                lambda tx: turns.claim(tx, self.connection.id, "me", self.clock())
            )
            if taken is None:
                return states
            change = self.deliverer.run(taken)
            ended = self.database.run(
                lambda tx, t=taken, c=change: turns.finish(tx, t, c, self.clock())
            )
            states.append(ended)
            assert len(states) < limit, "it never ends"

    def settle(self, rounds=6):
        """Deliver and look at everything again until nothing moves; returns how many rounds."""
        for turn in range(rounds):
            states = self.drain()
            came = [self.look(kind, one["id"]) for kind, one in self.everything()]
            self.clock.sleep(120)
            if not states and all(one.state == "echo" for one in came):
                return turn
        raise AssertionError("it does not become quiet")

    def everything(self):
        with self.database.read() as tx:
            kinds = {one.remote_type for one in _links(tx, self.connection.id)}
        for kind in sorted(kinds):
            bundle = self.fhir.handle("GET", f"/{kind}", "_count=500", {}, b"").body
            for entry in bundle.get("entry", []):
                yield kind, entry["resource"]

    def look(self, kind, remote_id, source="poll"):
        """Take in what the EHR holds under an id."""
        reader = Reader(self.client, "corr-in", self.clock)
        remote = reader.by_id(kind, remote_id)
        return self.receiver.take(self.connection, kind, remote, source, "corr-in")

    def remote(self, kind, record_id):
        """The EHR's resource of a record, by the id that the link remembers."""
        with self.database.read() as tx:
            found = [
                one
                for one in _links(tx, self.connection.id)
                if one.record_id == record_id and one.resource_type == kind
            ]
        reply = self.fhir.handle("GET", f"/{kind}/{found[0].remote_id}", "", {}, b"")
        return reply.body

    def edit(self, kind, record_id, change):
        """Somebody at the EHR changes a resource; ``change`` is given the body to change."""
        body = orjson.loads(orjson.dumps(self.remote(kind, record_id)))
        change(body)
        path = f"/{kind}/{body['id']}"
        assert self.fhir.handle("PUT", path, "", {}, orjson.dumps(body)).status == 200
        self.clock.sleep(1)
        return body["id"]

    def record(self, kind, record_id):
        with self.database.read() as tx:
            return orjson.loads(records.version(tx, (kind, record_id)).body)

    def source(self, kind, record_id):
        with self.database.read() as tx:
            return records.version(tx, (kind, record_id)).source

    def conflicts(self, *states):
        with self.database.read() as tx:
            return conflicts.find(tx, states or ("open",))

    def inbox(self, *states):
        with self.database.read() as tx:
            return inbox.find(tx, states or ("review",))

    def deliveries(self, **filters):
        with self.database.read() as tx:
            return queue.find(tx, limit=10_000, **filters)

    def one_turn(self):
        """One turn of what is due of the newest delivery's record; the delivery after it."""
        taken = self.database.run(
            lambda tx: turns.claim(tx, self.connection.id, "me", self.clock())
        )
        if taken is None:
            return None
        change = self.deliverer.run(taken)
        if change is not None:
            self.database.run(lambda tx: turns.finish(tx, taken, change, self.clock()))
        with self.database.read() as tx:
            return deliveries.get(tx, taken.id)

    def newest(self):
        """The delivery that was opened last."""
        return self.deliveries()[-1]

    def named(self, kind, record_id):
        """What the EHR finds under the identifier of a record."""
        bundle = self.fhir.handle("GET", f"/{kind}", "", {}, b"").body
        found = [entry["resource"] for entry in bundle.get("entry", [])]
        return [one for one in found if one["identifier"][0]["value"] == record_id]

    def held(self, key):
        """How often the EHR has each resource of a record, by local id."""
        with self.database.read() as tx:
            mine = links.of_record(tx, self.connection.id, key)
        counts = {}
        for link in mine:
            bundle = self.fhir.handle("GET", f"/{link.resource_type}", "", {}, b"").body
            names = [identifier_of(entry["resource"]) for entry in bundle.get("entry", [])]
            mine_is = (link.identifier_system, link.identifier_value)
            counts[link.local_id] = names.count(mine_is)
        return counts

    def swap(self, client):
        """Send by another client from now on."""
        self.clients[0] = client


def _links(tx, connection_id):
    import sqlalchemy as sa

    rows = tx.execute(
        sa.select(*links.COLUMNS).where(
            links.link.c.connection_id == connection_id, links.link.c.remote_id.is_not(None)
        )
    ).mappings()
    return [links.Link(**row) for row in rows]


@cache
def _lens() -> Lens:
    """The shipped mappings' way back: made once, it takes a second."""
    return Lens(shipped_clinic.mappings)


@cache
def _fields():
    return carried(shipped_clinic.mappings().library)


def clinic(
    database, clock, *, name="hospital", takes=None, batch=False, ehr=None, **connection
) -> Clinic:
    fhir = SimulatedFhir(clock, takes=takes, batch=batch, base=BASE, **(ehr or {}))
    wire = Wire(fhir)
    mapper = Mapper()
    publisher = Publisher(database, check, clock, shipped_clinic.mappings().companions)
    operator = Operator(database, publisher, clock)
    made = client_on(wire, clock)
    clients = [made]
    lens = _lens()
    arranger = Arranger(
        database, mapper, shipped_clinic.mappings, lambda _: clients[0], clock, _fields()
    )
    receiver = Receiver(database, mapper, lens, validate, publisher, clock, arranger=arranger)
    deliverer = Deliverer(
        database,
        mapper,
        validate,
        lambda _: clients[0],
        clock,
        lambda: 0.5,
        receiver=receiver,
        arranger=arranger,
    )
    known = {one.name: one for one in operator.connections()}
    new = known.get(name) or operator.add_connection(NewConnection(name, BASE, **connection))
    parts = (database, clock, fhir, wire, publisher, operator, deliverer, receiver)
    return Clinic(*parts, new, made, clients)


def again(database, clock) -> Clinic:
    """The same on a database that has the connection already."""
    return clinic(database, clock)


def post(clinic, body):
    """Somebody else's resource at the EHR; its id."""
    return clinic.fhir.handle("POST", f"/{body['resourceType']}", "", {}, orjson.dumps(body)).body[
        "id"
    ]


def goal_id():
    """A goal of the client."""
    return next(
        one["id"] for one in shipped_clinic.records()
        if one["type"] == "goal" and one["client_id"] == CLIENT
    )  # fmt: skip


def is_needed(record):
    """Whether a record of the demo clinic is the client's, or what theirs refer to."""
    if record["type"] in ("staff", "organization"):
        return True
    return CLIENT in (record.get("client_id"), record["id"])


__all__ = ["TYPES", "Clinic", "clinic", "deliveries"]
