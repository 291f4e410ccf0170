"""The rules of the merge, one by one, over small bodies: who wins, what is told, what is kept."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
import shipped_clinic as clinic
from mutations import mutate
from plans import NOTHING, OWNERS, SCT, Body, activity, merged, plan
from plans import told as told_of
from two_sides import forward, owners_of

from fhirsvc.merge import Conflict, Owners, Step, Value, merge, said_next, take


@pytest.mark.parametrize(
    ("element", "ours", "theirs", "told", "send", "record"),
    [
        ("description", "b", "a", "sent", "b", "b"),
        ("description", "a", "b", "kept", "a", "a"),
        ("description", "b", "c", "kept", "b", "b"),
        ("description", None, "a", "sent", None, None),
        ("description", "a", None, "kept", "a", "a"),
        ("status", "b", "a", "set_aside", "a", "a"),
        ("status", "a", "b", "taken", "b", "b"),
        ("status", "b", "c", "set_aside", "c", "c"),
        ("status", "a", None, "taken", None, None),
        ("title", "b", "a", "sent", "b", "b"),
        ("title", "a", "b", "taken", "b", "b"),
        ("title", "b", "b", None, "b", "b"),
        ("title", "b", "c", "conflicts", "c", "b"),
        ("title", "b", None, "conflicts", None, "b"),
        ("title", None, "b", "conflicts", "b", None),
        ("title", None, None, None, None, None),
        ("language", "a", "b", None, "b", None),
    ],
)
def test_the_owner_decides(
    element: str, ours: Any, theirs: Any, told: str | None, send: Any, record: Any
):
    """Both had "a": one changed, both alike, both differently, or one removed it."""
    mine = {} if element == "language" else {element: "a"}  # of which no line speaks
    now = {element: ours} if ours is not None and mine else {}
    there = {element: theirs} if theirs is not None else {}

    found = merged(plan(**mine), plan(**now), plan(**{element: "a"}), plan(**there))

    assert told_of(found) == ({told: [f"CarePlan.{element}"]} if told else NOTHING)
    assert send == found.send.get(element)
    if element != "language":
        assert record == found.record.get(element)
    assert found.is_quiet == (told not in ("sent", "kept"))


def test_steps_and_conflicts_have_the_values():
    """A step says what was and what is; a conflict what both agreed on and what each has."""
    found = merged(plan(title="a"), plan(title="b"), plan(title="A"), plan(title="c"))
    assert (Conflict("CarePlan.title", "both", "a", "b", "c"),) == found.conflicts
    found = merged(plan(title="a"), plan(title="b"), plan(title="A"), plan(title="A"))
    assert (Step("CarePlan.title", "A", "b"),) == found.sent


@pytest.mark.parametrize(
    ("element", "ours", "theirs", "told", "send", "record"),
    [
        ("description", "a", "b", "sent", "a", "a"),
        ("status", "a", "b", "taken", "b", "b"),
        ("title", "a", "b", "conflicts", "b", "a"),
        ("title", "a", "a", None, "a", "a"),
        ("title", "a", None, "sent", "a", "a"),
        ("title", None, "b", "taken", "b", "b"),
        ("description", None, "b", "taken", "b", "b"),
        ("language", None, "b", None, "b", "b"),
    ],
)
def test_at_a_first_meeting_only_the_owner_decides(
    element: str, ours: Any, theirs: Any, told: str | None, send: Any, record: Any
):
    """Nobody is known to have changed anything: what only one has, both keep."""
    mine = plan(**({element: ours} if ours else {}))

    found = merge(mine, plan(**({element: theirs} if theirs else {})), owners=OWNERS)

    assert told_of(found) == ({told: [f"CarePlan.{element}"]} if told else NOTHING)
    assert (send, record) == (found.send.get(element), found.record.get(element))


def test_what_the_ehr_always_changes_is_no_change():
    """A title that it shortens, a note that it drops: quiet, and the record keeps its own."""
    said = plan(title="A long title", note=[{"text": "n"}], subject={"reference": "Patient/1"})
    held = plan(title="A long", subject={"reference": "Patient/1", "display": "M."})

    found = merged(said, copy.deepcopy(said), held, copy.deepcopy(held))

    assert found.is_quiet
    assert held == found.send
    assert ("A long title", [{"text": "n"}]) == (found.record["title"], found.record["note"])


def test_what_the_ehr_dropped_goes_along_with_a_change():
    """Alone it is no reason to write; with another change it is sent again."""
    said = plan(title="a", note=[{"text": "n"}])
    found = merged(said, {**said, "title": "b"}, plan(title="a"), plan(title="a"))
    assert told_of(found) == {"sent": ["CarePlan.title"]}
    assert [{"text": "n"}] == found.send["note"]


def test_what_the_ehr_may_have_stored_as_something_else_is_not_sent_twice():
    """Of a note that came back with other words another one is not made at every write."""
    said = plan(title="a", note=[{"text": "one and two"}])
    held = plan(title="a", note=[{"text": "1+2", "time": "2026-01-01"}, {"text": "own"}])
    found = merged(said, {**said, "title": "b"}, held, held)
    assert 2 == len(found.send["note"])


def test_lists_are_met_by_key_and_not_by_place():
    """Reordered, without ids, with references in full and one item more: only that is told."""
    said = plan(
        activity=[activity("m1", "1", status="scheduled"), activity("m2", "2", status="scheduled")],
        subject={"reference": "Patient/1"},
    )
    theirs = plan(
        activity=[
            activity(None, "3", status="scheduled"),
            activity(None, "2", status="scheduled"),
            activity(None, "1", status="scheduled"),
        ],
        subject={"reference": "https://ehr.example/fhir/Patient/1/_history/3"},
    )

    found = merged(said, copy.deepcopy(said), copy.deepcopy(said), theirs)

    assert told_of(found) == {"taken": ["CarePlan.activity[3]"]}
    assert theirs == found.send
    assert ["m1", "m2", None] == [one.get("id") for one in found.record["activity"]]


def test_items_of_the_same_code_are_told_apart_by_what_they_say():
    """Two items alike but for one value; the EHR turns them round and edits one."""
    one, two = (
        activity("m1", "1", description="mornings"),
        activity("m2", "1", description="nights"),
    )
    said = plan(activity=[one, two])
    edited = activity(None, "1", description="nights", status="stopped")
    theirs = plan(activity=[edited, activity(None, "1", description="mornings")])

    found = merged(said, copy.deepcopy(said), copy.deepcopy(said), theirs)

    assert told_of(found) == {"taken": ["CarePlan.activity[m2].detail.status"]}
    assert "stopped" == found.record["activity"][1]["detail"]["status"]


def test_both_edit_one_item_and_each_edit_arrives():
    """Different elements of one item do not stand in each other's way; ours go behind theirs."""
    said = plan(activity=[activity("m1", "1", status="scheduled")])
    ours = plan(
        activity=[activity("m1", "1", status="scheduled", goal=[{"reference": "Goal/1"}]),
                  activity("m2", "2")]
    )  # fmt: skip
    theirs = plan(activity=[activity("m1", "1", status="stopped")])

    found = merged(said, ours, copy.deepcopy(said), theirs)

    assert told_of(found) == {
        "taken": ["CarePlan.activity[m1].detail.status"],
        "sent": ["CarePlan.activity[m1].detail.goal[1]", "CarePlan.activity[m2]"],
    }
    assert found.send["activity"] == found.record["activity"]


@pytest.mark.parametrize("gone", ["ours", "theirs"])
def test_removed_by_one_and_edited_by_the_other_is_a_conflict_of_the_item(gone: str):
    """Neither the removal nor the edit wins; without an edit the removal does."""
    said = plan(activity=[activity("m1", "1", status="scheduled"), activity("m2", "2")])
    edited = plan(activity=[activity("m1", "1", status="stopped"), activity("m2", "2")])
    without = plan(activity=[activity("m2", "2")])
    sides = (without, edited) if gone == "ours" else (edited, without)

    found = merged(said, sides[0], copy.deepcopy(said), sides[1])

    assert told_of(found) == {"conflicts": ["CarePlan.activity[m1]"]}
    assert sides[1]["activity"] == found.send["activity"]
    assert sides[0]["activity"] == found.record["activity"]
    calm = (without, said) if gone == "ours" else (said, without)
    told = told_of(merged(said, calm[0], copy.deepcopy(said), copy.deepcopy(calm[1])))
    assert told == {"sent" if gone == "ours" else "taken": ["CarePlan.activity[m1]"]}


def test_an_extension_counts_as_an_edit_of_the_value_that_has_it():
    """The EHR removed a note whose extension we changed, or the other way round: a conflict."""
    owners = Owners(
        {("note", "text"): "both", ("note", "extension:urn:ours", "valueBoolean"): "both"}
    )
    said = plan(note=[{"text": "n", "extension": [{"url": "urn:ours", "valueBoolean": False}]}])
    edited = plan(note=[{"text": "n", "extension": [{"url": "urn:ours", "valueBoolean": True}]}])
    for ours, theirs in ((edited, plan()), (plan(), edited)):
        found = merge(ours, theirs, said=said, held=said, owners=owners)
        assert told_of(found) == {"conflicts": ["CarePlan.note[Annotation]"]}


def test_items_that_the_ehr_adds():
    """Of a list of both sides they are taken, of ours set back; beside a single line they stay."""
    said = plan(goal=[{"reference": "Goal/1"}], identifier=[{"system": "urn:ours", "value": "1"}])
    theirs = plan(
        goal=[{"reference": "Goal/2"}, {"reference": "Goal/1"}],
        careTeam=[{"reference": "CareTeam/1"}],
        identifier=[{"system": "urn:theirs", "value": "7"}, *said["identifier"]],
        category=[{"text": "theirs"}],
    )

    found = merged(said, said, copy.deepcopy(said), theirs)

    assert told_of(found) == {"taken": ["CarePlan.careTeam[1]"], "kept": ["CarePlan.goal[2]"]}
    assert [{"reference": "Goal/1"}] == found.send["goal"]
    assert theirs["identifier"] == found.send["identifier"]
    assert theirs["category"] == found.send["category"]


def test_a_translation_is_no_change_and_goes_with_the_code():
    """An added coding stays while the concept does; another concept leaves it behind."""
    said = plan(activity=[activity("m1", "1")])
    theirs = copy.deepcopy(said)
    theirs["activity"][0]["detail"]["code"]["coding"].insert(0, {"system": "urn:own", "code": "x"})
    theirs["activity"][0]["detail"]["code"]["coding"][1]["display"] = "One"

    quiet = merged(said, said, said, theirs)
    changed = merged(said, plan(activity=[activity("m1", "2")]), theirs, theirs)
    both = merged(
        said, plan(activity=[activity("m1", "2")]), said, plan(activity=[activity("m1", "3")])
    )

    assert quiet.is_quiet
    assert told_of(quiet) == NOTHING
    at = "CarePlan.activity[m1].detail.code.coding"
    assert told_of(changed) == {"sent": [at]}
    coding = changed.send["activity"][0]["detail"]["code"]["coding"]
    assert [{"system": SCT, "code": "2"}] == coding
    assert told_of(both) == {"conflicts": [at]}


def test_a_datatype_that_is_one_thing_is_decided_as_one():
    """3 mg here and 2 g there are never 3 g; what the EHR added to the value stays."""

    def made(**quantity: Any) -> Body:
        return plan(activity=[activity("m1", "1", quantity=quantity)])

    base = made(value=2, unit="mg")
    found = merged(base, made(value=3, unit="mg"), base, made(value=2, unit="g"))
    assert told_of(found) == {"conflicts": ["CarePlan.activity[m1].detail.quantity"]}
    own = {"extension": [{"url": "urn:x", "valueCode": "y"}]}
    found = merged(base, made(value=3, unit="mg"), base, made(value=2, unit="mg", **own))
    assert {"value": 3, "unit": "mg", **own} == found.send["activity"][0]["detail"]["quantity"]


def test_a_choice_of_types_is_one_element():
    """A Timing here and words there: the EHR never gets both."""

    def made(**detail: Any) -> Body:
        return plan(activity=[activity("m1", "1", **detail)])

    base = made(scheduledTiming={"repeat": {"frequency": 1}})
    theirs = made(scheduledString="daily")
    found = merged(base, base, base, theirs)
    assert told_of(found) == {"taken": ["CarePlan.activity[m1].detail.scheduled[x]"]}
    assert theirs == found.send
    changed = made(scheduledTiming={"repeat": {"frequency": 2}})
    found = merged(base, changed, base, theirs)
    assert told_of(found) == {"conflicts": ["CarePlan.activity[m1].detail.scheduled[x]"]}
    assert theirs == found.send
    assert changed["activity"] == found.record["activity"]


def test_a_primitive_and_its_extensions_are_one_element():
    """The EHR's extension of a value stays with it, and what speaks of an old value goes."""
    own = {"url": "urn:x", "valueCode": "y"}
    old = {"url": "http://hl7.org/fhir/StructureDefinition/translation", "valueCode": "z"}
    theirs = plan(title="a", _title={"extension": [own, old]})
    quiet = merged(plan(title="a"), plan(title="a"), plan(title="a"), theirs)
    assert quiet.is_quiet
    assert theirs == quiet.send
    changed = merged(plan(title="a"), plan(title="b"), theirs, theirs)
    assert {"extension": [own]} == changed.send["_title"]


def test_the_ehrs_own_is_sent_back():
    """Unknown extensions, modifierExtension, contained, meta and elements survive a write."""
    own = {
        "meta": {"versionId": "7", "tag": [{"system": "urn:x", "code": "y"}], "source": "#a"},
        "language": "en",
        "extension": [{"url": "urn:theirs", "valueString": "x"}],
        "modifierExtension": [{"url": "urn:theirs", "valueString": "x"}],
        "contained": [{"resourceType": "Goal", "id": "g"}],
        "unheardOf": [1, {"a": None}],
    }
    held = plan(title="a", **own)
    theirs = plan(title="a", **{**own, "language": "es", "meta": {**own["meta"], "versionId": "8"}})
    found = merged(plan(title="a"), plan(title="b"), held, theirs)
    assert {**theirs, "title": "b"} == found.send
    assert told_of(found) == {"sent": ["CarePlan.title"]}


def test_narrative_goes_along_and_is_no_change():
    """The EHR's own narrative is left alone, until something is written anyway."""
    ours, own = {"status": "generated", "div": "<div>a</div>"}, {"status": "additional"}
    quiet = merged(
        plan(text=ours), plan(text={**ours, "div": "b"}), plan(text=ours), plan(text=own)
    )
    assert quiet.is_quiet
    assert own == quiet.send["text"]
    found = merged(
        plan(text=ours, title="a"), plan(text=ours, title="b"), plan(title="a"),
        plan(text=own, title="a"),
    )  # fmt: skip
    assert ours == found.send["text"]


def test_a_dispute_is_neither_sent_nor_taken_until_both_agree():
    """It is told again with what each has by then, and is settled when both say the same."""
    said = plan(title="a", description="d")
    ours, theirs = plan(title="b", description="e"), plan(title="c", description="d")
    first = merged(said, ours, said, theirs)
    open_ = {one.path: one.base for one in first.conflicts}
    held = first.send
    again = merged(ours, plan(title="bb", description="e"), held, {**held, "title": "cc"},
                   disputed=open_)  # fmt: skip
    assert (Conflict("CarePlan.title", "both", "a", "bb", "cc"),) == again.conflicts
    assert again.is_quiet
    alone = merged(ours, plan(title="bb", description="e"), held, held, disputed=open_)
    assert told_of(alone) == {"conflicts": ["CarePlan.title"]}
    agreed = merged(ours, plan(title="n", description="e"), held, {**held, "title": "n"},
                    disputed=open_)  # fmt: skip
    assert ("CarePlan.title",) == agreed.settled
    assert told_of(agreed) == NOTHING


@pytest.mark.parametrize("keeps_ids", [True, False])
def test_a_dispute_of_an_item_stays_open_when_its_side_is_gone(keeps_ids: bool):
    """We removed what they edited: the item keeps its path, with and without ids at the EHR."""
    said = plan(activity=[activity("m1", "1", status="scheduled"), activity("m2", "2")])
    key = "m1" if keeps_ids else None
    edited = plan(activity=[activity(key, "1", status="stopped"), activity("m2", "2")])
    ours = plan(activity=[activity("m2", "2")])
    first = merged(said, ours, copy.deepcopy(said), edited)
    open_ = {one.path: one.base for one in first.conflicts}

    second = merged(ours, ours, edited, edited, disputed=open_)
    third = take({"CarePlan.activity[m1]": "ours"}, ours, edited, said=ours, held=edited,
                 owners=OWNERS, disputed=open_)  # fmt: skip

    assert {"CarePlan.activity[m1]"} == open_.keys()
    assert told_of(second) == {"conflicts": ["CarePlan.activity[m1]"]}
    assert edited["activity"][1:] == third.send["activity"]
    assert ("CarePlan.activity[m1]",) == third.settled


def test_a_disputed_element_keeps_its_item():
    """One side may not remove the item around an open conflict: the item is disputed then."""
    said = plan(activity=[activity("m1", "1", status="scheduled"), activity("m2", "2")])
    at = "CarePlan.activity[m1].detail.status"
    found = merged(said, plan(activity=[activity("m2", "2")]), said, said,
                   disputed={at: "scheduled"})  # fmt: skip
    assert told_of(found) == {"conflicts": ["CarePlan.activity[m1]"]}
    assert said["activity"] == found.send["activity"]
    assert (at,) == found.settled  # the wider conflict has taken it up


@pytest.mark.parametrize(
    ("choice", "title"), [("ours", "b"), ("theirs", "c"), (Value("d"), "d"), (Value(None), None)]
)
def test_a_resolution_is_what_both_get(choice: Any, title: str | None):
    """Ours, theirs, or something else: both bodies have it, and the conflict is settled."""
    bodies = {"said": plan(title="a"), "held": plan(title="a"), "owners": OWNERS}
    found = take(
        {"CarePlan.title": choice, "CarePlan.nowhere": "ours"}, plan(title="b"), plan(title="c"),
        disputed={"CarePlan.title": "a"}, **bodies,
    )  # fmt: skip
    assert (title, title) == (found.send.get("title"), found.record.get("title"))
    assert ("CarePlan.title",) == found.settled
    assert () == found.conflicts
    assert ["no-such-element"] == [one.rule for one in found.findings]


def test_what_follows_from_what_was_taken_is_sent_in_the_next_round():
    """The record took a title, and a status of ours follows: that was not said yet."""
    said = plan(title="a", description="of a")
    theirs = plan(title="b", description="of a")
    found = merged(said, said, said, theirs)
    now = plan(title="b", description="of b")

    base = said_next(found, ours=said, now=now, owners=OWNERS)
    after = merged(base, now, theirs, theirs)

    assert plan(title="b", description="of a") == base
    assert told_of(after) == {"sent": ["CarePlan.description"]}


def test_what_the_record_could_not_take_is_left_alone():
    """The record still says its own: no conflict, and the EHR's is not overwritten."""
    said, theirs = plan(title="a"), plan(title="unreadable")
    found = merged(said, said, said, theirs)
    base = said_next(found, ours=said, now=said, owners=OWNERS)
    after = merged(base, said, theirs, theirs)
    assert after.is_quiet
    assert told_of(after) == NOTHING


@pytest.mark.parametrize(
    "odd",
    [
        {"title": ["x"]}, {"title": {"a": 1}}, {"activity": "x"}, {"activity": {"detail": {}}},
        {"activity": [None, 1, []]}, {"period": "2026"}, {"period": [1]}, {"subject": "x"},
        {"note": [{"text": ["x"]}]}, {"extension": [[]]}, {"_title": "x"}, {"title": None},
    ],
)  # fmt: skip
def test_what_is_malformed_is_theirs_to_keep(odd: Body):
    """Wrong types stay at the EHR, nothing of the record is lost, and it is told where."""
    said = plan(
        title="a", period={"start": "2026-01-01"}, subject={"reference": "Patient/1"},
        activity=[activity("m1", "1")], note=[{"text": "n"}], description="d",
    )  # fmt: skip
    ours = {**said, "description": "e"}
    found = merged(said, ours, said, {**said, **odd})
    assert "e" == found.send["description"]
    for name, value in odd.items():
        if value is not None and name != "note":
            assert (value if not isinstance(value, list) else found.send[name]) == found.send[name]
    assert found.record["period"] == said["period"]


def test_another_type_of_resource_and_endless_nesting_aretold_of():
    """Nothing is merged, nothing is lost, and nothing raises."""
    deep: Any = {"url": "urn:x"}
    for _ in range(20_000):
        deep = {"url": "urn:ours", "extension": [deep]}
    ours = plan(title="b", extension=[{"url": "urn:ours", "valueString": "x"}])
    wide = plan(title="a", extension=[deep])
    found = merged(plan(title="a"), ours, plan(title="a"), wide)
    assert ["too-deep"] == [one.rule for one in found.findings]
    assert found.send is wide
    goal = {"resourceType": "Goal", "id": "1"}
    found = merged(plan(), ours, plan(), goal, disputed={"CarePlan.title": "a"})
    assert ["resource-type"] == [one.rule for one in found.findings]
    assert (goal, ours) == (found.send, found.record)
    assert ["CarePlan.title"] == [one.path for one in found.conflicts]


def test_paths_have_no_words_of_a_record():
    """Items without ids are named by codes, systems and digests."""
    said = plan(note=[{"text": "Marcus relapsed"}], careTeam=[{"display": "Dr Ellery"}])
    theirs = plan(note=[{"text": "Marcus is well"}], careTeam=[{"display": "Ms Ellery"}])
    found = merged(said, said, said, theirs)
    assert found.taken
    assert not any("Marcus" in one.path or "Ellery" in one.path for one in found.taken)


COUNT = 2000


def test_any_mutation_is_merged():
    """Bodies broken in every way: no error, both sides' bodies come back whole, none is changed."""
    rng = random.Random(7)
    bodies = [body for record in clinic.records() for body in forward(record).values()]
    for _ in range(COUNT):
        said = rng.choice(bodies)
        kind = said["resourceType"]
        held, theirs = mutate(said, rng), mutate(mutate(said, rng), rng)
        ours = rng.choice([said, rng.choice([b for b in bodies if b["resourceType"] == kind])])
        before = json.dumps((held, theirs, ours), default=str)
        first = rng.random() < 0.2
        found = merge(
            ours, theirs, said=None if first else said, held=held, owners=owners_of(said),
            disputed={f"{kind}.status": None} if rng.random() < 0.3 else {},
        )  # fmt: skip
        assert before == json.dumps((held, theirs, ours), default=str)
        assert found.send.keys() <= {*theirs, *ours, *(f"_{n}" for n in ours)}
        assert isinstance(found.record, dict)


def test_a_thousand_items_alike_are_met_in_time_that_grows_with_them():
    """Each item is looked up, not compared with all others: ten times as many, ten times the work.

    Counted in comparisons, not in seconds.
    """
    counts = []
    for size in (100, 1000):
        said = plan(
            activity=[activity(f"m{i}", "1", description=f"group {i}") for i in range(size)]
        )
        theirs = copy.deepcopy(said)
        for i, one in enumerate(theirs["activity"]):
            del one["id"]
            if i % 3 == 0:
                one["detail"]["status"] = "stopped"
        theirs["activity"].reverse()
        calls = _calls(lambda s=said, t=theirs: merged(s, s, s, t))
        counts.append(calls)
    assert counts[1] < 15 * counts[0]


def _calls(work: Any) -> int:
    import sys

    count = 0

    def hook(_frame: Any, event: str, _arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(hook)
    try:
        found = work()
    finally:
        sys.setprofile(None)
    assert found.taken
    return count
