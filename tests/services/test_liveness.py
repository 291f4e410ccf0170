"""Who is alive: the process where it can be seen, the heartbeat where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tiny import client

from fhirsvc.services.liveness import Identity, Verdict, judge, pid_started, place
from fhirsvc.store import executors, turns
from fhirsvc.store.executors import Executor

ALIVE, GONE, SILENT = Verdict(False, False), Verdict(True, True), Verdict(True, False)


@pytest.mark.parametrize(
    ("where", "pid", "started", "silent_for", "is_alone", "expected"),
    [
        ("here", 10, "100", 1, False, ALIVE),
        ("here", 10, "100", 16, False, SILENT),
        ("here", 10, "99", 1, False, GONE),  # the pid is another process's now
        ("here", 11, "100", 1, False, GONE),  # no such process
        ("elsewhere", 11, "100", 1, False, ALIVE),
        ("elsewhere", 11, "100", 16, False, SILENT),
        ("elsewhere", 11, "100", 1, True, GONE),
    ],
)
def test_judge(where, pid, started, silent_for, is_alone, expected):
    """A process of this place is looked at, one of another is given time."""
    other = Executor("o", where, pid, started, 0.0, 1000.0 - silent_for)

    got = judge(
        other,
        here="here",
        now=1000.0,
        dead_after_s=15.0,
        is_alone=is_alone,
        started=lambda number: "100" if number == 10 else "",
    )

    assert got == expected


def test_a_real_process():
    """A running process has a start, which it keeps; one that has ended has none."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = pid_started(process.pid)
        again = pid_started(process.pid)
        process.kill()
        process.wait()

    assert started
    assert started == again
    assert pid_started(process.pid) == ""
    assert pid_started(os.getpid())
    assert place() == place()


def test_a_dead_executor_loses_what_it_had(house):
    """What a dead executor was sending is due again, at once."""
    house.accept(client())
    dead = Executor("dead", place(), 2**22 + 1, "1", house.clock(), house.clock())
    with house.database.write() as tx:
        executors.register(tx, dead)
        turns.claim(tx, 1, "dead", house.clock())
    me = _identity(house)

    assert me.bury_the_dead() == ["dead"]

    assert house.only("c-1").state == "pending"
    assert house.only("c-1").reason == "its executor stopped"
    assert me.bury_the_dead() == []
    assert me.living() == [me.id]


def test_a_silent_executor_elsewhere_is_given_time(house):
    """Only when its heartbeat is too old does another executor's delivery come back."""
    house.accept(client())
    with house.database.write() as tx:
        executors.register(tx, Executor("far", "far", 1, "1", house.clock(), house.clock()))
        turns.claim(tx, 1, "far", house.clock())
    me = _identity(house)
    house.clock.now += 14
    before = me.bury_the_dead()
    house.clock.now += 2

    assert (before, me.bury_the_dead()) == ([], ["far"])


def test_a_stop_that_was_cut_short_is_finished(house):
    """Deliveries of an executor that says it has stopped, or that nobody knows, come back."""
    house.accept(client("c-1"), client("c-2"))
    with house.database.write() as tx:
        executors.register(tx, Executor("stopped", "far", 1, "1", house.clock(), house.clock()))
        turns.claim(tx, 1, "stopped", house.clock())
        turns.claim(tx, 1, "unknown", house.clock())
        executors.stop(tx, "stopped", house.clock())

    assert _identity(house).bury_the_dead() == ["stopped", "unknown"]
    assert house.count("pending") == 2


def test_an_executor_stops_writing_before_it_is_declared_dead(house):
    """Half of the time that others wait, it may write without a heartbeat; then no more."""
    me = _identity(house)
    house.clock.now += 7
    before = me.is_alive()
    house.clock.now += 1

    assert (before, me.is_alive()) == (True, False)
    me.beat()
    assert me.is_alive()


def test_declared_dead_but_alive(house):
    """An executor that was thought dead goes on under a new name, so the old one stays dead."""
    me = _identity(house)
    old = me.id
    house.database.run(lambda tx: executors.stop(tx, old, house.clock()))
    house.clock.now += 10

    me.beat()

    assert me.id == f"{old}#2"
    assert me.living() == [me.id]
    assert me.is_alive()


def _identity(house) -> Identity:
    identity = Identity(house.database, house.clock, dead_after_s=15.0, is_alone=False)
    identity.register()
    return identity
