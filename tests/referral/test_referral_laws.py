"""Laws of any life of a referral, made by hypothesis."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from standing import said_with, standing

from fhirsvc.errors import FhirsvcError
from fhirsvc.records import check
from fhirsvc.referral.acting import act
from fhirsvc.referral.clocks import due
from fhirsvc.referral.dialects import DIALECTS
from fhirsvc.referral.hearing import heard
from fhirsvc.referral.states import ACTORS, CLOSED, STATES
from fhirsvc.referral.telling import written

START = datetime.fromisoformat("2026-05-01T09:00:00-04:00")
STEPS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=12)


def _lives(dialect: str, steps: list[tuple[int, int]]):
    """Each record of a life: at every step one of the legal moves is made, some days later."""
    record, at = standing("draft"), START
    yield record
    for n, (which, days) in enumerate(steps):
        legal = [(a, who) for who in ACTORS for a in DIALECTS[dialect].moves(record, who)]
        if not legal:
            return
        action, actor = legal[which % len(legal)]
        at += timedelta(days=days)
        said = said_with(action)
        if "appointment" in said:
            said["appointment"] = {**said["appointment"], "appointment_id": f"v{n}"}
        before = copy.deepcopy(record)
        made = act(
            record, action, actor, at.isoformat(), f"e{n}", dialect=DIALECTS[dialect], **said
        )
        assert before == record
        assert before.get("history", []) == made["history"][:-1], "one step more, the others as is"
        record = made
        yield record


@settings(max_examples=300, deadline=None)
@given(dialect=st.sampled_from(sorted(DIALECTS)), steps=STEPS)
def test_any_life_of_legal_moves(dialect: str, steps: list[tuple[int, int]]):
    """Valid at each step; the last step is the status; time runs on; what is told is no news."""
    for record in _lives(dialect, steps):
        assert [] == check(record)
        history = record.get("history", [])
        moments = [datetime.fromisoformat(step["at"]) for step in history]
        assert moments == sorted(moments)
        assert record["status"] == (history[-1]["status"] if history else "draft")
        assert len({step["event_id"] for step in history}) == len(history)
        told = written(record, DIALECTS[dialect])
        again = heard(record, told.task, DIALECTS[dialect], "2030-01-01T00:00:00Z", "x")
        assert (record, ()) == (again.record, again.actions)
        clocks = due(record, START.date())
        closed = record["status"] in CLOSED | {"on_hold"}
        assert closed == (not clocks)
        if record["status"] not in CLOSED:
            ways = [a for who in ACTORS for a in DIALECTS[dialect].moves(record, who)]
            assert set(ways) - {"mark_error"}


@settings(max_examples=300, deadline=None)
@given(
    dialect=st.sampled_from(sorted(DIALECTS)),
    steps=STEPS,
    other=st.sampled_from(STATES),
    after=st.sampled_from(["sent", "accepted", "scheduled"]),
)
def test_whatever_is_told_ends_where_it_says(
    dialect: str, steps: list[tuple[int, int]], other: str, after: str
):
    """Statuses of any state: refused, or the record then tells the same statuses itself."""
    record = list(_lives(dialect, steps))[-1]
    spoken = DIALECTS[dialect]
    task = written(standing(other, after=after), spoken).task
    try:
        told = heard(record, task, spoken, "2030-01-01T00:00:00Z", "x")
    except FhirsvcError:
        return
    said = written(told.record, spoken).task
    if told.record["status"] != "cancel_requested":  # work goes on until it is answered
        assert task["status"] == said["status"]
        assert task.get("businessStatus") == said.get("businessStatus") or not told.actions
    assert len(told.record.get("history", [])) == len(record.get("history", [])) + len(told.actions)
    assert [] == check(told.record)
