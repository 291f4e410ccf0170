"""Subscriptions as their clients see them: made, read, changed, ended; what is offered is checked.

A client sees its own and no others. Whatever a client changes, its endpoint is asked anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from fhirsvc.ehr import guarded
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir import notification, subscription
from fhirsvc.fhir.notification import About
from fhirsvc.fhir.scopes import Scopes
from fhirsvc.fhir.subscription import CONTENTS, Wanted
from fhirsvc.fhir.validate import validate
from fhirsvc.services.notify import FAR, letters, told_of
from fhirsvc.services.ports import Clock
from fhirsvc.services.serve import instant
from fhirsvc.store import partners, subscriptions
from fhirsvc.store.database import Database
from fhirsvc.store.subscriptions import Subscription

MOST = 100  # Subscriptions of one client
MOST_EVENTS = 1000  # in one answer
Resource = dict[str, Any]


class StaleError(FhirsvcError):
    """Another version is there than the one that is meant."""


@dataclass(frozen=True)
class Subscriber:
    """Who asks: a client's name, what its token allows, and our base URL."""

    client: str
    scopes: Scopes
    base: str


@dataclass(frozen=True)
class Subscribing:
    """What clients do to their Subscriptions; ``new_id`` makes ids that nobody can guess."""

    database: Database
    clock: Clock
    new_id: Callable[[], str]
    private: bool = False

    def create(self, by: Subscriber, resource: Resource) -> Subscription:
        """Keep a new one; the handshake follows.

        :raises FhirsvcError: INVALID at the element that is wrong or not offered, FORBIDDEN where
            the token does not allow what it asks for, CONFLICT when the client has too many.
        """
        wanted = self._checked(by, resource)
        now = self.clock()
        state = _state(resource)
        made = Subscription(
            id=self.new_id(),
            partner=by.client,
            version=1,
            body=_body(resource),
            type=wanted.type,
            base=by.base,
            state=state,
            error="",
            last_event=0,
            sent_event=0,
            failures=0,
            next_at=now if state == "requested" else FAR,
            claim="",
            claimed_until=0.0,
            created_at=now,
            updated_at=now,
        )

        def work(tx: sa.Connection) -> None:
            known = partners.get(tx, by.client, lock=True)
            if known is None or known.revoked_at is not None:
                raise FhirsvcError(Category.FORBIDDEN, "only registered clients subscribe")
            if len(subscriptions.of(tx, by.client)) >= MOST:
                raise FhirsvcError(Category.CONFLICT, f"{MOST} are the most that a client may have")
            subscriptions.add(tx, made)

        self.database.run(work)
        return made

    def read(self, client: str, id: str) -> Subscription:
        """One of a client's.

        :raises FhirsvcError: NOT_FOUND when it has none of this id, GONE when it was deleted.
        """
        with self.database.read() as tx:
            return _there(subscriptions.get(tx, client, id))

    def update(
        self, by: Subscriber, id: str, resource: Resource, expected: int | None
    ) -> Subscription:
        """Change one, or make it active again; the handshake follows. The topic stays.

        :raises FhirsvcError: as :meth:`read` and :meth:`create` do; a StaleError where ``expected``
            is not the version that is there.
        """
        wanted = self._checked(by, resource)
        now, state = self.clock(), _state(resource)

        def work(tx: sa.Connection) -> Subscription:
            old = _there(subscriptions.get(tx, by.client, id, lock=True), expected)
            if orjson.loads(old.body)["criteria"] != wanted.topic:
                message = "the topic stays: make another Subscription"
                raise FhirsvcError(Category.INVALID, message, "Subscription.criteria")
            subscriptions.change(
                tx,
                id,
                version=old.version + 1,
                body=_body(resource),
                base=by.base,
                state=state,
                error="",
                failures=0,
                next_at=now if state == "requested" else FAR,
                updated_at=now,
            )
            return _there(subscriptions.get(tx, by.client, id))

        return self.database.run(work)

    def delete(self, client: str, id: str, expected: int | None) -> None:
        """End one, and forget what it asked for and all its events."""
        now = self.clock()

        def work(tx: sa.Connection) -> None:
            found = subscriptions.get(tx, client, id, lock=True)
            if found is not None and found.state == "deleted":
                return
            version = _there(found, expected).version + 1
            subscriptions.drop_events(tx, id)
            subscriptions.change(
                tx, id, state="deleted", version=version, body="{}", error="", updated_at=now
            )

        self.database.run(work)

    def every(self, client: str) -> list[Subscription]:
        """All of a client's."""
        with self.database.read() as tx:
            return subscriptions.of(tx, client)

    def status(self, of: Subscription) -> Resource:
        """How one is, as ``$status`` tells it."""
        return notification.status(about(of), "query-status")

    def events(
        self, by: Subscriber, of: Subscription, first: int, last: int | None, content: str | None
    ) -> Resource:
        """Events by number, as ``$events`` tells them; those that are still kept.

        :raises FhirsvcError: INVALID for a content that there is not, FORBIDDEN for one that the
            token does not allow.
        """
        wanted = subscription.read(orjson.loads(of.body), of.base)
        content = content or wanted.content
        if content not in CONTENTS:
            message = f"expected content: {', '.join(CONTENTS)}"
            raise FhirsvcError(Category.INVALID, message)
        _allow(by, wanted.type, "rs" if content == "full-resource" else "s")
        until = of.last_event if last is None else min(last, of.last_event)
        with self.database.read() as tx:
            found = subscriptions.events(tx, of.id, first, until, MOST_EVENTS)
            told = [told_of(tx, one, content) for one in found]
        now = instant(self.clock())
        name = _uuid(self.new_id())
        return notification.bundle(about(of, content), "query-event", now, name, told)

    def _checked(self, by: Subscriber, resource: Resource) -> Wanted:
        for finding in validate(resource):
            raise FhirsvcError(Category.INVALID, finding.message, finding.where)
        wanted = subscription.read(resource, by.base)
        if not guarded.is_fit(wanted.endpoint, private=self.private):
            message = "expected an https URL without user or fragment"
            raise FhirsvcError(Category.INVALID, message, "Subscription.channel.endpoint")
        if wanted.end_at is not None and wanted.end_at <= self.clock():
            raise FhirsvcError(Category.INVALID, "expected a moment to come", "Subscription.end")
        _allow(by, wanted.type, letters(wanted))
        return wanted


def resource_of(of: Subscription) -> Resource:
    """The resource, with its status, its version and, in a word, what went wrong."""
    meta = {"versionId": str(of.version), "lastUpdated": instant(of.updated_at)}
    head = {"resourceType": "Subscription", "id": of.id, "meta": meta, "status": of.state}
    return {**head, **({"error": of.error} if of.error else {}), **orjson.loads(of.body)}


def about(of: Subscription, content: str = "id-only") -> About:
    """Whose status or events are told."""
    topic = str(orjson.loads(of.body)["criteria"])
    return About(of.base, of.id, topic, of.state, of.last_event, content)


def _allow(by: Subscriber, type_: str, needed: str) -> None:
    if not by.scopes.permits(type_, needed):
        message = f"the access does not allow this: it needs system/{type_}.{needed}"
        raise FhirsvcError(Category.FORBIDDEN, message, "Subscription")


def _there(found: Subscription | None, expected: int | None = None) -> Subscription:
    if found is None:
        raise FhirsvcError(Category.NOT_FOUND, "no such resource", "Subscription")
    if found.state == "deleted":
        raise FhirsvcError(Category.GONE, "it is deleted", "Subscription")
    if expected is not None and expected != found.version:
        raise StaleError(Category.CONFLICT, "another version is there", "Subscription")
    return found


def _state(resource: Mapping[str, Any]) -> str:
    return "off" if resource.get("status") == "off" else "requested"


def _body(resource: Mapping[str, Any]) -> str:
    """What its client says of it; the rest is ours to say."""
    ours = ("resourceType", "id", "meta", "status", "error", "text")
    return orjson.dumps({k: v for k, v in resource.items() if k not in ours}).decode()


def _uuid(name: str) -> str:
    return f"{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:32]}"
