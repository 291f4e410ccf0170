"""The document rung: one DocumentReference of a record, to read and with the FHIR beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import unescape

import pytest
from arranging import DOCUMENTS, arranged, attached, context, ladder, record, sent
from shipped_clinic import mappings, records

from fhirsvc.ehr import narrative_pdf
from fhirsvc.ehr.content import fingerprint
from fhirsvc.ehr.document import CONFIDENTIALITY, high_water
from fhirsvc.ehr.local import references
from fhirsvc.ehr.outgoing import arrange
from fhirsvc.fhir.validate import validate

FILED = ladder(DOCUMENTS)
KINDS = ("text/html", "application/pdf", "application/fhir+json")
# Elements whose words a reader needs; categories that only sort resources are not among them.
HUMAN = frozenset(
    "text valueString description title comment name contentString authorString statusReason "
    "patientInstruction family given onsetString scheduledString city alias line value".split()
)


def document(kind: str, name: str, **more):
    """The DocumentReference of a demo record, at an EHR that takes nothing else."""
    (found,) = sent(arranged(kind, name, FILED, **more), "DocumentReference")
    return found


def test_a_plan_is_one_document():
    """All that a record becomes is in one, with our identifier, its subject, author and type."""
    found = arranged("care_plan", "plan-01", FILED)
    (out,) = found.outgoing
    made = out.resource

    assert len(out.stands_for) == len(mappings().forward(record("care_plan", "plan-01")))
    assert made["identifier"] == [{"system": "urn:fhirsvc:document", "value": "care-plan.plan-01"}]
    assert made["id"] == "document.care-plan.plan-01"
    assert (made["status"], made["docStatus"]) == ("current", "final")
    assert made["subject"] == {"reference": "Patient/client.client-01"}
    assert made["author"][0]["display"] == "Marisol Delgado"
    assert made["type"]["coding"] == [{"system": "http://loinc.org", "code": "18776-5"}]
    assert made["category"][0]["coding"][0]["code"] == "clinical-note"
    assert made["date"] == record("care_plan", "plan-01")["updated_at"]
    assert made["description"] == "Treatment plan: Treatment plan, Marcus E."


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("referral", "referral-01-1", "57133-1"),
        ("aftercare_plan", "aftercare-01", "78263-1"),
        ("assessment", "assessment-01-intake", "78306-8"),
        ("assessment", "assessment-08-w03", "34904-3"),
        ("consent", "consent-01-1", "59284-0"),
        ("episode", "episode-01", "UNK"),
    ],
)
def test_the_type_tells_what_it_is(kind, name, code):
    """A sourced LOINC code, or US Core's word for none beside a code of the house."""
    first, *own = document(kind, name, pdf=False)["type"]["coding"]
    assert first["code"] == code
    assert [one["code"] for one in own] == (["episode"] if code == "UNK" else [])


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("draft", ("current", "preliminary")),
        ("active", ("current", "final")),
        ("error", ("entered-in-error", "entered-in-error")),
    ],
)
def test_the_status_is_that_of_the_plan(status, expected):
    """A draft is preliminary; a plan entered in error takes its document with it."""
    one = {**record("care_plan", "plan-01"), "status": status}
    found = arrange(one, mappings().forward(one), FILED, context(one, pdf=False))
    (made,) = sent(found, "DocumentReference")
    assert (made["status"], made["docStatus"]) == expected


def test_three_attachments_with_hash_and_size():
    """HTML, PDF and FHIR: SHA-1 and size are of the bytes, before base64."""
    made = document("care_plan", "plan-01")
    parts = [one["attachment"] for one in made["content"]]

    assert [one["contentType"] for one in parts] == list(KINDS)
    for one in parts:
        data = base64.b64decode(one["data"])
        assert one["size"] == len(data)
        assert base64.b64decode(one["hash"]) == hashlib.sha1(data).digest()
        assert one["title"] == made["description"]
        assert one["creation"] == made["date"]
    assert attached(made, "application/pdf").startswith(b"%PDF-")


def test_without_the_extra_a_document_has_no_pdf():
    """HTML and FHIR alone are a document."""
    made = document("care_plan", "plan-01", pdf=False)
    kinds = [one["attachment"]["contentType"] for one in made["content"]]
    assert kinds == ["text/html", "application/fhir+json"]


@pytest.mark.parametrize(
    ("kind", "name"), [("care_plan", "plan-03"), ("referral", "referral-03-1")]
)
def test_the_same_input_makes_the_same_bytes(kind, name):
    """A fingerprint decides whether it is sent again; another date makes another document."""
    first, again = document(kind, name), document(kind, name)
    assert fingerprint(first) == fingerprint(again)

    later = {**record(kind, name), "updated_at": "2026-09-01T08:00:00-04:00"}
    other = arrange(later, mappings().forward(later), FILED, context(later))
    assert fingerprint(sent(other, "DocumentReference")[0]) != fingerprint(first)


def test_the_bundle_has_the_resources_as_they_were_mapped():
    """A valid collection; references lead to its entries or say who is meant."""
    for one in records():
        made = mappings().forward(one)
        found = arrange(one, made, FILED, context(one, pdf=False))
        for document_ in sent(found, "DocumentReference"):
            bundle = json.loads(attached(document_, "application/fhir+json"))
            assert validate(bundle) == []
            assert bundle["type"] == "collection"
            urls = {entry["fullUrl"] for entry in bundle["entry"]}
            inside = [entry["resource"] for entry in bundle["entry"]]
            assert len(urls) == len(inside)
            by_id = {(one["resourceType"], one["id"]): one for one in json.loads(json.dumps(made))}
            for resource in inside:
                original = by_id[resource["resourceType"], resource["id"]]
                assert _bare(resource) == _bare(original)
            assert list(references(inside)) == []
            assert set(_literal(inside)) <= urls


def _bare(node):
    """A resource without its references."""
    if isinstance(node, dict):
        names = ("reference", "identifier", "display", "type") if _refers(node) else ()
        return {key: _bare(value) for key, value in node.items() if key not in names}
    return [_bare(item) for item in node] if isinstance(node, list) else node


def _refers(node) -> bool:
    return "reference" in node or {"type", "display"} <= node.keys()


def _literal(node):
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from _literal(value)
    elif isinstance(node, list):
        for item in node:
            yield from _literal(item)


def test_every_word_of_the_resources_is_in_the_html():
    """As readable text: what people wrote stands there, whatever the resource."""
    for one in records():
        made = mappings().forward(one)
        found = arrange(one, made, FILED, context(one, pdf=False))
        for out in found.outgoing:
            if out.resource["resourceType"] != "DocumentReference":
                continue
            shown = _shown(attached(out.resource, "text/html"))
            for resource in made:
                if (resource["resourceType"], resource["id"]) in out.stands_for:
                    missing = [text for text in _words(resource) if _plain(text) not in shown]
                    assert missing == []


def _shown(html: bytes) -> str:
    body = html.decode().split("</style>")[1]
    return _plain(unescape(re.sub(r"<[^>]+>", " ", body)))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().casefold()


def _words(node, key=""):
    if isinstance(node, dict):
        if node.get("status") == "generated":  # narrative: its pieces are compared elsewhere
            return
        for name, value in node.items():
            if name not in ("identifier", "groupIdentifier", "requisition", "questionnaire"):
                yield from _words(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from _words(item, key)
    elif isinstance(node, str) and key in HUMAN:
        yield node


def test_narrative_alone_is_in_the_html():
    """Fields that only the mapped narrative has are not lost on the page."""
    one = record("care_plan", "plan-01")
    shown = _shown(attached(document("care_plan", "plan-01", pdf=False), "text/html"))
    assert one["coping"]["worked"]
    assert all(_plain(text) in shown for text in one["coping"]["worked"])


def test_a_document_that_cannot_be_changed_is_made_anew():
    """Where only create is taken: other content is another one that replaces the first."""
    known = ladder(
        "DocumentReference | create | identifier\nPatient | read search-type | identifier"
    )
    first = sent(arranged("goal", "goal-01-1", known, pdf=False), "DocumentReference")[0]
    name = ("DocumentReference", first["id"])
    again = arranged("goal", "goal-01-1", known, pdf=False, version=2, sent={name: "x"})
    one = {**record("goal", "goal-01-1"), "status_reason": "Reached before its time"}
    found = arrange(
        one, mappings().forward(one), known, context(one, pdf=False, version=3, sent={name: "x"})
    )
    (changed,) = sent(found, "DocumentReference")

    assert "relatesTo" not in first
    assert sent(again, "DocumentReference") == []
    assert again.kept == (name,)
    assert changed["id"] != first["id"]
    assert changed["relatesTo"] == [
        {"code": "replaces", "target": {"reference": f"DocumentReference/{first['id']}"}}
    ]
    assert validate(changed) == []


def test_a_provenance_leads_to_the_document():
    """Who signed a plan that is a document signed that document."""
    known = ladder(f"Provenance | create update |\n{DOCUMENTS}")
    found = arranged("care_plan", "plan-01", known, pdf=False)
    targets = {one["target"][0]["reference"] for one in sent(found, "Provenance")}
    assert targets == {"DocumentReference/document.care-plan.plan-01"}


def _labelled(*codes):
    labels = [{"system": CONFIDENTIALITY, "code": code} for code in codes]
    other = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "NORDSCLCD"}
    return {"resourceType": "Goal", "id": "x", "meta": {"security": [*labels, other]}}


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([{"resourceType": "Goal", "id": "x"}], None),
        ([_labelled("N"), _labelled("R"), _labelled()], "R"),
        ([_labelled("R"), _labelled("V")], "V"),
        ([_labelled()], None),
    ],
)
def test_the_mark_is_the_highest_inside(resources, expected):
    """Confidentiality alone: no label that only the inside may show is put outside."""
    mark = high_water(resources)
    assert (mark or {}).get("code") == expected
    assert mark is None or mark.keys() == {"system", "code"}


def test_the_mark_is_on_content_and_entry():
    """``securityLabel`` says it of the content, ``meta.security`` of the entry."""
    one = record("goal", "goal-01-1")
    (goal,) = mappings().forward(one)
    marked = {**goal, "meta": _labelled("R")["meta"]}
    (made,) = sent(arrange(one, [marked], FILED, context(one, pdf=False)), "DocumentReference")

    assert [label["code"] for label in made["meta"]["security"]] == ["R"]
    assert [label["code"] for label in made["securityLabel"][0]["coding"]] == ["R"]
    assert validate(made) == []


def test_the_extra_is_here_for_these_tests():
    """The tests above make real PDFs."""
    assert narrative_pdf.AVAILABLE
