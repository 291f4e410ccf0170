"""Questions about all deliveries at once: what is due, what is missing, whether all is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.store import deliveries
from fhirsvc.store.connections import MOST_LANES
from fhirsvc.store.deliveries import Delivery
from fhirsvc.store.tables import (
    connection,
    delivery,
    delivery_event,
    delivery_wait,
    link,
    record,
    record_version,
)


def _due() -> sa.Select[Any]:
    now = sa.bindparam("now", type_=sa.Double)
    some = (
        sa.select(delivery.c.id)
        .where(
            delivery.c.connection_id == connection.c.id,
            delivery.c.state == "pending",
            delivery.c.next_at <= now,
        )
        .limit(MOST_LANES)  # nobody needs to know how many more are due
        .correlate(connection)
        .subquery()
    )
    counted = sa.select(sa.func.count()).select_from(some).scalar_subquery()
    return sa.select(connection.c.id, counted.label("due")).where(
        connection.c.state == "active", connection.c.rest_until <= now
    )


_DUE = _due()


@dataclass(frozen=True)
class Event:
    """One transition of a delivery; ``at`` is epoch seconds, ``from_state`` '' at the start."""

    at: float
    from_state: str
    to_state: str
    category: str
    reason: str
    executor: str


def due(tx: sa.Connection, now: float) -> dict[int, int]:
    """Connection id → how many of its deliveries could be sent now, counted up to ``MOST_LANES``.

    Connections where nothing is due are left out.
    """
    rows = tx.execute(_DUE, {"now": now})
    return {row.id: row.due for row in rows if row.due}


def is_idle(tx: sa.Connection) -> bool:
    """Whether nothing will be sent unless somebody acts: no retry is due later either.

    What waits for something that does not come by itself, and what goes to a paused connection,
    counts as idle.
    """
    waits = sa.exists().where(delivery_wait.c.delivery_id == delivery.c.id)
    moving = (
        sa.select(delivery.c.id)
        .join(connection, connection.c.id == delivery.c.connection_id)
        .where(
            sa.or_(
                delivery.c.state == "sending",
                sa.and_(delivery.c.state == "pending", ~waits, connection.c.state == "active"),
            )
        )
        .limit(1)
    )
    active = sa.select(connection.c.id).where(connection.c.state == "active")
    going = sa.and_(delivery.c.state == "pending", delivery.c.connection_id.in_(active))
    return tx.execute(moving).first() is None and not _satisfied(tx, going)


def wake_satisfied(tx: sa.Connection, now: float) -> int:
    """Wake deliveries whose awaited link or record has come.

    Whoever brings it wakes them at once; this finds those that began to wait at that moment.
    """
    asleep = sa.or_(delivery.c.state == "held", delivery.c.next_at > now)
    ids = _satisfied(tx, asleep)
    return deliveries.wake(tx, ids, now) if ids else 0


def _satisfied(tx: sa.Connection, which: sa.ColumnElement[bool]) -> list[int]:
    """Ids of the deliveries that wait for a link or a record which is there."""
    waiting = sa.select(delivery_wait.c.delivery_id).join(
        delivery, delivery.c.id == delivery_wait.c.delivery_id
    )
    linked = waiting.join(
        link,
        sa.and_(
            link.c.connection_id == delivery.c.connection_id,
            link.c.resource_type == delivery_wait.c.type,
            link.c.local_id == delivery_wait.c.id,
        ),
    ).where(
        delivery_wait.c.kind == "link",
        sa.or_(link.c.remote_id.is_not(None), link.c.standing == "absent"),
        which,
    )
    loaded = waiting.join(
        record,
        sa.and_(record.c.type == delivery_wait.c.type, record.c.id == delivery_wait.c.id),
    ).where(delivery_wait.c.kind == "record", which)
    return sorted({*tx.execute(linked).scalars(), *tx.execute(loaded).scalars()})


def backfill(tx: sa.Connection, now: float, limit: int = 500) -> int:
    """Open deliveries that are missing: records accepted before a connection was added."""
    has_one = sa.exists().where(
        delivery.c.connection_id == connection.c.id,
        delivery.c.record_type == record.c.type,
        delivery.c.record_id == record.c.id,
        delivery.c.version == record.c.version,
    )
    missing = tx.execute(
        sa.select(
            connection.c.id.label("connection_id"),
            record.c.type,
            record.c.id,
            record.c.version,
            record.c.revision,
            record_version.c.correlation_id,
        )
        .select_from(record)
        .join(connection, sa.true())
        .join(
            record_version,
            sa.and_(
                record_version.c.type == record.c.type,
                record_version.c.id == record.c.id,
                record_version.c.version == record.c.version,
            ),
        )
        .where(~has_one)
        .order_by(connection.c.id, record_version.c.accepted_at, record.c.type, record.c.id)
        .limit(limit)
    ).all()
    for row in missing:
        version = ((row.type, row.id), row.version, row.correlation_id)
        deliveries.create(tx, [version], [row.connection_id], now, row.revision)
    return len(missing)


def status(tx: sa.Connection) -> dict[int, dict[str, int]]:
    """Connection id → state → how many deliveries are in it."""
    rows = tx.execute(
        sa.select(delivery.c.connection_id, delivery.c.state, sa.func.count()).group_by(
            delivery.c.connection_id, delivery.c.state
        )
    )
    counted: dict[int, dict[str, int]] = {}
    for connection_id, state, count in rows:
        counted.setdefault(connection_id, {})[state] = count
    return counted


def find(
    tx: sa.Connection,
    *,
    connection_id: int | None = None,
    states: Iterable[str] = (),
    record: tuple[str, str] | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Delivery]:
    """Deliveries by id, filtered; ``after`` is the id of the last one already seen."""
    query = sa.select(delivery).where(delivery.c.id > after).order_by(delivery.c.id).limit(limit)
    if connection_id is not None:
        query = query.where(delivery.c.connection_id == connection_id)
    if listed := list(states):
        query = query.where(delivery.c.state.in_(listed))
    if record is not None:
        query = query.where(delivery.c.record_type == record[0], delivery.c.record_id == record[1])
    return [Delivery(**row) for row in tx.execute(query).mappings()]


def events(tx: sa.Connection, delivery_id: int) -> list[Event]:
    """The history of one delivery, oldest first."""
    rows = tx.execute(
        sa.select(delivery_event)
        .where(delivery_event.c.delivery_id == delivery_id)
        .order_by(delivery_event.c.id)
    )
    return [
        Event(row.at, row.from_state, row.to_state, row.category, row.reason, row.executor)
        for row in rows
    ]
