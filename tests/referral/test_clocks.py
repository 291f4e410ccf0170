"""Who owes what by when, and when nothing is owed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from standing import NOW, OUTCOME, REASON, standing

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records.referral import REFERRAL_KINDS
from fhirsvc.referral.acting import act
from fhirsvc.referral.clocks import HOUSE_POLICY, KIND_LIMITS, Limits, Policy, due, policy_of
from fhirsvc.referral.states import CLOSED, STATES

TODAY = date(2026, 5, 20)
PLAIN = Policy({kind: Limits(2, 5, 7, 2, 30, 3, 21) for kind in REFERRAL_KINDS}, {})


def _clocks(record: dict[str, Any], today: date = TODAY, policy: Policy = PLAIN) -> list[Any]:
    return [
        (c.what, c.since.isoformat(), c.due.isoformat(), c.overdue_days, c.turn)
        for c in due(record, today, policy)
    ]


SERVICE = ("service", "2026-05-01", "2026-05-22", 0, "performer")


@pytest.mark.parametrize(
    ("state", "clock"),
    [
        ("draft", ("send", "2026-05-01", "2026-05-03", 17, "requester")),
        ("sent", ("answer", "2026-05-01", "2026-05-06", 14, "performer")),
        ("accepted", ("schedule", "2026-05-02", "2026-05-09", 11, "performer")),
        ("scheduled", ("schedule", "2026-05-03", "2026-05-10", 10, "performer")),
        ("no_show", ("rebook", "2026-05-04", "2026-05-11", 9, "performer")),
        ("visit_cancelled", ("rebook", "2026-05-04", "2026-05-11", 9, "performer")),
    ],
)
def test_the_clock_of_each_state_before_they_came(state: str, clock: tuple[Any, ...]):
    """What is owed next, since when, by whom, and how long overdue; and the service itself."""
    service = ("requester",) if state == "draft" else ("performer",)
    assert [clock, SERVICE[:4] + service] == _clocks(standing(state))


def test_once_they_came_only_its_end_is_owed():
    """The service has begun: neither needed_by nor expires_on matters."""
    record = standing("attended", needed_by="2026-05-03", expires_on="2026-05-04")
    assert [("close", "2026-05-04", "2026-06-03", 0, "performer")] == _clocks(record)


def test_a_request_to_cancel_waits_for_its_answer_alone():
    """Nobody is pressed for a visit that is to be cancelled."""
    record = standing("cancel_requested", needed_by="2026-05-03", expires_on="2026-05-04")
    assert [("cancellation", "2026-05-04", "2026-05-07", 13, "performer")] == _clocks(record)


@pytest.mark.parametrize("state", sorted(CLOSED | {"on_hold"}))
def test_nothing_is_owed_once_it_is_closed_or_on_hold(state: str):
    """However late it was."""
    record = standing(state, needed_by="2026-05-02", expires_on="2026-05-02", priority="stat")
    assert [] == _clocks(record, date(2027, 1, 1))


def test_every_open_state_has_a_clock():
    """No referral is waited for without anybody's turn."""
    for state in set(STATES) - CLOSED - {"on_hold"}:
        assert due(standing(state), TODAY), state


def test_a_visit_is_asked_about_after_its_time():
    """The first one open; those that have an outcome are not asked about."""
    visits = [
        {"appointment_id": "v1", "start_at": "2026-05-10T09:00:00-04:00", "status": "no_show"},
        {"appointment_id": "v3", "start_at": "2026-05-25T09:00:00-04:00", "status": "booked"},
        {"appointment_id": "v2", "start_at": "2026-05-17T09:00:00-04:00"},
    ]
    record = standing("scheduled", appointments=visits, needed_by="2026-05-30")
    assert ("outcome", "2026-05-17", "2026-05-19", 1, "performer") == _clocks(record)[0]


def test_days_that_somebody_named_count_as_named():
    """needed_by in place of the limit of its kind; after expires_on it is void."""
    record = standing("sent", needed_by="2026-05-15", expires_on="2026-05-31")
    assert [
        ("answer", "2026-05-01", "2026-05-06", 14, "performer"),
        ("service", "2026-05-01", "2026-05-15", 5, "performer"),
        ("expiry", "2026-05-01", "2026-05-31", 0, "requester"),
    ] == _clocks(record)


def test_the_day_it_is_due_is_not_overdue():
    """The day after is one day over."""
    record = standing("sent")
    overdue = [due(record, date(2026, 5, day), PLAIN)[0].overdue_days for day in (5, 6, 7, 8)]
    assert [0, 0, 1, 2] == overdue


def test_days_on_hold_do_not_count():
    """Accepted on the 2nd, held from the 4th to the 14th: ten days later than else."""
    record = standing("accepted")
    held = act(record, "hold", "performer", "2026-05-04T09:00:00-04:00", "h8", reason=REASON)
    made = act(held, "resume", "performer", "2026-05-14T09:00:00-04:00", "h9")
    assert [
        ("schedule", "2026-05-02", "2026-05-19", 1, "performer"),
        ("service", "2026-05-01", "2026-06-01", 0, "performer"),
    ] == _clocks(made)


def test_a_refused_cancellation_starts_nothing_anew():
    """It was accepted on the 2nd, whatever was asked since."""
    asked = act(standing("accepted"), "request_cancel", "requester", NOW, "h8", reason=REASON)
    made = act(asked, "refuse_cancel", "performer", NOW, "h9", reason=REASON)
    assert ("schedule", "2026-05-02", "2026-05-09", 11, "performer") == _clocks(made)[0]


def test_what_is_entered_again_starts_anew():
    """Reopened, missed again, come again: since the last time."""
    record = standing("completed", after="sent", outcome=OUTCOME)
    made = act(record, "reopen", "requester", NOW, "h9", reason=REASON)
    assert ("answer", "2026-05-20", "2026-05-25", 0, "performer") in _clocks(made)
    again = act(standing("attended"), "attend", "performer", NOW, "h9")
    assert [("close", "2026-05-20", "2026-06-19", 0, "performer")] == _clocks(again)


def test_without_a_history_it_counts_from_the_day_it_was_decided():
    """Else from when it was written."""
    record = standing("accepted")
    del record["history"]
    assert "2026-05-01" == _clocks(record)[0][1]
    del record["requested_on"]
    assert "2026-05-02" == _clocks(record)[0][1]


class TestPolicy:
    def test_every_kind_has_its_limits(self):
        """Those of the record's schema, no more and no fewer, each a whole number of days."""
        assert set(REFERRAL_KINDS) == KIND_LIMITS.keys()
        assert all(
            isinstance(days, int) and days > 0
            for limits in KIND_LIMITS.values()
            for days in vars(limits).values()
        )

    def test_an_intake_is_answered_sooner_than_an_office(self):
        """The order that the house wants: partial hospitalization, psychiatry, housing."""
        days = [KIND_LIMITS[k].service for k in ("step_up_php", "psychiatry", "housing")]
        assert days == sorted(days)
        assert len(set(days)) == 3

    @pytest.mark.parametrize("kind", REFERRAL_KINDS)
    def test_priority_shortens_and_never_lengthens(self, kind: str):
        """routine ≥ urgent ≥ asap ≥ stat, for every limit of every kind."""
        for name in vars(Limits()):
            days = [
                vars(HOUSE_POLICY.limits({"kind": kind, "priority": priority}))[name]
                for priority in ("routine", "urgent", "asap", "stat")
            ]
            assert days == sorted(days, reverse=True), name
        answer = HOUSE_POLICY.limits({"kind": kind, "priority": "stat"}).answer
        assert (0, vars(KIND_LIMITS[kind])) == (answer, vars(HOUSE_POLICY.limits({"kind": kind})))

    def test_a_clinic_changes_what_it_wants(self):
        """One limit of one kind, one of a priority, one taken away; the rest as it was."""
        policy = policy_of({"housing": {"answer": 30, "service": None}, "urgent": {"answer": 4}})
        record = standing("sent", kind="housing")
        assert [("answer", "2026-05-01", "2026-05-31", 0, "performer")] == _clocks(
            record, policy=policy
        )
        urgent = {**record, "priority": "urgent"}
        assert [("answer", "2026-05-01", "2026-05-05", 15, "performer")] == _clocks(
            urgent, policy=policy
        )
        assert KIND_LIMITS["housing"].schedule == policy.kinds["housing"].schedule
        assert 5 == KIND_LIMITS["housing"].answer

    def test_no_day_at_all_is_a_limit(self):
        """0: it is due on the day itself."""
        policy = policy_of({"housing": {"answer": 0}})
        assert "2026-05-01" == _clocks(standing("sent", kind="housing"), policy=policy)[0][2]

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            ({"houses": {}}, "$.houses"),
            ({"housing": {"reply": 1}}, "$.housing.reply"),
            ({"housing": {"answer": -1}}, "$.housing.answer"),
            ({"housing": {"answer": True}}, "$.housing.answer"),
            ({"housing": {"answer": 1.5}}, "$.housing.answer"),
            ({"stat": {"answer": "soon"}}, "$.stat.answer"),
        ],
    )
    def test_a_mistake_is_told_where_it_stands(self, changes: Any, where: str):
        """Unknown kinds, unknown limits, days that are none."""
        with pytest.raises(FhirsvcError) as refused:
            policy_of(changes)
        assert (Category.INVALID, where) == (refused.value.category, refused.value.where)


def test_time_makes_nothing_less_overdue():
    """A day later each clock is as much over or one day more."""
    for state in STATES:
        record = standing(state, needed_by="2026-05-15", expires_on="2026-05-31")
        for day in range(60):
            now = due(record, date(2026, 5, 1) + timedelta(day))
            then = due(record, date(2026, 5, 2) + timedelta(day))
            assert [c.what for c in now] == [c.what for c in then]
            assert all(
                b.overdue_days - a.overdue_days in (0, 1) for a, b in zip(now, then, strict=True)
            )
