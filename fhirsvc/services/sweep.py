"""The sweep: once a second it finds what is due and sees to it that somebody sends it.

The engine only dispatches. Whatever it forgets, loses or never knew is still in our tables as
pending and due, and the next sweep dispatches it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
import structlog

from fhirsvc.services import lanes as lanes_
from fhirsvc.services.lanes import Lanes
from fhirsvc.services.liveness import Identity
from fhirsvc.services.notify import KEPT_S as EVENTS_KEPT_S
from fhirsvc.services.ports import Clock
from fhirsvc.services.publish import Publisher
from fhirsvc.store import executors, partners, queue, subscriptions, turns
from fhirsvc.store.database import Database

BACKFILL_S = 300.0
TIDY_S = 30.0
ORPHANED_S = 10.0  # a delivery of ours that no lane has in hand for this long was dropped
KEPT_S = 7 * 86400.0  # how long stopped executors are remembered
log = structlog.get_logger("fhirsvc.sweep")


class Engine(Protocol):
    """Runs lanes somewhere: in this process or, on PostgreSQL, in any of them."""

    def dispatch(self, connection_id: int, lanes: int) -> None:
        """See to it that this many lanes of a connection run; those that run already count."""

    def tidy(self, living: list[str]) -> None:
        """Drop finished jobs, and jobs of executors that are not ``living`` any more."""

    def restart(self) -> None:
        """Begin anew, on empty tables if need be."""


@dataclass(frozen=True)
class Swept:
    """What a sweep found: how many are due, up to the lanes, and whether all is done for now."""

    due: int
    is_idle: bool


class Sweeper:
    """Sweeps for one executor. ``on_share`` is told which part of each rate this process has."""

    def __init__(
        self,
        database: Database,
        identity: Identity,
        *,
        lanes: Lanes,
        engine: Engine,
        publisher: Publisher,
        clock: Clock,
        on_share: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._database = database
        self._identity = identity
        self._lanes = lanes
        self._engine = engine
        self._publisher = publisher
        self._clock = clock
        self._on_share = on_share
        self._next_backfill = 0.0
        self._next_tidy = 0.0
        self._failures = 0
        self._is_busy = False

    @property
    def is_busy(self) -> bool:
        """Whether the last sweep found something that could be sent."""
        return self._is_busy

    def sweep(self) -> Swept:
        """One sweep; a failure of the engine is logged and cured, one of the database raised."""
        self._identity.beat()
        dead = self._identity.bury_the_dead()
        now = self._clock()
        self._database.run(lambda tx: self._recover(tx, now), durable=False)
        if now >= self._next_backfill and not self._is_behind():
            self._publisher.backfill()
            self._next_backfill = now + BACKFILL_S
        with self._database.read() as tx:
            due = queue.due(tx, now)
            lanes = lanes_.wanted(tx, due)
            is_idle = now < self._next_backfill and not due and queue.is_idle(tx)
        self._is_busy = bool(due)
        living = self._identity.living()
        self._on_share(1.0 / len(living))
        self._dispatch(dead, living, lanes, now)
        return Swept(sum(due.values()), is_idle)

    def _is_behind(self) -> bool:
        """Judge some of the goals that are to be; whether there may be more."""
        return self._publisher.catch_up() > 0

    def _recover(self, tx: sa.Connection, now: float) -> None:
        queue.wake_satisfied(tx, now)
        turns.take_back(
            tx,
            self._identity.id,
            now,
            is_gone=False,
            keep=self._lanes.in_hand,
            before=now - ORPHANED_S,
        )
        executors.forget(tx, now - KEPT_S)
        partners.forget(tx, now)
        subscriptions.forget(tx, now - EVENTS_KEPT_S)

    def _dispatch(
        self, dead: list[str], living: list[str], lanes: dict[int, int], now: float
    ) -> None:
        try:
            if dead:
                log.warning("executors_died", executors=dead)
            if dead or now >= self._next_tidy:
                self._engine.tidy(living)
                self._next_tidy = now + TIDY_S
            for connection_id, count in lanes.items():
                self._engine.dispatch(connection_id, count)
            self._failures = 0
        except Exception as error:
            # Whatever it is, our tables still know what is due.
            self._failures += 1
            log.error("engine_failed", error=type(error).__name__, failures=self._failures)
            if self._failures % 3 == 0:
                self._engine.restart()
