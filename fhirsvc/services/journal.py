"""The durable memory of one delivery's writes: every step is committed, or refused as lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import orjson
import sqlalchemy as sa

from fhirsvc.ehr.client import Answer
from fhirsvc.ehr.content import remote_fingerprint
from fhirsvc.ehr.protocol import Wanted, sent_body
from fhirsvc.ehr.search import Remote
from fhirsvc.services.ports import Clock
from fhirsvc.store import agreements, connections, deliveries, links, turns
from fhirsvc.store.agreements import Dispatch
from fhirsvc.store.database import Database
from fhirsvc.store.deliveries import Delivery
from fhirsvc.store.links import Link, Local
from fhirsvc.store.turns import Held

T = TypeVar("T")
RESPONSE_LENGTH = 20_000  # characters of an OperationOutcome that are kept


class LostClaimError(Exception):
    """Another executor has this delivery now: stop, and write nothing more about it."""


class StoppedError(Exception):
    """Somebody stopped the connection: nothing more is written to it."""


class LinkJournal:
    """Notes the writes of one resource within one turn of a delivery.

    ``link`` is None until the first thing about the resource is noted. Only the beginning of a
    write has to survive a loss of power: whatever else is lost, an attempt of unknown outcome is
    left, and that is looked for. ``longest_s`` is how long a request can be under way at most,
    in seconds; ``is_alive`` tells whether this executor is still known to be alive, so that
    nobody else has taken over. ``mappings`` is the fingerprint of those that made what is sent.
    """

    def __init__(
        self,
        database: Database,
        taken: Delivery,
        resource: tuple[Local, tuple[str, str]],
        link: Link | None,
        clock: Clock,
        *,
        longest_s: float,
        is_alive: Callable[[], bool],
        mappings: str = "",
        rung: str = "native",
    ) -> None:
        self._database = database
        self._taken = taken
        self._resource = resource
        self.link = link
        self._clock = clock
        self._longest = longest_s
        self._is_alive = is_alive
        self._mappings = mappings
        self._rung = rung

    def check(self) -> None:
        """Raise when this turn may write nothing any more."""
        if not self._is_alive():
            raise LostClaimError
        self._run(lambda _, held: self._check(held))

    def _check(self, held: Held) -> None:
        if held.connection_state == "stopped":
            raise StoppedError

    def begin(self, method: str, wanted: Wanted) -> int:
        """Note a write that is about to be made; returns its id."""
        if not self._is_alive():
            raise LostClaimError
        now = self._clock()

        def note(tx: sa.Connection, held: Held) -> tuple[int, Link]:
            self._check(held)
            link = self._linked(tx)
            sent = Dispatch(link.id, now, self._mappings, wanted.hash, dict(wanted.body))
            agreements.sent(tx, self._taken.id, sent)
            attempt = links.begin(
                tx,
                link_id=link.id,
                delivery_id=self._taken.id,
                executor=self._taken.owner,
                method=method,
                sent=(wanted.hash, wanted.version, sent_body(wanted)),
                now=now,
                settle_at=now + self._longest,
            )
            return attempt, link

        attempt, self.link = self._run(note, durable=True)
        if self._clock() - now > self._longest / 2:
            raise LostClaimError  # this process stood still: others may look for it already
        return attempt

    def end(self, attempt: int, outcome: str, answer: Answer | None = None) -> None:
        """Note that the write had no effect, with the OperationOutcome that says why."""
        status = answer.status if answer else None
        body = answer.body if answer else None
        response = orjson.dumps(body).decode()[:RESPONSE_LENGTH] if body else None
        now = self._clock()
        self._run(
            lambda tx, _: links.end(tx, attempt, outcome, now, status=status, response=response)
        )

    def unknown(self, attempt: int, settle_at: float, status: int | None) -> None:
        """Note that the effect has to be looked for, from ``settle_at`` on."""
        now = self._clock()
        self._run(lambda tx, _: links.unsettled(tx, attempt, now, settle_at, status))

    def absent(self) -> None:
        """Note that what was looked for is not there: whoever refers to it calls it by name."""
        now = self._clock()

        def note(tx: sa.Connection, _: Held) -> None:
            link = self._linked(tx)
            links.stand(tx, link.id, "absent")
            deliveries.release(tx, [("link", *link.local)], now, link.connection_id)

        self._run(note)

    def gone(self, attempt: int | None, status: int | None = None) -> None:
        """Note that the EHR has it no longer."""
        now = self._clock()

        def note(tx: sa.Connection, held: Held) -> None:
            if attempt is not None:
                links.end(tx, attempt, "done", now, status=status)
            link = self._linked(tx)
            links.anew(tx, link.id)
            self._answered(tx, held)

        self._run(note)

    def ack(
        self,
        attempt: int | None,
        outcome: str,
        remote: Remote,
        acked: Wanted | None,
        status: int | None = None,
    ) -> None:
        """Note what the EHR holds, and wake what waited for this resource to be there."""
        now = self._clock()

        def note(tx: sa.Connection, held: Held) -> None:
            if attempt is not None:
                links.end(tx, attempt, outcome, now, status=status)
            link = self._linked(tx)
            links.ack(
                tx,
                link.id,
                remote=(remote.id, remote.etag, remote_fingerprint(remote.body)),
                acked=(acked.hash, acked.version) if acked else (None, None),
                now=now,
                rung=self._rung,
                agreement=agreements.packed(acked.said or acked.body, remote.body) if acked else {},
            )
            if link.remote_id is None:
                deliveries.release(tx, [("link", *link.local)], now, link.connection_id)
            self._answered(tx, held)

        self._run(note)

    def _answered(self, tx: sa.Connection, held: Held) -> None:
        if held.connection_failures:
            connections.answered(tx, self._taken.connection_id)

    def _linked(self, tx: sa.Connection) -> Link:
        if self.link is None:
            connection_id, (local, identifier) = self._taken.connection_id, self._resource
            return links.of_or_add(tx, connection_id, self._taken.record, local, identifier)
        return self.link

    def _run(self, note: Callable[[sa.Connection, Held], T], *, durable: bool = False) -> T:
        def fenced(tx: sa.Connection) -> T:
            held = turns.held_by(tx, self._taken.id, self._taken.owner)
            if held is None:
                raise LostClaimError
            return note(tx, held)

        return self._database.run_together(fenced, durable=durable)
