"""The inbox: what came from EHRs, what became of it, and what waits for somebody to look at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.agreements import pack, unpack
from fhirsvc.store.received import inbox

REASON_LENGTH = 1000


@dataclass(frozen=True)
class Item:
    """Something that came; ``hash`` is '' when it is that the EHR has it no longer.

    ``record`` is the record it went into, ``version`` the version that it made, if it made one.
    Times are epoch seconds.
    """

    id: int
    connection_id: int
    resource_type: str
    remote_id: str
    hash: str
    etag: str | None
    source: str
    state: str
    category: str
    reason: str
    record_type: str
    record_id: str
    version: int | None
    correlation_id: str
    received_at: float
    updated_at: float
    next_at: float
    attempts: int
    resolved_by: str

    @property
    def record(self) -> tuple[str, str] | None:
        """The record it belongs to; None while it is nobody's."""
        return (self.record_type, self.record_id) if self.record_type else None


COLUMNS = [one for one in inbox.c if one.name != "body"]


@dataclass(frozen=True)
class Arrival:
    """What came, of which connection, and how: by poll, compare, hook, post or write."""

    connection_id: int
    resource_type: str
    remote_id: str
    hash: str
    etag: str | None
    source: str
    correlation_id: str


def note(
    tx: sa.Connection,
    arrival: Arrival,
    state: str,
    now: float,
    *,
    category: str = "",
    reason: str = "",
    record: tuple[str, str] | None = None,
    version: int | None = None,
    body: Mapping[str, Any] | None = None,
) -> int:
    """Note what became of an arrival; what waited of the same resource is told by this one.

    The same content noted in the same state twice is one item; returns its id.
    """
    last = newest(tx, arrival.connection_id, arrival.resource_type, arrival.remote_id)
    values = {
        "hash": arrival.hash,
        "etag": arrival.etag,
        "state": state,
        "category": category,
        "reason": reason[:REASON_LENGTH],
        "record_type": record[0] if record else "",
        "record_id": record[1] if record else "",
        "version": version,
        "body": pack(body) if body is not None else None,
        "updated_at": now,
        "next_at": now,
    }
    again = last is not None and (last.state, last.hash) == (state, arrival.hash)
    if last is not None and (again or last.state in ("waiting", "review")):
        tx.execute(sa.update(inbox).where(inbox.c.id == last.id).values(values))
        return last.id
    fresh = {
        "connection_id": arrival.connection_id,
        "resource_type": arrival.resource_type,
        "remote_id": arrival.remote_id,
        "source": arrival.source,
        "correlation_id": arrival.correlation_id,
        "received_at": now,
        "attempts": 0,
        "resolved_by": "",
    }
    made: int = tx.execute(
        sa.insert(inbox).values({**fresh, **values}).returning(inbox.c.id)
    ).scalar_one()
    return made


def newest(
    tx: sa.Connection, connection_id: int, resource_type: str, remote_id: str
) -> Item | None:
    """The last thing noted of a remote resource."""
    row = tx.execute(
        sa.select(*COLUMNS)
        .where(
            inbox.c.connection_id == connection_id,
            inbox.c.resource_type == resource_type,
            inbox.c.remote_id == remote_id,
        )
        .order_by(inbox.c.id.desc())
        .limit(1)
    ).mappings()
    found = row.first()
    return None if found is None else Item(**found)


def get(tx: sa.Connection, item_id: int) -> tuple[Item, dict[str, Any] | None]:
    """One item and the resource that came; NOT_FOUND when there is none with this id."""
    row = tx.execute(sa.select(inbox).where(inbox.c.id == item_id)).mappings().first()
    if row is None:
        raise FhirsvcError(Category.NOT_FOUND, "no such item", f"inbox {item_id}")
    values = dict(row)
    body = values.pop("body")
    return Item(**values), None if body is None else unpack(body)


def find(
    tx: sa.Connection,
    states: Iterable[str] = ("review",),
    *,
    connection_id: int | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Item]:
    """Items by id in these states; ``after`` is the id of the last one already seen."""
    query = (
        sa.select(*COLUMNS)
        .where(inbox.c.state.in_(list(states)), inbox.c.id > after)
        .order_by(inbox.c.id)
        .limit(limit)
    )
    if connection_id is not None:
        query = query.where(inbox.c.connection_id == connection_id)
    return [Item(**row) for row in tx.execute(query).mappings()]


def resolve(tx: sa.Connection, item_id: int, state: str, by: str, reason: str, now: float) -> None:
    """Note that somebody has decided about an item."""
    values = {"state": state, "resolved_by": by[:120], "reason": reason, "updated_at": now}
    tx.execute(sa.update(inbox).where(inbox.c.id == item_id).values(**values, body=None))


def expecting(tx: sa.Connection, now: float) -> list[int]:
    """Ids of the connections of which something waits for another look that is due."""
    query = (
        sa.select(inbox.c.connection_id)
        .where(inbox.c.state == "waiting", inbox.c.next_at <= now)
        .distinct()
    )
    return list(tx.execute(query).scalars())


def waiting(tx: sa.Connection, connection_id: int, now: float, limit: int = 100) -> list[Item]:
    """What of a connection waits for another look that is due."""
    query = (
        sa.select(*COLUMNS)
        .where(
            inbox.c.connection_id == connection_id,
            inbox.c.state == "waiting",
            inbox.c.next_at <= now,
        )
        .order_by(inbox.c.next_at, inbox.c.id)
        .limit(limit)
    )
    return [Item(**row) for row in tx.execute(query).mappings()]


def postpone(tx: sa.Connection, item_id: int, until: float) -> None:
    """Look again at ``until`` (epoch seconds)."""
    values = {"next_at": until, "attempts": inbox.c.attempts + 1}
    tx.execute(sa.update(inbox).where(inbox.c.id == item_id).values(values))


def counts(tx: sa.Connection) -> dict[tuple[int, str], int]:
    """How many items there are, by connection and state."""
    rows = tx.execute(
        sa.select(inbox.c.connection_id, inbox.c.state, sa.func.count()).group_by(
            inbox.c.connection_id, inbox.c.state
        )
    )
    return {(row[0], row[1]): row[2] for row in rows}
