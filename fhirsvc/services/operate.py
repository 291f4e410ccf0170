"""What people do to deliveries and connections: add, pause, resume, look, send again.

It is over 300 lines because every command of a person ends here, each in one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson
import sqlalchemy as sa

from fhirsvc.ehr import options
from fhirsvc.ehr.rung import RUNGS
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.arranging import kept
from fhirsvc.services.inbound import Inbound
from fhirsvc.services.ports import Clock
from fhirsvc.services.publish import Publisher
from fhirsvc.store import (
    agreements,
    conflicts,
    connections,
    cursors,
    deliveries,
    inbox,
    links,
    queue,
)
from fhirsvc.store.agreements import Dispatch
from fhirsvc.store.conflicts import Conflict, Resolution
from fhirsvc.store.connections import Connection, NewConnection
from fhirsvc.store.database import Database
from fhirsvc.store.deliveries import Delivery
from fhirsvc.store.links import Link, Tried
from fhirsvc.store.queue import Event


def _check(new: NewConnection) -> None:
    options.check(new.base_url, new.auth, new.secret, new.options, new.tls)
    Inbound.of(new.inbound)
    for name, rung in new.rungs.items():
        if rung not in RUNGS:
            where = f"connection.rungs.{name}"
            raise FhirsvcError(Category.INVALID, f"expected: {', '.join(RUNGS)}", where)


@dataclass(frozen=True)
class Status:
    """A connection and how many of its deliveries are in each state.

    ``waits`` are what somebody has to look at: open conflicts and what came in. ``reading`` says of
    each resource type that could not be read why; ``rests_s`` is how long nothing will be sent.
    """

    connection: Connection
    counts: dict[str, int]
    waits: dict[str, int]
    reading: dict[str, str]
    rests_s: float


@dataclass(frozen=True)
class Sent:
    """A delivery with its links, its attempts, and what it sent."""

    delivery: Delivery
    connection: Connection
    links: dict[int, Link]
    attempts: list[Tried]
    dispatches: list[Dispatch]


class Operator:
    """Acts on one database; ``clock`` gives epoch seconds."""

    def __init__(self, database: Database, publisher: Publisher, clock: Clock) -> None:
        self._database = database
        self._publisher = publisher
        self._clock = clock

    def add_connection(self, new: NewConnection) -> Connection:
        """Add a connection and open the deliveries of all records to it.

        :raises FhirsvcError: INVALID at the field that is wrong, CONFLICT when the name is taken.
        """
        _check(new)
        made = self._database.run(lambda tx: connections.add(tx, new, self._clock()))
        self._publisher.backfill()
        return made

    def change_connection(
        self, name: str, changed: Callable[[Connection], NewConnection]
    ) -> Connection:
        """Give a connection the settings that ``changed`` makes of those it has.

        :raises FhirsvcError: NOT_FOUND when there is none, INVALID at the field that is wrong.
        """

        def change(tx: sa.Connection) -> Connection:
            before = connections.get(tx, name)
            new = changed(before)
            _check(new)
            return connections.change(tx, before.id, new)

        return self._database.run(change)

    def connection(self, name: str) -> Connection:
        """One connection; NOT_FOUND when there is none of this name."""
        with self._database.read() as tx:
            return connections.get(tx, name)

    def keep_capability(self, connection: Connection, statement: str) -> None:
        """Keep what the CapabilityStatement (JSON text) that a connection answered with says.

        What was held because the EHR took no form of it is tried again.
        """
        now = self._clock()
        text = kept(orjson.loads(statement))

        def keep(tx: sa.Connection) -> None:
            connections.set_capability(tx, connection.id, text, now)
            deliveries.try_again(tx, connection.id, str(Category.UNSUPPORTED), now)

        self._database.run(keep)

    def connections(self) -> list[Connection]:
        """All connections, oldest first."""
        with self._database.read() as tx:
            return connections.everyone(tx)

    def pause(self, name: str) -> None:
        """Send nothing more to a connection; what is being sent ends."""
        self._set_state(name, "paused")

    def stop(self, name: str) -> None:
        """Send nothing at all to a connection, not even the rest of what is being sent."""
        self._set_state(name, "stopped")

    def resume(self, name: str) -> None:
        """Send to a connection again, at once."""
        self._set_state(name, "active")

    def _set_state(self, name: str, state: str) -> None:
        def change(tx: sa.Connection) -> None:
            connections.set_state(tx, connections.get(tx, name).id, state)

        self._database.run(change)

    def status(self) -> list[Status]:
        """Every connection with its counts."""
        with self._database.read() as tx:
            counted = queue.status(tx)
            came, clashes = inbox.counts(tx), conflicts.counts(tx)
            now = self._clock()
            return [
                Status(
                    one,
                    counted.get(one.id, {}),
                    {
                        "conflicts": clashes.get(one.id, 0),
                        "review": came.get((one.id, "review"), 0),
                    },
                    {c.resource_type: c.reason for c in cursors.every(tx, one.id) if c.reason},
                    max(0.0, one.rest_until - now),
                )
                for one in connections.everyone(tx)
            ]

    def retry(self, delivery_id: int) -> None:
        """Send a held or dead delivery again; what has gone at the EHR is made anew there.

        :raises FhirsvcError: NOT_FOUND when there is none with this id, CONFLICT when it is in
            another state.
        """
        now, where = self._clock(), f"delivery {delivery_id}"

        def again(tx: sa.Connection) -> None:
            found = deliveries.get(tx, delivery_id)
            if found is not None and found.category == str(Category.GONE):
                for link in links.of_record(tx, found.connection_id, found.record):
                    if link.standing == "gone":
                        links.anew(tx, link.id)
            if deliveries.retry(tx, delivery_id, now):
                return
            if not deliveries.exists(tx, delivery_id):
                raise FhirsvcError(Category.NOT_FOUND, "no such delivery", where)
            message = "only held and dead deliveries are sent again"
            raise FhirsvcError(Category.CONFLICT, message, where)

        self._database.run(again)

    def conflicts(self, states: tuple[str, ...] = ("open",)) -> list[Conflict]:
        """The conflicts in these states, by id."""
        found: list[Conflict] = []
        with self._database.read() as tx:
            while page := conflicts.find(tx, states, after=found[-1].id if found else 0):
                found += page
        return found

    def sent(self, delivery_id: int) -> Sent:
        """What a delivery is, what it sent, and how every attempt ended.

        :raises FhirsvcError: NOT_FOUND when there is none with this id.
        """
        with self._database.read() as tx:
            found = deliveries.get(tx, delivery_id)
            if found is None:
                where = f"delivery {delivery_id}"
                raise FhirsvcError(Category.NOT_FOUND, "no such delivery", where)
            connection = connections.by_id(tx, found.connection_id)
            every = {one.id: one for one in links.of_record(tx, connection.id, found.record)}
            tried = links.attempts_of(tx, delivery_id)
            dispatched = agreements.dispatches(tx, delivery_id)
        return Sent(found, connection, every, tried, dispatched)

    def replay(self, delivery_id: int, *, as_ran: bool) -> None:
        """Send a delivery once more: as the mappings make it now, or as it was sent.

        :raises FhirsvcError: NOT_FOUND when there is none with this id; CONFLICT when it is on its
            way, when it sent nothing, or when a newer version went or is to go to the same EHR:
            an older one is never written over a newer one.
        """
        now, where = self._clock(), f"delivery {delivery_id}"

        def again(tx: sa.Connection) -> None:
            found = deliveries.get(tx, delivery_id)
            if found is None:
                raise FhirsvcError(Category.NOT_FOUND, "no such delivery", where)
            newest = deliveries.newest(tx, found.connection_id, found.record)
            if newest.id != found.id:
                message = f"delivery {newest.id} is of a newer version of this record"
                raise FhirsvcError(Category.CONFLICT, message, where)
            if as_ran and not agreements.dispatches(tx, delivery_id):
                raise FhirsvcError(Category.CONFLICT, "it sent nothing", where)
            if found.state not in ("delivered", "held", "dead"):
                raise FhirsvcError(Category.CONFLICT, f"it is {found.state}", where)
            every = links.of_record(tx, found.connection_id, found.record)
            links.forget(tx, [one.id for one in every if one.standing == "live"])
            deliveries.pin(tx, delivery_id, as_ran=as_ran)
            key = found.record
            deliveries.reopen(tx, found.connection_id, key, now, "replayed")

        self._database.run(again)

    def resolve(self, conflict_id: int, resolution: Resolution, by: str) -> Conflict:
        """Decide a conflict, and let both sides be brought together by that.

        :param resolution: ``"ours"``, ``"theirs"`` or ``{"value": …}``.
        :raises FhirsvcError: NOT_FOUND, or CONFLICT when it is settled.
        """
        now = self._clock()

        def decide(tx: sa.Connection) -> Conflict:
            found = conflicts.decide(tx, conflict_id, resolution, by, now)
            links.forget(tx, [found.link_id])
            key = (found.record_type, found.record_id)
            deliveries.reopen(tx, found.connection_id, key, now, f"conflict {found.id} decided")
            return found

        return self._database.run(decide)

    def send_now(self, name: str) -> int:
        """Make all pending deliveries of a connection due, and end its rest; returns how many."""
        now = self._clock()

        def hurry(tx: sa.Connection) -> int:
            connection = connections.get(tx, name)
            connections.set_state(tx, connection.id, connection.state)
            ids = [
                one.id
                for one in queue.find(
                    tx, connection_id=connection.id, states=["pending"], limit=1_000_000
                )
            ]
            return deliveries.wake(tx, ids, now)

        return self._database.run(hurry)

    def deliveries(
        self,
        *,
        connection: str | None = None,
        states: tuple[str, ...] = (),
        record: tuple[str, str] | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[Delivery]:
        """Deliveries by id, filtered; ``after`` is the last id already seen."""
        with self._database.read() as tx:
            connection_id = connections.get(tx, connection).id if connection else None
            return queue.find(
                tx,
                connection_id=connection_id,
                states=states,
                record=record,
                after=after,
                limit=limit,
            )

    def history(self, delivery_id: int) -> list[Event]:
        """Every transition of a delivery, oldest first."""
        with self._database.read() as tx:
            return queue.events(tx, delivery_id)
