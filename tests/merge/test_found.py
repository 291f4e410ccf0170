"""What generated histories found, each shrunk to the few elements that it needs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from plans import OWNERS, SCT, Body, activity, merged, plan, told

from fhirsvc.merge import Conflict, Owners, merge, said_next, take, untaken

DIAGNOSIS = Owners({("code", "coding", "code"): "both", ("code", "text"): "ehr"})


def diagnosis(code: str, text: str) -> Body:
    """A Condition of a coded diagnosis."""
    concept = {"coding": [{"system": SCT, "code": code}], "text": text}
    return {"resourceType": "Condition", "id": "1", "code": concept}


def test_the_words_of_another_code_go_with_it():
    """The words are the EHR's, the code is of both: no code ever gets the words of another one."""
    said, ours = diagnosis("1", "one"), diagnosis("2", "two")

    recoded = merge(ours, said, said=said, held=said, owners=DIAGNOSIS)
    reworded = merge(diagnosis("1", "two"), said, said=said, held=said, owners=DIAGNOSIS)

    assert ours["code"] == recoded.send["code"]
    assert told(reworded) == {"set_aside": ["Condition.code.text"]}


def test_what_the_record_cannot_take_or_give_up_is_a_conflict():
    """The EHR's title cannot be read, our status cannot be given up: a person sees both values."""
    said = plan(title="a", status="draft")
    ours, theirs = plan(title="a", status="active"), plan(title="unreadable", status="draft")
    found = merged(said, ours, said, theirs)
    base = said_next(found, ours=ours, now=ours, owners=OWNERS)

    left = untaken(found, now=ours, said=base, owners=OWNERS)

    assert {
        Conflict("CarePlan.title", "both", "a", "a", "unreadable"),
        Conflict("CarePlan.status", "ehr", "active", "active", "draft"),
    } == set(left)


def test_what_is_left_of_something_removed_is_a_conflict():
    """The EHR removed a period; the record let go of its end and cannot be without its start."""
    said = plan(period={"start": "2026-01-01", "end": "2026-02-01"})
    now, theirs = plan(period={"start": "2026-01-01"}), plan()
    owners = Owners({("period", "start"): "both", ("period", "end"): "both"})
    found = merge(said, theirs, said=said, held=said, owners=owners)
    base = said_next(found, ours=said, now=now, owners=owners)

    left = untaken(found, now=now, said=base, owners=owners)

    assert [("CarePlan.period", now["period"], None)] == [(x.path, x.ours, x.theirs) for x in left]


def test_what_was_taken_is_no_conflict():
    """The record says what it was given."""
    said, theirs = plan(title="a"), plan(title="b")
    found = merged(said, said, said, theirs)
    base = said_next(found, ours=said, now=theirs, owners=OWNERS)
    assert () == untaken(found, now=theirs, said=base, owners=OWNERS)


def test_what_the_record_never_had_and_cannot_say_stays_the_ehrs_own():
    """An item that no record can have is no conflict: to decide for ours would take it away."""
    said, theirs = plan(title="a"), plan(title="a", careTeam=[{"display": "of another house"}])
    found = merged(said, said, said, theirs)
    base = said_next(found, ours=said, now=said, owners=OWNERS)
    again = merged(base, said, theirs, theirs)

    assert () == untaken(found, now=said, said=base, owners=OWNERS)
    refused = untaken(found, now=said, said=base, owners=OWNERS, refused=True)
    assert theirs["careTeam"] == [one.theirs for one in refused]
    assert again.is_quiet
    assert theirs == again.send


def test_a_decision_for_our_code_leaves_no_other_beside_it():
    """The EHR's code goes when ours was chosen, and what may be a translation of it."""
    own = {"system": "urn:own", "code": "x"}
    kept = {"system": "urn:kept", "code": "k"}
    ours = [{"system": SCT, "code": "1"}, kept]
    said = plan(activity=[activity("m1", "1")])
    said["activity"][0]["detail"]["code"]["coding"] = ours
    theirs = copy.deepcopy(said)
    theirs["activity"][0]["detail"]["code"]["coding"] = [{"system": SCT, "code": "2"}, own, kept]
    at = "CarePlan.activity[m1].detail.code.coding"

    found = take({at: "ours"}, said, theirs, said=said, held=theirs, owners=OWNERS,
                 disputed={at: None})  # fmt: skip

    coding = found.send["activity"][0]["detail"]["code"]["coding"]
    assert ours == coding


@pytest.mark.parametrize("first", [True, False])
def test_a_question_is_met_by_its_link_id_alone(first: bool):
    """Two questions of one form with one answer each are never one question with two answers."""
    owners = Owners({("item",): "both"}, lists={("item",): "both"}, deep=[("item",)])

    def form(*answers: tuple[str, str]) -> Body:
        items = [{"linkId": name, "answer": [{"valueString": said}]} for name, said in answers]
        return {"resourceType": "QuestionnaireResponse", "id": "1", "item": items}

    ours, theirs = form(("pregnancy", "no")), form(("pain", "no"))
    said = None if first else ours

    found = merge(ours, theirs, said=said, held=said, owners=owners)

    paths = [path for part in told(found).values() for path in part]
    assert sorted(paths) == [f"QuestionnaireResponse.item[{n}]" for n in ("pain", "pregnancy")]
    assert not found.conflicts


def test_disputed_items_meet_even_where_nothing_tells_them_apart():
    """The EHR emptied two items in dispute: neither is settled, and nothing is sent."""
    owners = Owners({("participant", "actor"): "both"})

    def visit(*actors: Any) -> Body:
        people = [{"status": "accepted", **({"actor": one} if one else {})} for one in actors]
        return {"resourceType": "Appointment", "id": "1", "participant": people}

    patient, room = {"reference": "Patient/1"}, {"display": "A room"}
    ours, theirs = visit(patient, room), visit(None, None)
    at = "Appointment.participant[AppointmentParticipant"
    open_ = {f"{at}].actor": patient, f"{at}#2].actor": room}

    found = merge(ours, theirs, said=ours, held=theirs, owners=owners, disputed=open_)

    assert [(patient, None), (room, None)] == [(one.ours, one.theirs) for one in found.conflicts]
    assert open_.keys() == {one.path for one in found.conflicts}
    assert found.is_quiet


def test_an_item_disputed_since_the_first_meeting_is_found_when_it_is_gone_here():
    """Nothing was agreed of it: what ours was tells the item again, so that it can be decided."""
    owners = Owners({("name",): "both"}, lists={("name",): "both"})

    def patient(*names: Body) -> Body:
        return {"resourceType": "Patient", "id": "1", "name": list(names)}

    official = {"use": "official", "family": "Ellery"}
    old, other = {"use": "old", "text": "A", "suffix": ["F"]}, {"use": "old", "text": "A"}
    ours, theirs = patient(official, old), patient(official, other)
    first = merge(ours, theirs, owners=owners)
    open_ = {one.path: one.base for one in first.conflicts}
    second = merge(patient(official), theirs, said=ours, held=theirs, owners=owners,
                   disputed=open_)  # fmt: skip
    open_ = {one.path: one.base for one in second.conflicts}

    third = take(dict.fromkeys(open_, "ours"), patient(official), theirs, said=patient(official),
                 held=theirs, owners=owners, disputed=open_)  # fmt: skip

    assert 1 == len(open_)
    assert patient(official) == third.send
    assert tuple(open_) == third.settled


def test_a_name_is_met_by_its_whole_text_before_likeness():
    """A record has one former name of one text; a name that shares a suffix is another."""
    owners = Owners({("name",): "both"}, lists={("name",): "both"})
    body: Body = {"resourceType": "Patient", "id": "1"}
    ours = {"use": "old", "text": "A", "family": "A", "suffix": ["F"]}
    other = {"use": "old", "text": "B", "family": "B", "suffix": ["F"]}
    mine = {"use": "old", "text": "A", "given": ["A"]}

    found = merge({**body, "name": [ours]}, {**body, "name": [other, mine]}, owners=owners)

    assert [other] == [one.after for one in found.taken]
    assert [(ours, mine)] == [(one.ours, one.theirs) for one in found.conflicts]


def test_two_languages_are_never_one_at_a_first_meeting():
    """Codes of one system resemble each other; both sides get both, and nobody is asked."""
    owners = Owners(
        {("communication", "coding", "code"): "both"}, lists={("communication",): "both"}
    )

    def speaks(*codes: str) -> Body:
        spoken = [{"coding": [{"system": "urn:ietf:bcp:47", "code": code}]} for code in codes]
        return {"resourceType": "Practitioner", "id": "1", "communication": spoken}

    found = merge(speaks("es"), speaks("en"), owners=owners)

    at = "Practitioner.communication"
    assert told(found) == {"taken": [f"{at}[en]"], "sent": [f"{at}[es]"]}
    assert (speaks("en", "es"), speaks("es", "en")) == (found.send, found.record)


def test_an_item_that_a_person_decided_for_is_sent_beside_one_of_the_ehrs_own():
    """Only undecided, an item that the EHR dropped may be what it has stored as something else."""
    owners = Owners({("activity", "reference"): "both"}, lists={("activity",): "both"})

    def steps(*names: str) -> Body:
        return plan(activity=[{"reference": {"reference": name}} for name in names])

    ours, theirs = steps("Task/1", "Task/2"), steps("Task/1", "Task/3")
    left = merge(ours, theirs, said=ours, held=ours, owners=owners).taken
    open_ = {one.path: one.before for one in left}
    chosen = {one.path: "ours" if one.after is None else "theirs" for one in left}

    found = take(chosen, ours, theirs, said=ours, held=theirs, owners=owners,
                 disputed=open_)  # fmt: skip

    assert steps("Task/1", "Task/3", "Task/2")["activity"] == found.send["activity"]


def test_an_ehrs_own_concept_follows_when_the_place_is_free():
    """The EHR adds a second kind, then takes ours away: the second is what the record gets."""
    owners = Owners({("type",): "both", ("type", "coding"): "both"})

    def practice(*codings: tuple[str, str]) -> Body:
        kinds = [{"coding": [{"system": system, "code": code}]} for system, code in codings]
        return {"resourceType": "Organization", "id": "1", "type": kinds}

    ours = practice(("urn:type", "prov"))
    held = practice(("urn:type", "prov"), ("urn:kind", "housing"))
    theirs = practice(("urn:kind", "housing"))

    found = merge(ours, theirs, said=ours, held=held, owners=owners)

    assert theirs == found.record
    assert found.is_quiet


def test_what_comes_to_meet_an_ehrs_own_item_gets_all_of_it():
    """We choose a role that the EHR had of its own: the words beside it are new to the record."""
    owners = Owners({("code",): "both", ("code", "coding"): "both", ("code", "text"): "both"})
    own = {"coding": [{"system": SCT, "code": "2"}], "text": "their words"}

    def role(*concepts: Body) -> Body:
        return {"resourceType": "PractitionerRole", "id": "1", "code": list(concepts)}

    before = {"coding": [{"system": "urn:role", "code": "1"}]}
    ours = role({"coding": own["coding"]})
    held = role(before, own)

    found = merge(ours, held, said=role(before), held=held, owners=owners)

    at = "PractitionerRole.code"
    assert told(found) == {"taken": [f"{at}[sct].text"], "sent": [f"{at}[urn:role]"]}
    assert role(own) == found.send == found.record
