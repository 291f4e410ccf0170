"""Group commit: transactions of many threads in one, so that one wait for the disk serves them all.

While one thread commits, others bring their pieces of work and wait; the first of them then runs
all that came in one transaction, in the order they came. No thread is there for this alone: who
finds nobody at it begins at once, and what has no company costs what it did.

What holds for each piece is what holds for a transaction of its own. Its caller hears of success
only after the commit, which survives a loss of power if any piece in it has to. It is there whole
or not at all. When a piece raises, or loses a race, all that was done with it is rolled back and
each piece is run again alone: the others succeed, and the error is its own caller's. A piece sees
what those before it in the group wrote, because they are committed with it or not at all; nobody
else sees anything of it before. An error of the commit itself, of which nobody knows what it did,
is told to every caller and nothing is run again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
Work = Callable[[sa.Connection], Any]
MOST = 64  # pieces in one transaction


class _Write(Protocol):
    def __call__(self, *, durable: bool) -> AbstractContextManager[sa.Connection]: ...


class _Alone(Protocol):
    def __call__(self, work: Callable[[sa.Connection], T], *, durable: bool) -> T: ...


def _shut() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate


@dataclass(eq=False)
class _Piece:
    """One caller's work; its ``gate`` opens when it is done, or when it is its turn to lead."""

    work: Work
    durable: bool
    gate: threading.Lock = field(default_factory=_shut)
    is_done: bool = False
    result: Any = None
    error: BaseException | None = None


class GroupCommit:
    """Runs pieces of work together; at most ``leaders`` transactions at a time.

    ``write`` is a writing transaction, ``alone`` runs one piece in its own and again when it lost
    a race, ``is_race`` tells that an error is one, so that nothing was committed.
    """

    def __init__(
        self,
        write: _Write,
        alone: _Alone,
        is_race: Callable[[BaseException], bool],
        leaders: int,
    ) -> None:
        self._write = write
        self._alone = alone
        self._is_race = is_race
        self._lock = threading.Lock()
        self._waiting: deque[_Piece] = deque()
        self._free = leaders

    def run(self, work: Callable[[sa.Connection], T], *, durable: bool) -> T:
        """What ``work`` returns, after its commit; it may run more than once."""
        piece = _Piece(work, durable)
        with self._lock:
            leads = self._free > 0
            if leads:
                self._free -= 1
            else:
                self._waiting.append(piece)
        if not leads:
            piece.gate.acquire()
        if not piece.is_done:
            self._lead(piece)
        if piece.error is not None:
            raise piece.error
        result: T = piece.result
        return result

    def _lead(self, first: _Piece) -> None:
        with self._lock:
            more = min(len(self._waiting), MOST - 1)
            pieces = [first, *(self._waiting.popleft() for _ in range(more))]
        try:
            self._commit(pieces)
        finally:
            for piece in pieces:
                piece.is_done = True
            with self._lock:
                following = self._waiting.popleft() if self._waiting else None
                self._free += following is None
            if following is not None:
                following.gate.release()
            for piece in pieces[1:]:
                piece.gate.release()

    def _commit(self, pieces: list[_Piece]) -> None:
        if len(pieces) == 1:
            self._run_alone(pieces[0])
            return
        is_at_work, results = False, []
        try:
            with self._write(durable=any(piece.durable for piece in pieces)) as tx:
                is_at_work = True
                results = [piece.work(tx) for piece in pieces]
                is_at_work = False
        except BaseException as error:
            if isinstance(error, Exception) and (is_at_work or self._is_race(error)):
                for piece in pieces:
                    self._run_alone(piece)
                return
            for piece in pieces:
                piece.error = error
            return
        for piece, result in zip(pieces, results, strict=True):
            piece.result = result

    def _run_alone(self, piece: _Piece) -> None:
        try:
            piece.result = self._alone(piece.work, durable=piece.durable)
        except BaseException as error:
            piece.error = error
