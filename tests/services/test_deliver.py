"""Turns of deliveries: in order, resumable, waiting for what is missing, never outdated."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import orjson
import pytest
import sqlalchemy as sa
from tiny import care_plan, client, goal
from wire import BASE

from fhirsvc.ehr.simulated_fhir import Reply
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.services.turn import WAIT_S
from fhirsvc.store import deliveries, queue, turns
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.tables import attempt, link

REFUSAL = {
    "resourceType": "OperationOutcome",
    "issue": [{"code": "invalid", "diagnostics": "Zebulon", "expression": ["Goal.description"]}],
}


def test_a_record_with_its_references(house):
    """Resources go in the order of their needs, with the EHR's own ids in the references."""
    house.accept(client(), care_plan(diagnoses=["dx1", "dx2"]))

    assert house.drain() == ["delivered", "delivered"]

    plan = house.held("CarePlan")["care-plan.cp-1"]
    patient = house.held("Patient")["client.c-1"]
    conditions = house.held("Condition")
    assert plan["subject"]["reference"] == f"Patient/{patient['id']}"
    assert {one["reference"] for one in plan["addresses"]} == {
        f"Condition/{one['id']}" for one in conditions.values()
    }
    assert all(method == "PUT" for method, _ in house.wire.seen)


def test_what_is_there_is_not_sent_again(house):
    """An edit sends only the resources that it changes."""
    house.accept(client(), care_plan(diagnoses=["dx1", "dx2"]))
    house.drain()
    house.wire.seen.clear()

    house.accept(care_plan(diagnoses=["dx1", "dx2"], title="better"))
    house.drain()

    assert [path.split("/")[1] for _, path in house.wire.seen] == ["CarePlan"]
    assert house.held("CarePlan")["care-plan.cp-1"]["title"] == "better"


def test_two_records_that_need_each_other(house):
    """A care plan that needs a goal that needs a condition of the care plan: all arrive."""
    house.accept(care_plan(goal_ids=["g-1"]), goal(addresses="cp-1/dx1"), client())

    states = house.drain()

    assert Counter(states)["delivered"] == 3
    assert house.count("delivered") == 3
    plan = house.held("CarePlan")["care-plan.cp-1"]
    made = house.held("Goal")["goal.g-1"]
    assert plan["goal"] == [{"reference": f"Goal/{made['id']}"}]
    versions = [house.fhir.handle("GET", f"/CarePlan/{plan['id']}/_history", "", {}, b"").body]
    assert versions[0]["total"] == 1


def test_waiting_says_for_what(house):
    """A delivery that waits names what it waits for, and is not counted as failed."""
    house.accept(goal(addresses="cp-1/dx1"), care_plan(), client())
    house.turn()

    waiting = house.only("g-1")

    assert (waiting.state, waiting.reason) == (
        "pending",
        "waiting: Condition/care-plan.cp-1.dx1, Patient/client.c-1",
    )
    assert waiting.attempts == 0
    assert waiting.next_at == house.clock() + WAIT_S
    assert house.wire.seen == []


def test_a_link_wakes_who_waits(house):
    """The moment a link appears its waiters are due, on that connection alone."""
    other = house.operator.add_connection(NewConnection("other", BASE))
    house.accept(goal(), client())
    house.turn()
    house.turn(connection_id=other.id)

    house.turn()

    mine, theirs = (house.deliveries(connection_id=one)[0] for one in (1, other.id))
    assert mine.next_at == house.clock()
    assert theirs.next_at == house.clock() + WAIT_S


def test_a_missed_wake_is_found(house):
    """A delivery that began to wait just when its link appeared is woken by the next sweep."""
    house.accept(goal(), client())
    house.turn()
    house.turn()
    with house.database.write() as tx:
        tx.execute(
            sa.text("UPDATE delivery SET next_at = :at WHERE record_id = 'g-1'"),
            {"at": house.clock() + 1000},
        )

    assert house.database.run(lambda tx: queue.wake_satisfied(tx, house.clock())) == 1

    assert house.drain() == ["delivered"]


def test_a_record_that_nobody_loaded(house):
    """A reference to an unknown record holds the delivery until it is loaded."""
    house.accept(goal(client_id="late"))
    assert house.drain() == ["held"]
    held = house.only("g-1")
    assert (held.category, held.reason) == (Category.NOT_FOUND, "missing: Patient/client.late")

    house.accept(client("late"))

    assert house.only("g-1").state == "pending"
    assert sorted(house.drain()) == ["delivered", "delivered", "pending"]
    assert house.count("delivered") == 2


def test_held_for_a_record_still_makes_progress(house):
    """While one record is missing, what can be sent is sent as its own needs appear."""
    house.accept(care_plan(goal_ids=["unknown"]))
    house.drain()

    house.accept(client())
    house.drain()

    assert set(house.held("Condition")) == {"care-plan.cp-1.dx1"}
    assert house.only("cp-1").state == "held"
    assert house.only("cp-1").reason == "missing: Goal/goal.unknown"


def test_a_mapping_error_is_dead_with_its_place(house):
    """What does not map is not sent, and says where."""
    house.accept(client(refuse=True))

    assert house.drain() == ["dead"]
    dead = house.only("c-1")
    assert (dead.category, dead.reason) == ("invalid", "$.refuse: expected: something else")


def test_an_invalid_resource_is_dead_with_its_findings(house):
    """What the validation refuses is not sent, and every finding is located."""
    found = [Finding("cardinality", "is required", "Patient.x")]
    house.deliverer = replace(house.deliverer, validate=lambda _: found)
    house.accept(client())

    assert house.drain() == ["dead"]
    assert house.only("c-1").reason == "Patient.x: error: is required [cardinality]"
    assert house.wire.seen == []


def test_a_warning_does_not_stop_a_delivery(house):
    """Only errors bury."""
    found = [Finding("style", "could be better", "Patient.x", "warning")]
    house.deliverer = replace(house.deliverer, validate=lambda _: found)
    house.accept(client())

    assert house.drain() == ["delivered"]


def test_a_fault_of_ours_is_dead_without_values(house):
    """A mistake in the mapping code buries one record, and its message is not shown."""

    def broken(_):
        raise ValueError("Zebulon")

    house.deliverer = replace(house.deliverer, validate=broken)
    house.accept(client("c-1"), client("c-2"))

    assert house.drain() == ["dead", "dead"]
    assert house.only("c-1").reason == "mapping failed with ValueError"


def test_a_refused_resource_is_dead_and_others_go_on(house):
    """The refusal's codes and places are kept, its text is not shown; the rest is sent."""
    house.accept(client(), care_plan(diagnoses=["dx1", "dx2"]))
    house.turn()
    house.wire.faults.append(Reply(422, REFUSAL))

    assert house.drain() == ["dead"]

    dead = house.only("cp-1")
    assert dead.reason == "Condition/care-plan.cp-1.dx1: invalid: invalid at Goal.description"
    assert set(house.held("Condition")) == {"care-plan.cp-1.dx2"}
    with house.database.read() as tx:
        kept = tx.execute(sa.select(attempt.c.response).where(attempt.c.status == 422)).scalar()
    assert "Zebulon" in kept


def test_retry_after_rests_the_connection(house):
    """429 stops all that goes there for as long as was asked, and nothing that goes elsewhere."""
    other = house.operator.add_connection(NewConnection("other", BASE))
    house.accept(client("c-1"), client("c-2"))
    house.wire.faults.append(Reply(429, None, {"Retry-After": "30"}))

    assert house.drain() == ["pending"]
    assert house.turn(connection_id=other.id) == "delivered"

    house.clock.now += 29
    assert house.drain() == []
    house.clock.now += 1
    assert house.drain() == ["delivered", "delivered"]
    assert house.moves(1) == ["pending", "sending", "pending", "sending", "delivered"]


def test_failures_in_a_row_rest_longer(house):
    """A connection that does not answer is left alone for longer each time, until it answers."""
    house.accept(client())
    waits = []
    for _ in range(6):
        house.wire.faults.append("refused")
        house.turn()
        waits.append(house.only("c-1").next_at - house.clock())
        house.clock.now = house.only("c-1").next_at

    assert waits == sorted(waits)
    assert waits[-1] == 16.0
    assert house.only("c-1").attempts == 6
    assert house.drain() == ["delivered"]
    assert house.operator.connections()[0].failures == 0


def test_partial_progress_survives_a_failure(house):
    """What was acknowledged before a failure is not sent again."""
    house.accept(client(), care_plan(diagnoses=["dx1", "dx2"]))
    house.turn()
    house.wire.faults.extend(["", Reply(500)])
    house.turn()
    house.clock.now += 10
    house.wire.seen.clear()

    house.drain()

    paths = [path for method, path in house.wire.seen if method == "PUT"]
    assert len(paths) == 2
    assert not any("dx1" in path for path in paths)


def test_a_newer_version_while_the_older_is_being_sent(house):
    """The newer one waits for the older to end, then goes; the EHR ends with the newer one."""
    house.accept(client(family="A"))
    older = house.database.run(lambda tx: turns.claim(tx, 1, "me", house.clock()))
    house.accept(client(family="B"))

    blocked = house.database.run(lambda tx: turns.claim(tx, 1, "other", house.clock()))
    first = house.end(older)
    second = house.turn()

    assert (blocked, first, second) == (None, "delivered", "delivered")
    assert house.held("Patient")["client.c-1"]["name"][0]["family"] == "B"


def test_an_older_version_that_fails_is_superseded(house):
    """An older version is not tried again when a newer one has come."""
    house.accept(client(family="A"))
    older = house.database.run(lambda tx: turns.claim(tx, 1, "me", house.clock()))
    house.accept(client(family="B"))
    house.wire.faults.append(Reply(500))

    assert house.end(older) == "superseded"
    assert house.states() == [("client/c-1", 1, "superseded"), ("client/c-1", 2, "pending")]


def test_an_unknown_outcome_of_an_older_version_is_resolved_by_the_newer(house):
    """The lost write of version 1 is found before version 2 is written: no double."""
    house.accept(client(family="A"))
    older = house.database.run(lambda tx: turns.claim(tx, 1, "me", house.clock()))
    house.accept(client(family="B"))
    house.wire.faults.append("drop")
    house.end(older)

    for _ in range(3):
        house.clock.now += 122
        house.drain()

    assert house.fhir.count("Patient") == 1
    assert house.held("Patient")["client.c-1"]["name"][0]["family"] == "B"


def test_what_we_made_twice_is_taken_away(house):
    """Two resources that hold nothing but what we sent become one again: the first one."""
    ids = _twice(house, client())

    house.accept(client())

    assert house.drain() == ["delivered"]
    assert house.fhir.count("Patient") == 1
    assert house.fhir.handle("GET", f"/Patient/{ids[0]}", "", {}, b"").status == 200


def test_a_stopped_connection_has_nothing_taken_away(house):
    """The kill switch holds for doubles as well: stopped in the middle, both are still there."""
    _twice(house, client())
    house.accept(client())
    house.wire.faults.append(lambda: house.operator.stop("ehr"))  # while the first write is out

    assert house.turn() == "pending"
    assert house.fhir.count("Patient") == 2


def test_two_matches_hold(house):
    """Two that differ are a conflict for a person, then it can be retried."""
    ids = _twice(house, client(), family="Somebody's work")
    house.accept(client())
    assert house.drain() == ["held"]
    held = house.only("c-1")
    assert held.category == Category.CONFLICT
    assert held.reason == "Patient/client.c-1: conflict: 2 match the identifier and differ"

    house.fhir.handle("DELETE", f"/Patient/{ids[1]}", "", {}, b"")
    house.operator.retry(held.id)

    assert house.drain() == ["delivered"]
    assert house.fhir.count("Patient") == 1


def _twice(house, record, family=None):
    """The Patient of a record, made twice at the EHR; the second with another name."""
    patient = house.deliverer.mapper.forward(record, 8)[0]
    first = {key: value for key, value in patient.items() if key != "id"}
    second = first if family is None else {**first, "name": [{"family": family}]}
    ids = []
    for body in (first, second):
        ids.append(house.fhir.handle("POST", "/Patient", "", {}, orjson.dumps(body)).body["id"])
        house.clock.sleep(1)
    return ids


def test_every_answered_write_keeps_its_status(house):
    """What was done, and what was answered with 503 and looked for later: with the status then."""
    house.accept(client())
    house.drain()
    house.wire.faults.append(Reply(503))
    house.accept(client(family="Other"))
    assert house.drain() == ["pending"]
    house.clock.now += 3600
    assert house.drain() == ["delivered"]

    with house.database.read() as tx:
        rows = tx.execute(sa.select(attempt.c.outcome, attempt.c.status).order_by(attempt.c.id))
        assert rows.all() == [("done", 201), ("absent", 503), ("done", 200)]


def test_only_what_is_held_or_dead_is_sent_again(house):
    """What is delivered is a conflict, what never was is not found; neither is touched."""
    house.accept(client())
    house.drain()
    delivered = house.only("c-1")
    with pytest.raises(FhirsvcError) as refused:
        house.operator.retry(delivered.id)
    assert refused.value.category == Category.CONFLICT
    with pytest.raises(FhirsvcError) as missing:
        house.operator.retry(delivered.id + 1)
    assert missing.value.category == Category.NOT_FOUND
    assert house.only("c-1") == delivered


def test_a_delivery_that_was_taken_away_writes_no_more(house):
    """Whoever lost a delivery neither sends nor notes anything about it."""
    house.accept(client())
    taken = house.database.run(lambda tx: turns.claim(tx, 1, "slow", house.clock()))
    house.database.run(lambda tx: turns.take_back(tx, "slow", house.clock(), is_gone=True))

    assert house.end(taken) == ""

    assert house.wire.seen == []
    assert house.only("c-1").state == "pending"


def test_a_delivery_taken_away_in_the_middle(house):
    """The answer of a write that came too late is not noted; the next owner finds the resource."""
    house.accept(client())
    taken = house.database.run(lambda tx: turns.claim(tx, 1, "slow", house.clock()))

    def steal():
        house.database.run(lambda tx: turns.take_back(tx, "slow", house.clock(), is_gone=True))

    house.wire.faults.append(steal)
    assert house.end(taken) == ""
    house.clock.now += 10

    assert house.drain() == ["delivered"]
    assert house.fhir.count("Patient") == 1
    assert [method for method, _ in house.wire.seen] == ["PUT", "GET"]


def test_an_executor_that_was_silent_does_not_write(house):
    """Without a fresh heartbeat others may have taken over, so nothing is sent."""
    house.deliverer = replace(house.deliverer, is_alive=lambda: False)
    house.accept(client())

    assert house.turn() == ""
    assert house.wire.seen == []


def test_a_process_that_stood_still_does_not_send(house, monkeypatch):
    """When noting the attempt took so long that others may be looking for it, nothing is sent."""
    house.accept(client())
    taken = house.database.run(lambda tx: turns.claim(tx, 1, "me", house.clock()))
    run = house.database.run_together

    def slow(work, *, durable=True):
        house.clock.now += 300 * durable
        return run(work, durable=durable)

    monkeypatch.setattr(house.database, "run_together", slow)

    assert house.deliverer.run(taken) is None
    assert house.wire.seen == []


def test_a_crash_between_the_attempt_and_the_answer(house):
    """An attempt left open by a crash is looked for, and adopted when it had arrived."""
    house.accept(client())

    class Crash(BaseException):
        pass

    house.wire.faults.append(Crash())
    with pytest.raises(Crash):
        house.turn()
    with house.database.read() as tx:
        assert tx.execute(sa.select(attempt.c.outcome)).scalars().all() == ["unknown"]
    house.database.run(lambda tx: turns.take_back(tx, "me", house.clock(), is_gone=True))

    assert house.drain() == ["pending"]
    house.clock.now = house.only("c-1").next_at
    assert house.drain() == ["delivered"]
    with house.database.read() as tx:
        outcomes = tx.execute(sa.select(attempt.c.outcome).order_by(attempt.c.id)).scalars().all()
        bodies = set(tx.execute(sa.select(attempt.c.body)).scalars())
    assert outcomes == ["absent", "done"]
    assert bodies == {None}  # what was sent is not kept once the outcome is known


def test_what_is_no_longer_mapped_is_said(house):
    """A diagnosis that an edit drops stays at the EHR, and the delivery says so."""
    house.accept(client(), care_plan(diagnoses=["dx1", "dx2"]))
    house.drain()

    house.accept(care_plan(diagnoses=["dx1"]))
    house.drain()

    assert house.only("cp-1").reason == "left behind: Condition/care-plan.cp-1.dx2"


def test_paused_connections_get_nothing(house):
    """A paused connection keeps its deliveries, and gets them when it is resumed."""
    house.operator.pause("ehr")
    house.accept(client())
    assert house.drain() == []

    house.operator.resume("ehr")

    assert house.drain() == ["delivered"]


def test_the_correlation_id_goes_to_the_ehr(house):
    """Every request carries the id of what caused it, given or made."""
    house.accept(client("c-1"))
    house.publisher.accept([client("c-2")])
    house.drain()

    given, made = (one.headers["X-Correlation-Id"] for one in house.wire.requests)
    assert given == "corr-1"
    assert len(made) == 32


def test_every_move_is_recorded(house):
    """The history of a delivery is what it went through, with who did it."""
    house.accept(client())
    house.wire.faults.append(Reply(500))
    house.turn(owner="first")
    house.clock.now += 10
    house.turn(owner="second")

    with house.database.read() as tx:
        got = [(one.from_state, one.to_state, one.executor) for one in queue.events(tx, 1)]
    assert got == [
        ("", "pending", ""),
        ("pending", "sending", "first"),
        ("sending", "pending", "first"),
        ("pending", "sending", "second"),
        ("sending", "delivered", "second"),
    ]


def test_a_move_that_is_not_in_the_table_is_a_bug(house):
    """Nothing leaves delivered, whatever code asks for it."""
    house.accept(client())
    house.drain()

    with pytest.raises(AssertionError, match="no transition"), house.database.write() as tx:
        deliveries.move(tx, deliveries.delivery.c.id == 1, deliveries.Change("pending"), 0.0)


def test_links_remember_what_the_ehr_holds(house):
    """A link has the remote id, its version, and which record version was acknowledged."""
    house.accept(client(family="A"))
    house.drain()
    house.accept(client(family="B"))
    house.drain()

    with house.database.read() as tx:
        row = tx.execute(sa.select(link)).one()
    patient = house.held("Patient")["client.c-1"]
    assert (row.remote_id, row.etag, row.acked_version) == (patient["id"], 'W/"2"', 2)
