"""What was served at a moment, and how a moment is chosen that has everything before it.

A version of a resource carries the time at which it was made, which is a little before others see
it: its transaction has yet to commit, and on PostgreSQL several do so in any order. A moment T that
is simply read from a clock would miss a version that says T - 1 and is committed at T + 1. So
versions are made under a lock that is shared (:func:`stamp`), and a moment is chosen under the same
lock held alone (:func:`mark`): whoever made a version before has committed, and its time is not
after T; whoever makes one later reads the mark and takes a time after T, however its clock goes.
Versions up to T are then complete and never change, so they can be read in pages, by any process,
as often as need be. On SQLite one transaction writes at a time, which does what the lock does.
"""

from __future__ import annotations

import math

import sqlalchemy as sa

from fhirsvc.store.exports import served_mark
from fhirsvc.store.served import served, served_record, served_version
from fhirsvc.store.served_search import Found
from fhirsvc.store.tables import record, record_version

TICK = 0.001  # seconds: versions' times are told to the millisecond
_LOCK = 7033117


def stamp(tx: sa.Connection, now: float) -> float:
    """The time of versions that this transaction makes: now, and after the last mark.

    No moment is marked until the transaction ends.
    """
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
    marked = tx.execute(sa.select(served_mark.c.at)).scalar_one()
    return max(round(now, 3), round(float(marked) + TICK, 3))


def mark(tx: sa.Connection, now: float) -> float:
    """Choose a moment: all versions up to it are there, and all that are yet to come are later.

    It waits for the transactions that are making versions, and is not before any version.
    """
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    newest = tx.execute(sa.select(sa.func.max(served_version.c.updated_at))).scalar_one()
    before = tx.execute(sa.select(served_mark.c.at)).scalar_one()
    at = round(max(math.ceil(now / TICK) * TICK, float(newest or 0.0), float(before)), 3)
    tx.execute(sa.update(served_mark).values(at=at))
    return at


def page(
    tx: sa.Connection,
    resource_type: str,
    *,
    as_of: float,
    since: float | None,
    is_deleted: bool,
    after: int,
    limit: int,
) -> list[Found]:
    """Resources of a type as they were at a marked moment, by key, after the key ``after``.

    With ``since`` only those whose version of that moment came later than it.
    """
    other = served_version.alias()
    newest = (
        sa.select(sa.func.max(other.c.version))
        .where(other.c.key == served.c.key, other.c.updated_at <= as_of)
        .correlate(served)
        .scalar_subquery()
    )
    columns = [served_version.c[name] for name in ("version", "updated_at", "body", "is_deleted")]
    query = (
        sa.select(served.c.key, served.c.type, served.c.id, *columns)
        .select_from(served)
        .join(
            served_version,
            sa.and_(served_version.c.key == served.c.key, served_version.c.version == newest),
        )
        .where(
            served.c.type == resource_type,
            served.c.key > after,
            served_version.c.is_deleted == is_deleted,
        )
    )
    if since is not None:
        query = query.where(served_version.c.updated_at > since)
    rows = tx.execute(query.order_by(served.c.key).limit(limit)).mappings()
    return [Found(**row) for row in rows]


def is_waiting(tx: sa.Connection, before: float) -> bool:
    """Whether a version of a record that was accepted until then is not served yet."""
    known = sa.func.coalesce(served_record.c.version, 0)
    query = (
        sa.select(record.c.id)
        .outerjoin(
            served_record,
            sa.and_(served_record.c.type == record.c.type, served_record.c.id == record.c.id),
        )
        .join(
            record_version,
            sa.and_(
                record_version.c.type == record.c.type,
                record_version.c.id == record.c.id,
                record_version.c.version == known + 1,
            ),
        )
        .where(known < record.c.version, record_version.c.accepted_at <= before)
    )
    return tx.execute(query.limit(1)).first() is not None
