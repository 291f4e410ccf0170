"""Lanes: each sends the due deliveries of one connection, one after another, until none is due."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog

from fhirsvc.services.deliver import Begun, Deliverer
from fhirsvc.services.ports import Clock
from fhirsvc.store import connections, turns
from fhirsvc.store.database import Database
from fhirsvc.store.deliveries import Change, Delivery, Ending

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
        made = 0
        with self._lock:
            self._running += 1
        try:
            for _ in self._turns(connection_id, self._clock() + LANE_S):
                made += 1
        except Exception as error:
            log.error("lane_failed", connection=connection_id, error=type(error).__name__)
        finally:
            with self._lock:
                self._running -= 1
                self._quiet.notify_all()
            self.on_end()
        return made

    def _turns(self, connection_id: int, until: float) -> Iterator[str]:
        """Turns until nothing is due; the state that each ended in, '' for one taken away.

        The end of one turn and the claim of the next are one transaction.
        """
        begun = self._step(connection_id, None, None)[1]
        while begun is not None:
            taken = begun.taken
            with self._in_hand_as(taken):
                ending = self._deliverer.turn(begun)
                is_over = self._stopping or self._clock() >= until
                next_from = None if is_over else connection_id
                state, following = self._step(next_from, taken, ending)
            self._tell(taken, state)
            yield state
            begun = following

    def _step(
        self, connection_id: int | None, taken: Delivery | None, ending: Change | Ending | None
    ) -> tuple[str, Begun | None]:
        """End the turn of ``taken`` with ``ending``, and claim the connection's next delivery."""
        owner = self._owner()

        def step(tx: sa.Connection) -> tuple[str, Begun | None]:
            now, state = self._clock(), ""
            if taken is not None and ending is not None:
                change = ending if isinstance(ending, Change) else ending(tx)
                state = turns.finish(tx, taken, change, now)
            claimed = connection_id and turns.claim(tx, connection_id, owner, now)
            return state, self._deliverer.begun(tx, claimed) if claimed else None

        return self._database.run_together(step, durable=False)

    @contextmanager
    def _in_hand_as(self, taken: Delivery) -> Iterator[None]:
        with self._lock:
            self._in_hand.add(taken.id)
        try:
            yield
        finally:
            with self._lock:
                self._in_hand.discard(taken.id)

    def stop(self, timeout_s: float) -> bool:
        """Begin no further delivery, and wait for those in hand; whether all have ended."""
        self._stopping = True
        with self._lock:
            return self._quiet.wait_for(lambda: self._running == 0, timeout_s)

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
