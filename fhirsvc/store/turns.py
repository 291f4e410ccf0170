"""Turns: an executor claims a due delivery, ends its turn, or has it taken back when it dies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.store import deliveries
from fhirsvc.store.deliveries import Change, Delivery
from fhirsvc.store.prepared import Prepared
from fhirsvc.store.tables import attempt, connection, delivery, delivery_wait, record

OUTDATED = Change("superseded", reason="a newer version was accepted")
REJUDGED = Change("pending", reason="its scores came to say something else while it was sent")


# In the statements themselves: what is compared with the condition of an index is a parameter for
# which SQLite would plan anew each time that it is given, at several times the cost of the answer.
# https://www.sqlite.org/c3ref/prepare.html
_SENDING, _PENDING = (sa.literal(one, literal_execute=True) for one in ("sending", "pending"))


def _due() -> sa.Select[Any]:
    busy = delivery.alias()
    blocked = sa.exists().where(
        busy.c.connection_id == delivery.c.connection_id,
        busy.c.record_type == delivery.c.record_type,
        busy.c.record_id == delivery.c.record_id,
        busy.c.state == _SENDING,
    )
    trying = sa.exists().where(
        busy.c.connection_id == delivery.c.connection_id, busy.c.state == _SENDING
    )
    now = sa.bindparam("now", type_=sa.Double)
    return (
        sa.select(delivery.c.id)
        .join(connection, connection.c.id == delivery.c.connection_id)
        .where(
            delivery.c.connection_id == sa.bindparam("due_on"),
            delivery.c.state == _PENDING,
            delivery.c.next_at <= now,
            connection.c.state == "active",
            connection.c.rest_until <= now,
            ~blocked,
            sa.or_(connection.c.failures == 0, ~trying),
        )
        .order_by(delivery.c.next_at, delivery.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=delivery)
    )


_END_WAITS = Prepared(
    sa.delete(delivery_wait).where(delivery_wait.c.delivery_id == sa.bindparam("of_delivery"))
)
_TAKE = Prepared(
    sa.update(delivery)
    .where(delivery.c.id == _due().scalar_subquery())
    .returning(*deliveries.COLUMNS)
)
_HELD = Prepared(
    sa.select(delivery.c.revision, connection.c.state, connection.c.failures)
    .join(connection, connection.c.id == delivery.c.connection_id)
    .where(
        delivery.c.id == sa.bindparam("taken"),
        delivery.c.state == _SENDING,
        delivery.c.owner == sa.bindparam("held_by"),
    )
    .with_for_update(of=delivery)
)


@dataclass(frozen=True)
class Held:
    """A delivery in hand: the judgement it is to send, and how its connection is right now."""

    revision: int
    connection_state: str
    connection_failures: int


def claim(tx: sa.Connection, connection_id: int, owner: str, now: float) -> Delivery | None:
    """Take the next due delivery of a connection for ``owner``; None when nothing is due.

    Nothing is due while the connection is paused or resting, and one that failed is tried with one
    delivery before it gets more. A record whose older version is being sent is passed over, so that
    its versions arrive in order.
    """
    values = {"state": "sending", "owner": owner, "updated_at": now, "category": "", "reason": ""}
    row = _TAKE.first(tx, {"due_on": connection_id, "now": now, **values})
    if row is None:
        return None
    taken = Delivery(*row)
    _END_WAITS.run(tx, {"of_delivery": taken.id})
    deliveries.record_events(tx, [(taken.id, "pending", Change("sending"))], owner, now)
    return taken


def held_by(tx: sa.Connection, delivery_id: int, owner: str) -> Held | None:
    """What ``owner`` still has in hand; None when it has not. Locks the delivery's row."""
    found = _HELD.first(tx, {"taken": delivery_id, "held_by": owner})
    return None if found is None else Held(*found)


def finish(tx: sa.Connection, taken: Delivery, change: Change, now: float) -> str:
    """End a turn of a claimed delivery; the state it got, '' when it was taken away meanwhile.

    A delivery that would stay unsent is superseded when a newer version has come, and one whose
    judgement was replaced during the turn goes once more, with the new one.
    """
    held = held_by(tx, taken.id, taken.owner)
    if held is None:
        return ""
    is_rejudged = held.revision != taken.revision and change.state != "pending"
    if (is_rejudged or change.state != "delivered") and _is_outdated(tx, taken):
        change = change if change.state == "delivered" else OUTDATED
    elif is_rejudged:
        change = REJUDGED
    deliveries.end(tx, taken, change, now)
    waits = [
        {"delivery_id": taken.id, "kind": kind, "type": of_type, "id": of_id}
        for kind, of_type, of_id in sorted(change.waits)
    ]
    if waits and change.state in ("pending", "held"):
        tx.execute(sa.insert(delivery_wait), waits)
    return change.state


def _is_outdated(tx: sa.Connection, taken: Delivery) -> bool:
    # Locked against a change under way: either it is seen here, or it sees this delivery's end.
    newest = (
        sa.select(record.c.version)
        .where(record.c.type == taken.record_type, record.c.id == taken.record_id)
        .with_for_update(read=True)
    )
    return (tx.execute(newest).scalar() or 0) > taken.version


def take_back(
    tx: sa.Connection,
    owner: str,
    now: float,
    *,
    is_gone: bool,
    keep: Iterable[int] = (),
    before: float | None = None,
) -> int:
    """Make due again what ``owner`` was sending, except the ids in ``keep``.

    With ``before``, only what it claimed before that time.
    ``is_gone`` says that the process has certainly ended: its open attempts can be looked for
    one index lag from now. Of one that only fell silent a request may still be under way, so
    the time noted when the attempt began stands.
    """
    lost = sa.and_(
        delivery.c.state == "sending",
        delivery.c.owner == owner,
        delivery.c.id.not_in(list(keep)),
    )
    if before is not None:
        lost = sa.and_(lost, delivery.c.updated_at < before)
    if is_gone:
        _settle(tx, lost, now)
    # A newer version may already be pending: then the older one is over.
    newer = delivery.alias()
    outdated = sa.exists().where(
        newer.c.connection_id == delivery.c.connection_id,
        newer.c.record_type == delivery.c.record_type,
        newer.c.record_id == delivery.c.record_id,
        newer.c.version > delivery.c.version,
    )
    back = Change("pending", reason="its executor stopped")
    return deliveries.move(tx, sa.and_(lost, outdated), OUTDATED, now) + deliveries.move(
        tx, sa.and_(lost, ~outdated), back, now
    )


def _settle(tx: sa.Connection, lost: sa.ColumnElement[bool], now: float) -> None:
    ids = sa.select(delivery.c.id).where(lost)
    settled = now + (
        sa.select(connection.c.index_lag_s)
        .join(delivery, delivery.c.connection_id == connection.c.id)
        .where(delivery.c.id == attempt.c.delivery_id)
        .scalar_subquery()
    )
    tx.execute(
        sa.update(attempt)
        .where(
            attempt.c.outcome == "unknown",
            attempt.c.delivery_id.in_(ids),
            attempt.c.settle_at > settled,
        )
        .values(settle_at=settled)
    )
