"""A DocumentReference of one record: HTML and PDF to read, and the FHIR it is made of beside them.

https://hl7.org/fhir/R4/documentreference.html, and for the US
https://hl7.org/fhir/us/core/StructureDefinition-us-core-documentreference.html
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from fhirsvc.ehr.context import Context
from fhirsvc.ehr.local import Local, Resource, leads_to, local, rewritten
from fhirsvc.ehr.narrative import Page, display_of, page, rank
from fhirsvc.ehr.narrative_html import html
from fhirsvc.ehr.narrative_pdf import pdf
from fhirsvc.ehr.phrases import Names, moment, words

SYSTEM = "urn:fhirsvc:document"
KINDS = "urn:fhirsvc:CodeSystem:document-kind"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
# Highest first. https://terminology.hl7.org/CodeSystem-v3-Confidentiality.html
_MARKS = ("V", "R", "N", "M", "L", "U")
# Record type → title, LOINC code, and the words for it. The codes were read in US Core's clinical
# notes (57133-1), in PACIO's Transitions of Care (18776-5) and in HL7's US Behavioral Health
# profiles, value set of mental health note types (34904-3, 78263-1, 78306-8).
_TYPES: dict[str, tuple[str, str, str]] = {
    "care_plan": ("Treatment plan", "18776-5", "Plan of care note"),
    "goal": ("Treatment goal", "18776-5", "Plan of care note"),
    "aftercare_plan": ("Aftercare plan", "78263-1", "Mental health Discharge summary"),
    "referral": ("Referral", "57133-1", "Referral note"),
    "assessment": ("Assessment", "34904-3", "Mental health Progress note"),
    "intake": ("Intake assessment", "78306-8", "Mental health History and physical note"),
    "discharge": ("Assessment at discharge", "34904-3", "Mental health Progress note"),
    "consent": ("Consent", "59284-0", "Patient Consent"),
}
# US Core binds the type to LOINC's document codes and to this one, for what none of them says.
_NO_TYPE = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor",
    "code": "UNK",
    "display": "unknown",
}
# US Core 8.0.0, CodeSystem us-core-documentreference-category
_CATEGORY = {
    "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
    "code": "clinical-note",
    "display": "Clinical Note",
}
_AUTHORS = (
    "author",
    "requester",
    "asserter",
    "recorder",
    "careManager",
    "expressedBy",
    "performer",
)
_AUTHOR_TYPES = frozenset(
    "Practitioner PractitionerRole Organization Device Patient RelatedPerson".split()
)
_FOOTER = "Made from the program's record. The same content is attached as FHIR R4 resources."


@dataclass(frozen=True)
class Draft:
    """What a document is made from: the record, its resources on this rung, and who is who."""

    record: Mapping[str, Any]
    resources: Sequence[Resource]
    names: Names
    titles: Mapping[str, str]  # of forms, by canonical URL
    logical: Callable[[Any], Any]  # a Reference without a place in the Bundle


def prefix_of(record: Mapping[str, Any]) -> str:
    """What local ids of a record begin with: ``care-plan.plan-01``."""
    return f"{str(record['type']).replace('_', '-')}.{record['id']}"


def document_id(record: Mapping[str, Any]) -> str:
    """The local id of a record's document."""
    return f"document.{prefix_of(record)}"


def document(draft: Draft, context: Context) -> dict[str, Any]:
    """The DocumentReference of a record, under its local id, with local references."""
    main = min(draft.resources, key=rank)
    title, code = _kind(draft.record)
    named = display_of(main)
    whole = f"{title}: {named}" if named and named != title else title
    mark = high_water(draft.resources)
    subject = _subject(draft.resources)
    author = _author(draft.resources)
    status = _status(main)
    found: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": document_id(draft.record),
        **({"meta": {"security": [mark]}} if mark else {}),
        "identifier": [{"system": SYSTEM, "value": prefix_of(draft.record)}],
        "status": "entered-in-error" if status == "entered-in-error" else "current",
        "docStatus": status,
        "type": code,
        "category": [{"coding": [_CATEGORY]}],
        **({"subject": subject} if subject else {}),
        "date": context.date,
        **({"author": [author]} if author else {}),
        "description": whole,
        **({"securityLabel": [{"coding": [mark]}]} if mark else {}),
    }
    content = _page(draft, whole, subject, author, context)
    return {**found, "content": _attachments(draft, content, whole, context)}


def _kind(record: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    kind = str(record["type"])
    known = _TYPES.get(str(record.get("kind"))) if kind == "assessment" else None
    known = known or _TYPES.get(kind)
    if known is not None:
        title, code, text = known
        return title, {"coding": [{"system": "http://loinc.org", "code": code}], "text": text}
    title = words(kind)
    own = {"system": KINDS, "code": kind.replace("_", "-"), "display": title}
    return title, {"coding": [_NO_TYPE, own], "text": title}


def _status(main: Resource) -> str:
    """``docStatus``, by the status of what it is chiefly about."""
    said = str(main.get("status") or main.get("lifecycleStatus") or "")
    if said in ("entered-in-error", "amended"):
        return said
    return "preliminary" if said in ("draft", "proposed", "in-progress") else "final"


def _subject(resources: Sequence[Resource]) -> dict[str, Any] | None:
    for resource in resources:
        for key in ("subject", "patient", "for"):
            given = resource.get(key)
            target = leads_to(given)
            if target is not None and target[0] == "Patient":
                return dict(given or {})
    own = [one for one in resources if one["resourceType"] == "Patient"]
    return {"reference": "/".join(local(own[0]))} if own else None


def _author(resources: Sequence[Resource]) -> dict[str, Any] | None:
    for resource in resources:
        for key in _AUTHORS:
            value = resource.get(key)
            for one in value if isinstance(value, list) else [value]:
                target = leads_to(one)
                if target is not None and target[0] in _AUTHOR_TYPES:
                    return dict(one or {})
    return None


def high_water(resources: Sequence[Resource]) -> dict[str, str] | None:
    """The highest confidentiality among resources; None where none of them is marked.

    Only that: other labels could tell on a document what only its inside may.
    https://hl7.org/fhir/uv/security-label-ds4p/ (high water mark)
    """
    stated = {
        str(label.get("code"))
        for resource in resources
        for label in (resource.get("meta") or {}).get("security", ())
        if label.get("system") == CONFIDENTIALITY
    }
    code = next((mark for mark in _MARKS if mark in stated), None)
    return {"system": CONFIDENTIALITY, "code": code} if code else None


def _page(draft: Draft, title: str, subject: Any, author: Any, context: Context) -> Page:
    about = [
        ("Patient", draft.names(subject) if subject else ""),
        ("Date", moment(context.date)),
        ("Author", draft.names(author) if author else ""),
    ]
    return page(title, about, draft.resources, draft.names, titles=draft.titles, footer=_FOOTER)


def _attachments(draft: Draft, content: Page, title: str, context: Context) -> list[dict[str, Any]]:
    made = [("text/html", html(content).encode())]
    if context.pdf:
        made.append(("application/pdf", pdf(content, context.date, context.fonts)))
    made.append(("application/fhir+json", bundle(draft, context)))
    return [{"attachment": _attachment(kind, data, title, context)} for kind, data in made]


def _attachment(kind: str, data: bytes, title: str, context: Context) -> dict[str, Any]:
    """``hash`` is SHA-1, ``size`` in bytes, both before base64.

    https://hl7.org/fhir/R4/datatypes.html#Attachment
    """
    return {
        "contentType": kind,
        **({"language": "en"} if kind != "application/fhir+json" else {}),
        "data": base64.b64encode(data).decode(),
        "size": len(data),
        "hash": base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode(),
        "title": title,
        "creation": context.date,
    }


def bundle(draft: Draft, context: Context) -> bytes:
    """A collection of the resources as JSON: each reference leads inside, or is a logical one."""
    places = {local(one): _urn(local(one)) for one in draft.resources}

    def inside(path: str, target: Local, reference: Resource) -> Resource:
        if target in places:
            return {**reference, "reference": places[target]}
        logical: Resource = draft.logical(reference)
        return logical

    entries = [
        {"fullUrl": places[local(one)], "resource": rewritten(one, inside)}
        for one in draft.resources
    ]
    found = {
        "resourceType": "Bundle",
        "identifier": {"system": SYSTEM, "value": prefix_of(draft.record)},
        "type": "collection",
        "timestamp": context.date,
        "entry": entries,
    }
    return orjson.dumps(found)


def _urn(target: Local) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{SYSTEM}:{'/'.join(target)}").urn
