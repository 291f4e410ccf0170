"""What a partner's Task tells: every state met by every status, in every dialect."""

from __future__ import annotations

from typing import Any

import expected
import pytest
from standing import NOW, OUTCOME, REASON, VISIT, standing

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records import check
from fhirsvc.referral.acting import By
from fhirsvc.referral.dialects import BSER, BUSINESS_STATUS, DIALECTS, GRAVITY, HOUSE, PLAIN
from fhirsvc.referral.hearing import OUTPUTS, RESULT, entered, heard, read
from fhirsvc.referral.states import CLOSED, STATES
from fhirsvc.referral.telling import written

PARTNER = By(organization_id="org-1", via="fhir")


def _cells() -> list[tuple[str, str, str, str]]:
    found = []
    for dialect, table in expected.HEARD.items():
        head = expected.HEARD_BSER_HEAD if dialect == "bser" else expected.HEARD_HEAD
        for line in table.strip().splitlines():
            state, *cells = line.split()
            assert len(cells) == len(head.split())
            found += [
                (dialect, state, said, cell) for said, cell in zip(head.split(), cells, strict=True)
            ]
    return found


def _met(state: str) -> dict[str, Any]:
    name, _, after = state.partition("<")
    return standing(name, after=after or None)


def _task(said: str, **more: Any) -> dict[str, Any]:
    status, _, code = said.partition("/")
    coding = {"businessStatus": {"coding": [{"system": BUSINESS_STATUS, "code": code}]}}
    return {"resourceType": "Task", "status": status, **(coding if code else {}), **more}


@pytest.mark.parametrize(("dialect", "state", "said", "cell"), _cells())
def test_what_a_status_means(dialect: str, state: str, said: str, cell: str):
    """The shortest legal way of the performer, no news, or a refusal that names what is legal."""
    record = _met(state)
    task = _task(said, statusReason={"text": REASON})
    if cell == "x":
        with pytest.raises(FhirsvcError) as refused:
            heard(record, task, DIALECTS[dialect], NOW, "t1")
        assert Category.CONFLICT == refused.value.category
        legal = DIALECTS[dialect].moves(record, "performer")
        assert refused.value.message.endswith(", ".join(legal) or "do nothing with it")
        return
    told = heard(record, task, DIALECTS[dialect], NOW, "t1", by=PARTNER)
    way = [] if cell == "-" else cell.split("+")
    assert way == list(told.actions)
    assert [] == check(told.record)
    steps = told.record.get("history", [])[len(record.get("history", [])) :]
    assert [(a, a != way[-1]) for a in way] == [(s["action"], "implied" in s) for s in steps]
    assert all(s["actor"] == "performer" and s["by_organization_id"] == "org-1" for s in steps)
    again = said.replace("ready", "accepted")
    assert (
        not way or again.partition("/")[0] == written(told.record, DIALECTS[dialect]).task["status"]
    )


def test_every_state_is_met_in_every_dialect():
    """No row is forgotten: on_hold and failed are no words of BSeR."""
    for dialect in expected.HEARD:
        rows = {state for d, state, *_ in _cells() if d == dialect}
        lacks = {"on_hold", "failed"} if dialect == "bser" else set()
        assert set(STATES) - lacks == {row.partition("<")[0] for row in rows}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_we_tell_is_no_news_to_us(dialect: str):
    """Round trip: state → statuses → no move, for every state, whatever it stood at before."""
    met = [standing(state) for state in STATES]
    for state in CLOSED | {"on_hold", "cancel_requested"}:
        met += [
            standing(state, after=after) for after in ("sent", "accepted", "scheduled", "on_hold")
        ]
    for record in met:
        told = written(record, DIALECTS[dialect])
        assert () == heard(record, told.task, DIALECTS[dialect], NOW, "t1").actions, record


def test_the_business_status_of_the_house_is_read_too():
    """A partner who writes Gravity's statuses and BSeR's codes is understood."""
    record = standing("accepted")
    task = _task("in-progress/5.1.2")
    told = heard(record, task, HOUSE, NOW, "t1")
    assert ("schedule", "miss") == told.actions
    assert [True, None] == [step.get("implied") for step in told.record["history"][-2:]]
    assert ["t1.1", "t1"] == [step["event_id"] for step in told.record["history"][-2:]]


def test_a_business_status_that_was_left_standing_is_no_news():
    """A partner who knows only the status leaves ours as it was; the status counts."""
    for state, code in (("sent", "2.0"), ("accepted", "2.0"), ("accepted", "3.0")):
        ways = {"sent": ("accept", "schedule"), "accepted": ("schedule",)}
        assert ways[state] == read(standing(state), "in-progress", code, HOUSE)


def test_statuses_that_contradict_each_other_are_refused():
    """Completed, and the visit only scheduled, though it never was: nothing is guessed."""
    with pytest.raises(FhirsvcError) as refused:
        read(standing("accepted"), "completed", "5.1.1", BSER)
    assert (Category.INVALID, "Task.businessStatus") == (
        refused.value.category,
        refused.value.where,
    )


def test_a_business_status_of_another_system_or_of_none_is_passed_over():
    """The binding is extensible, and 5.1 is in no code system: the status alone is read."""
    assert ("schedule",) == read(standing("accepted"), "in-progress", "5.1", BSER)
    other = {"coding": [{"system": "urn:other", "code": "7.0"}]}
    task = {"resourceType": "Task", "status": "in-progress", "businessStatus": other}
    assert ("schedule",) == heard(standing("accepted"), task, BSER, NOW, "t1").actions


def test_an_unknown_status_is_refused():
    """What is no word of the dialect is said to be none."""
    for status in ("ready", "doing"):
        with pytest.raises(FhirsvcError) as refused:
            read(standing("sent"), status, None, BSER)
        assert (Category.INVALID, "Task.status") == (refused.value.category, refused.value.where)


def test_a_refused_cancellation_told_by_the_business_status():
    """In the house's hybrid, 5.1.1 after 5.2 says that the visit stands."""
    record = standing("cancel_requested")
    told = heard(
        record, _task("in-progress/5.1.1", statusReason={"text": REASON}), HOUSE, NOW, "t1"
    )
    assert (("refuse_cancel",), "scheduled") == (told.actions, told.record["status"])


def test_reason_appointment_and_outcome_come_along():
    """Of the last step; the display of a coded reason stands in for its text."""
    coded = {"coding": [{"system": "urn:x", "code": "1", "display": "Out of network"}]}
    told = heard(standing("sent"), _task("rejected", statusReason=coded), GRAVITY, NOW, "t1")
    assert "Out of network" == told.record["status_reason"]
    assert "Out of network" == told.record["history"][-1]["reason"]
    assert () == told.findings
    told = heard(standing("sent"), _task("in-progress"), GRAVITY, NOW, "t1", appointment=VISIT)
    assert [{"status": "booked", **VISIT}] == told.record["appointments"]
    assert (
        "appointments"
        not in heard(standing("sent"), _task("in-progress"), GRAVITY, NOW, "t1").record
    )
    told = heard(standing("sent"), _task("completed"), GRAVITY, NOW, "t1", outcome=OUTCOME)
    assert OUTCOME == told.record["outcome"]


@pytest.mark.parametrize(
    ("system", "code", "value", "outcome"),
    [
        (OUTPUTS, RESULT, {"valueReference": {"display": "Pantry"}}, "Pantry"),
        (OUTPUTS, RESULT, {"valueCodeableConcept": {"text": "Fed"}}, "Fed"),
        (OUTPUTS, RESULT, {"valueCodeableConcept": {"coding": [{"display": "Food"}]}}, "Food"),
        (OUTPUTS, "additional-content", {"valueReference": {"display": "A letter"}}, None),
        ("urn:other", RESULT, {"valueReference": {"display": "Something"}}, None),
    ],
)
def test_what_an_output_tells(system: str, code: str, value: dict[str, Any], outcome: str | None):
    """Gravity's resulting activity, in whatever words it has; no other output is an outcome."""
    output = [{"type": {"coding": [{"system": system, "code": code}]}, **value}]
    told = heard(standing("attended"), _task("completed", output=output), GRAVITY, NOW, "t1")
    said = {"reported_at": NOW, "text": outcome} if outcome else None
    assert said == told.record.get("outcome")


def test_a_refusal_without_a_reason_is_taken_and_noted():
    """It has happened: Gravity says that a reason should be there, so a warning says it is not."""
    told = heard(standing("sent"), _task("rejected"), GRAVITY, NOW, "t1")
    assert "declined" == told.record["status"]
    assert [("reason", "warning", "Task.statusReason")] == [
        (f.rule, f.severity, f.where) for f in told.findings
    ]


def test_the_requester_may_be_the_one_who_writes():
    """Where we are asked: the other side sends, cancels, and marks as entered in error."""
    assert ("cancel",) == read(standing("sent"), "cancelled", None, GRAVITY, "requester")
    assert ("mark_error",) == read(standing("sent"), "entered-in-error", None, GRAVITY, "requester")
    assert ("request_cancel",) == read(standing("sent"), "in-progress", "5.2", BSER, "requester")
    with pytest.raises(FhirsvcError):
        read(standing("sent"), "accepted", None, GRAVITY, "requester")


@pytest.mark.parametrize(
    ("status", "business", "dialect", "state"),
    [
        ("draft", None, GRAVITY, "draft"),
        ("requested", None, GRAVITY, "sent"),
        ("received", None, GRAVITY, "sent"),
        ("ready", None, PLAIN, "accepted"),
        ("accepted", None, GRAVITY, "accepted"),
        ("rejected", None, GRAVITY, "declined"),
        ("in-progress", None, GRAVITY, "scheduled"),
        ("on-hold", None, GRAVITY, "on_hold"),
        ("cancelled", None, GRAVITY, "cancelled"),
        ("completed", None, GRAVITY, "completed"),
        ("failed", None, GRAVITY, "failed"),
        ("entered-in-error", None, GRAVITY, "error"),
        ("received", "2.0", BSER, "sent"),
        ("requested", "2.0", BSER, "sent"),
        ("in-progress", "5.1.2", BSER, "no_show"),
        ("in-progress", "5.2", BSER, "cancel_requested"),
    ],
)
def test_a_task_first_met(status: str, business: str | None, dialect: Any, state: str):
    """It stands where its statuses say; of several states, at the one that claims least."""
    assert state == entered(status, business, dialect)
