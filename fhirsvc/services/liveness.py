"""Which executors are alive: by their process where it can be seen, else by their heartbeat."""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa

from fhirsvc.services.ports import Clock
from fhirsvc.store import executors, turns
from fhirsvc.store.database import Database
from fhirsvc.store.executors import Executor


def place() -> str:
    """Where a pid means something: this host, this boot, this pid namespace."""
    boot = _line(Path("/proc/sys/kernel/random/boot_id"))
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return " ".join(filter(None, (socket.gethostname(), boot, namespace)))[:200]


def pid_started(pid: int) -> str:
    """When a process started, in the kernel's ticks; '' when it does not run or cannot be seen.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, field 22
    """
    stat = _line(Path(f"/proc/{pid}/stat"))
    fields = stat.rpartition(")")[2].split()
    # A zombie runs no code any more: its parent only has not been told yet.
    return "" if len(fields) < 20 or fields[0] == "Z" else fields[19]


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Verdict:
    """``is_gone``: the process has certainly ended. Else it only has been silent for too long."""

    is_dead: bool
    is_gone: bool


def judge(
    other: Executor,
    *,
    here: str,
    now: float,
    dead_after_s: float,
    is_alone: bool,
    started: Callable[[int], str] = pid_started,
) -> Verdict:
    """Whether another executor is dead.

    ``is_alone`` says that no other can be alive, because this one holds the only lock.
    """
    if is_alone or (other.place == here and started(other.pid) != other.pid_started):
        return Verdict(True, True)
    silent = now - other.heartbeat_at > dead_after_s
    return Verdict(silent, False)


class Identity:
    """This executor: its name, its heartbeat, and whether it may still write.

    It stops writing by itself well before others would declare it dead, and takes a new name
    when they have. Times are epoch seconds.
    """

    def __init__(
        self, database: Database, clock: Clock, *, dead_after_s: float, is_alone: bool
    ) -> None:
        self._database = database
        self._clock = clock
        self._dead_after = dead_after_s
        self._is_alone = is_alone
        self._lock = threading.Lock()
        self._base = f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._names = 0
        self._me = self._new()

    @property
    def id(self) -> str:
        """The name that deliveries in hand carry."""
        with self._lock:
            return self._me.id

    def register(self) -> None:
        """Make this executor known."""
        me = self._me
        self._database.run(lambda tx: executors.register(tx, me))

    def is_alive(self) -> bool:
        """Whether others still see this executor as alive, with a margin for one request."""
        with self._lock:
            return self._clock() - self._me.heartbeat_at < self._dead_after / 2

    def beat(self) -> None:
        """Note that it lives, when it is time to; under a new name if others thought otherwise."""
        now = self._clock()
        if now - self._me.heartbeat_at < self._dead_after / 6:
            return
        if self._database.run(lambda tx: executors.beat(tx, self._me.id, now), durable=False):
            with self._lock:
                self._me = replace(self._me, heartbeat_at=now)
            return
        with self._lock:
            self._me = self._new()
        self.register()

    def stop(self) -> None:
        """Note that it sends no more."""
        now = self._clock()
        self._database.run(lambda tx: executors.stop(tx, self.id, now))

    def bury_the_dead(self) -> list[str]:
        """Take back what dead executors were sending; returns their names."""
        now = self._clock()
        with self._database.read() as tx:
            others = [one for one in executors.running(tx) if one.id != self.id]
            orphaned = executors.stopped_owners(tx)
        verdicts = {
            one.id: judge(
                one,
                here=self._me.place,
                now=now,
                dead_after_s=self._dead_after,
                is_alone=self._is_alone,
            )
            for one in others
        }
        verdicts |= {one: Verdict(True, self._is_alone) for one in orphaned}
        dead = {name: verdict for name, verdict in verdicts.items() if verdict.is_dead}
        for name, verdict in dead.items():
            self._bury(name, verdict.is_gone, now)
        return sorted(dead)

    def living(self) -> list[str]:
        """The executors that share the work, this one included."""
        with self._database.read() as tx:
            return sorted({self.id, *(one.id for one in executors.running(tx))})

    def _bury(self, name: str, is_gone: bool, now: float) -> None:
        def bury(tx: sa.Connection) -> None:
            executors.stop(tx, name, now)
            turns.take_back(tx, name, now, is_gone=is_gone)

        self._database.run(bury)

    def _new(self) -> Executor:
        now = self._clock()
        pid = os.getpid()
        self._names += 1
        name = self._base if self._names == 1 else f"{self._base}#{self._names}"
        return Executor(name, place(), pid, pid_started(pid), now, now)
