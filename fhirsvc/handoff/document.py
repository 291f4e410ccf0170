"""The handoff as an R4 document: a Composition, then all that its references lead to. Pure.

https://hl7.org/fhir/R4/documents.html and, for the sections,
https://hl7.org/fhir/us/pacio-toc/STU1/StructureDefinition-TOC-Composition.html
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.ehr.local import Local, local, references, rewritten
from fhirsvc.ehr.narrative import Page, Part
from fhirsvc.ehr.narrative_html import fragment
from fhirsvc.ehr.phrases import moment
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.handoff.handed import Contents
from fhirsvc.handoff.sections import EMPTY, KINDS, WHY, Kind

Resource = Mapping[str, Any]
SYSTEM = "urn:fhirsvc:handoff"
LOINC = "http://loinc.org"
PREFIX = "handoff."  # of the Composition's id, before that of its aftercare plan
_XHTML = '<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="en-US" lang="en-US">'


@dataclass(frozen=True)
class Head:
    """What stands at the head: of whom, by whom, when (an instant), and of which plan."""

    plan_id: str
    title: str
    date: str
    subject: Resource  # References
    author: Resource
    custodian: Resource
    about: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Document:
    """A document Bundle, and the page of the same."""

    bundle: dict[str, Any]
    page: Page


def document(
    head: Head,
    sections: Mapping[str, Contents],
    resources: Mapping[Local, Resource],
    logical: Callable[[Resource], Resource],
) -> Document:
    """The document.

    :param resources: all that may be handed over; what the Composition leads to goes along, at any
        distance. A reference to anything else becomes what ``logical`` makes of it.
    """
    composition = _composition(head, sections)
    inside = list(_reached(composition, resources))
    places = {one: _urn(head, one) for one in [local(composition), *map(local, inside)]}

    def placed(_path: str, target: Local, reference: Resource) -> Resource:
        if target in places:
            return {**reference, "reference": places[target]}
        return logical(reference)

    entries = [
        {"fullUrl": places[local(one)], "resource": rewritten(_plain(one), placed)}
        for one in [composition, *inside]
    ]
    identifier = {"system": SYSTEM, "value": f"{head.plan_id}.{head.date}"}
    bundle = {
        "resourceType": "Bundle",
        "identifier": identifier,
        "type": "document",
        "timestamp": head.date,
        "entry": entries,
    }
    return Document(bundle, _page(head, sections))


def _plain(resource: Resource) -> Resource:
    """Without the id: in the Bundle it is called by its fullUrl."""
    return {key: value for key, value in resource.items() if key != "id"}


def _composition(head: Head, sections: Mapping[str, Contents]) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": f"{PREFIX}{head.plan_id}",
        "language": "en-US",
        "identifier": {"system": SYSTEM, "value": head.plan_id},
        "status": "final",
        # The codes were read in HL7's US Behavioral Health profiles and in PACIO's guide.
        "type": {"coding": [{"system": LOINC, "code": "78263-1"}], "text": "Discharge summary"},
        "category": [
            {"coding": [{"system": LOINC, "code": "18761-7"}], "text": "Transfer summary"}
        ],
        "subject": head.subject,
        "date": head.date,
        "author": [head.author],
        "title": head.title,
        "custodian": head.custodian,
        "section": [_section(kind, sections.get(kind.key, Contents())) for kind in KINDS],
    }


def _section(kind: Kind, contents: Contents) -> dict[str, Any]:
    coding = {"system": kind.system, "code": kind.code, "display": kind.display}
    entries = [{"reference": "/".join(local(one))} for one in contents.entries]
    why = _why_empty(kind, contents)
    inner = fragment(contents.part) if contents.part else f"<p>{WHY[why]}</p>"
    return {
        "title": kind.title,
        "code": {"coding": [coding]},
        "text": {"status": "generated", "div": f"{_XHTML}{inner}</div>"},
        **({"entry": entries} if entries else {}),
        **(
            {}
            if entries or contents.part
            else {"emptyReason": {"coding": [{"system": EMPTY, "code": why, "display": WHY[why]}]}}
        ),
    }


def _why_empty(kind: Kind, contents: Contents) -> Any:
    return "withheld" if contents.is_withheld else kind.empty


def _reached(composition: Resource, resources: Mapping[Local, Resource]) -> Iterator[Resource]:
    """What the Composition leads to, each once, nearest first."""
    seen: set[Local] = set()
    waiting: list[Resource] = [composition]
    while waiting:
        for _, target in references(waiting.pop(0)):
            if target not in seen and target in resources:
                seen.add(target)
                waiting.append(resources[target])
                yield resources[target]


def _urn(head: Head, target: Local) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{SYSTEM}:{head.plan_id}:{'/'.join(target)}").urn


def _page(head: Head, sections: Mapping[str, Contents]) -> Page:
    parts, empty = [], []
    for kind in KINDS:
        one = sections.get(kind.key, Contents())
        if one.part is not None:
            note = (("Withheld", "Something here may not be told without consent."),)
            rows = (*one.part.rows, *(note if one.is_withheld else ()))
            parts.append(Part(kind.title, rows, one.part.tables, one.part.pictures))
        else:
            empty.append((kind.title, WHY[_why_empty(kind, one)]))
    if empty:
        parts.append(Part("Nothing here about", tuple(empty)))
    made = f"Made from the program's record on {moment(head.date)}."
    return Page(head.title, head.about, tuple(parts), f"{made} The same is in the document's FHIR.")


def plan_of(composition_id: str) -> str:
    """The aftercare plan whose Composition has this id.

    :raises FhirsvcError: NOT_FOUND where it is none of ours.
    """
    if not composition_id.startswith(PREFIX):
        raise FhirsvcError(Category.NOT_FOUND, "no such document")
    return composition_id.removeprefix(PREFIX)
