"""What one record version is really sent as, to one EHR or another."""

from __future__ import annotations

import json
from functools import cache

import pytest
from arranging import DOCUMENTS, arranged, context, hapi, ladder, names, record, sent
from shipped_clinic import ROOT, mappings, records
from statements import EHRS

from fhirsvc.ehr.content import fingerprint
from fhirsvc.ehr.local import leads_to, references
from fhirsvc.ehr.outgoing import arrange
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.carried import present
from fhirsvc.records import fields

ALERT = ("assessment", "assessment-08-w03")
MESSAGES = f"Communication | create |\n{DOCUMENTS}"
SECRETS = ("quiet heron", "glass orchard")  # what must never leave, in the demo's notes
EVERY = [*EHRS, None, DOCUMENTS]


@pytest.mark.parametrize("name", EVERY, ids=str)
def test_all_that_goes_out_is_valid_r4(name):
    """Every resource for every EHR: rewritten references, stand-ins and documents."""
    known = ladder(name)
    for one in records():
        found = arrange(one, mappings().forward(one), known, context(one, pdf=False))
        for out in found.outgoing:
            assert validate(json.loads(json.dumps(out.resource))) == []


@cache
def fixtures() -> str:
    """Every record of the fixtures, those with every word among them."""
    folder = ROOT / "fixtures"
    texts = [path.read_text() for path in sorted(folder.glob("*/*/record.json"))]
    for path in sorted(folder.glob("*/every-word/records.ndjson")):
        texts += path.read_text().splitlines()
    return json.dumps([json.loads(text) for text in texts])


@pytest.mark.parametrize("name", ["oracle", "meditech", DOCUMENTS, MESSAGES], ids=str)
def test_odd_records_go_out_valid_too(name):
    """Every word of every table, quotes, emoji, right-to-left text, bare and whole records."""
    known = ladder(name)
    for one in json.loads(fixtures()):
        one.setdefault("updated_at", "2026-01-01T00:00:00Z")
        found = arrange(one, mappings().forward(one), known, context(one, pdf=False))
        for out in found.outgoing:
            assert validate(json.loads(json.dumps(out.resource))) == []


@pytest.mark.parametrize("name", EVERY, ids=str)
def test_every_resource_is_accounted_for(name):
    """Sent, held with a reason, or only named: none disappears, none is in two places."""
    known = ladder(name)
    for one in records():
        made = mappings().forward(one)
        found = arrange(one, made, known, context(one, pdf=False))
        told = [local for out in found.outgoing for local in out.stands_for]
        told += [local for local, why, _ in found.held if why]
        for resource in made:
            local = resource["resourceType"], resource["id"]
            rung = known.rung(one["type"], local[0])
            assert told.count(local) == 1 or rung.way in ("named", "observations", "response")


def test_an_ehr_that_takes_everything_gets_what_was_mapped():
    """Nothing is changed on the way to one."""
    for one in records():
        made = mappings().forward(one)
        found = arrange(one, made, hapi(), context(one))
        assert all(out.resource is mapped for out, mapped in zip(found.outgoing, made, strict=True))
        assert {out.kind for out in found.outgoing} == {"write"}
        assert found.held == ()


@pytest.mark.parametrize("name", list(EHRS))
def test_mapped_resources_are_not_changed(name):
    """They are shared and frozen."""
    for one in records():
        made = mappings().forward(one)
        before = json.dumps(made)
        arrange(one, made, ladder(name), context(one, pdf=False))
        assert json.dumps(made) == before


@pytest.mark.parametrize("name", list(EHRS))
def test_every_literal_reference_has_a_place(name):
    """Whatever is sent refers only to what this EHR holds or will hold."""
    known = ladder(name)
    for one in records():
        found = arrange(one, mappings().forward(one), known, context(one, pdf=False))
        beside = {(o.resource["resourceType"], o.resource["id"]) for o in found.outgoing}
        for out in found.outgoing:
            if out.kind == "match":
                continue
            for _, target in references(out.resource):
                has = target in beside or known.has_place(None, target[0])
                assert has, (out.resource["resourceType"], target)


def test_what_has_no_place_is_named():
    """By type, identifier and display: an Observation of a plan that is a document."""
    found = arranged("care_plan", "plan-01", ladder(f"Observation | create update |\n{DOCUMENTS}"))
    based_on = [one["basedOn"][0] for one in sent(found, "Observation") if "basedOn" in one]

    assert based_on
    assert {json.dumps(one, sort_keys=True) for one in based_on} == {
        json.dumps(
            {
                "type": "CarePlan",
                "identifier": {"system": "urn:fhirsvc:care-plan", "value": "plan-01"},
                "display": "Treatment plan, Marcus E.",
            },
            sort_keys=True,
        )
    }


def test_the_identifier_of_another_records_part_is_read_from_the_reference():
    """A Condition of the episode, from the referral that names it."""
    known = ladder(f"ServiceRequest | create update |\n{DOCUMENTS}")
    (request,) = sent(arranged("referral", "referral-01-1", known), "ServiceRequest")
    (reason,) = request["reasonReference"][:1]

    assert reason["identifier"]["system"] == "urn:fhirsvc:diagnosis"
    assert reason["identifier"]["value"].startswith("episode-01/")
    assert reason["display"] == names()["Condition", "episode.episode-01.dx1"]


def test_without_a_name_a_reference_says_what_and_which():
    """Nobody has words for it: its kind and its id in the house."""
    one = record("referral", "referral-01-1")
    known = ladder(f"ServiceRequest | create update |\n{DOCUMENTS}")
    found = arrange(one, mappings().forward(one), known, context(one))
    bare = arrange(
        one, mappings().forward(one), known, type(context(one))(date=one["updated_at"], pdf=False)
    )
    assert sent(bare, "ServiceRequest")[0]["requester"]["display"].startswith("Staff staff-")
    assert not sent(found, "ServiceRequest")[0]["requester"]["display"].startswith("Staff")


def test_what_is_about_a_person_waits_for_the_chart():
    """Where the patient cannot be found the subject stays a reference that nothing resolves."""
    known = ladder("Observation | create update |")
    found = arranged("client", "client-03", known)
    (patient,) = (one for one in found.held if one[0][0] == "Patient")
    assert patient[2]
    one = record("assessment", "assessment-01-intake")
    made = arrange(one, mappings().forward(one), known, context(one, pdf=False))
    subjects = [leads_to(out.resource["subject"]) for out in made.outgoing]
    assert set(subjects) == {("Patient", "client.client-01")}


# ---- finding the EHR's own ----------------------------------------------------------------------


def test_a_match_is_searched_by_what_others_know():
    """A chart by its MRN, under the system that this EHR has for it; never by our own id."""
    found = arranged(
        "client", "client-01", ladder("epic"), systems={"urn:fhirsvc:mrn": "urn:oid:1.2.3"}
    )
    (match,) = (one for one in found.outgoing if one.kind == "match")

    mrn = record("client", "client-01")["mrn"]
    assert match.identifiers == (("urn:oid:1.2.3", mrn),)
    assert match.otherwise == "hold"
    assert match.resource["resourceType"] == "Patient"


def test_a_clinician_without_npi_is_named():
    """Nothing to search by: what refers to them says who they are."""
    one = {key: value for key, value in record("staff", "staff-reyes").items() if key != "npi"}
    found = arrange(one, mappings().forward(one), ladder("epic"), context(one))
    (match,) = (out for out in found.outgoing if out.kind == "match")
    assert (match.identifiers, match.otherwise) == ((), "name")


def test_what_is_known_to_be_absent_is_named_at_once():
    """A clinician who was looked for in vain: no reference to them is left."""
    target = ("Practitioner", "staff.staff-delgado")
    there = arranged("referral", "referral-01-1", ladder("epic"))
    gone = arranged("referral", "referral-01-1", ladder("epic"), absent=frozenset({target}))

    assert sent(there, "ServiceRequest")[0]["requester"]["reference"] == "/".join(target)
    assert "reference" not in sent(gone, "ServiceRequest")[0]["requester"]


# ---- answers and scores -------------------------------------------------------------------------


def test_coded_answers_are_observations():
    """PHQ-9 where nobody may create a response: nine answers, a panel and the mapped total."""
    found = arranged(*ALERT, ladder("oracle"), pdf=False)
    made = sent(found, "Observation")
    by_code = {one["code"]["coding"][0]["code"]: one for one in made}

    assert {"44249-1", "44261-6", "44260-8"} <= by_code.keys()
    total, panel = by_code["44261-6"], by_code["44249-1"]
    members = {one["reference"] for one in panel["hasMember"]}
    assert f"Observation/{total['id']}" in members
    assert len(members) == 10
    identities = [json.dumps(one["identifier"]) for one in made]
    assert len(set(identities)) == len(identities)
    assert by_code["44260-8"]["derivedFrom"][0]["identifier"]["value"] == (
        "assessment-08-w03/w03-phq-9"
    )


def test_answers_without_codes_are_filed():
    """The clinic's own form is read in the document; a form whose every answer is coded is not."""
    found = arranged(*ALERT, ladder("oracle"), pdf=False)
    (document,) = (o for o in found.outgoing if o.resource["resourceType"] == "DocumentReference")
    assert document.stands_for == (("QuestionnaireResponse", "assessment.assessment-08-w03"),)


def test_answers_without_codes_are_held_where_nothing_can_be_filed():
    """And said."""
    known = ladder("Observation | create update |\nPatient | read search-type | identifier")
    found = arranged(*ALERT, known)
    held = {local: why for local, why, _ in found.held if local[0] == "QuestionnaireResponse"}
    assert held == {
        ("QuestionnaireResponse", "assessment.assessment-08-w03"): (
            "answers without a code have no Observation of their own"
        )
    }


def test_a_bare_total_is_an_answer():
    """Nobody has the answers of this AUDIT-C: its total goes into the response."""
    one = json.loads((ROOT / "fixtures" / "assessment" / "intake" / "record.json").read_text())
    found = arrange(one, mappings().forward(one), ladder("meditech"), context(one))
    answers = {
        one["questionnaire"].split("|")[0].rpartition(":")[2]: one
        for one in sent(found, "QuestionnaireResponse")
    }
    (item,) = answers["audit-c"]["item"]

    assert item["linkId"] == "75626-2"
    assert isinstance(item["answer"][0]["valueInteger"], int)
    assert len(answers["phq-9"]["item"]) > 8
    assert sent(found, "Observation") == []
    out = [o for o in found.outgoing if any(kind == "Observation" for kind, _ in o.stands_for)]
    assert out


# ---- referrals, tasks and alerts ----------------------------------------------------------------


def test_the_status_of_a_referral_goes_into_the_request():
    """One resource: the Task's words are a note of the ServiceRequest that is written."""
    found = arranged("referral", "referral-01-1", ladder("epic"), pdf=False)
    (request,) = (o for o in found.outgoing if o.resource["resourceType"] == "ServiceRequest")

    assert {kind for kind, _ in request.stands_for} == {"ServiceRequest", "Task"}
    note = request.resource["note"][-1]["text"]
    assert note.startswith("Where it stands")
    assert "Status: " in note
    assert sent(found, "Task") == []


def test_what_is_asked_for_goes_into_the_task():
    """Where Tasks are taken and ServiceRequests are not."""
    known = hapi(without="ServiceRequest")
    found = arranged("referral", "referral-01-1", known, pdf=False)
    (task,) = sent(found, "Task")
    one = record("referral", "referral-01-1")
    inputs = {given["type"]["text"]: given for given in task["input"]}

    assert "focus" not in task
    assert inputs["What is asked for"]["valueCodeableConcept"]["coding"]
    assert task["reasonCode"] == {"text": one["reason"]}
    assert one["reason"] in inputs["The request in words"]["valueString"]
    (out,) = (o for o in found.outgoing if o.resource["resourceType"] == "Task")
    assert {kind for kind, _ in out.stands_for} == {"Task", "ServiceRequest"}


def test_an_alert_and_its_task_are_one_message():
    """Urgent, about both, in words that name the alert; sent by whoever asked."""
    found = arranged(*ALERT, ladder(MESSAGES), pdf=False)
    (message,) = sent(found, "Communication")
    (out,) = (o for o in found.outgoing if o.resource["resourceType"] == "Communication")

    assert message["priority"] == "urgent"
    assert [one["type"] for one in message["about"]] == ["Flag", "Task"]
    assert "hurting oneself" in message["payload"][0]["contentString"]
    assert message["category"][0]["coding"][0]["code"] == "alert"
    assert {kind for kind, _ in out.stands_for} == {"Flag", "Task"}
    assert message["recipient"][0]["display"] == "Cedar Hollow Intensive Outpatient Program"


def test_the_same_words_are_not_sent_twice_and_others_are_another_message():
    """A message does not change: the same one again is none, a later one has an id of its own."""
    one = record("referral", "referral-01-1")
    known = ladder(MESSAGES)
    first = arranged("referral", "referral-01-1", known, version=1)
    (message,) = sent(first, "Communication")
    said = {("Communication", message["id"]): "x"}
    again = arranged("referral", "referral-01-1", known, version=2, sent=said)
    later = {**one, "status": "declined", "status_reason": "No place before June"}
    changed = arrange(later, mappings().forward(later), known, context(later, version=3, sent=said))

    assert sent(again, "Communication") == []
    assert again.kept == (("Communication", message["id"]),)
    (other,) = sent(changed, "Communication")
    assert other["id"] != message["id"]
    assert other["identifier"] != message["identifier"]
    assert "No place before June" in other["payload"][0]["contentString"]
    assert changed.kept == (("Communication", message["id"]),)


# ---- what can be made and not changed -----------------------------------------------------------


def _condition(known, **more):
    one = record("episode", "episode-01")
    return arrange(one, mappings().forward(one), known, context(one, pdf=False, **more))


def test_a_later_version_of_what_cannot_be_changed_is_filed():
    """The first version stays where it is, and what is new is read in the document."""
    known = ladder(f"Condition | create | identifier\n{DOCUMENTS}")
    (first, *_) = (
        o for o in _condition(known).outgoing if o.resource["resourceType"] == "Condition"
    )
    name = ("Condition", first.resource["id"])
    same = _condition(known, sent={name: fingerprint(first.resource)})
    changed = _condition(known, sent={name: "another"})

    assert name in {(o.resource["resourceType"], o.resource["id"]) for o in same.outgoing}
    assert same.kept == ()
    (document,) = (o for o in changed.outgoing if o.resource["resourceType"] == "DocumentReference")
    assert name in document.stands_for
    assert name not in {(o.resource["resourceType"], o.resource["id"]) for o in changed.outgoing}
    assert changed.kept == (name,)
    assert next(r for r in changed.report if r["resource"] == "Condition")["rung"] == "document"


def test_a_later_version_is_held_where_nothing_can_be_filed():
    """It says why, and does not go out as if it were new."""
    known = ladder("Condition | create | identifier\nPatient | read search-type | identifier")
    (first, *_) = (
        o for o in _condition(known).outgoing if o.resource["resourceType"] == "Condition"
    )
    name = ("Condition", first.resource["id"])
    changed = _condition(known, sent={name: "another"})

    (held,) = (one for one in changed.held if one[0] == name)
    assert "lets nobody change it" in held[1]
    assert held[2]


# ---- the report ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERY, ids=str)
def test_the_report_is_of_what_the_record_has(name):
    """Every field with something in it has a fate, and no other field is named."""
    known = ladder(name)
    for one in records():
        found = arrange(one, mappings().forward(one), known, context(one, pdf=False))
        told = {
            field
            for rung in found.report
            for field in [
                *rung["carried"],
                *(row["field"] for row in rung["downgraded"]),
                *(row["field"] for row in rung["dropped"]),
            ]
        }
        has = present(one)
        lists = {name for name, kind in fields(one["type"]).items() if kind.kind == "object"}
        assert told <= has | lists
        untold = has - told
        assert untold <= {"type", "updated_at", "updated_by", "program_id", "sensitivity"}, untold


def test_what_the_mappings_leave_out_of_a_record_is_said():
    """Medication for addiction treatment does not go out, and that is in the report."""
    found = arranged("care_plan", "plan-07", ladder())
    told = {row["field"]: row["why"] for rung in found.report for row in rung["dropped"]}
    assert any("medication_support.medications" in name and "mat" in told[name] for name in told)


def test_the_report_of_a_plan_in_a_document():
    """A plan at Epic: everything in words, and what never leaves with its reason."""
    found = arranged("care_plan", "plan-02", ladder("epic"), pdf=False)
    plan = next(one for one in found.report if one["resource"] == "CarePlan")

    assert (plan["rung"], plan["via"], plan["carried"]) == ("document", "DocumentReference", [])
    reasons = {row["field"]: row["why"] for row in plan["dropped"]}
    assert reasons["psychotherapy_notes"] == "never leave (42 CFR 2.11)"


@pytest.mark.parametrize("name", EVERY, ids=str)
def test_what_never_leaves_is_nowhere(name):
    """Not in a resource, not in words, not in an attachment."""
    import base64

    known = ladder(name)
    for one in records():
        found = arrange(one, mappings().forward(one), known, context(one, pdf=False))
        for out in found.outgoing:
            text = json.dumps(out.resource)
            for part in out.resource.get("content", ()):
                text += base64.b64decode(part["attachment"]["data"]).decode()
            assert not any(secret in text for secret in SECRETS)
