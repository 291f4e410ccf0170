"""Lanes: each sends the due deliveries of one connection, one after another, until none is due."""

from __future__ import annotations

import threading
from collections.abc import Callable

import sqlalchemy as sa
import structlog

from fhirsvc.services.deliver import Deliverer
from fhirsvc.services.ports import Clock
from fhirsvc.store import connections, turns
from fhirsvc.store.database import Database
from fhirsvc.store.deliveries import Delivery

LANE_S = 60.0  # a lane ends after this time, so that its job in the engine does
log = structlog.get_logger("fhirsvc.delivery")


class Lanes:
    """The lanes of this process. ``owner`` gives the executor's name, ``clock`` epoch seconds."""

    def __init__(
        self, database: Database, deliverer: Deliverer, owner: Callable[[], str], clock: Clock
    ) -> None:
        self._database = database
        self._deliverer = deliverer
        self._owner = owner
        self._clock = clock
        self._lock = threading.Lock()
        self._in_hand: set[int] = set()
        self._running = 0
        self._quiet = threading.Condition(self._lock)
        self._stopping = False
        self.on_end: Callable[[], object] = lambda: None  # told whenever a lane has ended

    @property
    def in_hand(self) -> frozenset[int]:
        """Ids of the deliveries that are being sent right now."""
        with self._lock:
            return frozenset(self._in_hand)

    def run(self, connection_id: int) -> int:
        """Send what is due on a connection; returns how many turns were made.

        Never raises: what goes wrong leaves its delivery to be taken back by the sweep.
        """
        until = self._clock() + LANE_S
        made = 0
        with self._lock:
            self._running += 1
        try:
            while not self._stopping and self._clock() < until and self._one(connection_id):
                made += 1
        except Exception as error:
            log.error("lane_failed", connection=connection_id, error=type(error).__name__)
        finally:
            with self._lock:
                self._running -= 1
                self._quiet.notify_all()
            self.on_end()
        return made

    def stop(self, timeout_s: float) -> bool:
        """Begin no further delivery, and wait for those in hand; whether all have ended."""
        self._stopping = True
        with self._lock:
            return self._quiet.wait_for(lambda: self._running == 0, timeout_s)

    def _one(self, connection_id: int) -> bool:
        """One turn; False when nothing is due."""
        owner = self._owner()
        taken = self._database.run(lambda tx: turns.claim(tx, connection_id, owner, self._clock()))
        if taken is None:
            return False
        with self._lock:
            self._in_hand.add(taken.id)
        try:
            state = self._deliverer.run(taken)
        finally:
            with self._lock:
                self._in_hand.discard(taken.id)
        self._tell(taken, state)
        return True

    def _tell(self, taken: Delivery, state: str) -> None:
        log.info(
            "delivery",
            delivery=taken.id,
            connection=taken.connection_id,
            record="/".join(taken.record),
            version=taken.version,
            state=state or "lost",
            correlation_id=taken.correlation_id,
        )


def wanted(tx: sa.Connection, due: dict[int, int]) -> dict[int, int]:
    """Connection id → how many lanes it should have: one per due delivery, up to its limit."""
    return {
        one.id: min(one.concurrency, due[one.id])
        for one in connections.everyone(tx)
        if due.get(one.id)
    }
