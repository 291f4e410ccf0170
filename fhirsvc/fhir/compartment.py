"""The compartment of a Patient: whose a resource is, by the references that R4 names for its type.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from fhirsvc.fhir.search_parameters import parameters

# The search parameters of each type, of those that are served. R4 has no Task in it.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "Appointment": ("actor",),
    "CarePlan": ("patient", "performer"),
    "CareTeam": ("patient", "participant"),
    "Condition": ("patient", "asserter"),
    "Consent": ("patient",),
    "EpisodeOfCare": ("patient",),
    "Flag": ("patient",),
    "Goal": ("patient",),
    "MedicationRequest": ("subject",),
    "Observation": ("subject", "performer"),
    "Patient": (),
    "Provenance": ("patient",),
    "QuestionnaireResponse": ("subject", "author"),
    "RelatedPerson": ("patient",),
    "ServiceRequest": ("subject", "performer"),
}
_PATIENT = "Patient/"


def patients(resource: Mapping[str, Any]) -> set[str]:
    """The ids of the Patients whose compartments a resource is in; a Patient is in its own."""
    type_ = resource["resourceType"]
    found = {resource["id"]} if type_ == "Patient" else set()
    for path in _paths(type_):
        for reference in _at(resource, path):
            text = reference.get("reference") if isinstance(reference, dict) else None
            if isinstance(text, str) and text.startswith(_PATIENT):
                found.add(text.removeprefix(_PATIENT).partition("/")[0])
    return found


@cache
def _paths(resource_type: str) -> tuple[tuple[str, ...], ...]:
    own = parameters(resource_type)
    names = PARAMETERS.get(resource_type, ())
    return tuple(dict.fromkeys(path for name in names for path in own[name].paths))


def _at(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(node, list):
        for item in node:
            yield from _at(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _at(node[path[0]], path[1:])
