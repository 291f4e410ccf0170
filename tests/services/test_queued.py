"""A long queue costs no more than a short one, whatever is asked of it while it is delivered."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tiny import care_plan, client, goal

from fhirsvc.services import lanes
from fhirsvc.services.lanes import Lanes
from fhirsvc.services.liveness import Identity
from fhirsvc.services.sweep import Sweeper
from fhirsvc.store import Database, deliveries, queue, turns
from fhirsvc.store.connections import MOST_LANES, NewConnection
from fhirsvc.store.tables import delivery, delivery_wait

SHORT, LONG = 100, 3000


class _Idle:
    """An engine that runs nothing: lanes are run by hand."""

    def dispatch(self, connection_id, lanes):
        pass

    def tidy(self, living):
        pass

    def restart(self):
        pass


class Steps:
    """Counts what SQLite does: steps of its machine, the same in every run.

    https://docs.python.org/3/library/sqlite3.html#sqlite3.Connection.set_progress_handler
    """

    def __init__(self, database: Database) -> None:
        self.taken = 0
        for engine in (database.engine, database._hasty):
            sa.event.listen(engine, "checkout", self._watch)

    def _watch(self, dbapi, *_):
        dbapi.set_progress_handler(self._step, 1)

    def _step(self):
        self.taken += 1
        return 0

    def of(self, work) -> int:
        """The steps that one piece of work takes."""
        before = self.taken
        work()
        return self.taken - before


@pytest.fixture(name="sweeper")
def _sweeper(house):
    identity = Identity(house.database, house.clock, dead_after_s=15.0, is_alone=False)
    identity.register()
    own = Lanes(house.database, house.deliverer, lambda: identity.id, house.clock)
    parts = {"lanes": own, "engine": _Idle(), "publisher": house.publisher, "clock": house.clock}
    sweeper = Sweeper(house.database, identity, **parts)
    sweeper.sweep()  # the first compares all records with all deliveries; later it seldom does
    return sweeper


def test_neither_a_turn_nor_a_sweep_grows_with_the_queue(house, sweeper):
    """Thirty times as much queued: the same steps of the database within a tenth."""
    if not house.database.is_sqlite:
        pytest.skip("counts the steps of SQLite")
    steps = Steps(house.database)
    house.accept(*(client(f"a-{n}") for n in range(SHORT)), goal(client_id="unknown"))
    taken = {}
    for made, more in ((SHORT, 0), (LONG, LONG - SHORT)):
        house.accept(*(client(f"b-{n}") for n in range(more)))
        house.turn()  # prepares what is prepared once
        taken[made] = steps.of(house.turn), steps.of(sweeper.sweep)
    assert all(many < few * 1.1 for few, many in zip(taken[SHORT], taken[LONG], strict=True))
    assert min(taken[SHORT]) > 100, "steps are counted"


def test_nothing_grows_with_what_was_delivered(house, sweeper):
    """Neither to accept new versions of some records, nor to send what refers to others."""
    if not house.database.is_sqlite:
        pytest.skip("counts the steps of SQLite")
    steps = Steps(house.database)
    taken = {}
    for made in (100, 1000):
        house.accept(*(client(f"{made}-{n}") for n in range(made)))
        house.drain(limit=made + 1)
        few = [f"{made}-{n}" for n in range(10)]
        house.accept(*(client(one, family="Twice") for one in few))  # prepares what is prepared
        plans = [care_plan(one, one, diagnoses=["dx1", "dx2"]) for one in few]
        changed = [client(one, family="Thrice") for one in few]
        accepting = steps.of(lambda changed=changed, plans=plans: house.accept(*changed, *plans))
        sending = steps.of(lambda: house.drain(limit=50))
        taken[made] = accepting, sending
    assert all(many < few * 1.1 for few, many in zip(taken[100], taken[1000], strict=True)), taken


def test_what_is_due_is_counted_as_far_as_lanes_go(house):
    """A connection has 64 lanes at most; how many are due beyond that is nobody's question."""
    house.accept(*(client(f"c-{n}") for n in range(MOST_LANES + 9)))
    with house.database.read() as tx:
        due = queue.due(tx, house.clock())
        wanted = lanes.wanted(tx, due)
    assert due == {house.connection.id: MOST_LANES}
    assert wanted == {house.connection.id: house.connection.concurrency}


def test_nothing_is_due_where_nothing_may_be_sent(house):
    """Not at a connection that is paused or rests, nor what is to go later."""
    house.accept(client())
    now = house.clock()

    def due(at: float) -> dict[int, int]:
        with house.database.read() as tx:
            return queue.due(tx, at)

    assert (due(now), due(now - 1)) == ({house.connection.id: 1}, {})
    house.operator.pause("ehr")
    assert due(now) == {}


def test_a_link_wakes_its_own_connections_deliveries_alone(house):
    """What waits for the same resource at another EHR goes on waiting."""
    new = NewConnection("other", "https://other.example/fhir")
    other = house.operator.add_connection(new)
    house.accept(client("c-1"), goal(client_id="c-1"))
    later = house.clock() + 60
    with house.database.write() as tx:
        tx.execute(sa.update(delivery).values(next_at=later))
        waits = ("link", "Patient", "client.c-1")
        for one in tx.execute(sa.select(delivery.c.id)).scalars().all():
            keys = dict(zip(("delivery_id", "kind", "type", "id"), (one, *waits), strict=True))
            tx.execute(sa.insert(delivery_wait).values(keys))
        woken = deliveries.release(tx, [waits], house.clock(), other.id)
        due = queue.due(tx, house.clock())
    assert (woken, due) == (2, {other.id: 2})


def test_what_waited_takes_its_old_place_in_the_queue(house):
    """A goal that was looked at before its client goes right after it, not behind all others."""
    house.accept(goal("g-1", client_id="c-1"), client("c-1"))
    house.clock.now += 5
    house.accept(*(client(f"c-{n}") for n in range(2, 9)))
    turns = [house.turn() for _ in range(3)]

    delivered = {one.record_id for one in house.deliveries(states=["delivered"])}
    assert turns == ["pending", "delivered", "delivered"]
    assert delivered == {"c-1", "g-1"}


def test_postgresql_finds_the_next_at_the_head_of_an_index(house):
    """Without statistics too, as after a first load: it sorts nothing of what waits."""
    if house.database.is_sqlite:
        pytest.skip("SQLite's steps are counted above")
    house.accept(*(client(f"c-{n}") for n in range(LONG)))
    values = {"state": "sending", "owner": "a", "updated_at": 1.0, "category": "", "reason": ""}
    named = {"due_on": house.connection.id, "now": house.clock(), **values}
    with house.database.write() as tx:
        text = turns._TAKE._text(tx.dialect, named)
        plan = tx.connection.cursor().execute(f"EXPLAIN {text.sql}", text.bound(named)).fetchall()

    said = "\n".join(row[0] for row in plan)
    assert "ix_delivery_next" in said
    assert "Sort" not in said
