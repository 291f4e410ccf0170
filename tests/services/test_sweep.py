"""The sweep: whatever the engine forgets is dispatched again, and nothing waits for the sick."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
import sqlalchemy as sa
from tiny import care_plan, client, goal
from wire import BASE, Wire, client_on

from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir
from fhirsvc.services.lanes import Lanes
from fhirsvc.services.liveness import Identity
from fhirsvc.services.sweep import Sweeper
from fhirsvc.store import partners, subscriptions, turns
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.subscriptions import Subscription
from fhirsvc.store.tables import delivery


@dataclass
class HandEngine:
    """An engine that runs lanes when it is told to, and can be as bad as the test needs."""

    lanes: Lanes
    forgets: bool = False
    is_broken: bool = False
    dispatched: list[tuple[int, int]] = field(default_factory=list)
    tidied: list[list[str]] = field(default_factory=list)
    restarts: int = 0

    def dispatch(self, connection_id, lanes):
        if self.is_broken:
            raise OSError("no tables")
        self.dispatched.append((connection_id, lanes))
        if not self.forgets:
            self.lanes.run(connection_id)

    def tidy(self, living):
        self.tidied.append(living)

    def restart(self):
        self.restarts += 1
        self.is_broken = False


@dataclass
class Desk:
    sweeper: Sweeper
    engine: HandEngine
    identity: Identity
    lanes: Lanes
    shares: list[float] = field(default_factory=list)


@pytest.fixture(name="desk")
def _desk(house):
    identity = Identity(house.database, house.clock, dead_after_s=15.0, is_alone=False)
    identity.register()
    lanes = Lanes(house.database, house.deliverer, lambda: identity.id, house.clock)
    engine = HandEngine(lanes)
    shares: list[float] = []
    sweeper = Sweeper(
        house.database,
        identity,
        lanes=lanes,
        engine=engine,
        publisher=house.publisher,
        clock=house.clock,
        on_share=shares.append,
    )
    return Desk(sweeper, engine, identity, lanes, shares)


def test_everything_arrives(house, desk):
    """A sweep dispatches what is due; when all is delivered, it says that it is idle."""
    house.accept(client(), care_plan(goal_ids=["g-1"]), goal(addresses="cp-1/dx1"))

    busy = desk.sweeper.sweep()
    was_busy = desk.sweeper.is_busy
    idle = desk.sweeper.sweep()

    assert (was_busy, desk.sweeper.is_busy) == (True, False)
    assert (busy.due, busy.is_idle) == (3, False)
    assert (idle.due, idle.is_idle) == (0, True)
    assert house.count("delivered") == 3


def test_goals_are_judged_some_at_a_time(house, desk, monkeypatch):
    """A sweep goes on before all of them are, and is not idle while some are left."""
    left = [100, 7, 0]
    monkeypatch.setattr(house.publisher, "catch_up", lambda: left.pop(0))

    idle = [desk.sweeper.sweep().is_idle for _ in range(4)]

    assert (idle, left) == ([False, False, True, True], [])


def test_what_the_engine_forgets_is_dispatched_again(house, desk):
    """An engine that loses its jobs loses nothing of ours."""
    house.accept(client())
    desk.engine.forgets = True
    desk.sweeper.sweep()
    desk.sweeper.sweep()
    desk.engine.forgets = False

    desk.sweeper.sweep()

    assert len(desk.engine.dispatched) == 3
    assert house.count("delivered") == 1


def test_lanes_as_many_as_useful(house, desk):
    """A connection gets a lane per due delivery, up to its concurrency, and none when idle."""
    house.operator.add_connection(NewConnection("wide", BASE, concurrency=9))
    house.accept(*[client(f"c-{n}") for n in range(6)])
    desk.engine.forgets = True

    desk.sweeper.sweep()

    assert desk.engine.dispatched == [(1, 4), (2, 6)]


def test_a_broken_engine_is_restarted(house, desk):
    """After three failures in a row the engine begins anew; the sweep itself goes on."""
    house.accept(client())
    desk.engine.is_broken = True

    for _ in range(3):
        desk.sweeper.sweep()
    desk.sweeper.sweep()

    assert desk.engine.restarts == 1
    assert house.count("delivered") == 1


def test_a_sick_connection_does_not_delay_another(house, desk):
    """While one connection rests, the other is dispatched as if it were alone."""
    sick = Wire(SimulatedFhir(house.clock))
    sick.faults.extend([Reply(503)] * 100)
    clients = {1: client_on(sick, house.clock), 2: client_on(house.wire, house.clock)}
    desk.lanes._deliverer = replace(
        house.deliverer, client_for=lambda connection: clients[connection.id]
    )
    house.operator.add_connection(NewConnection("well", BASE))
    house.accept(*[client(f"c-{n}") for n in range(20)])

    swept = desk.sweeper.sweep()

    delivered = [one.connection_id for one in house.deliveries(states=["delivered"])]
    assert delivered == [2] * 20
    assert len(sick.seen) == 1
    assert not swept.is_idle


def test_idle_is_not_when_a_retry_is_due_later(house, desk):
    """A delivery that waits for its next try is not done; one that waits for a record is."""
    house.accept(client("c-1"), goal(client_id="unknown"))
    house.wire.faults.append(Reply(500))
    desk.sweeper.sweep()

    later = desk.sweeper.sweep()
    house.clock.now += 10
    desk.sweeper.sweep()
    done = desk.sweeper.sweep()

    assert (later.due, later.is_idle) == (0, False)
    assert done.is_idle
    assert house.only("g-1").state == "held"


def test_dropped_by_its_own_lane(house, desk):
    """A delivery in sending that no lane has in hand comes back after a while."""
    house.accept(client())
    house.database.run(lambda tx: turns.claim(tx, 1, desk.identity.id, house.clock()))
    desk.sweeper.sweep()
    before = house.only("c-1").state
    house.clock.now += 11

    desk.sweeper.sweep()

    assert (before, house.only("c-1").state) == ("sending", "delivered")


def test_a_lane_that_fails_leaves_the_rest(house, desk, monkeypatch):
    """An error inside a lane ends the lane, and the next sweep goes on with the others."""
    house.accept(client("c-1"), client("c-2"))
    real = house.deliverer.turn

    def fail_once(begun):
        monkeypatch.setattr(type(house.deliverer), "turn", lambda _, one: real(one))
        raise sa.exc.OperationalError("select", {}, Exception("gone"))

    monkeypatch.setattr(type(house.deliverer), "turn", lambda _, begun: fail_once(begun))
    desk.sweeper.sweep()
    house.clock.now += 11
    desk.sweeper.sweep()

    assert house.count("delivered") == 2


def test_a_new_connection_is_filled_by_the_sweep(house, desk):
    """Deliveries that a race left out are opened by the periodic comparison."""
    house.accept(client())
    with house.database.write() as tx:
        tx.execute(sa.text("DELETE FROM delivery_event"))
        tx.execute(sa.delete(delivery))

    desk.sweeper.sweep()

    assert house.count("delivered") == 1


def test_the_rate_is_shared(house, desk):
    """Each of two processes takes half of every connection's rate."""
    other = Identity(house.database, house.clock, dead_after_s=15.0, is_alone=False)
    desk.sweeper.sweep()
    other.register()
    desk.sweeper.sweep()

    assert desk.shares == [1.0, 0.5]


def test_jobs_of_the_dead_are_dropped(house, desk):
    """The engine is told who lives whenever somebody died."""
    desk.sweeper.sweep()
    with house.database.write() as tx:
        tx.execute(
            sa.text("INSERT INTO executor VALUES ('dead', :place, 4194305, '1', :now, :now, NULL)"),
            {"place": "", "now": house.clock() - 100},
        )

    desk.sweeper.sweep()

    assert desk.engine.tidied == [[desk.identity.id]] * 2


def test_a_stopped_lane_finishes_what_it_has(house, desk):
    """After a stop no further delivery is begun, and the one in hand is ended."""
    house.accept(client("c-1"), client("c-2"))
    house.wire.faults.append(lambda: desk.lanes.stop(0.0))

    made = desk.lanes.run(1)

    assert made == 1
    assert [one.state for one in house.deliveries()] == ["delivered", "pending"]
    assert desk.lanes.stop(1.0)


def test_what_is_too_old_to_be_of_use_is_dropped(house, desk):
    """Access tokens and assertions whose time is over; those whose time is not stay."""
    now = house.clock()
    partner = partners.Partner("p", "{}", None, "system/Task.r", now)

    def fill(tx: sa.Connection) -> None:
        partners.add(tx, partner)
        for name, until in (("old", now - 1), ("new", now + 1)):
            partners.issue(tx, name, partners.Held("p", partner.scope), now - 300, until)
            partners.use(tx, name, now - 300, until)

    house.database.run(fill)
    desk.sweeper.sweep()

    with house.database.read() as tx:
        for table in (partners.partner_token, partners.partner_assertion):
            assert tx.execute(sa.select(table.c.hash)).scalars().all() == ["new"]


def test_events_that_nobody_took_are_not_kept_for_ever(house, desk):
    """After a week they are dropped; their numbers stay counted."""
    now = house.clock()
    week = 7 * 86400.0

    def fill(tx: sa.Connection) -> None:
        partners.add(tx, partners.Partner("p", "{}", None, "system/Task.r", now))
        values = {"body": "{}", "type": "Task", "base": "", "state": "error", "error": ""}
        numbers = {"version": 1, "last_event": 0, "sent_event": 0, "failures": 0}
        times = {"next_at": now, "claimed_until": 0.0, "created_at": now, "updated_at": now}
        made = Subscription(id="s", partner="p", claim="", **values, **numbers, **times)
        subscriptions.add(tx, made)
        event = {"type": "Task", "resource_id": "t", "version": 1, "method": "PUT"}
        subscriptions.happened(tx, {"s": [event]}, now - week - 1)
        subscriptions.happened(tx, {"s": [event]}, now - week + 1)

    house.database.run(fill)
    desk.sweeper.sweep()

    with house.database.read() as tx:
        assert [one.number for one in subscriptions.events(tx, "s", 1, 9, 9)] == [2]
