"""The state machine of deliveries: every change of state goes through here and is recorded.

It is over 300 lines because no change of state may be made anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from fhirsvc.store import pairs
from fhirsvc.store.prepared import Prepared
from fhirsvc.store.records import RecordKey
from fhirsvc.store.tables import (
    REOPENING,
    TRANSITIONS,
    delivery,
    delivery_event,
    delivery_wait,
)

REASON_LENGTH = 1000
CHUNK = 1000  # ids in one statement: databases limit the number of parameters
# What a delivery waits for: ("link", "Patient", "client.c-001") or ("record", "client", "c-001").
Wait = tuple[str, str, str]
UNSENT = ("pending", "held", "dead")
_WAITING = (
    sa.select(delivery_wait.c.delivery_id)
    .where(pairs.bound((delivery_wait.c.kind, delivery_wait.c.type, delivery_wait.c.id), "came"))
    .distinct()
)
# Looked up one by one, not joined: SQLite would begin with all deliveries of the connection.
_ITS_CONNECTION = (
    sa.select(delivery.c.connection_id)
    .where(delivery.c.id == delivery_wait.c.delivery_id)
    .scalar_subquery()
)
_WAITING_ANYWHERE = Prepared(_WAITING)
_WAITING_ON = Prepared(_WAITING.where(_ITS_CONNECTION == sa.bindparam("waiting_on")))
_RECORD = sa.insert(delivery_event)
_RECORD_ONE = Prepared(_RECORD)
_END = Prepared(sa.update(delivery).where(delivery.c.id == sa.bindparam("ended")))


@dataclass(frozen=True)
class Delivery:
    """One record version on its way to one connection; times are epoch seconds."""

    id: int
    connection_id: int
    record_type: str
    record_id: str
    version: int
    state: str
    next_at: float
    attempts: int
    category: str
    reason: str
    owner: str
    correlation_id: str
    created_at: float
    updated_at: float
    revision: int = 0  # which judgement of a goal it is to send: see fhirsvc.store.judgements
    as_ran: bool = False  # send what was sent, not what the mappings make of it now
    report: str | None = None  # JSON: the rung of each resource, what was carried and what not

    @property
    def record(self) -> RecordKey:
        """Type and id of the record."""
        return self.record_type, self.record_id


COLUMNS = [delivery.c[one.name] for one in fields(Delivery)]


@dataclass(frozen=True)
class Change:
    """A new state and why; ``delay`` is seconds until it is due again (``pending`` only)."""

    state: str
    category: str = ""
    reason: str = ""
    delay: float = 0.0
    failed: bool = False  # counts as an attempt
    reopens: bool = False  # may undo a delivered state
    waits: frozenset[Wait] = frozenset()
    report: str | None = None  # JSON: how it went and what was lost on the way; None: as it was


# What only the transaction that ends a turn can say.
Ending = Callable[[sa.Connection], Change]


def create(
    tx: sa.Connection,
    versions: Sequence[tuple[RecordKey, int, str]],
    ids: Sequence[int],
    now: float,
    revision: int = 0,
) -> int:
    """Open a delivery of each (record, version, correlation id) to each connection id."""
    rows = [
        {
            "connection_id": connection_id,
            "record_type": key[0],
            "record_id": key[1],
            "version": number,
            "correlation_id": correlation_id,
            "revision": revision,
            **_fresh(now),
        }
        for key, number, correlation_id in versions
        for connection_id in ids
    ]
    if not rows:
        return 0
    made = tx.execute(sa.insert(delivery).returning(delivery.c.id), rows).scalars().all()
    record_events(tx, [(one, "", Change("pending")) for one in made], "", now)
    return len(made)


def _fresh(now: float) -> dict[str, Any]:
    return {
        "state": "pending",
        "next_at": now,
        "attempts": 0,
        "category": "",
        "reason": "",
        "owner": "",
        "created_at": now,
        "updated_at": now,
    }


def supersede(tx: sa.Connection, keys: Iterable[RecordKey], now: float) -> int:
    """Call off what is unsent for these records; what is being sent ends by itself."""
    wanted = sorted(set(keys))
    if not wanted:
        return 0
    which = sa.and_(
        pairs.among((delivery.c.record_type, delivery.c.record_id), wanted),
        delivery.c.state.in_(UNSENT),
    )
    return move(tx, which, Change("superseded", reason="a newer version was accepted"), now)


def release(
    tx: sa.Connection, came: Iterable[Wait], now: float, connection_id: int | None = None
) -> int:
    """Wake what waits for one of ``came``, on one connection or (records) on all."""
    wanted = sorted(set(came))
    if not wanted:
        return 0
    came_ = pairs.values("came", wanted)
    if connection_id is None:
        waiting = _WAITING_ANYWHERE.rows(tx, came_)
    else:
        waiting = _WAITING_ON.rows(tx, {"waiting_on": connection_id, **came_})
    return wake(tx, [row[0] for row in waiting], now)


def wake(tx: sa.Connection, ids: Sequence[int], now: float) -> int:
    """Make these held or waiting deliveries due; others among them are left alone.

    What waited takes its old place in the queue: a client's goals do not go behind everybody else's
    because they were looked at before the client had arrived.
    """
    if not ids:
        return 0
    woken = 0
    place = sa.case((delivery.c.created_at < now, delivery.c.created_at), else_=now)
    for start in range(0, len(ids), CHUNK):
        which = delivery.c.id.in_(ids[start : start + CHUNK])
        held = sa.and_(which, delivery.c.state == "held")
        woken += move(tx, held, Change("pending", reason="what it waited for came"), now)
        asleep = sa.and_(which, delivery.c.state == "pending", delivery.c.next_at > now)
        woken += tx.execute(sa.update(delivery).where(asleep).values(next_at=place)).rowcount
    return woken


def retry(tx: sa.Connection, delivery_id: int, now: float) -> bool:
    """Send a held or dead delivery again; False when it is neither."""
    which = sa.and_(delivery.c.id == delivery_id, delivery.c.state.in_(("held", "dead")))
    return move(tx, which, Change("pending", reason="asked for again"), now) == 1


def reopen(tx: sa.Connection, connection_id: int, key: RecordKey, now: float, reason: str) -> int:
    """Send the newest delivery of a record to a connection again, whatever became of it.

    One that is pending or being sent goes anyway. Returns how many were reopened: one, or none.
    """
    newest = (
        sa.select(delivery.c.id)
        .where(
            delivery.c.connection_id == connection_id,
            delivery.c.record_type == key[0],
            delivery.c.record_id == key[1],
        )
        .order_by(delivery.c.version.desc())
        .limit(1)
        .scalar_subquery()
    )
    over = delivery.c.state.in_(("delivered", "held", "dead"))
    which = sa.and_(delivery.c.id == newest, over)
    return move(tx, which, Change("pending", reason=reason, reopens=True), now)


def try_again(tx: sa.Connection, connection_id: int, category: str, now: float) -> int:
    """Send again what is held at a connection for this reason; returns how many."""
    which = sa.and_(
        delivery.c.connection_id == connection_id,
        delivery.c.state == "held",
        delivery.c.category == category,
    )
    return move(tx, which, Change("pending", reason="what the EHR takes was asked again"), now)


def get(tx: sa.Connection, delivery_id: int) -> Delivery | None:
    """One delivery; None when there is none with this id."""
    row = tx.execute(sa.select(delivery).where(delivery.c.id == delivery_id)).mappings().first()
    return None if row is None else Delivery(**row)


def newest(tx: sa.Connection, connection_id: int, key: RecordKey) -> Delivery:
    """The delivery of the newest version of a record to a connection."""
    rows = tx.execute(
        sa.select(delivery)
        .where(
            delivery.c.connection_id == connection_id,
            delivery.c.record_type == key[0],
            delivery.c.record_id == key[1],
        )
        .order_by(delivery.c.version.desc())
        .limit(1)
    ).mappings()
    return Delivery(**rows.one())


def pin(tx: sa.Connection, delivery_id: int, *, as_ran: bool) -> None:
    """Whether a delivery is to send what it sent before, whatever the mappings say by now."""
    which = delivery.c.id == delivery_id
    tx.execute(sa.update(delivery).where(which).values(as_ran=as_ran))


def exists(tx: sa.Connection, delivery_id: int) -> bool:
    """Whether there is a delivery with this id, in whatever state."""
    which = sa.select(delivery.c.id).where(delivery.c.id == delivery_id)
    return tx.execute(which).first() is not None


def move(
    tx: sa.Connection,
    which: sa.ColumnElement[bool],
    change: Change,
    now: float,
    executor: str = "",
) -> int:
    """Make one change to every delivery that ``which`` selects, and record it; returns how many."""
    rows = tx.execute(
        sa.select(delivery.c.id, delivery.c.state)
        .where(which)
        .order_by(delivery.c.id)
        .with_for_update()
    ).all()
    if not rows:
        return 0
    ids = [row.id for row in rows]
    values = _values(change, now)
    if change.failed:
        values["attempts"] = delivery.c.attempts + 1
    tx.execute(sa.update(delivery).where(delivery.c.id.in_(ids)).values(values))
    if change.state not in ("pending", "held"):
        tx.execute(sa.delete(delivery_wait).where(delivery_wait.c.delivery_id.in_(ids)))
    record_events(tx, [(row.id, row.state, change) for row in rows], executor, now)
    return len(rows)


def end(tx: sa.Connection, taken: Delivery, change: Change, now: float) -> None:
    """Make a change to a delivery that its owner has in hand, locked: it waits for nothing."""
    values = _values(change, now)
    values["attempts"] = taken.attempts + change.failed
    _END.run(tx, {"ended": taken.id, **values})
    record_events(tx, [(taken.id, "sending", change)], taken.owner, now)


def _values(change: Change, now: float) -> dict[str, Any]:
    values: dict[str, Any] = {
        "state": change.state,
        "category": change.category,
        "reason": change.reason[:REASON_LENGTH],
        "owner": "",
        "updated_at": now,
    }
    if change.state == "pending":
        values["next_at"] = now + change.delay
    if change.report is not None:
        values["report"] = change.report
    if change.state == "delivered":
        values["as_ran"] = False
    return values


def record_events(
    tx: sa.Connection, moves: Sequence[tuple[int, str, Change]], executor: str, now: float
) -> None:
    """Record (delivery id, state before, change) for each move; one not in the table is a bug."""
    for _, before, change in moves:
        step = (before, change.state)
        if step not in TRANSITIONS and not (change.reopens and step == REOPENING):
            raise AssertionError(f"no transition from {before!r} to {change.state!r}")
    events = [
        {
            "delivery_id": delivery_id,
            "at": now,
            "from_state": before,
            "to_state": change.state,
            "category": change.category,
            "reason": change.reason[:REASON_LENGTH],
            "executor": executor,
        }
        for delivery_id, before, change in moves
    ]
    if len(events) == 1:
        _RECORD_ONE.run(tx, events[0])
    else:
        tx.execute(_RECORD, events)
