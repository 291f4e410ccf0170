"""One move: its demands, the step it leaves, what becomes of visits, reasons and outcomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from shipped_clinic import ROOT
from standing import NOW, OUTCOME, REASON, VISIT, said_with, standing

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records import check
from fhirsvc.referral.acting import By, act, renewed
from fhirsvc.referral.dialects import BSER, GRAVITY
from fhirsvc.referral.hearing import heard
from fhirsvc.referral.states import CLOSED, MOVES, STATES

PHONED = By(staff_id="staff-1", via="cli")


def _refused(
    category: Category, where: str, record: dict[str, Any], *move: Any, **said: Any
) -> str:
    with pytest.raises(FhirsvcError) as refused:
        act(record, *move, **said)
    assert (category, where) == (refused.value.category, refused.value.where)
    return refused.value.message


class TestDemands:
    @pytest.mark.parametrize("action", [a for a, m in MOVES.items() if m.reason])
    @pytest.mark.parametrize("said", [None, "", "  "])
    def test_a_reason_where_one_is_required(self, action: str, said: str | None):
        """Without words it is refused, and nothing is kept."""
        state = next(s for s in STATES if s in MOVES[action].froms)
        actor = min(MOVES[action].by)
        message = _refused(
            Category.INVALID, "$.reason", standing(state), action, actor, NOW, "h9", reason=said
        )
        assert f"{action} needs a reason" == message

    @pytest.mark.parametrize("action", [a for a, m in MOVES.items() if not m.reason])
    def test_no_reason_where_none_is(self, action: str):
        """The other moves are made without one."""
        state = next(s for s in STATES if s in MOVES[action].froms)
        said = said_with(action)
        del said["reason"]
        made = act(standing(state), action, min(MOVES[action].by), NOW, "h9", **said)
        assert "reason" not in made["history"][-1]
        assert "status_reason" not in made

    @pytest.mark.parametrize("visit", [None, {}, {"appointment_id": "v1"}])
    def test_scheduling_needs_its_time(self, visit: dict[str, Any] | None):
        """An appointment without a start is none."""
        for action, state in (("schedule", "accepted"), ("reschedule", "scheduled")):
            _refused(
                Category.INVALID,
                "$.appointment.start_at",
                standing(state),
                action,
                "performer",
                NOW,
                "h9",
                appointment=visit,
            )

    def test_completing_needs_an_outcome_said_now_or_before(self):
        """The record's own will do."""
        move = ("complete", "performer", NOW, "h9")
        _refused(Category.INVALID, "$.outcome", standing("attended"), *move)
        _refused(Category.INVALID, "$.outcome", standing("attended"), *move, outcome={})
        assert "completed" == act(standing("attended", outcome=OUTCOME), *move)["status"]

    def test_what_is_said_is_held_to_the_schema(self):
        """Wrong words, ids and moments are named by their path, values not repeated."""
        sent, booked = standing("sent"), standing("accepted")
        move = ("schedule", "performer", NOW, "h9")
        bad = {**VISIT, "minutes": "an hour"}
        message = _refused(
            Category.INVALID, "$.appointment.minutes", booked, *move, appointment=bad
        )
        assert "an hour" not in message
        _refused(
            Category.INVALID,
            "$.appointment.appointment_id",
            booked,
            *move,
            appointment={"start_at": VISIT["start_at"]},
        )
        outcome = {"result": "fine"}
        _refused(
            Category.INVALID,
            "$.outcome.result",
            standing("attended"),
            "complete",
            "performer",
            NOW,
            "h9",
            outcome=outcome,
        )
        _refused(Category.INVALID, "$.event_id", sent, "accept", "performer", NOW, "no key!")
        _refused(
            Category.INVALID, "$.via", sent, "accept", "performer", NOW, "h9", by=By(via="dream")
        )
        both = By(staff_id="staff-1", organization_id="org-1")
        _refused(
            Category.INVALID,
            "$.by_organization_id",
            sent,
            "accept",
            "performer",
            NOW,
            "h9",
            by=both,
        )


class TestHistory:
    def test_a_step_says_what_when_who_why_and_how(self):
        """All of it, in the last step; the others are as they were."""
        record = standing("sent")
        made = act(record, "decline", "performer", NOW, "h9", by=PHONED, reason=REASON)
        assert record["history"] == made["history"][:-1]
        assert {
            "event_id": "h9",
            "status": "declined",
            "at": NOW,
            "by_id": "staff-1",
            "reason": REASON,
            "action": "decline",
            "actor": "performer",
            "via": "cli",
        } == made["history"][-1]
        assert (NOW, "staff-1") == (made["updated_at"], made["updated_by"])
        assert REASON == made["status_reason"]

    def test_who_wrote_a_version_is_not_who_wrote_the_one_before(self):
        """A partner is none of our staff."""
        record = standing("sent", updated_by="staff-2")
        made = act(record, "accept", "performer", NOW, "h9", by=By(text="Intake", via="page"))
        assert "updated_by" not in made
        assert "Intake" == made["history"][-1]["by_text"]

    def test_moments_do_not_go_back_whatever_their_offset(self):
        """As moments, not as texts."""
        record = standing("accepted")  # since 2026-05-02T09:00:00-04:00
        said = {"reason": REASON}
        for at in (
            "2026-05-02T08:59:59-04:00",
            "2026-05-02T12:59:59Z",
            "2026-05-02T18:00:00+09:00",
        ):
            _refused(Category.INVALID, "$.at", record, "hold", "performer", at, "h9", **said)
        for at in ("2026-05-02T09:00:00-04:00", "2026-05-02T13:00:00Z"):
            assert at == act(record, "hold", "performer", at, "h9", **said)["history"][-1]["at"]

    @pytest.mark.parametrize("at", ["soon", "2026-05-20", "2026-05-20T09:00:00"])
    def test_a_moment_has_its_offset(self, at: str):
        """What is none is refused."""
        _refused(Category.INVALID, "$.at", standing("sent"), "accept", "performer", at, "h9")

    def test_a_step_is_taken_once(self):
        """Its id stands in the history: whoever sends it again is told so."""
        _refused(
            Category.CONFLICT, "$.event_id", standing("sent"), "accept", "performer", NOW, "h1"
        )

    def test_why_it_was_to_be_cancelled_stays_when_it_is(self):
        """A confirmation gives no reason of its own; any other move leaves the old one behind."""
        asked = act(standing("scheduled"), "request_cancel", "requester", NOW, "h8", reason=REASON)
        done = act(asked, "confirm_cancel", "performer", NOW, "h9")
        assert REASON == done["status_reason"]
        held = act(standing("scheduled"), "hold", "performer", NOW, "h8", reason=REASON)
        assert "status_reason" not in act(held, "resume", "performer", NOW, "h9")


class TestBack:
    def test_a_refused_cancellation_leads_back_to_being_on_hold(self):
        """Where it was, and from there back to work where that was left."""
        record = standing("on_hold", after="accepted")
        asked = act(record, "request_cancel", "requester", NOW, "h7", reason=REASON)
        back = act(asked, "refuse_cancel", "performer", NOW, "h8", reason=REASON)
        assert "on_hold" == back["status"]
        assert "accepted" == act(back, "resume", "performer", NOW, "h9")["status"]

    def test_reopened_it_stands_where_it_was_closed_and_the_outcome_is_put_aside(self):
        """A referral closed by mistake; the earlier version has what was reported."""
        record = standing("completed", after="scheduled", outcome=OUTCOME)
        made = act(record, "reopen", "requester", NOW, "h9", reason="Closed by mistake.")
        assert "scheduled" == made["status"]
        assert "outcome" not in made
        assert OUTCOME == record["outcome"]
        assert 5 == len(made["history"])

    @pytest.mark.parametrize(
        ("state", "action", "to"),
        [
            ("on_hold", "resume", "accepted"),
            ("cancel_requested", "refuse_cancel", "sent"),
            ("failed", "reopen", "sent"),
        ],
    )
    def test_without_a_history_the_least_is_claimed(self, state: str, action: str, to: str):
        """Records of before there were steps: an order on hold was accepted, any other was sent."""
        record = standing(state)
        del record["history"]
        made = act(record, action, min(MOVES[action].by), NOW, "h9", reason=REASON)
        assert to == made["status"]


BOOKED = {**VISIT, "appointment_id": "v1", "status": "booked"}
LATER = {"appointment_id": "v2", "start_at": "2026-06-09T10:00:00-04:00", "status": "booked"}


class TestVisits:
    def _after(self, action: str, *visits: dict[str, Any], **said: Any) -> list[tuple[str, str]]:
        state = "accepted" if action == "schedule" else "scheduled"
        record = standing(state, **({"appointments": list(visits)} if visits else {}))
        actor = "requester" if action == "cancel" else "performer"
        made = act(record, action, actor, NOW, "h9", **{"reason": REASON, **said})
        assert [] == check(made)
        return [(one["appointment_id"], one["status"]) for one in made.get("appointments", ())]

    def test_one_that_is_agreed_is_booked(self):
        """Beside those there are; a status that is said stands."""
        assert [("v9", "booked")] == self._after("schedule", appointment=VISIT)
        proposed = {**VISIT, "status": "proposed"}
        assert [("v9", "proposed")] == self._after("schedule", appointment=proposed)

    def test_moved_it_is_another_or_the_same(self):
        """Another id: the first was rescheduled. The same id: it has another time."""
        assert [("v1", "rescheduled"), ("v9", "booked")] == self._after(
            "reschedule", BOOKED, appointment=VISIT
        )
        moved = {"appointment_id": "v1", "start_at": "2026-06-03T10:00:00-04:00"}
        assert [("v1", "booked")] == self._after("reschedule", BOOKED, appointment=moved)

    @pytest.mark.parametrize(
        ("action", "became"),
        [("attend", "attended"), ("miss", "no_show"), ("cancel_visit", "cancelled")],
    )
    def test_what_became_of_it(self, action: str, became: str):
        """Of the first one open, unless one is named; what has an outcome keeps it."""
        past = {**VISIT, "appointment_id": "v0", "status": "no_show"}
        visits = (past, LATER, BOOKED)
        assert [("v0", "no_show"), ("v2", "booked"), ("v1", became)] == self._after(action, *visits)
        named = {"appointment": {"appointment_id": "v2"}}
        assert [("v0", "no_show"), ("v2", became), ("v1", "booked")] == self._after(
            action, *visits, **named
        )

    @pytest.mark.parametrize("action", ["decline", "cancel", "fail"])
    def test_an_end_cancels_all_that_are_open(self, action: str):
        """Nobody waits for somebody who will not come."""
        assert [("v1", "cancelled"), ("v2", "cancelled")] == self._after(action, BOOKED, LATER)

    def test_being_on_hold_leaves_them(self):
        """They may still take place."""
        assert [("v1", "booked")] == self._after("hold", BOOKED)


class TestInADialect:
    def test_the_refusal_names_the_guide_and_what_it_draws(self):
        """BSeR has no word for being on hold, Gravity no arrow from accepted to rejected."""
        said = {"reason": REASON}
        record = standing("accepted")
        move = (record, "hold", "performer", NOW, "h9")
        message = _refused(Category.CONFLICT, "$.action", *move, dialect=BSER, **said)
        assert (
            "hold is not possible while it is accepted in BSeR 2.0; while it is accepted the "
            "performer may: decline, schedule, attend, complete"
        ) == message
        move = (record, "decline", "performer", NOW, "h9")
        message = _refused(Category.CONFLICT, "$.action", *move, dialect=GRAVITY, **said)
        assert message.endswith("may: schedule, attend, hold, cancel, complete, fail")

    def test_who_may_is_said_to_who_may_not(self):
        """A request of the wrong side names the right one."""
        message = _refused(
            Category.FORBIDDEN, "$.actor", standing("sent"), "accept", "requester", NOW, "h9"
        )
        assert (
            "accept is for the performer; while it is sent the requester may: request_cancel, "
            "cancel, mark_error"
        ) == message


class TestAgain:
    @pytest.mark.parametrize("state", sorted(CLOSED - {"error"}))
    def test_a_closed_referral_is_asked_anew(self, state: str):
        """A draft that replaces it: what was asked goes along, what came of it does not."""
        record = standing(
            state,
            kind_text="Grief",
            reason="Sleep",
            needed_by="2026-05-10",
            consent_id="consent-1",
            performer_organization_id="org-1",
            outcome=OUTCOME,
            internal_notes="Ours",
            status_reason=REASON,
        )
        made = renewed(record, "referral-2", NOW)
        assert {
            "type": "referral",
            "id": "referral-2",
            "updated_at": NOW,
            "client_id": "client-1",
            "kind": "psychiatry",
            "kind_text": "Grief",
            "reason": "Sleep",
            "status": "draft",
            "replaces_id": "referral-1",
            "requested_on": "2026-05-20",
        } == made
        assert [] == check(made)
        assert "sent" == act(made, "send", "requester", NOW, "h1")["status"]

    def test_an_open_one_is_not(self):
        """It would be asked twice."""
        for state in set(STATES) - CLOSED | {"error"}:
            with pytest.raises(FhirsvcError) as refused:
                renewed(standing(state), "referral-2", NOW)
            assert Category.CONFLICT == refused.value.category

    def test_a_need_that_is_still_ahead_goes_along(self):
        """The day by which it was needed."""
        made = renewed(standing("declined", needed_by="2026-05-20"), "referral-2", NOW)
        assert "2026-05-20" == made["needed_by"]


def test_no_message_repeats_a_value_of_the_record():
    """Whatever is refused, neither reason nor client is in it."""
    record = standing("error", kind_text="Secret words")
    for action in MOVES:
        with pytest.raises(FhirsvcError) as refused:
            act(record, action, "performer", NOW, "h9", reason="Secret reason")
        assert "ecret" not in str(refused.value)
        assert "client-1" not in str(refused.value)


def test_the_fixture_of_a_partner_who_skipped_a_step():
    """fixtures/referral/told is what the machine makes of a Task in progress, then completed."""
    path = ROOT / "fixtures" / "referral" / "told" / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    blank = {k: v for k, v in record.items() if k not in ("history", "outcome")}
    made = {**blank, "status": "draft", "updated_at": "2026-08-03T08:00:00-04:00"}
    partner = By(organization_id="org-benefits", via="fhir")
    by = By(staff_id="staff-nakamura", via="page")
    made = act(made, "send", "requester", "2026-08-03T09:00:00-04:00", "h1", by=by)
    for at, status, key in (
        ("2026-08-06T10:00:00-04:00", "in-progress", "h2"),
        ("2026-08-20T16:00:00-04:00", "completed", "h3"),
    ):
        outcome = record["outcome"] if status == "completed" else None
        task = {"status": status}
        made = heard(made, task, GRAVITY, at, key, by=partner, outcome=outcome).record
    assert record == made
