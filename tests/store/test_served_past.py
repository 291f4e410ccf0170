"""A moment has everything before it, however transactions and clocks go."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhirsvc.store import served_past, serving
from fhirsvc.store.exports import served_mark
from fhirsvc.store.served import served_version
from fhirsvc.store.serving import Change, Head


def _save(tx, id_, at, *, known=False, version=1, is_deleted=False):
    key = serving.key_of("Goal", id_)
    head = Head(key, "Goal", id_, version, "h", at, is_deleted, False, "goal", id_)
    body = f'{{"resourceType":"Goal","id":"{id_}"}}'
    serving.save(tx, [Change(head, body)], [key] if known else [])


def _page(database, as_of, since=None, **more):
    options = {"is_deleted": False, "after": -1, "limit": 1000, **more}
    with database.read() as tx:
        return served_past.page(tx, "Goal", as_of=as_of, since=since, **options)


@pytest.mark.parametrize("behind_s", [0.0, 0.0004, 3600.0])
def test_what_comes_after_a_mark_says_so(database, clock, behind_s):
    """A version made after a mark is later than it, though its clock is an hour behind."""
    marked = database.run(lambda tx: served_past.mark(tx, clock()))
    later = database.run(lambda tx: served_past.stamp(tx, clock() - behind_s))
    assert marked >= clock()
    assert later > marked


def test_a_mark_is_not_before_what_is_there(database, clock):
    """A version made by a clock that runs ahead is in the next export."""
    database.run(lambda tx: _save(tx, "g", served_past.stamp(tx, clock() + 3600)))
    marked = database.run(lambda tx: served_past.mark(tx, clock()))
    assert [one.id for one in _page(database, marked)] == ["g"]


def test_a_mark_never_goes_back(database, clock):
    """Two workers whose clocks differ choose moments in the order they choose them."""
    first = database.run(lambda tx: served_past.mark(tx, clock()))
    second = database.run(lambda tx: served_past.mark(tx, clock() - 60))
    assert second >= first


def test_a_mark_waits_for_who_is_writing(database, clock):
    """A version that is made and not committed when a moment is asked for is in it."""
    stamped, asked = threading.Event(), threading.Event()

    def write():
        with database.write() as tx:
            _save(tx, "slow", served_past.stamp(tx, clock()))
            stamped.set()
            assert asked.wait(30)
            # Time for a mark that does not wait to be made; one that waits costs nothing more.
            threading.Event().wait(0.3)

    def marked():
        assert stamped.wait(30)
        asked.set()
        return database.run(lambda tx: served_past.mark(tx, clock() + 1))

    with ThreadPoolExecutor(2) as pool:
        writing, marking = pool.submit(write), pool.submit(marked)
        moment = marking.result(60)
        seen = [one.id for one in _page(database, moment)]
        writing.result(60)
    assert seen == ["slow"]


def test_many_writers_and_marks(database, clock):
    """What each mark divides is divided for good: nothing comes later into what was before."""
    seen = {}

    def write(number):
        # Clocks of their own, minutes apart.
        now = clock() + (number % 7 - 3) * 60
        database.run(lambda tx: _save(tx, f"g-{number}", served_past.stamp(tx, now)))

    def mark(number):
        at = database.run(lambda tx: served_past.mark(tx, clock()))
        seen[number] = (at, {one.id for one in _page(database, at)})

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(mark if n % 10 == 9 else write, n) for n in range(120)]
        for job in jobs:
            job.result(60)
    assert len(seen) == 12
    for at, ids in seen.values():
        assert {one.id for one in _page(database, at)} == ids
    last = max(at for at, _ in seen.values())
    with database.read() as tx:
        assert tx.execute(sa.select(served_mark.c.at)).scalar_one() == last


HISTORY = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["write", "delete", "mark"])), max_size=25
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(steps=HISTORY)
def test_exports_since_each_other_make_the_whole(database, clock, steps):
    """Whoever applies each export since the last has what is there, step by step."""
    with database.write() as tx:
        for table in (served_version, served_version.metadata.tables["served"]):
            tx.execute(sa.delete(table))
    held, truth, since = {}, {}, None
    for name, step in [*steps, ("", "mark")]:
        clock.sleep(0.0003)  # several in a millisecond
        if step == "mark":
            moment = database.run(lambda tx: served_past.mark(tx, clock()))
            for one in _page(database, moment, since):
                held[one.id] = one.version
            for one in _page(database, moment, since, is_deleted=True):
                held.pop(one.id, None)
            assert held == {id_: v for id_, (v, is_there) in truth.items() if is_there}
            since = moment
            continue
        before, was = truth.get(name, (0, False))
        if step == "delete" and not was:
            continue
        is_deleted = step == "delete"
        truth[name] = (before + 1, not is_deleted)
        database.run(
            lambda tx, name=name, before=before, is_deleted=is_deleted: _save(
                tx,
                name,
                served_past.stamp(tx, clock()),
                known=before > 0,
                version=before + 1,
                is_deleted=is_deleted,
            )
        )


def test_pages(database, clock):
    """Each is there once, page by page."""
    with database.write() as tx:
        at = served_past.stamp(tx, clock())
        for number in range(25):
            _save(tx, f"g-{number}", at)
    found, after = [], -1
    while page := _page(database, clock() + 1, after=after, limit=7):
        found += [one.id for one in page]
        after = page[-1].key
    assert sorted(found) == sorted(f"g-{number}" for number in range(25))
