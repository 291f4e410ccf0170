"""Reading EHRs: what changed is found once, what is missed is found by comparing, nothing twice."""

from __future__ import annotations

import clinic_sides
import orjson
import pytest
import shipped_clinic
from clinic_sides import goal_id, is_needed, post

from fhirsvc.ehr.simulated_fhir import Reply
from fhirsvc.services.pull import Puller
from fhirsvc.store import cursors

INBOUND = {"poll_s": 60, "compare_s": 86400, "types": ["Goal", "Patient", "CarePlan"]}


class Clinic(clinic_sides.Clinic):
    """A clinic that reads its hospital."""

    @property
    def puller(self):
        return Puller(
            self.database,
            self.receiver,
            self.receiver.lens,
            lambda _: self.client,
            self.clock,
            lambda: 0.5,
            lambda: "corr-pull",
        )

    def pull(self):
        """One reading of all that is due; what each came to, by type."""
        self.puller.prepare()
        found = {}
        while (pulled := self.puller.next(self.connection.id)) is not None:
            found[pulled.resource_type] = pulled
        return found

    def cursor(self, kind):
        with self.database.read() as tx:
            return {one.resource_type: one for one in cursors.every(tx, 1)}[kind]


@pytest.fixture(name="clinic")
def _clinic(database, clock):
    made = clinic_sides.clinic(database, clock, inbound=INBOUND)
    clinic = Clinic(**vars(made))
    clinic.accept(*(one for one in shipped_clinic.records() if is_needed(one)))
    clinic.drain()
    clinic.pull()
    clock.sleep(600)
    return clinic


def test_quiet_when_nothing_changed(clinic):
    """A reading of an EHR that nobody touched takes nothing in, and asks little."""
    clinic.wire.seen.clear()

    found = clinic.pull()

    assert set(found) == {"CarePlan", "Goal", "Patient"}
    assert all(set(one.states) <= {"echo"} for one in found.values())
    assert all(one.is_whole for one in found.values())
    assert len(clinic.wire.seen) == 3  # one search each


def test_a_change_is_found_by_its_time(clinic):
    """What was edited since the last reading is read again by id and taken in, once."""
    goal = goal_id()
    remote = clinic.edit("Goal", goal, lambda body: body["description"].update(text="Their aim"))
    clinic.wire.seen.clear()

    found = clinic.pull()["Goal"]

    assert found.states["merged"] == 1
    assert clinic.record("goal", goal)["statement"] == "Their aim"
    asked = [path for _, path in clinic.wire.seen if path.startswith("/Goal")]
    assert [path.partition("?")[0] for path in asked] == ["/Goal", f"/Goal/{remote}"]
    assert "_lastUpdated=ge" in asked[0]

    clinic.drain()
    clinic.clock.sleep(61)
    again = clinic.pull()["Goal"]
    assert set(again.states) <= {"echo"}  # the overlap shows it again, and it is known


def test_all_pages_are_read(clinic, monkeypatch):
    """A search in pages is read to its end, each page once."""
    monkeypatch.setattr("fhirsvc.services.reading.COUNT", 1)
    texts = {}
    with_goals = [one["id"] for one in shipped_clinic.records() if _is_a_goal(one)]
    for number, goal in enumerate(with_goals):
        texts[goal] = f"Aim {number}"
        clinic.edit(
            "Goal", goal, lambda body, n=number: body["description"].update(text=f"Aim {n}")
        )

    found = clinic.pull()["Goal"]

    assert found.states == {"merged": len(with_goals)}
    assert {goal: clinic.record("goal", goal)["statement"] for goal in texts} == texts


def _is_a_goal(record):
    return record["type"] == "goal" and is_needed(record)


def test_pages_that_go_round_are_left(clinic):
    """An EHR whose pages lead back to themselves ends the reading; the watermark stays."""
    before = clinic.cursor("Goal")
    goal = clinic.remote("Goal", goal_id())
    link = [{"relation": "next", "url": "https://ehr.example/fhir/Goal?page=1"}]
    page = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": goal}],
        "link": link,
    }
    clinic.puller.prepare()
    clinic.fhir.handle = lambda *_: Reply(200, page)

    found = clinic.pull()["Goal"]

    assert not found.is_whole
    assert found.reason == "unavailable its pages go round in a circle"
    assert clinic.cursor("Goal").watermark == before.watermark


def test_no_page_of_another_host_is_asked_for(clinic):
    """A paging link that leaves the EHR's origin is not followed."""
    link = [{"relation": "next", "url": "https://elsewhere.example/fhir/Goal?page=2"}]
    page = {"resourceType": "Bundle", "type": "searchset", "link": link}
    clinic.fhir.handle = lambda *_: Reply(200, page)
    clinic.wire.requests.clear()

    found = clinic.pull()

    assert not any(one.is_whole for one in found.values())
    assert {one.url.split("/")[2] for one in clinic.wire.requests} == {"ehr.example"}


def test_what_has_gone_is_told(clinic):
    """A resource that was deleted at the EHR waits for a person; its record is as it was."""
    goal = goal_id()
    remote = clinic.remote("Goal", goal)["id"]
    before = clinic.record("goal", goal)
    clinic.fhir.handle("DELETE", f"/Goal/{remote}", "", {}, b"")
    clinic.clock.sleep(86400)

    found = clinic.pull()["Goal"]

    assert found.states["review"] == 1
    (item,) = clinic.inbox()
    assert (item.reason, item.record) == ("gone at the EHR", ("goal", goal))
    assert clinic.record("goal", goal) == before

    clinic.accept({**before, "statement": "Something new"})
    clinic.drain()
    held = [one for one in clinic.deliveries() if one.state == "held"]
    assert [one.category for one in held] == ["gone"]
    clinic.operator.retry(held[0].id)
    assert "delivered" in clinic.drain()
    assert clinic.remote("Goal", goal)["description"]["text"] == "Something new"


def test_doubles_are_found_and_repaired(clinic):
    """A second resource that holds nothing but what we sent is taken away again."""
    goal = goal_id()
    mine = clinic.remote("Goal", goal)
    twin = {name: value for name, value in mine.items() if name not in ("id", "meta")}
    other = post(clinic, twin)
    clinic.clock.sleep(86400)

    found = clinic.pull()["Goal"]

    assert found.states["repaired"] == 1
    assert clinic.fhir.handle("GET", f"/Goal/{other}", "", {}, b"").status == 410
    assert clinic.remote("Goal", goal)["id"] == mine["id"]


def test_a_double_with_somebodys_note_is_left(clinic):
    """It has all that we sent and a note of the ward: that is a person's work, and to decide."""
    goal = goal_id()
    mine = clinic.remote("Goal", goal)
    twin = {name: value for name, value in mine.items() if name not in ("id", "meta")}
    seen = {"url": "https://ward.example/seen", "valueString": "by the night shift"}
    other = post(clinic, {**twin, "extension": [*twin.get("extension", []), seen]})
    clinic.clock.sleep(86400)

    found = clinic.pull()["Goal"]

    assert "repaired" not in found.states
    assert clinic.fhir.handle("GET", f"/Goal/{other}", "", {}, b"").status == 200
    (item,) = clinic.inbox()
    assert (item.remote_id, item.reason) == (other, "2 match the identifier and differ")


def test_an_ehr_without_last_updated_is_compared(database, clock):
    """Where it cannot say what changed, everything that is linked is looked at each time."""
    made = Clinic(**vars(clinic_sides.clinic(database, clock, inbound=INBOUND)))
    real = made.fhir.handle("GET", "/metadata", "", {}, b"").body
    for one in real["rest"][0]["resource"]:
        one["searchParam"] = [p for p in one["searchParam"] if p["name"] != "_lastUpdated"]
    made.fhir._capability = lambda: real
    made.accept(*(one for one in shipped_clinic.records() if is_needed(one)))
    made.drain()
    made.pull()
    clock.sleep(600)
    made.edit("Goal", goal_id(), lambda body: body["description"].update(text="Their aim"))

    assert made.pull()["Goal"].states["merged"] == 1
    assert made.record("goal", goal_id())["statement"] == "Their aim"
    assert not any("_lastUpdated" in path for _, path in made.wire.seen)


def test_a_new_goal_of_a_linked_client_becomes_a_record(database, clock):
    """Where that is wanted, what the EHR's own people make comes in; of others it waits."""
    inbound = {**INBOUND, "new": ["Goal"]}
    made = Clinic(**vars(clinic_sides.clinic(database, clock, inbound=inbound)))
    made.accept(*(one for one in shipped_clinic.records() if is_needed(one)))
    made.drain()
    made.pull()
    clock.sleep(600)
    mine = {k: v for k, v in made.remote("Goal", goal_id()).items() if k not in ("id", "meta")}
    del mine["identifier"]
    remote = post(made, mine)

    found = made.pull()["Goal"]

    assert found.states.get("merged", 0) + found.states.get("review", 0) == 1
    items = made.inbox("merged", "review")
    assert [one.remote_id for one in items] == [remote]


def test_a_failed_reading_is_told_and_rests(clinic):
    """An EHR that is down: the reason is kept, the connection rests, the watermark stays."""
    before = clinic.cursor("CarePlan")
    clinic.fhir.handle = lambda *_: Reply(503, None, {"Retry-After": "30"})

    clinic.pull()

    after = clinic.cursor("CarePlan")
    assert after.reason == "unavailable"
    assert after.watermark == before.watermark
    assert clinic.pull() == {}  # it rests


def test_a_hint_is_read_again(clinic):
    """What a notification names is read by id; what came with it is not believed."""
    import sqlalchemy as sa

    from fhirsvc.services.watching import SECRET_HEADER, Watcher

    assert SECRET_HEADER
    goal = goal_id()
    remote = clinic.edit("Goal", goal, lambda body: body["description"].update(text="Their aim"))
    with clinic.database.write() as tx:
        inbound = {**INBOUND, "hook_secret": "env:HOOK"}
        text = orjson.dumps(inbound).decode()
        tx.execute(sa.text("UPDATE connection SET inbound = :text"), {"text": text})
    watcher = Watcher(
        clinic.database, lambda _: clinic.client, clinic.clock, lambda _: "s3cret", lambda: "c"
    )
    lie = {"resourceType": "Goal", "id": remote, "description": {"text": "A lie"}}

    heard = watcher.hear("hospital", "s3cret", lie, "")

    assert (heard.kind, heard.hints) == ("resource", 1)
    assert clinic.puller.again(clinic.connection.id) == 1
    assert clinic.record("goal", goal)["statement"] == "Their aim"
    assert clinic.inbox("waiting") == []
