"""What is sensitive of a record is known by element, and inherited by all that follows from it."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from generated import records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shipped_clinic import ROOT, mappings, texts

from fhirsvc.mapping.revealing import FILE, read_revealing
from fhirsvc.mapping.sensitive import Marked, Sensitivity
from fhirsvc.records import TYPES
from fhirsvc.records.shapes import SENSITIVITIES

SCT, HCPCS = "http://snomed.info/sct", "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ICD, LOINC = "http://hl7.org/fhir/sid/icd-10-cm", "http://loinc.org"
DEMO = ROOT / "fixtures" / "demo"


def _demo(type_name: str, id: str) -> dict[str, Any]:
    lines = (DEMO / f"{type_name}.ndjson").read_text(encoding="utf-8").splitlines()
    record: dict[str, Any] = next(r for r in map(json.loads, lines) if r["id"] == id)
    record.pop("sensitivity", None)
    return record


def _bare(type_name: str) -> dict[str, Any]:
    common = {"type": type_name, "id": "x-1", "updated_at": "2026-01-05T09:00:00-05:00"}
    return {**common, "client_id": "client-01"}


PLAN: dict[str, Any] = {
    **_bare("care_plan"),
    "episode_id": "episode-01",
    "status": "active",
    "title": "Plan",
    "plan_version": 1,
}
EPISODE: dict[str, Any] = {
    **_bare("episode"),
    "status": "active",
    "start_date": "2026-01-05",
    "level_of_care": "intensive_outpatient",
}


@pytest.fixture(scope="module")
def sensitivity() -> Sensitivity:
    return Sensitivity(mappings())


def _labels(marked: list[Marked]) -> dict[str, set[str]]:
    """Path → labels over all resources; those of the same type must not differ."""
    return {path: set(of) for one in marked for path, of in one.labels.items()}


def _at(resource: Any, path: str) -> Any:
    """The value at a FHIR path; KeyError or IndexError where there is none."""
    value = resource
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        value = value[name] if name else value[int(index)]
    return value


# Everything in the project's table of codes read from sources whose meaning is substance use:
# alcohol, drugs, opioids, cannabis, cocaine, the instruments that ask for them.
REVEALING = {
    (SCT, "720176005"): "ETHUD",
    (SCT, "720177001"): "SUD",
    (SCT, "720175009"): "ETHUD",
    (SCT, "720174008"): "SUD",
    (SCT, "385989002"): "SUD",
    (SCT, "35637008"): "ETHUD",
    (SCT, "310653000"): "OPIOIDUD",
    (SCT, "424407005"): "SUD",
    (SCT, "428211000124100"): "SUD",
    (SCT, "713106006"): "SUD",
    (SCT, "423416000"): "SUD",
    (SCT, "417096006"): "SUD",
    (SCT, "1254709001"): "SUD",
    (SCT, "66590003"): "ETHUD",
    (SCT, "75544000"): "OPIOIDUD",
    (SCT, "85005007"): "SUD",
    (SCT, "31956009"): "SUD",
    (HCPCS, "H0015"): "SUD",
    (HCPCS, "H0005"): "SUD",
    (HCPCS, "H0006"): "SUD",
    (HCPCS, "H2036"): "SUD",
    (ICD, "F10.20"): "ETHUD",
    (ICD, "F11.20"): "OPIOIDUD",
}
# House words without a code of anybody else that say as much.
WORDS = {
    ("goal_domain", "substance_use"),
    ("housing", "sober_living"),
    ("legal", "drug_court"),
    ("level_of_care", "opioid_treatment"),
    ("level_of_care", "recovery_support"),
    ("level_of_care", "withdrawal_management"),
    ("modality", "relapse_prevention_alcohol"),
    ("modality", "relapse_prevention_drug"),
    ("modality", "substance_use_education"),
    ("modality", "substance_use_therapy"),
    ("referral_category", "sud_program"),
    ("referral_kind", "sud_program"),
    ("relationship", "sponsor"),
    ("support_kind", "recovery_housing"),
    ("support_kind", "sponsor"),
}
INSTRUMENTS = {"audit": "ETHUD", "audit-c": "ETHUD", "dast-10": "SUD", "taps": "SUD"}


@pytest.mark.parametrize(("system", "code"), REVEALING)
def test_a_code_that_reveals_substance_use_is_labelled_wherever_it_comes_from(
    system: str, code: str
):
    """Each code of the list is known by itself, and so is every row of a table that gives it."""
    library = mappings().library
    assert library.revealing.label(system, code) == REVEALING[system, code]
    for table in library.tables.values():
        for word, row in table.rows.items():
            if any((c["system"], c["code"]) == (system, code) for c in row.codings):
                assert row.sensitivity == REVEALING[system, code], f"{table.name}.{word}"


def test_the_labelled_rows_are_just_these():
    """A row that is labelled reveals, and a new one is thought about here too."""
    tables = mappings().library.tables
    found = {(t.name, w) for t in tables.values() for w, r in t.rows.items() if r.sensitivity}
    given = {(t, n) for n in INSTRUMENTS for t in ("instrument-questionnaire", "instrument-total")}
    assert found == WORDS | given
    for name, label in INSTRUMENTS.items():
        assert tables["instrument-total"].rows[name].sensitivity == label


def test_every_display_that_names_substances_is_labelled():
    """No row says alcohol, drug, opioid, sober or substance in words and goes without a label."""
    naming = re.compile(r"alcohol|drug|opioid|substance|sober|withdrawal|methadone", re.I)
    tables = mappings().library.tables
    said = [
        (t.name, word)
        for t in tables.values()
        if t.name not in ("sensitivity", "information")  # words about consents, not about a client
        for word, row in t.rows.items()
        if row.sensitivity is None and any(naming.search(c.get("display", "")) for c in row.codings)
    ]
    assert [] == said


def test_the_longest_beginning_decides():
    """F10 is alcohol, F11 opioids, the rest of the block substances; its neighbours are nothing."""
    label = mappings().library.revealing.label
    found = [label(ICD, code) for code in ("F10.10", "f11.23", "F15.20", "F20.0", "F32.A")]
    assert found == ["ETHUD", "OPIOIDUD", "SUD", None, None]
    assert label(SCT, "F10.10") is None


def test_a_site_adds_codes_and_a_wrong_row_is_told_where_it_stands():
    """Its rows count beside the shipped ones."""
    head = "system,code,match,sensitivity,source\n"
    mine = head + f"{SCT},1234,exact,HIV,read there\n{SCT},99,begins,SUDS,\n"
    found, findings = read_revealing({**texts(), f"site/{FILE}": mine})
    assert found.label(SCT, "1234") == "HIV"
    assert found.label(SCT, "66590003") == "ETHUD"
    assert {f.where for f in findings} == {f"site/{FILE}:3:1"}
    assert [f.rule for f in findings] == ["unknown-sensitivity", "grammar", "grammar"]
    _, findings = read_revealing({FILE: "system,code\n"})
    assert [f.message for f in findings] == [
        f"column '{name}' is missing" for name in ("match", "sensitivity", "source")
    ]


def test_the_shipped_list_has_a_source_for_each_code():
    """No code from memory."""
    rows = list(csv.DictReader(io.StringIO(texts()[FILE])))
    assert all(len(row["source"]) > 10 for row in rows)
    assert {row["sensitivity"] for row in rows} <= set(SENSITIVITIES)
    assert read_revealing(texts())[1] == []


# ---- where a label comes from, and how far it goes --------------------------------------------


def test_what_reveals_nothing_carries_nothing(sensitivity: Sensitivity):
    """No marks, and the resources are those of ``forward``."""
    marked = sensitivity.marked(PLAN)
    assert [one.resource for one in marked] == mappings().forward(PLAN)
    assert all(not one.labels and not one.kinds for one in marked)


def test_the_records_own_label_is_on_all_its_resources(sensitivity: Sensitivity):
    """Also on the Provenance and the care team."""
    marked = sensitivity.marked({**_demo("care_plan", "plan-01"), "sensitivity": ["SUD", "MH"]})
    assert len(marked) > 5
    for one in marked:
        assert one.labels[one.resource["resourceType"]] == {"SUD", "MH"}


def test_a_goal_about_substance_use_is_labelled_with_its_text(sensitivity: Sensitivity):
    """The row is on the category; what the goal says in words follows from it."""
    goal = {**_bare("goal"), "statement": "Thirty days", "lifecycle": "active"}
    assert _labels(sensitivity.marked({**goal, "domain": "substance_use"})) == {"Goal": {"SUD"}}
    assert _labels(sensitivity.marked({**goal, "domain": "family"})) == {}


def test_an_activity_is_labelled_alone_with_its_constants(sensitivity: Sensitivity):
    """Of two modalities one reveals: its activity as a whole, and the text that tells of both."""
    modalities = [
        {"modality_id": "m1", "kind": "cbt", "focus": "worry", "status": "in_progress"},
        {
            "modality_id": "m2",
            "kind": "relapse_prevention_alcohol",
            "focus": "x",
            "status": "in_progress",
        },
    ]
    plan = {**PLAN, "modalities": modalities}
    found = _labels(sensitivity.marked(plan))
    assert found == {"CarePlan.activity[1]": {"ETHUD"}, "CarePlan.text": {"ETHUD"}}


def test_a_diagnosis_is_labelled_by_its_code(sensitivity: Sensitivity):
    """A resource made of a list item is labelled whole; the others are not."""
    diagnoses = [
        {"diagnosis_id": "d1", "code_system": "icd10", "code": "F33.1", "text": "Depression"},
        {"diagnosis_id": "d2", "code_system": "icd10", "code": "F11.20", "text": "Opioids"},
        {"diagnosis_id": "d3", "code_system": "snomed", "code": "66590003", "text": "Alcohol"},
    ]
    found = {
        one.resource["id"]: {p: set(of) for p, of in one.labels.items()}
        for one in sensitivity.marked({**EPISODE, "diagnoses": diagnoses})
    }
    assert found["episode.x-1.d1"] == {}
    assert found["episode.x-1.d2"] == {"Condition": {"OPIOIDUD"}}
    assert found["episode.x-1.d3"] == {"Condition": {"ETHUD"}}
    assert found["episode.x-1"] == {}  # it refers to them by id; without a rank it says no more


def test_a_billing_code_of_substance_use_treatment_reveals_the_episode(sensitivity: Sensitivity):
    """H0015 is a program for alcohol and drugs, S9480 a psychiatric one."""
    marked = sensitivity.marked({**EPISODE, "billing_code": "H0015"})
    assert _labels(marked) == {"EpisodeOfCare": {"SUD"}}
    assert _labels(sensitivity.marked({**EPISODE, "billing_code": "S9480"})) == {}


def test_a_billing_code_of_an_activity_reveals_the_activity(sensitivity: Sensitivity):
    """It is written freely there, and known by the list."""
    one = {
        "modality_id": "m1",
        "kind": "group_therapy",
        "billing_code": "H0005",
        "status": "in_progress",
    }
    found = _labels(sensitivity.marked({**PLAN, "modalities": [one]}))
    assert found["CarePlan.activity"] == {"SUD"}


def test_an_instrument_reveals_by_having_been_answered(sensitivity: Sensitivity):
    """Its answers, its score and the alert that follows; another instrument beside it does not."""
    results = [
        {"result_id": "r1", "instrument": "dast-10", "administered_at": "2026-01-05", "total": 6},
        {"result_id": "r2", "instrument": "phq-9", "administered_at": "2026-01-05", "total": 6},
    ]
    record = {**_bare("assessment"), "kind": "screening", "status": "completed"}
    found = {
        one.resource["id"]: {p: set(of) for p, of in one.labels.items()}
        for one in sensitivity.marked({**record, "instruments": results})
    }
    assert {"SUD"} in found["assessment.x-1.r1"].values()
    assert found["assessment.x-1.r2"] == {}


def test_a_goal_measured_by_such_an_instrument_says_so_in_that_target(sensitivity: Sensitivity):
    """And nowhere else."""
    objectives = [
        {"objective_id": "o1", "text": "less", "instrument": "audit", "op": "lt", "value": 8},
        {"objective_id": "o2", "text": "less", "instrument": "phq-9", "op": "lt", "value": 8},
    ]
    goal = {**_bare("goal"), "statement": "Better", "lifecycle": "active", "objectives": objectives}
    assert _labels(sensitivity.marked(goal)) == {"Goal.target[0]": {"ETHUD"}}


def test_a_form_is_labelled_by_the_house_words_it_is_answered_with(sensitivity: Sensitivity):
    """The form has no table; sober housing reveals as much, with the words beside it."""
    social = {"housing_status": "sober_living", "housing_text": "since May"}
    record = {**_bare("assessment"), "kind": "intake", "status": "completed", "title": "Intake"}
    marked = sensitivity.marked({**record, "social": social, "mental_status": {"mood": "low"}})
    (answers,) = marked
    assert {"SUD"} == set().union(*answers.labels.values())
    for path in answers.labels:
        said = json.dumps(_at(answers.resource, path))
        assert "since May" in said or "sober" in said
    left = {p for p in answers.labels if "low" in json.dumps(_at(answers.resource, p))}
    assert left == set()


def test_a_contact_who_is_a_sponsor_is_labelled(sensitivity: Sensitivity):
    """The person as a whole, and nothing of the client."""
    contacts = [
        {"contact_id": "c1", "name": {"family": "A"}, "relationship": "sponsor"},
        {"contact_id": "c2", "name": {"family": "B"}, "relationship": "mother"},
    ]
    client = {**_demo("client", "client-01"), "contacts": contacts}
    found = {
        one.resource["id"]: dict(one.labels) for one in sensitivity.marked(client) if one.labels
    }
    assert found == {"client.client-01.c1": {"RelatedPerson": {"SUD"}}}


def test_the_name_of_a_program_reveals_where_it_is_referred_to():
    """An organization with a label gives it to what names it: the referral, the team member."""
    plain = Sensitivity(mappings())
    kept = {"type": "organization", "updated_at": "2026-01-02T09:00:00-05:00", "name": "N"}
    records = [
        {**kept, "id": "org-a", "kind": "program", "sensitivity": ["SUD"]},
        {**kept, "id": "org-b", "kind": "program", "levels_of_care": ["opioid_treatment"]},
        {**kept, "id": "org-c", "kind": "program", "part2_program": True},
        {**kept, "id": "org-d", "kind": "clinic"},
    ]
    known = plain.organizations(records)
    assert known == {"org-a": {"SUD"}, "org-b": {"SUD"}}
    assert plain.organizations(records, part2=True).keys() == {"org-a", "org-b", "org-c"}
    sensitivity = Sensitivity(mappings(), known)
    team = [
        {"member_id": "t1", "organization_id": "org-b", "role_text": "Helps"},
        {"member_id": "t2", "staff_id": "staff-delgado", "role_text": "Leads"},
    ]
    assert _labels(sensitivity.marked({**PLAN, "care_team": team})) == {
        "CareTeam.participant[0]": {"SUD"}
    }
    assert _labels(plain.marked({**PLAN, "care_team": team})) == {}
    referral = {**_demo("referral", "referral-01-1"), "performer_organization_id": "org-a"}
    for one in sensitivity.marked(referral):
        assert one.labels[one.resource["resourceType"]] == {"SUD"}


def test_a_program_that_reveals_labels_all_its_records():
    """42 CFR 2.12(a)(1)(i): the record identifies the patient by the program it is of."""
    sensitivity = Sensitivity(mappings(), {"org-a": frozenset({"SUD"})})
    marked = sensitivity.marked({**EPISODE, "program_id": "org-a"})
    assert _labels(marked) == {"EpisodeOfCare": {"SUD"}}


def test_the_label_of_a_file_and_of_a_line_is_inherited():
    """A site labels what its own lines make."""
    made = {
        name: text.replace("\nversion: 1.0.0", "\nversion: 1.0.0\nsensitivity: MH", 1)
        if name == "care_plan/CareTeam.yaml"
        else text.replace("  title: {from: title,", "  title: {from: title, sensitivity: HIV,")
        if name == "care_plan/CarePlan.yaml"
        else text
        for name, text in texts().items()
    }
    sensitivity = Sensitivity(type(mappings()).load(made))
    team = [{"member_id": "t1", "staff_id": "s-1", "is_lead": True}]
    found = _labels(sensitivity.marked({**PLAN, "care_team": team}))
    assert found["CarePlan.title"] == {"HIV"}
    assert found["CareTeam"] == {"MH"}


def test_a_labelled_truth_tells_of_what_stands_beside_it(sensitivity: Sensitivity):
    """``mat: true`` makes the whole of medication support reveal; false does not."""
    support = {"text": "Monthly", "mat": True}
    found = _labels(sensitivity.marked({**PLAN, "medication_support": support}))
    assert found["CarePlan.text"] == {"SUD"}
    assert any(path.startswith("CarePlan.activity") for path in found)
    support = {"text": "Monthly", "mat": False}
    assert _labels(sensitivity.marked({**PLAN, "medication_support": support})) == {}


# ---- kinds, and laws ---------------------------------------------------------------------------


def test_kinds_of_information_are_told_by_field(sensitivity: Sensitivity):
    """What is made of the crisis plan is of that kind, the text of all that it tells."""
    crisis = {"status": "completed", "completed_on": "2026-01-06", "text": "Call Ana"}
    kinds = {"crisis_plan": "crisis_plan", "care_team": "care_team", "progress": "progress"}
    plan, *_ = sensitivity.marked({**PLAN, "crisis_plan": crisis}, kinds=kinds)
    found = {path: set(of) for path, of in plan.kinds.items()}
    assert found == {"CarePlan.text": {"crisis_plan"}, "CarePlan.activity": {"crisis_plan"}}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=st.sampled_from(TYPES).flatmap(records))
def test_every_mark_is_at_an_element_that_is_there(made: dict[str, Any]):
    """A path that leads nowhere would withhold nothing."""
    sensitivity = Sensitivity(mappings(), {"org-willow": frozenset({"SUD"})})
    kinds = dict.fromkeys(("crisis_plan", "progress", "instruments", "care_team"), "x")
    plain = mappings().forward(made)
    marked = sensitivity.marked(made, kinds=kinds)
    assert [one.resource for one in marked] == plain
    for one in marked:
        for path in (*one.labels, *one.kinds):
            assert _at(one.resource, path) is not None
