"""What goes where, read from the mapping files."""

from __future__ import annotations

from shipped_clinic import mappings, records

from fhirsvc.mapping.carried import carried, present
from fhirsvc.mapping.coverage import HOUSEKEEPING
from fhirsvc.records import fields

FOUND = carried(mappings().library)


def test_every_record_and_resource_of_the_files_is_there():
    """One entry for each pair that a file makes, and the forms."""
    pairs = {(file.record, file.resource) for file in mappings().library.files}
    told = {(record, one) for record, made in FOUND.items() for one in made}
    assert told == {*pairs, ("questionnaire", "Questionnaire")}


def test_a_field_is_known_with_its_elements():
    """What holds it as data, and what it may refer to."""
    ways = {way.field: way for way in FOUND["care_plan"]["CarePlan"].ways}
    assert ways["modalities[].kind"].elements == ("CarePlan.activity.detail.code.coding",)
    assert ways["goal_ids"].refers_to == ("goal/Goal",)
    assert ways["strengths"].elements == ()
    assert ways["strengths"].how == "as readable text"


def test_what_follows_from_a_record_is_data():
    """Alerts are computed, go out, and are none the less data for never coming back."""
    assert all(way.elements for way in FOUND["assessment"]["Flag"].ways)


def test_one_way_says_why():
    """A line that is not read back gives its reason."""
    ways = {way.field: way for way in FOUND["client"]["Patient"].ways}
    assert ways["race_text"].how == "one way: the words of the categories above"


def test_answers_of_a_form_are_told_apart():
    """They have no code that others know."""
    ways = {way.field: way for way in FOUND["assessment"]["QuestionnaireResponse"].ways}
    assert ways["mental_status.mood"].form
    assert not ways["instruments[].items[].value"].form


def test_what_others_know_something_by():
    """An identifier that is not the record's id."""
    known = {(r, one): m.known_by for r, made in FOUND.items() for one, m in made.items()}
    assert {pair: names for pair, names in known.items() if names} == {
        ("client", "Patient"): ("mrn",),
        ("staff", "Practitioner"): ("npi",),
        ("organization", "Organization"): ("npi",),
    }


def test_what_is_skipped_is_told_field_by_field():
    """Skipping a part skips each field below it, for one reason."""
    skipped = dict(FOUND["care_plan"]["CarePlan"].skipped)
    below = [name for name in skipped if name.startswith("relapse_prevention.")]
    assert len(below) > 5
    assert {skipped[name] for name in below} == {skipped["relapse_prevention.text"]}


def test_every_field_of_a_demo_record_is_told():
    """Nothing that a record has is without a place in the arithmetic."""
    for record in records():
        made = FOUND[record["type"]].values()
        told = {w.field for one in made for w in one.ways} | {
            n for one in made for n, _ in one.skipped
        }
        kinds = fields(record["type"])
        here = {name for name in present(record) if name in kinds}
        assert here - told - HOUSEKEEPING == set()


def test_present_names_what_is_there():
    """Lists of values by their name, of objects by their fields; what is null is not there."""
    record = {
        "id": "x",
        "a": {"b": 1, "c": None},
        "many": ["y"],
        "parts": [{"k": 1}, {"l": [2]}],
        "e": [],
    }
    assert present(record) == {"id", "a.b", "many", "parts[].k", "parts[].l"}
