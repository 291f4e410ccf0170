"""Notifying: a worker takes a Subscription that is due, tells its endpoint, and notes how it went.

    requested ── handshake ──▶ active ── events; a heartbeat where nothing happened
                     │            │ each failure: again later, and later still
                     └─▶ error ◀──┘ after the last; its client makes it `requested` again

Whoever has a Subscription in hand is alone with it, for a time: so its events arrive in order, and
a worker that dies is followed by another. An event may arrive twice, with the same number; none is
left out unless it is too old to be kept. http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
import structlog

from fhirsvc.ehr import guarded
from fhirsvc.ehr.transport import Answer, Limits, Transport
from fhirsvc.errors import FhirsvcError
from fhirsvc.fhir import notification, scopes, subscription
from fhirsvc.fhir.notification import About, Kind, Told
from fhirsvc.fhir.subscription import Wanted
from fhirsvc.services.ports import Clock
from fhirsvc.services.serve import instant, resource_of
from fhirsvc.store import partners, served_read, subscriptions
from fhirsvc.store.database import Database
from fhirsvc.store.subscriptions import Event, Subscription

CONNECT_S = 5.0
LARGEST = 65_536  # bytes of an answer, which nobody reads
LEASE_S = 180.0  # longer than any exchange takes
FIRST_S = 5.0  # after the first failure; doubled after each
LONGEST_S = 900.0  # between two tries
MOST_FAILURES = 10  # in a row: about an hour
FAR = 1e11  # epoch seconds: never
KEPT_S = 7 * 86_400.0  # how long events are kept
log = structlog.get_logger("fhirsvc.notify")


@dataclass(frozen=True)
class _Message:
    """What is to be sent, and the number of the newest event that is then heard of."""

    kind: Kind
    body: bytes
    newest: int
    count: int


class Notifier:
    """Tells endpoints; safe to share between threads.

    ``random`` gives numbers from 0 to 1, ``new_id`` names that nobody has; ``private``: endpoints
    may be on this machine and near it.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        random: Callable[[], float],
        new_id: Callable[[], str],
        monotonic: Clock,
        *,
        private: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._new_id = new_id
        self._monotonic = monotonic
        self._private = private
        self._transports: dict[int, Transport] = {}

    def piece(self) -> bool:
        """Attend to one Subscription that is due; whether there was any."""
        claim, now = self._new_id(), self._clock()
        with self._database.read() as tx:
            if not subscriptions.is_any_due(tx, now):
                return False
        found = self._database.run(
            lambda tx: subscriptions.claim(tx, claim, now, LEASE_S), durable=False
        )
        if found is None:
            return False
        try:
            wanted = subscription.read(orjson.loads(found.body), found.base)
        except FhirsvcError:
            self._end(found, "error", "it asks for what is not offered")
            return True
        barred = self._barred(found, wanted)
        if barred is not None:
            self._end(found, *barred)
            return True
        message = self._message(found, wanted)
        if message is None:
            self._database.run(lambda tx: self._went_well(tx, found, wanted, 0), durable=False)
            return True
        answer = self._send(wanted, message)
        self._note(found, wanted, message, answer)
        return True

    def close(self) -> None:
        """Close what is open to endpoints."""
        for one in self._transports.values():
            one.close()

    # ---- what is to be told ---------------------------------------------------------------------

    def _barred(self, of: Subscription, wanted: Wanted) -> tuple[str, str] | None:
        """The state and the reason for which nothing may be sent; None where it may."""
        if wanted.end_at is not None and wanted.end_at <= self._clock():
            return "off", ""
        with self._database.read() as tx:
            partner = partners.get(tx, of.partner)
        if partner is None or partner.revoked_at is not None:
            return "off", ""
        if not scopes.parse(partner.scope).permits(wanted.type, letters(wanted)):
            return "error", "its client may not see what it asks for"
        if not guarded.is_fit(wanted.endpoint, private=self._private):
            return "error", "its endpoint is not one that may be sent to"
        return None

    def _message(self, of: Subscription, wanted: Wanted) -> _Message | None:
        about = About(of.base, of.id, wanted.topic, of.state, of.last_event, wanted.content)
        if of.state == "requested":
            return self._made(about, "handshake", of.sent_event, [])
        events: list[Event] = []
        told: list[Told] = []
        if of.last_event > of.sent_event:
            first = of.sent_event + 1
            with self._database.read() as tx:
                events = subscriptions.events(tx, of.id, first, of.last_event, wanted.most)
                told = [told_of(tx, one, wanted.content) for one in events]
        if events:
            return self._made(about, "event-notification", events[-1].number, told)
        if of.last_event > of.sent_event or wanted.heartbeat_s is not None:
            # Events that are not kept any more are told by their number alone.
            return self._made(about, "heartbeat", of.last_event, [])
        return None

    def _made(self, about: About, kind: Kind, newest: int, told: list[Told]) -> _Message:
        now = instant(self._clock())
        body = notification.bundle(about, kind, now, str(uuid.UUID(hex=self._new_id())), told)
        return _Message(kind, orjson.dumps(body), newest, len(told))

    def _send(self, wanted: Wanted, message: _Message) -> Answer:
        headers = {"Accept": "*/*", "User-Agent": "fhirsvc", **dict(wanted.headers)}
        headers["Content-Type"] = wanted.payload
        transport = self._transport(wanted.timeout_s)
        return transport.send("POST", wanted.endpoint, headers, data=message.body)

    def _transport(self, timeout_s: int) -> Transport:
        if timeout_s not in self._transports:
            limits = Limits(min(CONNECT_S, timeout_s), timeout_s, LARGEST)
            made = guarded.guarded(limits, self._monotonic, private=self._private)
            if self._transports.setdefault(timeout_s, made) is not made:
                made.close()
        return self._transports[timeout_s]

    # ---- how it went ----------------------------------------------------------------------------

    def _note(self, of: Subscription, wanted: Wanted, message: _Message, answer: Answer) -> None:
        # An answer that is 2xx and no JSON is one all the same: nobody reads it.
        is_heard = answer.status is not None and 200 <= answer.status < 300
        is_heard = is_heard or answer.problem == "malformed"

        def work(tx: sa.Connection) -> str:
            if is_heard:
                return self._went_well(tx, of, wanted, message.newest)
            return self._went_badly(tx, of, answer)

        state = self._database.run(work)
        tell = log.info if is_heard else log.warning
        tell(
            "notified",
            subscription=of.id,
            client=of.partner,
            kind=message.kind,
            events=message.count,
            status=answer.status,
            problem=answer.problem,
            state=state,
        )

    def _went_well(self, tx: sa.Connection, of: Subscription, wanted: Wanted, newest: int) -> str:
        held = subscriptions.held(tx, of)
        if held is None:  # its client changed it, or another worker has it
            return ""
        now, sent = self._clock(), max(of.sent_event, newest)
        idle = FAR if wanted.heartbeat_s is None else now + wanted.heartbeat_s
        next_at = now if held.last_event > sent else idle
        values: dict[str, Any] = {"sent_event": sent, "next_at": next_at, "failures": 0}
        subscriptions.change(tx, of.id, **values, state="active", error="")
        return "active"

    def _went_badly(self, tx: sa.Connection, of: Subscription, answer: Answer) -> str:
        held = subscriptions.held(tx, of)
        if held is None:
            return ""
        now, failures = self._clock(), of.failures + 1
        why = answer.problem or f"status {answer.status}"
        if of.state == "requested" or failures >= MOST_FAILURES:
            what = "the handshake" if of.state == "requested" else f"{failures} notifications"
            values = {"state": "error", "error": f"the endpoint did not take {what}: {why}"}
            subscriptions.change(tx, of.id, **values, failures=0, updated_at=now)
            return "error"
        wait = min(FIRST_S * 2 ** (failures - 1), LONGEST_S) * (0.5 + self._random() / 2)
        wait = max(wait, _asked_to_wait(answer))
        subscriptions.change(tx, of.id, failures=failures, next_at=now + wait)
        return "active"

    def _end(self, of: Subscription, state: str, error: str) -> None:
        now = self._clock()

        def work(tx: sa.Connection) -> None:
            if subscriptions.held(tx, of) is not None:
                subscriptions.change(tx, of.id, state=state, error=error, updated_at=now)

        self._database.run(work)
        log.warning("subscription_ended", subscription=of.id, client=of.partner, state=state)


def letters(wanted: Wanted) -> str:
    """The letters of the scope that a Subscription needs for the type that it is about."""
    return "rs" if wanted.content == "full-resource" else "s"


def told_of(tx: sa.Connection, event: Event, content: str) -> Told:
    """An event as it is told, with the resource as it is now where content is full-resource."""
    resource = None
    if content == "full-resource" and event.method != "DELETE":
        found = served_read.one(tx, event.type, event.resource_id)
        resource = None if found is None or found.is_deleted else resource_of(found)
    focus = f"{event.type}/{event.resource_id}"
    return Told(event.number, instant(event.at), focus, event.method, resource)


def _asked_to_wait(answer: Answer) -> float:
    """The seconds of a Retry-After, as far as we wait at all."""
    given = answer.headers.get("Retry-After", "")
    return min(float(given), LONGEST_S) if re.fullmatch(r"[0-9]{1,6}", given) else 0.0
