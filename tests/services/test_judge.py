"""Goals judged by scores: sent with the word that these bear out, and again when it changes."""

from __future__ import annotations

import contextlib
import itertools
import threading
from dataclasses import replace

import orjson
import pytest
import shipped_clinic as clinic
import sqlalchemy as sa
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import TinyMapper, client, goal
from wire import BASE

from fhirsvc import wiring
from fhirsvc.ehr.simulated_fhir import Reply
from fhirsvc.mapping.achievement import achieved, results_of
from fhirsvc.services.lanes import Lanes
from fhirsvc.services.operate import Operator
from fhirsvc.services.publish import Publisher
from fhirsvc.settings import load
from fhirsvc.store import judgements, records, turns
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.tables import judgement, metadata

PLANTED = "Zebulonqx"
OBJECTIVE = {"objective_id": "o1", "instrument": "phq-9", "op": "le", "value": 9}


def moved(_instrument, before, after):
    """Five points are a change, and fewer are better."""
    if abs(after - before) < 5:
        return "same"
    return "better" if after < before else "worse"


class GoalsMapper(TinyMapper):
    """Tells how a goal is going, and makes an Observation of an assessment."""

    def _goal(self, record):
        made = super()._goal(record)
        words = {"text": f"{record.get('progress')}: {record.get('progress_text', '')}"}
        return [{**one, "achievementStatus": words} for one in made]

    def _assessment(self, record):
        system = {"system": "urn:example:Observation", "value": f"assessment.{record['id']}"}
        subject = {"reference": f"Patient/client.{record['client_id']}"}
        local = {"resourceType": "Observation", "id": system["value"], "identifier": [system]}
        return [{**local, "status": "final", "code": {"text": "total"}, "subject": subject}]


def plan_goal(id_="g-1", client_id="c-1", **more):
    """A goal that a PHQ-9 of nine or less reaches; the clinic says that it is under way."""
    words = {"progress": "in_progress", "progress_text": "Slow."}
    rest = {"lifecycle": "active", "start_date": "2026-02-06", "objectives": [OBJECTIVE]}
    return goal(id_, client_id, **{**words, **rest, **more})


def score(total, day, client_id="c-1", **more):
    """An assessment of a day in February with one total, its own record."""
    taken = {"administered_at": f"2026-02-{day:02}T09:00:00Z", "total": total}
    made = {"type": "assessment", "id": f"a-{client_id}-{day}", "client_id": client_id}
    instruments = [{"instrument": "phq-9", **taken}]
    return {**made, "status": "completed", "instruments": instruments, **more}


@pytest.fixture(name="judging")
def _judging(house):
    """The house with goals judged by scores."""
    return judge_in(house)


def judge_in(house):
    """Ask for goals to be judged from here on."""
    house.publisher = Publisher(house.database, _anything, house.clock, moved=moved)
    house.operator = Operator(house.database, house.publisher, house.clock)
    house.deliverer = replace(house.deliverer, mapper=GoalsMapper(), by_scores=True)
    return house


def stop_judging(house):
    """Ask for it no more."""
    house.publisher = Publisher(house.database, _anything, house.clock)
    house.operator = Operator(house.database, house.publisher, house.clock)
    house.deliverer = replace(house.deliverer, mapper=GoalsMapper(), by_scores=False)
    return house


def _anything(_record):
    return []


def told(house, goal_id="g-1"):
    """What the EHR was last told of how a goal is going."""
    return house.held("Goal")[f"goal.{goal_id}"]["achievementStatus"]["text"]


def goal_writes(house):
    """How often a goal was written."""
    return sum(path.startswith("/Goal") for _, path in house.wire.writes)


def judgements_of(house, goal_id="g-1"):
    """(version, revision, word) of every judgement of a goal."""
    with house.database.read() as tx:
        columns = (judgement.c.version, judgement.c.revision, judgement.c.word)
        query = sa.select(*columns).where(judgement.c.id == goal_id)
        return [tuple(row) for row in tx.execute(query.order_by(*columns[:2]))]


def test_a_goal_goes_with_the_word_its_scores_bear_out(judging):
    """The latest scores decide, the words beside another word stay away, the record stays."""
    judging.accept(client(), plan_goal(), score(18, 1), score(12, 9))

    judging.drain()

    assert told(judging) == "improving: "
    assert judgements_of(judging) == [(1, 0, "improving")]
    with judging.database.read() as tx:
        assert orjson.loads(records.version(tx, ("goal", "g-1")).body) == plan_goal()


def test_without_scores_the_clinics_word_goes(judging):
    """Where no score says anything the goal goes as it is, with its words."""
    judging.accept(client(), plan_goal())

    judging.drain()

    assert told(judging) == "in_progress: Slow."


def test_a_new_score_sends_the_goal_again(judging):
    """Once, under the id of what caused it, and the turns before it stay told."""
    judging.accept(client(), plan_goal(), score(18, 1), score(17, 9))
    judging.drain()
    assert told(judging) == "no_change: "
    judging.wire.seen.clear()

    judging.publisher.accept([score(8, 20)], "corr-2")
    judging.drain()

    assert told(judging) == "achieved: "
    assert goal_writes(judging) == 1
    sent = judging.only("g-1")
    assert (sent.version, sent.revision, sent.correlation_id) == (1, 1, "corr-2")
    assert judging.moves(sent.id) == ["pending", "sending", "delivered"] * 2
    assert judgements_of(judging) == [(1, 0, "no_change"), (1, 1, "achieved")]


def test_a_score_that_changes_no_word_sends_nothing(judging):
    """Neither that goal, nor one of another client, nor one that measures nothing."""
    judging.accept(client(), plan_goal(), score(18, 1), score(17, 9))
    judging.accept(client("c-2"), plan_goal("g-2", "c-2"), goal("g-3"))
    judging.drain()
    judging.wire.seen.clear()

    judging.accept(score(16, 20))
    judging.accept(score(16, 20))
    judging.drain()

    assert goal_writes(judging) == 0
    assert judgements_of(judging) == [(1, 0, "no_change")]
    assert {one.revision for one in judging.deliveries()} == {0}


def test_off_nothing_is_judged(house):
    """Unless asked for, goals go as they are and scores change nothing."""
    stop_judging(house)
    house.accept(client(), plan_goal(), score(18, 1), score(8, 9))
    house.drain()
    writes = goal_writes(house)

    house.accept(score(25, 20))
    house.drain()

    assert house.publisher.catch_up() == 0
    assert (told(house), goal_writes(house)) == ("in_progress: Slow.", writes)
    assert judgements_of(house) == []


def test_what_is_unsent_takes_the_new_word_along(judging):
    """A goal that still waits is sent once, with the last word."""
    judging.accept(client(), plan_goal(), score(18, 1))
    judging.accept(score(12, 9))
    judging.accept(score(9, 20))

    judging.drain()

    assert (told(judging), goal_writes(judging)) == ("achieved: ", 1)


@pytest.mark.parametrize("ended", ["delivered", "dead"])
def test_a_score_during_the_turn(judging, ended):
    """What was mapped with the old word goes once more, whatever its turn came to."""
    judging.accept(client(), plan_goal(), score(18, 1))
    while judging.only("g-1").state != "sending":
        taken = judging.database.run(lambda tx: turns.claim(tx, 1, "me", judging.clock()))
        if taken.record_type != "goal":
            judging.end(taken)
    if ended == "dead":
        judging.wire.faults.append(Reply(422, {"resourceType": "OperationOutcome", "issue": []}))
    change = judging.deliverer.run(taken)
    judging.accept(score(9, 20))

    state = judging.database.run(lambda tx: turns.finish(tx, taken, change, judging.clock()))

    assert (change.state, state) == (ended, "pending")
    judging.drain()
    assert told(judging) == "achieved: "
    assert judging.only("g-1").state == "delivered"


def test_an_edit_and_a_score_during_the_turn(judging):
    """The old version ends as it was sent; only the new one goes again."""
    judging.accept(client(), plan_goal(), score(18, 1))
    judging.turn()
    taken = judging.database.run(lambda tx: turns.claim(tx, 1, "me", judging.clock()))
    assert taken.record == ("goal", "g-1")
    change = judging.deliverer.run(taken)
    judging.accept(score(9, 20))
    judging.accept(plan_goal(statement="run"))

    state = judging.database.run(lambda tx: turns.finish(tx, taken, change, judging.clock()))

    assert state == "delivered"
    judging.drain()
    assert [one.state for one in judging.deliveries(record=("goal", "g-1"))] == ["delivered"] * 2
    assert told(judging) == "achieved: "
    assert judgements_of(judging) == [(1, 0, "in_progress"), (1, 1, "achieved"), (2, 0, "achieved")]


def test_what_was_refused_is_tried_with_the_new_word(judging):
    """A dead delivery of the current version opens again, one of an older version does not."""
    refusal = Reply(422, {"resourceType": "OperationOutcome", "issue": []})
    judging.accept(client(), score(18, 1))
    judging.drain()
    judging.accept(plan_goal(statement="old"))
    judging.wire.faults.append(refusal)
    assert judging.drain() == ["dead"]
    judging.accept(plan_goal())
    judging.wire.faults.append(refusal)
    assert judging.drain() == ["dead"]

    judging.accept(score(9, 20))

    states = [(one.state, one.attempts) for one in judging.deliveries(record=("goal", "g-1"))]
    assert states == [("superseded", 1), ("pending", 0)]


def test_a_score_that_was_an_error(judging):
    """An assessment withdrawn, or given to whom it belongs, counts for this client no more."""
    judging.accept(client(), client("c-2"), plan_goal(), plan_goal("g-2", "c-2"))
    judging.accept(score(18, 1), score(9, 20))
    judging.drain()
    assert (told(judging), told(judging, "g-2")) == ("achieved: ", "in_progress: Slow.")

    judging.accept({**score(9, 20), "client_id": "c-2"})
    judging.drain()
    assert told(judging) == "in_progress: Slow."
    assert told(judging, "g-2") == "achieved: "

    judging.accept({**score(9, 20), "client_id": "c-2", "status": "entered_in_error"})
    judging.drain()
    assert told(judging, "g-2") == "in_progress: Slow."


def test_switching_on_tells_what_scores_had_said(house):
    """Goals from before are judged in turn, and those that were told otherwise go again, once."""
    stop_judging(house)
    house.accept(client(), plan_goal(), plan_goal("g-2", objectives=[]), score(18, 1), score(9, 9))
    house.drain()
    judge_in(house)

    looked_at = [house.publisher.catch_up(), house.publisher.catch_up()]
    writes = goal_writes(house)
    house.drain()

    assert looked_at == [1, 0]
    assert (told(house), told(house, "g-2")) == ("achieved: ", "in_progress: Slow.")
    assert goal_writes(house) == writes + 1
    assert judgements_of(house) == [(1, 1, "achieved")]


def test_switching_off_and_on(house):
    """Scores that came while nobody judged are caught up with; off, a goal goes as it is."""
    judge_in(house)
    house.accept(client(), plan_goal(), score(18, 1))
    house.drain()
    stop_judging(house)
    house.clock.sleep(1)
    house.accept(score(9, 20))
    assert house.drain() == ["delivered"]
    assert told(house) == "in_progress: Slow."
    judge_in(house)

    looked_at = [house.publisher.catch_up(), house.publisher.catch_up()]
    house.drain()

    assert looked_at == [1, 0]
    assert told(house) == "achieved: "


def test_a_connection_that_is_added_later(judging):
    """It is told the word of today."""
    judging.accept(client(), plan_goal(), score(18, 1))
    judging.accept(score(9, 20))
    judging.drain()

    added = judging.operator.add_connection(NewConnection("later", BASE))

    owed = judging.deliveries(connection_id=added.id, record=("goal", "g-1"))
    assert [(one.version, one.revision) for one in owed] == [(1, 1)]


def test_a_sick_connection_takes_only_the_last_word(judging):
    """Each connection is told every word it could take, and a paused one the last alone."""
    other = judging.operator.add_connection(NewConnection("other", BASE))
    judging.operator.pause("other")
    judging.accept(client(), plan_goal(), score(18, 1), score(12, 8))
    judging.drain()
    judging.accept(score(9, 20))
    judging.drain()

    theirs = judging.deliveries(connection_id=other.id, record=("goal", "g-1"))

    assert [(one.state, one.revision) for one in theirs] == [("pending", 1)]
    assert judging.moves(theirs[0].id) == ["pending"]


def test_one_record_at_a_time(judging):
    """Records that come alone are judged the same."""
    for record in (client(), plan_goal(), score(18, 1), score(9, 20)):
        judging.publisher.accept_one(record)

    judging.drain()

    assert told(judging) == "achieved: "


_LAW = itertools.count()
_STEP = st.one_of(
    st.tuples(st.just("score"), st.integers(1, 28), st.integers(0, 27)),
    st.tuples(st.just("goal"), st.sampled_from(["walk", "run"]), st.just(0)),
    st.tuples(st.just("turn"), st.just(0), st.just(0)),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(_STEP, max_size=12))
def test_law_the_ehr_ends_with_the_word_of_the_scores(judging, steps):
    """Whatever comes between turns, the last word arrives, and no turn tells what was told."""
    who = f"law-{next(_LAW)}"  # the examples share one house
    judging.accept(client(who), plan_goal(who, who))
    scores = {}
    for kind, first, second in steps:
        if kind == "score":
            scores[first] = score(second, first, who)
            judging.accept(scores[first])
        elif kind == "goal":
            judging.accept(plan_goal(who, who, statement=first))
        else:
            judging.turn()

    judging.drain()

    word = achieved(plan_goal(), results_of(scores.values()), moved)
    assert told(judging, who).split(":")[0] == (word or "in_progress")
    listed = judging.deliveries(record=("goal", who))
    ended = sum(judging.moves(one.id).count("delivered") for one in listed)
    assert ended <= len(judgements_of(judging, who))


def test_at_once_neither_is_missed(judging, monkeypatch):
    """A goal and a score that arrive at the same moment, from two sides, find each other.

    Were both let in together, each would look before the other is committed.
    """
    together, failed, look = threading.Barrier(2), [], judgements.goals

    def wait_and_look(tx, clients):
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.5)
        return look(tx, clients)

    def bring(record):
        try:
            judging.publisher.accept_one(record)
        except BaseException as error:
            failed.append(error)

    monkeypatch.setattr("fhirsvc.store.judgements.goals", wait_and_look)
    threads = [threading.Thread(target=bring, args=(r,)) for r in (plan_goal(), score(9, 20))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert judgements_of(judging)[-1][2] == "achieved"


def test_no_words_of_a_record_outside_its_body(judging):
    """A judgement, its reasons and the log name ids; the words of goals and scores stay away."""
    words = {"statement": PLANTED, "progress_text": PLANTED}
    judging.accept(client(family=PLANTED), plan_goal(**words), score(18, 1, notes=PLANTED))
    judging.drain()
    judging.accept(score(9, 20, notes=PLANTED))
    lanes = Lanes(judging.database, judging.deliverer, lambda: "me", judging.clock)

    with structlog.testing.capture_logs() as logs:
        lanes.run(judging.connection.id)

    assert any(one["record"] == "goal/g-1" for one in logs)
    assert PLANTED not in str(logs)
    with judging.database.read() as tx:
        for table in metadata.sorted_tables:
            for row in tx.execute(sa.select(table)).mappings():
                found = {name for name, value in row.items() if PLANTED in str(value)}
                assert found <= {"body"}, table.name


@pytest.mark.parametrize(("asked", "words"), [(True, ["achieved"]), (False, [])])
def test_the_setting_asks_for_it(database_url, asked, words):
    """The product judges by the thresholds of its own instruments when the setting is on."""
    goal_ = next(one for one in clinic.records() if one["id"] == "goal-01-1")
    scores = [
        one
        for one in clinic.records()
        if one["type"] == "assessment" and one["client_id"] == goal_["client_id"]
    ]
    wired = wiring.product(load(database_url=database_url, achievement_from_scores=asked))
    wired.database.upgrade()

    accepted = wired.publisher.accept([{**goal_, "progress": "worsening"}, *scores])

    assert accepted.count("refused") == 0
    with wired.database.read() as tx:
        assert tx.execute(sa.select(judgement.c.word)).scalars().all() == words
    wired.database.dispose()
