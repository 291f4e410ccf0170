"""Executors: the processes that send, each with a heartbeat, so that a dead one is noticed."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from fhirsvc.store.tables import delivery, executor


@dataclass(frozen=True)
class Executor:
    """One process that sends or sent.

    ``place`` is the host, its boot and its pid namespace: only there does ``pid`` mean anything.
    ``pid_started`` tells this process from a later one with the same pid. Times are epoch s.
    """

    id: str
    place: str
    pid: int
    pid_started: str
    started_at: float
    heartbeat_at: float
    stopped_at: float | None = None


def register(tx: sa.Connection, new: Executor) -> None:
    """Make an executor known; it is alive from ``heartbeat_at`` on."""
    tx.execute(sa.insert(executor).values(vars(new)))


def beat(tx: sa.Connection, executor_id: str, now: float) -> bool:
    """Note that it lives; False when others have already declared it dead."""
    done = tx.execute(
        sa.update(executor)
        .where(executor.c.id == executor_id, executor.c.stopped_at.is_(None))
        .values(heartbeat_at=now)
    )
    return done.rowcount == 1


def stop(tx: sa.Connection, executor_id: str, now: float) -> None:
    """Note that it sends no more, by its own word or another's."""
    tx.execute(
        sa.update(executor)
        .where(executor.c.id == executor_id, executor.c.stopped_at.is_(None))
        .values(stopped_at=now)
    )


def running(tx: sa.Connection) -> list[Executor]:
    """Those that have not stopped as far as is known, oldest first."""
    rows = tx.execute(
        sa.select(executor).where(executor.c.stopped_at.is_(None)).order_by(executor.c.started_at)
    ).mappings()
    return [Executor(**row) for row in rows]


def stopped_owners(tx: sa.Connection) -> set[str]:
    """Stopped executors that deliveries still name as their owner: a stop cut short."""
    rows = tx.execute(
        sa.select(delivery.c.owner)
        .join(executor, executor.c.id == delivery.c.owner, isouter=True)
        .where(
            delivery.c.state == "sending",
            sa.or_(executor.c.id.is_(None), executor.c.stopped_at.is_not(None)),
        )
        .distinct()
    )
    return set(rows.scalars())


def forget(tx: sa.Connection, before: float) -> int:
    """Drop executors that stopped before this time; their names stay in the history."""
    return tx.execute(
        sa.delete(executor).where(
            executor.c.stopped_at.is_not(None), executor.c.stopped_at < before
        )
    ).rowcount
