"""Both sides of a record: what people change at an EHR comes back, and nobody is overwritten."""

from __future__ import annotations

import clinic_sides
import pytest
import shipped_clinic
from clinic_sides import CLIENT, goal_id, is_needed, post

from fhirsvc.store import Database

EXTENSION = {"url": "https://hospital.example/ext", "valueString": "ward 7"}


@pytest.fixture(name="clinic")
def _clinic(database, clock):
    """One client of the demo clinic with all that is theirs, delivered."""
    made = clinic_sides.clinic(database, clock)
    wanted = [one for one in shipped_clinic.records() if is_needed(one)]
    made.accept(*wanted)
    made.drain()
    assert {one.state for one in made.deliveries()} == {"delivered"}
    return made


def test_what_we_wrote_is_an_echo(clinic):
    """Everything that was delivered is recognised when it is seen again."""
    seen = [clinic.look(kind, one["id"]).state for kind, one in clinic.everything()]

    assert len(seen) > 20
    assert set(seen) == {"echo"}
    assert clinic.inbox("review", "merged", "refused", "waiting") == []


def test_a_change_at_the_ehr_comes_back(clinic):
    """An element of both sides that they changed is in the record, with where it came from."""
    goal = goal_id()
    remote = clinic.edit(
        "Goal", goal, lambda body: body["description"].update(text="Walk with my sister, daily")
    )

    taken = clinic.look("Goal", remote)

    assert (taken.state, taken.record) == ("merged", ("goal", goal))
    assert clinic.record("goal", goal)["statement"] == "Walk with my sister, daily"
    assert clinic.source("goal", goal) == "hospital"
    assert clinic.settle() <= 2
    assert clinic.remote("Goal", goal)["description"]["text"] == "Walk with my sister, daily"


def test_two_edits_of_different_elements_both_stay(clinic):
    """Each side's change survives the other's, and what nobody knows here is kept."""
    goal = goal_id()

    def theirs(body):
        body["extension"] = [EXTENSION, *body.get("extension", [])]
        body["description"]["text"] = "In their words"

    clinic.edit("Goal", goal, theirs)
    ours = clinic.record("goal", goal)
    clinic.accept({**ours, "lifecycle": "on_hold" if ours["lifecycle"] != "on_hold" else "active"})

    assert clinic.settle() <= 3

    remote, record = clinic.remote("Goal", goal), clinic.record("goal", goal)
    assert remote["description"]["text"] == record["statement"] == "In their words"
    assert EXTENSION in remote["extension"]
    assert record["lifecycle"] != ours["lifecycle"]
    assert remote["lifecycleStatus"] == (
        "on-hold" if record["lifecycle"] == "on_hold" else "active"
    )
    assert clinic.conflicts() == []


def test_two_edits_of_one_element_are_a_conflict(clinic):
    """Neither is overwritten; both values, who and when stand in the queue; the rest goes on."""
    goal = goal_id()
    clinic.edit("Goal", goal, lambda body: body["description"].update(text="Their wording"))
    clinic.accept({**clinic.record("goal", goal), "statement": "Our wording"})

    states = clinic.drain()

    assert "held" in states
    (found,) = clinic.conflicts()
    assert (found.clash.ours.value, found.clash.theirs.value) == ("Our wording", "Their wording")
    assert found.clash.theirs.by == "hospital"
    assert found.clash.path == "Goal.description.text"
    assert clinic.remote("Goal", goal)["description"]["text"] == "Their wording"
    assert clinic.record("goal", goal)["statement"] == "Our wording"
    held = [one for one in clinic.deliveries() if one.state == "held"]
    assert held[0].reason == f"conflict {found.id} at Goal.description.text"


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        ("ours", "Our wording"),
        ("theirs", "Their wording"),
        ({"value": "A third wording"}, "A third wording"),
    ],
)
def test_a_conflict_is_decided(clinic, resolution, expected):
    """Whatever was decided is on both sides, and nothing is left open."""
    goal = goal_id()
    clinic.edit("Goal", goal, lambda body: body["description"].update(text="Their wording"))
    clinic.accept({**clinic.record("goal", goal), "statement": "Our wording"})
    clinic.drain()
    (found,) = clinic.conflicts()

    clinic.operator.resolve(found.id, resolution, "case manager")

    assert clinic.settle() <= 3
    assert clinic.remote("Goal", goal)["description"]["text"] == expected
    assert clinic.record("goal", goal)["statement"] == expected
    assert clinic.conflicts("open", "decided") == []
    assert {one.state for one in clinic.deliveries()} <= {"delivered", "superseded"}


def test_what_the_record_cannot_take_waits_for_a_decision(clinic):
    """A value that no line reads is at the EHR, ours in the record: both stand in the queue."""
    goal = goal_id()

    def theirs(body):
        body["priority"] = {"coding": [{"system": "urn:theirs", "code": "some-day"}]}

    remote = clinic.edit("Goal", goal, theirs)
    before = clinic.record("goal", goal)

    taken = clinic.look("Goal", remote)

    assert taken.state == "merged"
    (found,) = clinic.conflicts()
    assert found.clash.path == "Goal.priority.coding"
    assert found.clash.theirs.value == [{"system": "urn:theirs", "code": "some-day"}]
    assert clinic.record("goal", goal) == before

    clinic.operator.resolve(found.id, "theirs", "case manager")
    clinic.settle()
    (again,) = clinic.conflicts()
    assert again.clash.path == found.clash.path
    clinic.operator.resolve(again.id, "ours", "case manager")

    assert clinic.settle() <= 3
    assert clinic.conflicts("open", "decided") == []
    assert clinic.remote("Goal", goal)["priority"]["coding"] == found.clash.ours.value


def test_what_is_ours_is_set_back(clinic):
    """An element that only we own is written again when somebody changes it, and told."""
    goal = goal_id()
    before = clinic.remote("Goal", goal)["identifier"]
    remote = clinic.edit("Goal", goal, lambda body: body["identifier"][0].update(value="other"))

    taken = clinic.look("Goal", remote)

    assert taken.merged.kept
    assert clinic.settle() <= 3
    assert clinic.remote("Goal", goal)["identifier"] == before


def test_something_of_an_unknown_patient_waits_for_a_person(clinic):
    """Whose it is is never guessed."""
    somebody = post(clinic, {"resourceType": "Patient"})
    body = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "x"},
        "subject": {"reference": f"Patient/{somebody}"},
    }
    made = post(clinic, body)

    taken = clinic.look("Goal", made, "post")

    assert (taken.state, taken.version) == ("review", None)
    (item,) = clinic.inbox()
    assert item.reason == "whose it is cannot be told: its patient is not linked"
    assert clinic.look("Goal", made, "post").item == item.id  # once, not every time


def test_a_joined_patient_is_followed(clinic):
    """After the EHR joined a Patient to another one, the client is that other one."""
    other = post(clinic, {"resourceType": "Patient"})
    old = clinic.edit(
        "Patient",
        CLIENT,
        lambda body: body.update(
            link=[{"type": "replaced-by", "other": {"reference": f"Patient/{other}"}}]
        ),
    )

    assert clinic.look("Patient", old).reason == "joined to another Patient"

    clinic.drain()
    assert clinic.remote("Patient", CLIENT)["id"] == other


def test_a_deleted_record_is_called_wrong_there(clinic):
    """What can be entered in error is, the rest is deleted, people stay; it can come back."""
    goal = goal_id()
    clinic.publisher.delete(("goal", goal))

    assert set(clinic.drain()) == {"delivered"}
    assert clinic.remote("Goal", goal)["lifecycleStatus"] == "entered-in-error"

    clinic.publisher.delete(("client", CLIENT))
    clinic.drain()
    assert clinic.remote("Patient", CLIENT)["resourceType"] == "Patient"


def test_a_new_house_overwrites_nobody(clinic, tmp_path):
    """A house that knows of no link meets what the EHR has: edits there are not written over."""
    goal = goal_id()
    clinic.edit("Goal", goal, lambda body: body["description"].update(text="Their wording"))
    other = Database(f"sqlite:///{tmp_path / 'other.sqlite'}")
    other.upgrade()
    fresh = clinic_sides.clinic(other, clinic.clock)
    fresh.swap(clinic.client)
    fresh.accept(*(one for one in shipped_clinic.records() if is_needed(one)))

    fresh.drain()

    assert clinic.remote("Goal", goal)["description"]["text"] == "Their wording"
    (found,) = fresh.conflicts()
    assert (found.record_id, found.clash.theirs.value) == (goal, "Their wording")
    other.dispose()
