"""Partners' Subscriptions, and the events that they are to hear of.

    partner ── subscription ── subscription_event   numbered from one, in the order of commits

``last_event`` is the newest event that is noted, ``sent_event`` the newest that was heard. A row
with ``claim`` is in somebody's hands until ``claimed_until``; whoever comes back with another claim
changes nothing. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.store.tables import metadata, one_of

STATES = ("requested", "active", "error", "off", "deleted")
COUNTED = ("requested", "active", "error")  # states in which events are noted
DUE = ("requested", "active")  # states in which something is sent

subscription = sa.Table(
    "subscription",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("partner", sa.String(64), sa.ForeignKey("partner.name"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # JSON, without id, meta, status and error
    sa.Column("type", sa.String(40), nullable=False),  # of the resources that it is about
    sa.Column("base", sa.String(500), nullable=False),  # our own address, as its client knows it
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("error", sa.String(200), nullable=False),
    sa.Column("last_event", sa.Integer, nullable=False),
    sa.Column("sent_event", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),  # in a row
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("claim", sa.String(64), nullable=False),
    sa.Column("claimed_until", sa.Double, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    one_of("state", STATES),
    sa.Index("ix_subscription_partner", "partner", "state"),
    sa.Index("ix_subscription_due", "state", "next_at"),
)

subscription_event = sa.Table(
    "subscription_event",
    metadata,
    sa.Column("subscription", sa.String(64), sa.ForeignKey("subscription.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Double, nullable=False, index=True),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("resource_id", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("method", sa.String(6), nullable=False),  # POST, PUT or DELETE
)


@dataclass(frozen=True)
class Subscription:
    """A Subscription; its fields are the columns of ``subscription``."""

    id: str
    partner: str
    version: int
    body: str
    type: str
    base: str
    state: str
    error: str
    last_event: int
    sent_event: int
    failures: int
    next_at: float
    claim: str
    claimed_until: float
    created_at: float
    updated_at: float


@dataclass(frozen=True)
class Event:
    """Something that happened to a resource, by its number in a Subscription."""

    subscription: str
    number: int
    at: float
    type: str
    resource_id: str
    version: int
    method: str


def add(tx: sa.Connection, new: Subscription) -> None:
    """Keep a new Subscription."""
    tx.execute(sa.insert(subscription).values(vars(new)))


def get(tx: sa.Connection, partner: str, id: str, *, lock: bool = False) -> Subscription | None:
    """A client's Subscription, one that was deleted too; None when it has none of this id."""
    query = sa.select(subscription).where(
        subscription.c.id == id, subscription.c.partner == partner
    )
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else Subscription(**row)


def of(tx: sa.Connection, partner: str) -> list[Subscription]:
    """A client's Subscriptions, oldest first, without those that were deleted."""
    query = sa.select(subscription).where(
        subscription.c.partner == partner, subscription.c.state != "deleted"
    )
    rows = tx.execute(query.order_by(subscription.c.created_at, subscription.c.id)).mappings()
    return [Subscription(**row) for row in rows]


def change(tx: sa.Connection, id: str, **values: Any) -> None:
    """Change a Subscription, whoever has it in hand: what they come back with is void."""
    values = {**values, "claim": "", "claimed_until": 0.0}
    tx.execute(sa.update(subscription).where(subscription.c.id == id).values(**values))


def end_all(tx: sa.Connection, partner: str, now: float) -> None:
    """Send nothing more to a client."""
    which = sa.and_(
        subscription.c.partner == partner, subscription.c.state.not_in(("off", "deleted"))
    )
    values = {"state": "off", "claim": "", "claimed_until": 0.0, "updated_at": now}
    tx.execute(sa.update(subscription).where(which).values(**values))


def about(tx: sa.Connection, types: Collection[str]) -> list[tuple[str, str, str]]:
    """Id, body and base of Subscriptions that are to hear of resources of these types."""
    query = sa.select(subscription.c.id, subscription.c.body, subscription.c.base).where(
        subscription.c.type.in_(sorted(types)), subscription.c.state.in_(COUNTED)
    )
    return [(id_, body, base) for id_, body, base in tx.execute(query)]


def happened(
    tx: sa.Connection, events: Mapping[str, Sequence[Mapping[str, Any]]], now: float
) -> None:
    """Number events, by the Subscriptions that are to hear of them; they are due at once.

    Of each event: ``type``, ``resource_id``, ``version``, ``method``. The row of a Subscription
    stays locked until the end of the transaction, so numbers are in the order of commits.
    """
    rows: list[dict[str, Any]] = []
    for id_, found in sorted(events.items()):  # in one order: nobody waits for who waits for them
        done = tx.execute(
            sa.update(subscription)
            .where(subscription.c.id == id_)
            .values(last_event=subscription.c.last_event + len(found))
            .returning(subscription.c.last_event, subscription.c.failures)
        ).one()
        first = done.last_event - len(found) + 1
        rows += [
            {"subscription": id_, "number": number, "at": now, **one}
            for number, one in enumerate(found, start=first)
        ]
        if not done.failures:  # after a failure it waits for its time
            which = sa.and_(subscription.c.id == id_, subscription.c.next_at > now)
            tx.execute(sa.update(subscription).where(which).values(next_at=now))
    if rows:
        tx.execute(sa.insert(subscription_event), rows)


def _is_due(now: float) -> sa.ColumnElement[bool]:
    return sa.and_(
        subscription.c.state.in_(DUE),
        subscription.c.next_at <= now,
        subscription.c.claimed_until <= now,
    )


def is_any_due(tx: sa.Connection, now: float) -> bool:
    """Whether one is due that nobody has: looked at often, so without a lock."""
    return tx.execute(sa.select(subscription.c.id).where(_is_due(now)).limit(1)).first() is not None


def claim(tx: sa.Connection, claim_id: str, now: float, lease_s: float) -> Subscription | None:
    """Take the Subscription that is due longest; None when none is that nobody else has."""
    due = (
        sa.select(subscription.c.id)
        .where(_is_due(now))
        .order_by(subscription.c.next_at, subscription.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    found = tx.execute(due).scalar()
    if found is None:
        return None
    row = tx.execute(
        sa.update(subscription)
        .where(subscription.c.id == found)
        .values(claim=claim_id, claimed_until=now + lease_s)
        .returning(subscription)
    )
    return Subscription(**row.mappings().one())


def held(tx: sa.Connection, claimed: Subscription) -> Subscription | None:
    """A claimed Subscription as it is now, locked; None when it is in other hands, or changed."""
    query = sa.select(subscription).where(
        subscription.c.id == claimed.id, subscription.c.claim == claimed.claim
    )
    row = tx.execute(query.with_for_update()).mappings().first()
    return None if row is None else Subscription(**row)


def events(tx: sa.Connection, id: str, first: int, last: int, limit: int) -> list[Event]:
    """Events of a Subscription by number, from ``first`` to ``last``; at most ``limit``."""
    query = (
        sa.select(subscription_event)
        .where(
            subscription_event.c.subscription == id,
            subscription_event.c.number.between(first, last),
        )
        .order_by(subscription_event.c.number)
        .limit(limit)
    )
    return [Event(**row) for row in tx.execute(query).mappings()]


def drop_events(tx: sa.Connection, id: str) -> None:
    """Forget the events of a Subscription."""
    tx.execute(sa.delete(subscription_event).where(subscription_event.c.subscription == id))


def forget(tx: sa.Connection, before: float) -> int:
    """Drop events from before a time, heard or not; returns how many."""
    return tx.execute(
        sa.delete(subscription_event).where(subscription_event.c.at < before)
    ).rowcount
