"""What the demo becomes for real EHRs, before a real validator: documents and stand-ins."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from profiles import US_CORE_PROFILES
from servers import Validator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from arranging import DOCUMENTS, arranged, attached, hapi, ladder
from shipped_clinic import records
from statements import EHRS

from fhirsvc.ehr.ladder import Ladder

pytestmark = pytest.mark.interop
Resource = dict[str, Any]
DOCUMENT = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-documentreference"
LADDERS: dict[str, Callable[[], Ladder]] = {
    **{name: lambda name=name: ladder(name) for name in EHRS},
    "documents": lambda: ladder(DOCUMENTS),
    "tasks": lambda: hapi(without="ServiceRequest Flag"),
    "documents made anew": lambda: ladder(
        "DocumentReference | create |\nPatient | read search-type | identifier"
    ),
}


def outgoing(known: Ladder) -> list[Resource]:
    """Every resource that the demo clinic writes to an EHR."""
    found = []
    for record in records():
        made = arranged(record["type"], record["id"], known)
        found += [one.resource for one in made.outgoing if one.kind == "write"]
    written: list[Resource] = json.loads(json.dumps(found))
    return written


@pytest.mark.parametrize("name", list(LADDERS))
def test_what_goes_out_passes_the_validator(
    name: str, validator: Callable[[str], Validator]
) -> None:
    """0 errors for rewritten references, stand-ins and documents, for each EHR."""
    resources = outgoing(LADDERS[name]())
    assert len(resources) > 200

    verdicts = validator("R4").check(resources)

    assert len(verdicts) == len(resources)
    wrong = [(v.resource_type, v.id, e.location, e.message) for v in verdicts for e in v.errors]
    assert wrong == []


@pytest.mark.parametrize("version", ["6.1.0", "7.0.0", "8.0.0"])
def test_documents_are_of_us_core(version: str, validator: Callable[[str], Validator]) -> None:
    """Each DocumentReference of the demo fits US Core's profile.

    Its type is bound to LOINC's document codes and UNK. No package has LOINC, so that the validator
    cannot expand the value set and judges no code there: that each is one or the other is asked.
    """
    documents = [one for one in outgoing(ladder(DOCUMENTS)) if one["resourceType"] != "Patient"]
    about = [one for one in documents if "subject" in one]  # US Core asks for one
    assert len(about) > 150

    profiles = {**US_CORE_PROFILES, "DocumentReference": DOCUMENT}
    verdicts = validator(version).check(about, profiles)

    assert len(verdicts) == len(about)
    elsewhere = [
        (v.id, e.location, e.message)
        for v in verdicts
        for e in v.errors
        if e.location != "DocumentReference.type"
    ]
    assert elsewhere == []
    first = {
        (one["type"]["coding"][0]["system"], one["type"]["coding"][0]["code"]) for one in about
    }
    assert {code for system, code in first if system != "http://loinc.org"} == {"UNK"}


def test_the_fhir_beside_a_document_passes_the_validator(
    validator: Callable[[str], Validator],
) -> None:
    """0 errors for the Bundles inside, whose references lead inside or are logical."""
    documents = [
        one for one in outgoing(ladder(DOCUMENTS)) if one["resourceType"] == "DocumentReference"
    ]
    bundles = [json.loads(attached(one, "application/fhir+json")) for one in documents]

    verdicts = validator("R4").check(bundles)

    wrong = [(e.location, e.message) for verdict in verdicts for e in verdict.errors]
    assert wrong == []
