"""Which rung a resource takes, and what becomes of its fields."""

from __future__ import annotations

import pytest
from shipped_clinic import mappings
from statements import everything, statement

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.equivalents import ALTERNATIVES, AS_DOCUMENT, NAMED
from fhirsvc.ehr.ladder import Ladder
from fhirsvc.mapping.carried import carried
from fhirsvc.records import fields

FIELDS = carried(mappings().library)
DOCS = "DocumentReference | create update |"


def ladder(table: str = "", *, refused=(), chosen=None) -> Ladder:
    """The ladder of an EHR that states these types."""
    known = Capabilities.parse(statement(table)) if table else Capabilities.none()
    return Ladder.of(FIELDS, known, refused, chosen)


def shape(rung) -> tuple[str, str, str]:
    """What a rung is, in three words."""
    return rung.rung, rung.via, rung.later


def test_an_ehr_not_known_is_tried_with_everything_native():
    """Before a statement is read, each resource is written by its identifier."""
    rungs = ladder().rungs
    assert {rung.rung for rung in rungs} == {"native"}
    assert ladder().rung("care_plan", "CarePlan").via == "PUT CarePlan by identifier"
    assert ladder().rung("care_plan", "Provenance").via == "PUT Provenance by tag"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("Goal | create update |", ("native", "POST Goal, then PUT by its id", "update")),
        (f"Goal | create |\n{DOCS}", ("native", "POST Goal", "document")),
        ("Goal | create |", ("native", "POST Goal", "hold")),
        (f"Goal | update |\n{DOCS}", ("document", "DocumentReference", "update")),
        (f"Goal | read search-type |\n{DOCS}", ("document", "DocumentReference", "update")),
        (DOCS, ("document", "DocumentReference", "update")),
        ("Goal | read |", ("hold", "kept here", "update")),
    ],
)
def test_native_needs_create_and_later_versions_need_update(table, expected):
    """What can be made and not changed goes natively once; what cannot be made does not."""
    assert shape(ladder(table).rung("goal", "Goal")) == expected


def test_update_alone_is_native_where_it_creates():
    """With updateCreate a new resource can be put under an id of ours."""
    stated = statement("Goal | update |")
    stated["rest"][0]["resource"][0]["updateCreate"] = True
    rung = Ladder.of(FIELDS, Capabilities.parse(stated)).rung("goal", "Goal")
    assert shape(rung) == ("native", "PUT Goal under an id of ours", "update")


def test_conditional_update_is_preferred():
    """Where a server states it, a resource is written by its identifier."""
    rung = Ladder.of(FIELDS, Capabilities.parse(everything())).rung("goal", "Goal")
    assert rung.via == "PUT Goal by identifier"


def test_what_happened_does_not_change():
    """A Provenance that was created stays as it is; there is no later version of it."""
    rung = ladder("Provenance | create |").rung("care_plan", "Provenance")
    assert shape(rung) == ("native", "POST Provenance", "stays")


def test_settings_beat_everything():
    """A chosen rung is taken although a better one is possible, for one record type or for all."""
    all_native = Capabilities.parse(everything())
    chosen = {"CarePlan": "document", "Goal": "hold", "episode/Condition": "document",
              "Patient": "equivalent"}  # fmt: skip
    known = Ladder.of(FIELDS, all_native, (), chosen)

    assert known.rung("care_plan", "CarePlan").rung == "document"
    assert known.rung("aftercare_plan", "CarePlan").rung == "document"
    goal = known.rung("goal", "Goal")
    assert (goal.rung, goal.blocks) == ("hold", True)
    assert known.rung("episode", "Condition").rung == "document"
    assert known.rung("client", "Patient").way == "match"
    assert known.rung("episode", "EpisodeOfCare").rung == "native"


def test_the_record_types_setting_beats_the_resources():
    """``care_plan/CarePlan`` says more than ``CarePlan``."""
    known = ladder(chosen={"CarePlan": "hold", "care_plan/CarePlan": "document"})
    assert known.rung("care_plan", "CarePlan").rung == "document"
    assert known.rung("aftercare_plan", "CarePlan").rung == "hold"


def test_native_can_be_chosen_against_the_statement():
    """Statements are sometimes wrong, and the operator may know."""
    rung = ladder(DOCS, chosen={"Goal": "native"}).rung("goal", "Goal")
    assert rung.rung == "native"
    assert "although" in rung.why


def test_a_rung_that_cannot_be_had_holds():
    """A document is chosen where none can be filed: it is held, and said why."""
    rung = ladder("Goal | create update |", chosen={"Goal": "document"}).rung("goal", "Goal")
    assert (rung.rung, rung.blocks) == ("hold", True)
    assert "takes no document" in rung.why


def test_a_word_that_is_no_rung_chooses_nothing():
    """Settings of another version do not stop deliveries."""
    assert ladder(chosen={"Goal": "papyrus"}).rung("goal", "Goal").rung == "native"


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ({("Goal", "create")}, ("native", "PUT Goal by identifier", "update")),
        ({("Goal", "update")}, ("native", "POST Goal", "document")),
        ({("Goal", "create"), ("Goal", "update")}, ("document", "DocumentReference", "update")),
        ({("Goal", "*")}, ("document", "DocumentReference", "update")),
        ({("Goal", "*"), ("DocumentReference", "create")}, ("hold", "kept here", "update")),
        ({("CarePlan", "*")}, ("native", "PUT Goal by identifier", "update")),
    ],
)
def test_a_refusal_takes_an_interaction_away(refused, expected):
    """What an EHR refused is not asked again, whatever it declares, and the next rung is taken."""
    rung = ladder(refused=refused).rung("goal", "Goal")
    assert shape(rung) == expected


def test_the_refusal_is_said():
    """Why a rung was left can be read."""
    rung = ladder(refused={("Goal", "create"), ("Goal", "update")}).rung("goal", "Goal")
    assert "create and update of Goal was refused here" in rung.why


DIRECTORY = [("client", "Patient"), ("staff", "Practitioner"), ("organization", "Organization")]


@pytest.mark.parametrize(("record", "resource"), DIRECTORY)
def test_people_and_organizations_are_found_not_made(record, resource):
    """Their own identifier leads to the EHR's own one; ours never does."""
    rung = ladder(f"{resource} | read search-type | identifier").rung(record, resource)

    assert (rung.rung, rung.way) == ("equivalent", "match")
    assert rung.via == f"existing {resource} found by identifier"
    assert rung.carried == (("mrn",) if record == "client" else ("npi",))
    assert "id" in dict(rung.dropped)


@pytest.mark.parametrize(("record", "resource"), DIRECTORY)
def test_one_that_can_be_made_and_not_corrected_is_found(record, resource):
    """A second chart for the same person is worse than none."""
    rung = ladder(f"{resource} | create read search-type | identifier").rung(record, resource)
    assert rung.way == "match"
    both = ladder(f"{resource} | create update search-type | identifier").rung(record, resource)
    assert both.rung == "native"


def test_a_patient_that_cannot_be_found_is_held():
    """Nothing about a person is sent to a chart that is not known to be theirs."""
    rung = ladder(f"Patient | read search-type | name\n{DOCS}").rung("client", "Patient")
    assert (rung.rung, rung.blocks) == ("hold", True)


def test_others_that_cannot_be_found_are_named():
    """An Organization is said by identifier and display wherever it is referred to."""
    known = ladder("Organization | read search-type | _id\nTask | create update |")
    rung = known.rung("organization", "Organization")

    assert (rung.rung, rung.way, rung.blocks) == ("equivalent", "named", False)
    assert {"id", "name"} <= dict(rung.downgraded).keys()
    assert ("performer_organization_id", NAMED) in known.rung("referral", "Task").downgraded


def test_a_role_known_by_our_identifier_alone_is_left_out():
    """Nothing refers to a PractitionerRole, and nothing else waits for it."""
    table = "PractitionerRole | read search-type | identifier"
    rung = ladder(table).rung("staff", "PractitionerRole")
    assert (rung.rung, rung.blocks) == ("hold", False)


def test_answers_become_observations():
    """Coded answers go out under their own codes; a form of the house is read in a document."""
    table = "Observation | create update |\nQuestionnaireResponse | update |"
    with_documents = ladder(f"{table}\n{DOCS}").rung("assessment", "QuestionnaireResponse")
    without = ladder(table).rung("assessment", "QuestionnaireResponse")

    assert (with_documents.rung, with_documents.way) == ("equivalent", "observations")
    assert "instruments[].items[].value" in with_documents.carried
    assert ("mental_status.mood", AS_DOCUMENT) in with_documents.downgraded
    assert "mental_status.mood" in dict(without.dropped)


def test_answers_without_observations_are_read_in_a_document():
    """The next rung."""
    assert ladder(DOCS).rung("assessment", "QuestionnaireResponse").rung == "document"


def test_a_score_is_said_by_its_answers():
    """Where responses are taken and Observations are not; of a plan's findings that is not so."""
    known = ladder("QuestionnaireResponse | create update |")
    score = known.rung("assessment", "Observation")

    assert (score.rung, score.way) == ("equivalent", "response")
    assert "instruments[].total" in score.carried
    assert dict(score.downgraded)["instruments[].severity"] == "follows from the answers"
    assert known.rung("care_plan", "Observation").rung == "hold"


@pytest.mark.parametrize(
    ("table", "request_way", "task_way"),
    [
        ("ServiceRequest | create update |", "native", "request"),
        ("Task | create update |", "task", "native"),
        (f"ServiceRequest | create |\nCommunication | create |\n{DOCS}", "native", "message"),
        (f"Communication | create |\n{DOCS}", "message", "message"),
        (DOCS, "document", "document"),
        ("Task | update |", "hold", "hold"),
    ],
)
def test_a_referral_and_its_task(table, request_way, task_way):
    """What is asked for and where it stands find the best way there is, together."""
    known = ladder(table)
    assert known.rung("referral", "ServiceRequest").way == request_way
    assert known.rung("referral", "Task").way == task_way


def test_a_request_that_was_chosen_away_carries_no_status():
    """The Task does not lean on a ServiceRequest that is not written."""
    table = f"ServiceRequest | create update |\n{DOCS}"
    known = ladder(table, chosen={"ServiceRequest": "document"})
    assert known.rung("referral", "Task").way == "document"


def test_a_safety_alert_reaches_a_person():
    """Flag and Task of an alert go as a message; a check after discharge is part of its plan."""
    known = ladder(f"Communication | create |\n{DOCS}")
    assert known.rung("assessment", "Flag").way == "message"
    assert known.rung("assessment", "Task").way == "message"
    assert known.rung("aftercare_plan", "Task").way == "document"


@pytest.mark.parametrize("resource", ["CarePlan", "Goal", "Condition", "Consent", "CareTeam"])
def test_no_equivalent_is_pretended(resource):
    """Of these nothing else says the same; the table says why."""
    (only,) = ALTERNATIVES[resource]
    assert (only.way, bool(only.why)) == ("document", True)


@pytest.mark.parametrize(
    ("record", "resource"), [("questionnaire", "Questionnaire"), ("care_plan", "Provenance")]
)
def test_some_are_left_out_and_nothing_waits(record, resource):
    """A form and a signature that cannot be written stop nothing."""
    rung = ladder("Observation | create |").rung(record, resource)
    assert (rung.rung, rung.way, rung.blocks) == ("hold", "aside", False)
    assert rung.why


def test_a_provenance_goes_with_the_document():
    """What was decided in a conference is read beside the plan."""
    rung = ladder(DOCS).rung("care_plan", "Provenance")
    assert rung.rung == "document"


def test_skipped_fields_are_dropped_with_the_files_reason():
    """On every rung."""
    for known in (ladder(), ladder(DOCS), ladder("Basic | create |")):
        dropped = dict(known.rung("care_plan", "CarePlan").dropped)
        assert dropped["psychotherapy_notes"] == "never leave (42 CFR 2.11)"
        assert "crisis_plan.people[].name" in dropped


def test_words_alone_are_a_downgrade():
    """A field that stands in the narrative only is said in words; one that stands elsewhere not."""
    plan = ladder().rung("care_plan", "CarePlan")
    assert ("strengths", "as readable text") in plan.downgraded
    names = {*plan.carried, *dict(plan.downgraded)}
    assert "preferences.setting" not in names  # an Observation carries it
    assert "preferences.setting" in ladder().rung("care_plan", "Observation").carried


def test_in_a_document_every_field_is_downgraded():
    """Words and attached FHIR, and none is called carried."""
    rung = ladder(DOCS).rung("goal", "Goal")
    assert rung.carried == ()
    assert {how for _, how in rung.downgraded} == {AS_DOCUMENT}


@pytest.mark.parametrize("table", ["", DOCS, "Goal | create |", "Observation | create update |"])
def test_every_field_has_a_fate(table):
    """Each field of each record that a file names is carried, downgraded or dropped somewhere."""
    known = ladder(table)
    for record in FIELDS:
        if record == "questionnaire":
            continue
        told = set()
        for resource in FIELDS[record]:
            rung = known.rung(record, resource)
            told |= {*rung.carried, *dict(rung.downgraded), *dict(rung.dropped)}
        untold = {
            name
            for name, field in fields(record).items()
            if field.kind != "object" and name not in told
        }
        assert untold <= {"type", "updated_at", "updated_by", "program_id", "sensitivity"}


def test_a_change_of_what_cannot_be_changed():
    """Later versions go as a document, are held, or are none, and say so."""
    as_document = ladder(f"Condition | create |\n{DOCS}").for_change("episode", "Condition")
    held = ladder("Condition | create |").for_change("episode", "Condition")
    none = ladder("Provenance | create |").for_change("care_plan", "Provenance")

    assert (as_document.rung, as_document.blocks) == ("document", False)
    assert (held.rung, held.blocks) == ("hold", True)
    assert (none.rung, none.blocks) == ("hold", False)
    assert all("lets nobody change it" in one.why for one in (as_document, held, none))


def test_a_report_is_cut_to_what_a_record_has():
    """Fields that a record is silent about are not in its report."""
    rung = ladder(DOCS).rung("goal", "Goal").only({"statement", "internal_notes"})
    assert rung.downgraded == (("statement", AS_DOCUMENT),)
    assert [name for name, _ in rung.dropped] == ["internal_notes"]
