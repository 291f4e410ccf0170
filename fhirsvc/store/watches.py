"""Watches: what each EHR was asked to notify us of, and how far its notifications have come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.store.received import watch


@dataclass(frozen=True)
class Watch:
    """A Subscription of ours at an EHR; ``criteria`` is a topic's URL, or a search (``Goal?``).

    ``state``: requested until it promised to notify, active, error, or off. ``last_event`` is the
    number of the newest event that was heard of; times are epoch seconds.
    """

    connection_id: int
    criteria: str
    remote_id: str | None
    state: str
    last_event: int
    heard_at: float | None
    heartbeat_s: float
    updated_at: float


def _is(connection_id: int, criteria: str) -> sa.ColumnElement[bool]:
    return sa.and_(watch.c.connection_id == connection_id, watch.c.criteria == criteria)


def want(
    tx: sa.Connection, connection_id: int, criteria: Iterable[str], heartbeat_s: float, now: float
) -> list[Watch]:
    """See to it that there is a watch for each of these; those not wanted any more are returned."""
    wanted = set(criteria)
    there = {one.criteria: one for one in of(tx, connection_id)}
    fresh = [
        {
            "connection_id": connection_id,
            "criteria": one,
            "state": "requested",
            "last_event": 0,
            "heartbeat_s": heartbeat_s,
            "updated_at": 0.0,
        }
        for one in sorted(wanted - there.keys())
    ]
    if fresh:
        tx.execute(sa.insert(watch), fresh)
    return [one for name, one in there.items() if name not in wanted]


def of(tx: sa.Connection, connection_id: int) -> list[Watch]:
    """The watches of a connection."""
    rows = tx.execute(
        sa.select(watch).where(watch.c.connection_id == connection_id).order_by(watch.c.criteria)
    ).mappings()
    return [Watch(**row) for row in rows]


def by_remote(tx: sa.Connection, connection_id: int, remote_id: str) -> Watch | None:
    """The watch with this id at the EHR."""
    row = tx.execute(
        sa.select(watch).where(
            watch.c.connection_id == connection_id, watch.c.remote_id == remote_id
        )
    ).mappings()
    found = row.first()
    return None if found is None else Watch(**found)


def update(tx: sa.Connection, of: Watch, now: float, **values: Any) -> None:
    """Change some of a watch."""
    which = _is(of.connection_id, of.criteria)
    tx.execute(sa.update(watch).where(which).values(**values, updated_at=now))


def claim(tx: sa.Connection, of: Watch, now: float, lease_s: float) -> bool:
    """Take a watch for one look at it; False when another process has just done so."""
    which = sa.and_(_is(of.connection_id, of.criteria), watch.c.updated_at <= now - lease_s)
    return tx.execute(sa.update(watch).where(which).values(updated_at=now)).rowcount == 1


def drop(tx: sa.Connection, of: Watch) -> None:
    """Forget a watch."""
    tx.execute(sa.delete(watch).where(_is(of.connection_id, of.criteria)))
