"""Watching: EHRs that notify are asked to, and what they say is a hint that is read again.

    requested ─ Subscription made ─▶ handshake ─▶ active ── events, heartbeats
        ▲                                          │ nothing heard for two heartbeats: asked
        └──────── made active again by us ◀── error, off

A notification says that something changed, never what: whatever it carries is read by id. Events
are numbered; a number that is missing, and a silence, make everything be compared. Two ways of
asking: a topic's URL (R4 backport), or a plain R4 search such as ``Goal?``.
http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/ and https://hl7.org/fhir/R4/subscription.html

It is over 300 lines because what is asked and what is heard are the two ends of one promise.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog

from fhirsvc.ehr.client import Client
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.inbound import Inbound
from fhirsvc.services.ports import Clock
from fhirsvc.store import connections, cursors, inbox, watches
from fhirsvc.store.connections import Connection
from fhirsvc.store.database import Database
from fhirsvc.store.inbox import Arrival
from fhirsvc.store.watches import Watch

SECRET_HEADER = "X-Fhirsvc-Secret"  # noqa: S105 - its name
LOOK_S = 60.0  # between two looks at a watch
MOST = 500  # resources that one notification may name
_BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]{1,39})/([A-Za-z0-9\-.]{1,64})(?:/_history/[^/]*)?$")
log = structlog.get_logger("fhirsvc.watching")


@dataclass(frozen=True)
class Heard:
    """What a notification came to: hints taken down, and whether events before it are missing."""

    kind: str
    hints: int = 0
    has_gap: bool = False


@dataclass(frozen=True)
class Watcher:
    """Keeps Subscriptions at EHRs alive and takes down what they say.

    ``secret`` reads a reference (``env:NAME``), ``url`` is where this service is reached by EHRs;
    empty: by none, and nothing is subscribed to.
    """

    database: Database
    client_for: Callable[[Connection], Client]
    clock: Clock
    secret: Callable[[str], str]
    new_id: Callable[[], str]
    url: str = ""

    # ---- asking ---------------------------------------------------------------------------------

    def tend(self) -> None:
        """Look after every watch that was not looked at for a while."""
        now = self.clock()
        with self.database.read() as tx:
            every = [one for one in connections.everyone(tx) if one.state == "active"]
        for connection in every:
            how = Inbound.of(connection.inbound)
            if connection.rest_until > now or (how.subscribe and not self.url):
                continue

            def want(
                tx: sa.Connection, one: Connection = connection, how: Inbound = how
            ) -> tuple[list[Watch], list[Watch]]:
                gone = watches.want(tx, one.id, how.subscribe, how.heartbeat_s, now)
                due = [w for w in watches.of(tx, one.id) if w not in gone]
                return gone, [w for w in due if watches.claim(tx, w, now, LOOK_S)]

            gone, due = self.database.run(want, durable=False)
            for watch in gone:
                self._end(connection, watch)
            for watch in due:
                self._look(connection, how, watch)

    def _look(self, connection: Connection, how: Inbound, watch: Watch) -> None:
        now = self.clock()
        if watch.remote_id is None:
            self._ask(connection, how, watch)
            return
        heard = watch.heard_at or watch.updated_at
        if watch.state == "active" and now - heard <= 2 * watch.heartbeat_s:
            return
        client = self.client_for(connection)
        path = f"Subscription/{watch.remote_id}"
        answer = client.request("GET", path, correlation_id=self.new_id())
        status = (answer.body or {}).get("status")
        if answer.status in (404, 410):
            self._note(watch, state="requested", remote_id=None)
        elif status == "active" and self._is_backport(watch):
            # It promised a sign of life and gave none: what it had to say may be lost.
            log.warning("watch_silent", connection=connection.id)
            self._missed(connection, watch)
            self._note(watch, state="active", heard_at=now)
        elif status == "active":
            self._note(watch, state="active", heard_at=now)
        elif status in ("error", "off"):
            log.warning("watch_ended", connection=connection.id, state=status)
            self._missed(connection, watch)
            self._ask(connection, how, watch)

    def _ask(self, connection: Connection, how: Inbound, watch: Watch) -> None:
        """Make the Subscription, or make it active again."""
        try:
            body = self._subscription(connection, how, watch)
        except FhirsvcError:
            log.error("hook_secret_missing", connection=connection.id)
            return
        method, path = "POST", "Subscription"
        if watch.remote_id is not None:
            method, path = "PUT", f"Subscription/{watch.remote_id}"
            body["id"] = watch.remote_id
        client = self.client_for(connection)
        answer = client.request(method, path, correlation_id=self.new_id(), body=body)
        found = (answer.body or {}).get("id")
        if answer.status in (200, 201) and isinstance(found, str):
            status = str((answer.body or {}).get("status"))
            state = status if status in ("active", "error", "off") else "requested"
            self._note(watch, remote_id=found, state=state, heard_at=self.clock())
            return
        log.warning("watch_refused", connection=connection.id, status=answer.status)
        self._note(watch, state="error")

    def _subscription(self, connection: Connection, how: Inbound, watch: Watch) -> dict[str, Any]:
        secret = self.secret(how.hook_secret).strip()
        channel: dict[str, Any] = {
            "type": "rest-hook",
            "endpoint": f"{self.url.rstrip('/')}/hooks/{connection.name}",
            "payload": "application/fhir+json",
            "header": [f"{SECRET_HEADER}: {secret}"],
        }
        if self._is_backport(watch):
            seconds = max(1, int(watch.heartbeat_s))
            channel["extension"] = [
                {"url": f"{_BACKPORT}backport-heartbeat-period", "valueUnsignedInt": seconds}
            ]
            content = {"url": f"{_BACKPORT}backport-payload-content", "valueCode": "id-only"}
            channel["_payload"] = {"extension": [content]}
        return {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "changes are brought into the clinic's own records",
            "criteria": watch.criteria,
            "channel": channel,
        }

    def _is_backport(self, watch: Watch) -> bool:
        return "://" in watch.criteria

    def _end(self, connection: Connection, watch: Watch) -> None:
        if watch.remote_id is not None:
            path = f"Subscription/{watch.remote_id}"
            client = self.client_for(connection)
            client.request("DELETE", path, correlation_id=self.new_id())
        self.database.run(lambda tx: watches.drop(tx, watch), durable=False)

    def _note(self, watch: Watch, **values: Any) -> None:
        now = self.clock()
        self.database.run(lambda tx: watches.update(tx, watch, now, **values), durable=False)

    def _missed(self, connection: Connection, watch: Watch) -> None:
        now = self.clock()
        kind = "" if self._is_backport(watch) else watch.criteria.partition("?")[0]
        self.database.run(
            lambda tx: cursors.hurry(tx, connection.id, now, kind, compare=True), durable=False
        )

    # ---- hearing --------------------------------------------------------------------------------

    def hear(self, name: str, secret: str, resource: Mapping[str, Any] | None, path: str) -> Heard:
        """Take down a notification from an EHR; what it names is read soon.

        :param path: what follows the hook's address: R4 servers add ``Type/id`` there.
        :raises FhirsvcError: NOT_FOUND when there is no such hook, UNAUTHENTICATED for a secret
            that is not the one we gave; INVALID for what is no notification.
        """
        with self.database.read() as tx:
            try:
                connection = connections.get(tx, name)
            except FhirsvcError:
                raise FhirsvcError(Category.NOT_FOUND, "no such hook") from None
        how = Inbound.of(connection.inbound)
        if not how.hook_secret:
            raise FhirsvcError(Category.NOT_FOUND, "no such hook")
        expected = self.secret(how.hook_secret).strip().encode()
        if not expected or not hmac.compare_digest(expected, secret.encode()):
            raise FhirsvcError(Category.UNAUTHENTICATED, "the secret is not the one we gave")
        if resource is None or resource.get("resourceType") != "Bundle":
            return self._heard_plain(connection, resource, path)
        return self._heard_bundle(connection, resource)

    def _heard_plain(
        self, connection: Connection, resource: Mapping[str, Any] | None, path: str
    ) -> Heard:
        """A plain R4 notification: a resource, its address, or nothing at all."""
        named = f"{resource.get('resourceType')}/{resource.get('id')}" if resource else path
        found = _REFERENCE.search(named)
        now = self.clock()

        def note(tx: sa.Connection) -> None:
            for watch in watches.of(tx, connection.id):
                if "://" not in watch.criteria:
                    watches.update(tx, watch, now, heard_at=now, state="active")
            if found is None:
                cursors.hurry(tx, connection.id, now)

        self.database.run(note)
        if found is None:
            return Heard("empty")
        return Heard("resource", self._hint(connection, [(found[1], found[2])]))

    def _heard_bundle(self, connection: Connection, bundle: Mapping[str, Any]) -> Heard:
        parameters = _status_of(bundle)
        if bundle.get("type") != "history" or parameters is None:
            message = "expected a history Bundle whose first entry is the subscription's status"
            raise FhirsvcError(Category.INVALID, message, "Bundle.entry[0]")
        told = {one.get("name"): one for one in _list(parameters.get("parameter"))}
        subscription = _reference(told.get("subscription", {}))
        kind = str(told.get("type", {}).get("valueCode") or "event-notification")
        state = str(told.get("status", {}).get("valueCode") or "active")
        numbers, focuses = _events(parameters)
        newest = _number(told.get("events-since-subscription-start", {}))
        with self.database.read() as tx:
            found = _REFERENCE.search(subscription)
            watch = watches.by_remote(tx, connection.id, found[2]) if found else None
        if watch is None:
            raise FhirsvcError(Category.NOT_FOUND, "no such subscription", "Bundle.entry[0]")
        last = max([watch.last_event, newest, *numbers])
        new = {number for number in numbers if number > watch.last_event}
        has_gap = kind != "handshake" and last - watch.last_event > len(new)
        now = self.clock()

        def note(tx: sa.Connection) -> None:
            alive = state if state in ("active", "error", "off") else "active"
            values: dict[str, Any] = {"heard_at": now, "last_event": last, "state": alive}
            watches.update(tx, watch, now, **values)
            if kind == "event-notification" and not focuses:
                cursors.hurry(tx, connection.id, now)
            if has_gap:
                cursors.hurry(tx, connection.id, now, compare=True)

        self.database.run(note)
        if has_gap:
            log.warning(
                "events_missing", connection=connection.id, known=watch.last_event, now=last
            )
        return Heard(kind, self._hint(connection, focuses), has_gap)

    def _hint(self, connection: Connection, named: list[tuple[str, str]]) -> int:
        """Take down what changed: it is read by id, whatever came with the notification."""
        now = self.clock()
        wanted = list(dict.fromkeys(named))[:MOST]
        cause = self.new_id()

        def note(tx: sa.Connection) -> None:
            for kind, remote_id in wanted:
                arrival = Arrival(connection.id, kind, remote_id, "", None, "hook", cause)
                inbox.note(tx, arrival, "waiting", now, reason="notified")

        self.database.run(note)
        return len(wanted)


def _list(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _status_of(bundle: Mapping[str, Any]) -> Mapping[str, Any] | None:
    first = next(iter(_list(bundle.get("entry"))), None)
    resource = first.get("resource") if first else None
    if isinstance(resource, Mapping) and resource.get("resourceType") == "Parameters":
        return resource
    return None


def _events(parameters: Mapping[str, Any]) -> tuple[list[int], list[tuple[str, str]]]:
    """The numbers of the events, and what each is about."""
    numbers: list[int] = []
    focuses: list[tuple[str, str]] = []
    for one in _list(parameters.get("parameter")):
        if one.get("name") != "notification-event":
            continue
        for part in _list(one.get("part")):
            if part.get("name") == "event-number":
                numbers.append(_number(part))
            elif part.get("name") in ("focus", "additional-context"):
                found = _REFERENCE.search(_reference(part))
                if found is not None:
                    focuses.append((found[1], found[2]))
    return numbers, focuses


def _number(part: Mapping[str, Any]) -> int:
    """An event number: a string, because JSON's integers of R4 have 32 bits."""
    for name in ("valueString", "valueInteger", "valueUnsignedInt", "valueDecimal"):
        text = str(part.get(name, ""))
        if re.fullmatch(r"[0-9]{1,18}", text):
            return int(text)
    return 0


def _reference(part: Mapping[str, Any]) -> str:
    value = part.get("valueReference")
    found = value.get("reference") if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""
