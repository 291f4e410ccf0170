"""Moves of referrals in the store: a version each, delivered, and of two at once one."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime

import pytest
from tiny import FakeClock
from wire import BASE

from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.records import check
from fhirsvc.referral.acting import By
from fhirsvc.referral.dialects import GRAVITY
from fhirsvc.services import refer
from fhirsvc.services.publish import Publisher
from fhirsvc.services.refer import Referrals
from fhirsvc.store import Database, connections, queue, records
from fhirsvc.store.connections import NewConnection

DRAFT = {
    "type": "referral",
    "id": "r-1",
    "updated_at": "2026-01-01T09:00:00Z",
    "client_id": "client-1",
    "kind": "housing",
    "status": "draft",
    "requested_on": "2026-01-01",
}
TODAY = date(2026, 1, 2)


@pytest.fixture(name="clock")
def _clock() -> FakeClock:
    clock = FakeClock()
    clock.now = datetime(2026, 1, 2, 9, 30, tzinfo=UTC).timestamp()
    return clock


@pytest.fixture(name="referrals")
def _referrals(database: Database, clock: FakeClock) -> Referrals:
    numbers = itertools.count(1)
    publisher = Publisher(database, check, clock)
    database.run(lambda tx: connections.add(tx, NewConnection("ehr", BASE), clock()))
    publisher.accept([DRAFT])
    return Referrals(database, publisher, clock, lambda: f"{next(numbers):032x}"[::-1])


def _states(referrals: Referrals) -> list[tuple[int, str]]:
    with referrals.database.read() as tx:
        return [(one.version, one.state) for one in queue.find(tx, limit=100)]


def test_a_move_is_a_version_and_its_delivery(referrals: Referrals):
    """At the house's time, with an id of its own; the cause goes along."""
    by = By(staff_id="staff-1", via="cli")
    made = referrals.act("r-1", "send", "requester", by=by, correlation_id="c-9")
    assert ("sent", 2) == (made.record["status"], made.version)
    assert {
        "event_id": "100000000000",
        "status": "sent",
        "at": "2026-01-02T09:30:00+00:00",
        "by_id": "staff-1",
        "action": "send",
        "actor": "requester",
        "via": "cli",
    } == made.record["history"][-1]
    assert [(1, "superseded"), (2, "pending")] == sorted(_states(referrals))
    with referrals.database.read() as tx:
        assert "c-9" == records.version(tx, ("referral", "r-1")).correlation_id
    assert made == referrals.get("r-1", TODAY)


def test_a_move_that_is_not_legal_leaves_everything_as_it_is(referrals: Referrals):
    """No version, no delivery, and what is legal is said."""
    with pytest.raises(FhirsvcError) as refused:
        referrals.act("r-1", "accept", "performer")
    assert Category.CONFLICT == refused.value.category
    assert [(1, "pending")] == _states(referrals)


def test_of_two_moves_at_once_one_is_refused(referrals: Referrals):
    """The other came between reading and storing."""
    referrals.act("r-1", "send", "requester")

    def meanwhile() -> str:
        referrals.act("r-1", "accept", "performer")
        return "f" * 32

    late = Referrals(referrals.database, referrals.publisher, referrals.clock, meanwhile)
    with pytest.raises(FhirsvcError) as refused:
        late.act("r-1", "decline", "performer", reason="Full.")
    assert Category.CONFLICT == refused.value.category
    now = referrals.get("r-1", TODAY)
    assert ("accepted", 3) == (now.record["status"], now.version)


def test_who_saw_an_older_version_is_refused(referrals: Referrals):
    """A move that is legal still, but made on what has changed since."""
    referrals.act("r-1", "send", "requester", expected=1)
    with pytest.raises(FhirsvcError) as refused:
        referrals.act("r-1", "accept", "performer", expected=1)
    assert Category.CONFLICT == refused.value.category
    assert "accepted" == referrals.act("r-1", "accept", "performer", expected=2).record["status"]


def test_a_visit_gets_an_id(referrals: Referrals, clock: FakeClock):
    """That of the step; one that is given stays."""
    referrals.act("r-1", "send", "requester")
    referrals.act("r-1", "accept", "performer")
    visit = {"start_at": "2026-01-09T10:00:00Z"}
    made = referrals.act("r-1", "schedule", "performer", appointment=visit)
    step = made.record["history"][-1]["event_id"]
    assert [step] == [one["appointment_id"] for one in made.record["appointments"]]
    moved = {"appointment_id": step, "start_at": "2026-01-10T10:00:00Z"}
    again = referrals.act("r-1", "reschedule", "performer", appointment=moved)
    assert [moved["start_at"]] == [one["start_at"] for one in again.record["appointments"]]


def test_the_partners_dialect_is_asked(referrals: Referrals):
    """Gravity draws no arrow from accepted to rejected."""
    referrals.act("r-1", "send", "requester")
    referrals.act("r-1", "accept", "performer")
    with pytest.raises(FhirsvcError) as refused:
        referrals.act("r-1", "decline", "performer", reason="Full.", dialect=GRAVITY)
    assert "Gravity" in refused.value.message


def test_what_a_site_refuses_is_refused(referrals: Referrals, database: Database):
    """Its check knows more than the schema."""

    def stern(record: object) -> list[Finding]:
        return [Finding("county", "needs a case number", "$.site")]

    strict = Referrals(
        database, Publisher(database, stern, referrals.clock), referrals.clock, referrals.new_id
    )
    with pytest.raises(FhirsvcError) as refused:
        strict.act("r-1", "send", "requester")
    assert (Category.INVALID, "$.site") == (refused.value.category, refused.value.where)
    assert 1 == referrals.get("r-1", TODAY).version


def test_one_that_is_not_there_or_deleted(referrals: Referrals):
    """Two different things."""
    with pytest.raises(FhirsvcError) as missing:
        referrals.get("r-2", TODAY)
    assert Category.NOT_FOUND == missing.value.category
    referrals.publisher.delete(("referral", "r-1"))
    with pytest.raises(FhirsvcError) as gone:
        referrals.act("r-1", "send", "requester")
    assert Category.GONE == gone.value.category
    assert [] == list(referrals.all(TODAY))


def test_all_of_them_with_their_clocks(referrals: Referrals, monkeypatch: pytest.MonkeyPatch):
    """By id, whatever fits on a page; overdue as of the day that is asked."""
    monkeypatch.setattr(refer, "PAGE", 2)
    more = [{**DRAFT, "id": f"r-{n}"} for n in range(2, 6)]
    referrals.publisher.accept(more)
    found = list(referrals.all(date(2026, 1, 6)))
    assert [f"r-{n}" for n in range(1, 6)] == [one.record["id"] for one in found]
    assert [3] * 5 == [one.overdue_days for one in found]
    assert [0] * 5 == [one.overdue_days for one in referrals.all(TODAY)]
