"""What only a person can say: whose something is, whether it is wanted, what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import sqlalchemy as sa

from fhirsvc.ehr.client import Client
from fhirsvc.ehr.decide import Decision
from fhirsvc.ehr.search import Reader, Remote
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.ports import Clock, Mapper, Resource
from fhirsvc.services.receive import Receiver, Taken
from fhirsvc.services.references import identifier_of, local_of
from fhirsvc.store import connections, deliveries, inbox, links, records
from fhirsvc.store.connections import Connection
from fhirsvc.store.database import Database
from fhirsvc.store.inbox import Item
from fhirsvc.store.records import RecordKey


@dataclass(frozen=True)
class Reviewer:
    """Carries out what people decide about the inbox; ``by`` says who it was, in every call."""

    database: Database
    mapper: Mapper
    receiver: Receiver
    client_for: Callable[[Connection], Client]
    clock: Clock
    new_id: Callable[[], str]

    def items(self, states: tuple[str, ...] = ("review",), after: int = 0) -> list[Item]:
        """What waits for somebody, by id."""
        with self.database.read() as tx:
            return inbox.find(tx, states, after=after)

    def again(self, item_id: int, by: str) -> Taken:
        """Take it in now that what was missing may be there; what is new becomes a record.

        :raises FhirsvcError: NOT_FOUND, or CONFLICT when it waits for nobody any more.
        """
        item, _ = self._waiting(item_id)
        connection = self._connection(item.connection_id)
        remote = self._read(connection, item.resource_type, item.remote_id)
        taken = self.receiver.take(
            connection, item.resource_type, remote, "post", item.correlation_id
        )
        if taken.state in ("merged", "echo", "passed"):
            self._resolve(item, taken.state, by, taken.reason)
        return taken

    def link(self, item_id: int, key: RecordKey, by: str) -> Taken:
        """Say which record it is: the two are linked and brought together."""
        item, _ = self._waiting(item_id)
        connection = self._connection(item.connection_id)
        taken = self.join(connection, key, item.resource_type, item.remote_id)
        self._resolve(item, "merged", by, f"linked to {'/'.join(key)}")
        return taken

    def send_again(self, item_id: int, by: str) -> None:
        """Make what has gone at the EHR anew there."""
        item, _ = self._waiting(item_id)
        key = item.record
        if item.hash or key is None:
            message = "only what has gone at the EHR is made anew"
            raise FhirsvcError(Category.CONFLICT, message, f"inbox {item_id}")
        now = self.clock()

        def send(tx: sa.Connection) -> None:
            for link in links.of_record(tx, item.connection_id, key):
                if link.standing == "gone":
                    links.anew(tx, link.id)
            deliveries.reopen(tx, item.connection_id, key, now, "to be made anew at the EHR")
            inbox.resolve(tx, item.id, "passed", by, "made anew at the EHR", now)

        self.database.run(send)

    def dismiss(self, item_id: int, by: str, reason: str) -> None:
        """Leave it: it is not wanted here."""
        item, _ = self._waiting(item_id)
        self._resolve(item, "passed", by, reason or "dismissed")

    def join(
        self, connection: Connection, key: RecordKey, resource_type: str, remote_id: str
    ) -> Taken:
        """Link a record to a resource that an EHR has, and bring the two together.

        :raises FhirsvcError: NOT_FOUND when either is not there, CONFLICT when one of them is
            linked to another, UNSUPPORTED when the record does not map to one such resource.
        """
        remote = self._read(connection, resource_type, remote_id)
        mine = self._only(connection, key, resource_type)
        local, now = local_of(mine), self.clock()
        rung = self._rung(connection, key, resource_type)
        where = f"{resource_type}/{remote_id}"

        def join(tx: sa.Connection) -> None:
            other = links.by_remote(tx, connection.id, [(resource_type, remote_id)])
            if any(one.local != local for one in other.values()):
                raise FhirsvcError(Category.CONFLICT, "it is linked to another record", where)
            link = links.of(tx, connection.id, [local]).get(local)
            if link is not None and link.remote_id not in (None, remote_id):
                message = f"the record is linked to {link.remote_type}/{link.remote_id}"
                raise FhirsvcError(Category.CONFLICT, message, "/".join(key))
            if link is None:
                link = links.add(tx, connection.id, key, local, identifier_of(mine))
            there = (remote.id, None, "")
            links.ack(tx, link.id, remote=there, acked=(None, None), now=now, rung=rung)
            deliveries.release(tx, [("link", *local)], now, connection.id)
            deliveries.reopen(tx, connection.id, key, now, "linked to what the EHR has")

        self.database.run(join)
        cause = self.new_id()
        return self.receiver.take(connection, resource_type, remote, "post", cause)

    def _rung(self, connection: Connection, key: RecordKey, resource_type: str) -> str:
        """Whether ours is written there, or theirs is only looked up."""
        arranger = self.receiver.arranger
        if arranger is None:
            return "native"
        connection = arranger.informed(connection, self.new_id())
        return arranger.ladder(connection).rung(key[0], resource_type).rung

    def _only(self, connection: Connection, key: RecordKey, resource_type: str) -> Resource:
        with self.database.read() as tx:
            record = orjson.loads(records.version(tx, key).body)
        mapped = self.mapper.forward(record, connection.us_core)
        found = [one for one in mapped if one["resourceType"] == resource_type]
        if len(found) != 1:
            message = f"this record maps to {len(found)} {resource_type} resources, not to one"
            raise FhirsvcError(Category.UNSUPPORTED, message, "/".join(key))
        return found[0]

    def _read(self, connection: Connection, resource_type: str, remote_id: str) -> Remote:
        client = self.client_for(connection)
        found = Reader(client, self.new_id(), self.clock).by_id(resource_type, remote_id)
        if isinstance(found, Decision):
            category = found.category or Category.UNAVAILABLE
            detail = found.detail or "the EHR does not give it"
            raise FhirsvcError(category, detail, f"{resource_type}/{remote_id}")
        return found

    def _waiting(self, item_id: int) -> tuple[Item, Resource | None]:
        with self.database.read() as tx:
            item, body = inbox.get(tx, item_id)
        if item.state not in ("review", "refused", "waiting"):
            message = "nobody has to decide about this any more"
            raise FhirsvcError(Category.CONFLICT, message, f"inbox {item_id}")
        return item, body

    def _connection(self, connection_id: int) -> Connection:
        with self.database.read() as tx:
            return connections.by_id(tx, connection_id)

    def _resolve(self, item: Item, state: str, by: str, reason: str) -> None:
        now = self.clock()
        self.database.run(lambda tx: inbox.resolve(tx, item.id, state, by, reason, now))
