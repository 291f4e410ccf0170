"""What the pages, the metrics and the demo's summary count, read from the tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa

from fhirsvc.store import records
from fhirsvc.store.deliveries import Delivery
from fhirsvc.store.tables import attempt, connection, delivery, delivery_event, link, record


@dataclass
class TypeFigures:
    """One record type: how many there are, what they became, and what it took.

    ``retried`` counts deliveries that were delivered after a failure.
    """

    records: int = 0
    resources: int = 0
    retried: int = 0
    states: dict[str, int] = field(default_factory=dict)


def by_type(tx: sa.Connection) -> dict[str, TypeFigures]:
    """Record type → its figures, over all connections."""
    found = {name: TypeFigures(number) for name, number in sorted(records.counts(tx).items())}
    counted = sa.select(delivery.c.record_type, delivery.c.state, sa.func.count()).group_by(
        delivery.c.record_type, delivery.c.state
    )
    for name, state, number in tx.execute(counted):
        found[name].states[state] = number
    linked = sa.select(link.c.record_type, sa.func.count()).where(link.c.remote_id.is_not(None))
    for name, number in tx.execute(linked.group_by(link.c.record_type)):
        found[name].resources = number
    retried = sa.select(delivery.c.record_type, sa.func.count()).where(
        delivery.c.state == "delivered", delivery.c.attempts > 0
    )
    for name, number in tx.execute(retried.group_by(delivery.c.record_type)):
        found[name].retried = number
    return found


def states(tx: sa.Connection) -> dict[str, int]:
    """State → how many deliveries are in it, over all connections."""
    rows = tx.execute(sa.select(delivery.c.state, sa.func.count()).group_by(delivery.c.state))
    return {row[0]: row[1] for row in rows}


def states_by_connection(tx: sa.Connection) -> dict[tuple[str, str], int]:
    """(connection name, state) → how many deliveries are in it."""
    rows = tx.execute(
        sa.select(connection.c.name, delivery.c.state, sa.func.count())
        .join(connection, connection.c.id == delivery.c.connection_id)
        .group_by(connection.c.name, delivery.c.state)
    )
    return {(row[0], row[1]): row[2] for row in rows}


def attempts_by_connection(tx: sa.Connection) -> dict[tuple[str, str], int]:
    """(connection name, outcome) → how many writes ended so."""
    rows = tx.execute(
        sa.select(connection.c.name, attempt.c.outcome, sa.func.count())
        .join(link, link.c.id == attempt.c.link_id)
        .join(connection, connection.c.id == link.c.connection_id)
        .group_by(connection.c.name, attempt.c.outcome)
    )
    return {(row[0], row[1]): row[2] for row in rows}


def attempts(tx: sa.Connection) -> dict[tuple[str, int | None], int]:
    """(outcome, HTTP status) → how many writes ended so; None: no answer came."""
    rows = tx.execute(
        sa.select(attempt.c.outcome, attempt.c.status, sa.func.count()).group_by(
            attempt.c.outcome, attempt.c.status
        )
    )
    return {(row[0], row[1]): row[2] for row in rows}


def failures(tx: sa.Connection) -> dict[str, int]:
    """Category → how many turns of deliveries failed with it and were put off."""
    rows = tx.execute(
        sa.select(delivery_event.c.category, sa.func.count())
        .where(
            delivery_event.c.from_state == "sending",
            delivery_event.c.to_state == "pending",
            delivery_event.c.category != "",
        )
        .group_by(delivery_event.c.category)
    )
    return {row[0]: row[1] for row in rows}


def resources(tx: sa.Connection) -> dict[str, int]:
    """Resource type → how many EHRs are known to hold, over all connections."""
    rows = tx.execute(
        sa.select(link.c.remote_type, sa.func.count())
        .where(link.c.remote_id.is_not(None))
        .group_by(link.c.remote_type)
    )
    return {row[0]: row[1] for row in rows}


def latest(tx: sa.Connection, wanted: Iterable[str] = (), limit: int = 50) -> list[Delivery]:
    """Deliveries in these states (all, without any), the last changed first."""
    query = sa.select(delivery).order_by(delivery.c.updated_at.desc(), delivery.c.id.desc())
    if listed := list(wanted):
        query = query.where(delivery.c.state.in_(listed))
    return [Delivery(**row) for row in tx.execute(query.limit(limit)).mappings()]


def found_ids(tx: sa.Connection, text: str, limit: int = 50) -> list[tuple[str, str, int]]:
    """(type, id, version) of records whose id begins with a text, or of a type of that name."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    matches = sa.or_(record.c.id.like(f"{escaped}%", escape="\\"), record.c.type == text)
    rows = tx.execute(
        sa.select(record.c.type, record.c.id, record.c.version)
        .where(matches)
        .order_by(record.c.id, record.c.type)
        .limit(limit)
    )
    return [(row.type, row.id, row.version) for row in rows]


@dataclass(frozen=True)
class Write:
    """One write of a delivery; times are epoch seconds, ``status`` None when no answer came."""

    resource_type: str
    local_id: str
    remote_id: str | None
    method: str
    started_at: float
    ended_at: float | None
    outcome: str
    status: int | None


def writes(tx: sa.Connection, delivery_id: int) -> list[Write]:
    """The writes that a delivery made, oldest first."""
    rows = tx.execute(
        sa.select(
            link.c.resource_type,
            link.c.local_id,
            link.c.remote_id,
            attempt.c.method,
            attempt.c.started_at,
            attempt.c.ended_at,
            attempt.c.outcome,
            attempt.c.status,
        )
        .join(link, link.c.id == attempt.c.link_id)
        .where(attempt.c.delivery_id == delivery_id)
        .order_by(attempt.c.id)
    )
    return [Write(*row) for row in rows]
