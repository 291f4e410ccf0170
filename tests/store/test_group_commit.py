"""Transactions of many threads in one: each is whole, its caller hears only after the commit."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from fhirsvc.store.group_commit import MOST, GroupCommit
from fhirsvc.store.tables import executor

EXECUTOR = {"place": "", "pid": 1, "pid_started": "", "started_at": 0, "heartbeat_at": 0}
NAMES = sa.select(executor.c.id).order_by(executor.c.id)


def add(name):
    """Work that adds a row and returns its name."""

    def work(tx):
        tx.execute(sa.insert(executor), {"id": name, **EXECUTOR})
        return name

    return work


def names(database):
    """What others see."""
    with database.read() as tx:
        return list(tx.execute(NAMES).scalars())


class Group:
    """Pieces that are all brought while a first one is at work, and so share a transaction."""

    def __init__(self, database, leaders=1, write=None):
        self.database = database
        self.written = []
        self.commit = GroupCommit(write or self._write, database.run, _is_race, leaders)
        self.said = {}

    @contextmanager
    def _write(self, *, durable):
        self.written.append(durable)
        with self.database.write(durable=durable) as tx:
            yield tx

    def run(self, pieces, durable=()):
        """What became of each piece, by name: what it returned, or its error."""
        begun, go = threading.Event(), threading.Event()

        def first(tx):
            begun.set()
            assert go.wait(30)
            return add("first")(tx)

        threads = [threading.Thread(target=self._call, args=("first", first, False))]
        threads[0].start()
        assert begun.wait(30)
        for count, (name, work) in enumerate(pieces.items(), 1):
            threads.append(threading.Thread(target=self._call, args=(name, work, name in durable)))
            threads[-1].start()
            while len(self.commit._waiting) < count:
                threads[-1].join(0.001)
        go.set()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        return self.said

    def _call(self, name, work, durable):
        try:
            self.said[name] = self.commit.run(work, durable=durable)
        except Exception as error:
            self.said[name] = error


def _is_race(error):
    return isinstance(error, sa.exc.IntegrityError)


def test_they_share_one_transaction(database):
    """All that waited is committed together, each caller gets what its own work returned."""
    group = Group(database)

    said = group.run({name: add(name) for name in "abcde"})

    assert said == {"first": "first", **{name: name for name in "abcde"}}
    assert len(group.written) == 1  # the first ran alone
    assert names(database) == [*"abcde", "first"]


def test_a_failure_among_good_ones(database):
    """The one that raises is told so and leaves nothing; the others are committed once."""

    def fail(tx):
        add("half")(tx)
        raise RuntimeError("c")

    with database.write() as tx:
        add("taken")(tx)
    group = Group(database)

    said = group.run({"a": add("a"), "b": add("taken"), "c": fail, "d": add("d")})

    assert isinstance(said.pop("b"), sa.exc.IntegrityError)
    assert isinstance(said.pop("c"), RuntimeError)
    assert said == {"first": "first", "a": "a", "d": "d"}
    assert names(database) == ["a", "d", "first", "taken"]


def test_nobody_sees_anything_before_the_commit(database):
    """While a group is at work a reader sees nothing of it, and no caller has been answered."""
    seen = []
    group = Group(database)

    def look(tx):
        seen.append((names(database), dict(group.said), list(tx.execute(NAMES).scalars())))

    group.run({"a": add("a"), "b": add("b"), "look": look})

    (others, said, own), *_ = seen
    assert others == ["first"]
    assert set(said) <= {"first"}
    assert own == ["a", "b", "first"]


def test_a_caller_hears_after_the_commit(database):
    """Whoever hears of success finds it there, with many at once and more than fit together."""
    missing = []

    def call(name):
        made = database.run_together(add(name))
        if made != name or name not in names(database):
            missing.append(name)

    threads = [threading.Thread(target=call, args=(f"n{n:03d}",)) for n in range(MOST * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert missing == []
    assert len(names(database)) == MOST * 2


def test_more_than_fit_go_in_turns(database):
    """One group takes so many, the rest go with the next."""
    group = Group(database)

    group.run({f"n{n:03d}": add(f"n{n:03d}") for n in range(MOST + 10)})

    assert len(group.written) == 2
    assert len(names(database)) == MOST + 11


def test_an_error_of_the_commit_is_told_to_all(database):
    """Nobody knows what it did: nothing is run again, and nobody hears of success."""
    ran = []

    @contextmanager
    def write(*, durable):
        with database.write(durable=durable) as tx:
            yield tx
            raise ConnectionError

    def counted(name):
        return lambda tx: ran.append(name) or add(name)(tx)

    said = Group(database, write=write).run({name: counted(name) for name in "abc"})

    assert said.pop("first") == "first"
    assert {type(one) for one in said.values()} == {ConnectionError}
    assert ran == [*"abc"]
    assert names(database) == ["first"]


def test_a_commit_that_lost_a_race_is_made_again(database):
    """It is rolled back for certain then: each goes once more, alone."""

    @contextmanager
    def write(*, durable):
        with database.write(durable=durable) as tx:
            yield tx
            raise sa.exc.IntegrityError("COMMIT", None, Exception())

    said = Group(database, write=write).run({name: add(name) for name in "abc"})

    assert set(said.values()) == {*"abc", "first"}
    assert names(database) == [*"abc", "first"]


@pytest.mark.parametrize(("durable", "expected"), [((), [False]), ("b", [True])])
def test_one_that_has_to_be_durable_makes_all_so(database, durable, expected):
    """A group waits for the disk when one of its pieces has to."""
    group = Group(database)

    group.run({name: add(name) for name in "abc"}, durable)

    assert group.written == expected


def test_several_at_a_time(database):
    """With two leaders the second does not wait for the first."""
    if database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    commit = GroupCommit(database.write, database.run, _is_race, 2)
    both = threading.Barrier(2)

    def meet(name):
        return lambda tx: (both.wait(30), add(name)(tx))

    threads = [
        threading.Thread(target=commit.run, args=(meet(name),), kwargs={"durable": True})
        for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert names(database) == ["a", "b"]


def test_a_process_killed_between_leaves_nothing(database, database_url):
    """Killed in the middle of a group: nothing of it is there, and nobody was told otherwise."""
    script = textwrap.dedent("""
        import os, sys, threading
        from fhirsvc.store import Database
        from test_group_commit import Group, add
        database = Database(sys.argv[1])
        group = Group(database)
        def die(tx):
            os.write(1, repr(sorted(group.said)).encode())
            os.kill(os.getpid(), 9)
        group.run({"a": add("a"), "b": add("b"), "die": die, "c": add("c")})
    """)
    here = Path(__file__)
    path = f"{here.parents[2]}:{here.parent}"
    killed = subprocess.run(
        [sys.executable, "-c", script, database_url],
        env={"PYTHONPATH": path},
        capture_output=True,
        check=False,
    )

    assert killed.returncode == -9
    assert killed.stdout in (b"[]", b"['first']")
    assert names(database) == ["first"]


def test_it_serves_again_after_an_error(database):
    """An error blocks nobody who comes later."""

    def fail(_tx):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.run_together(fail)
    assert database.run_together(add("a")) == "a"
