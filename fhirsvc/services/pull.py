"""Pulling: EHRs are read, one resource type at a time, and what came is taken in.

A reading that fails leaves the watermark where it was; see :mod:`fhirsvc.services.reading`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from fhirsvc.ehr.client import Client
from fhirsvc.ehr.decide import Decision, backoff
from fhirsvc.ehr.search import Reader, Remote
from fhirsvc.errors import Category
from fhirsvc.services.arranging import capabilities_of
from fhirsvc.services.inbound import Inbound
from fhirsvc.services.lens import Lens
from fhirsvc.services.ports import Clock
from fhirsvc.services.reading import FailedError, Pulled, Reading
from fhirsvc.services.receive import Receiver
from fhirsvc.store import connections, cursors, inbox, links
from fhirsvc.store.connections import Connection
from fhirsvc.store.cursors import Cursor
from fhirsvc.store.database import Database

LEASE_S = 120.0  # another process reads a type after this time, if this one died over it
log = structlog.get_logger("fhirsvc.pull")


@dataclass(frozen=True)
class Puller:
    """Reads EHRs; ``client_for`` gives the client of a connection, ``luck`` a number in [0, 1)."""

    database: Database
    receiver: Receiver
    lens: Lens
    client_for: Callable[[Connection], Client]
    clock: Clock
    luck: Callable[[], float]
    new_id: Callable[[], str]

    def prepare(self) -> None:
        """See to it that every connection that is read has a cursor for each type."""
        now = self.clock()

        def want(tx: sa.Connection) -> None:
            for one in connections.everyone(tx):
                how = Inbound.of(one.inbound)
                types = self.types(one, how) if how.is_read else []
                cursors.want(tx, one.id, types, now)

        self.database.run(want, durable=False)

    def types(self, connection: Connection, how: Inbound) -> list[str]:
        """The resource types of a connection that are read."""
        capabilities = capabilities_of(connection)
        known = how.types or tuple(sorted(self.lens.types(connection.us_core)))
        able = ("read", "search-type")
        return [one for one in known if any(capabilities.can(one, what) for what in able)]

    def next(self, connection_id: int) -> Pulled | None:
        """Read the type of a connection that is due; None when none is."""
        cursor = self.database.run(
            lambda tx: cursors.claim(tx, self.clock(), LEASE_S, connection_id), durable=False
        )
        if cursor is None:
            return None
        with self.database.read() as tx:
            connection = connections.by_id(tx, connection_id)
        return self.pull(connection, cursor)

    def pull(self, connection: Connection, cursor: Cursor) -> Pulled:
        """Read one type of a connection, in full when that is due."""
        how = Inbound.of(connection.inbound)
        reading = Reading(self, connection, cursor, how, self.new_id())
        now = self.clock()
        since_compared = now - (cursor.compared_at or -1e18)
        is_full = since_compared >= how.compare_s or not reading.by_time
        try:
            watermark = reading.changed() if reading.by_time else cursor.watermark
            if is_full:
                reading.compare()
        except FailedError as failure:
            return self._failed(connection, cursor, reading.pulled, failure.decision)
        next_at = self.clock() + max(how.poll_s, 1.0)
        compared_at = now if is_full else cursor.compared_at
        self.database.run(
            lambda tx: cursors.done(
                tx, cursor, watermark=watermark, compared_at=compared_at, next_at=next_at
            ),
            durable=False,
        )
        return reading.pulled

    def _failed(
        self, connection: Connection, cursor: Cursor, pulled: Pulled, decision: Decision
    ) -> Pulled:
        pulled.is_whole = False
        pulled.reason = " ".join(filter(None, (str(decision.category or ""), decision.detail)))
        how = Inbound.of(connection.inbound)
        delay = max(decision.delay, how.poll_s, 1.0)
        now = self.clock()

        def note(tx: sa.Connection) -> None:
            cursors.failed(tx, cursor, pulled.reason, now + delay)

        self.database.run(note, durable=False)
        if decision.rests:
            self._rest(connection, decision)
        log.warning(
            "pull_failed",
            connection=connection.id,
            resource=pulled.resource_type,
            reason=pulled.reason,
        )
        return pulled

    def again(self, connection_id: int, limit: int = 200) -> int:
        """Look again at what was hinted at, or could not be taken in at once; returns how many.

        An EHR that does not answer is left alone: the rest of what waits is looked at later.
        """
        now = self.clock()
        with self.database.read() as tx:
            connection = connections.by_id(tx, connection_id)
            items = inbox.waiting(tx, connection_id, now, limit)
        if connection.state != "active" or connection.rest_until > now:
            return 0
        for number, item in enumerate(items, start=1):
            wait = 2.0 * 2.0 ** min(item.attempts, 9)
            with self.database.write(durable=False) as tx:
                inbox.postpone(tx, item.id, now + wait)
            reader = Reader(self.client_for(connection), item.correlation_id, self.clock)
            found = reader.by_id(item.resource_type, item.remote_id)
            self._looked(connection, item, found)
            if isinstance(found, Decision) and found.rests:
                self._rest(connection, found)
                return number
        return len(items)

    def _rest(self, connection: Connection, decision: Decision) -> None:
        wait = max(decision.delay, backoff(connection.failures, self.luck()))
        until = self.clock() + wait
        self.database.run(lambda tx: connections.rest(tx, connection.id, until), durable=False)

    def _looked(self, connection: Connection, item: inbox.Item, found: Remote | Decision) -> None:
        now = self.clock()
        if isinstance(found, Remote):
            taken = self.receiver.take(
                connection, item.resource_type, found, item.source, item.correlation_id
            )
            if taken.state in ("echo", "passed", "merged") and taken.item != item.id:
                state, reason = taken.state, taken.reason
                self.database.run(lambda tx: inbox.resolve(tx, item.id, state, "", reason, now))
            return
        if found.category != Category.GONE:
            return
        with self.database.read() as tx:
            name = (item.resource_type, item.remote_id)
            link = links.by_remote(tx, connection.id, [name]).get(name)
        if link is None:
            self.database.run(
                lambda tx: inbox.resolve(tx, item.id, "passed", "", "gone at the EHR", now)
            )
        else:
            self.receiver.gone(connection, link, item.source, item.correlation_id)
