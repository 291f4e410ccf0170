"""Cursors: how far each resource type of each EHR was read, and when it is read next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from fhirsvc.store.received import cursor
from fhirsvc.store.tables import connection

REASON_LENGTH = 300


@dataclass(frozen=True)
class Cursor:
    """``watermark`` is the EHR's own time up to which all was read; times are epoch seconds."""

    connection_id: int
    resource_type: str
    watermark: float | None
    next_at: float
    compared_at: float | None
    reason: str  # why the last reading failed; '' when it did not


def _is(connection_id: int, resource_type: str) -> sa.ColumnElement[bool]:
    return sa.and_(cursor.c.connection_id == connection_id, cursor.c.resource_type == resource_type)


def want(tx: sa.Connection, connection_id: int, types: Iterable[str], now: float) -> None:
    """See to it that these types, and no others, of a connection are read."""
    wanted = set(types)
    rows = tx.execute(
        sa.select(cursor.c.resource_type).where(cursor.c.connection_id == connection_id)
    )
    there = set(rows.scalars())
    if gone := there - wanted:
        which = sa.and_(cursor.c.connection_id == connection_id, cursor.c.resource_type.in_(gone))
        tx.execute(sa.delete(cursor).where(which))
    fresh = [
        {
            "connection_id": connection_id,
            "resource_type": one,
            "next_at": now,
            "reason": "",
        }
        for one in sorted(wanted - there)
    ]
    if fresh:
        tx.execute(sa.insert(cursor), fresh)


def claim(tx: sa.Connection, now: float, lease_s: float, connection_id: int) -> Cursor | None:
    """Take the next due cursor of a connection that is active; nobody else gets it for a lease."""
    row = (
        tx.execute(
            sa.select(cursor)
            .join(connection, connection.c.id == cursor.c.connection_id)
            .where(
                cursor.c.connection_id == connection_id,
                cursor.c.next_at <= now,
                connection.c.state == "active",
                connection.c.rest_until <= now,
            )
            .order_by(cursor.c.next_at, cursor.c.resource_type)
            .limit(1)
            .with_for_update(skip_locked=True, of=cursor)
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    which = _is(connection_id, row["resource_type"])
    tx.execute(sa.update(cursor).where(which).values(next_at=now + lease_s))
    return Cursor(**row)


def due(tx: sa.Connection, now: float) -> list[int]:
    """Ids of the active connections with a cursor that is due."""
    rows = tx.execute(
        sa.select(cursor.c.connection_id)
        .join(connection, connection.c.id == cursor.c.connection_id)
        .where(
            cursor.c.next_at <= now,
            connection.c.state == "active",
            connection.c.rest_until <= now,
        )
        .distinct()
        .order_by(cursor.c.connection_id)
    )
    return list(rows.scalars())


def done(
    tx: sa.Connection,
    of: Cursor,
    *,
    watermark: float | None,
    compared_at: float | None,
    next_at: float,
) -> None:
    """All was read up to ``watermark``."""
    values = {"next_at": next_at, "reason": "", "watermark": watermark, "compared_at": compared_at}
    which = _is(of.connection_id, of.resource_type)
    tx.execute(sa.update(cursor).where(which).values(values))


def failed(tx: sa.Connection, of: Cursor, reason: str, next_at: float) -> None:
    """The reading failed; the watermark stays where it was."""
    values = {"next_at": next_at, "reason": reason[:REASON_LENGTH]}
    which = _is(of.connection_id, of.resource_type)
    tx.execute(sa.update(cursor).where(which).values(values))


def hurry(
    tx: sa.Connection,
    connection_id: int,
    now: float,
    resource_type: str = "",
    *,
    compare: bool = False,
) -> int:
    """Make the cursors of a connection due, or that of one type; returns how many.

    With ``compare`` everything is compared: something may have been missed.
    """
    which = cursor.c.connection_id == connection_id
    if resource_type:
        which = _is(connection_id, resource_type)
    values: dict[str, float | None] = {"next_at": now}
    if compare:
        values["compared_at"] = None
    return tx.execute(sa.update(cursor).where(which).values(values)).rowcount


def every(tx: sa.Connection, connection_id: int) -> list[Cursor]:
    """The cursors of a connection, by type."""
    rows = tx.execute(
        sa.select(cursor)
        .where(cursor.c.connection_id == connection_id)
        .order_by(cursor.c.resource_type)
    ).mappings()
    return [Cursor(**row) for row in rows]
