"""A resource that should not have been: how FHIR says so, type by type. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirsvc.fhir.definitions import definition

WRONG = "entered-in-error"
# Whoever these are, they do not cease to be because a record of ours was deleted.
NEVER = frozenset(
    "Patient Practitioner PractitionerRole RelatedPerson Organization Location "
    "Questionnaire".split()
)
# https://hl7.org/fhir/R4/valueset-condition-ver-status.html
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def withdrawn(resource: Mapping[str, Any]) -> dict[str, Any] | None:
    """The resource as entered in error; None where its type has no word for that.

    A Condition that is so has no clinicalStatus (con-5): https://hl7.org/fhir/R4/condition.html
    """
    kind = str(resource.get("resourceType"))
    if kind == "Condition":
        kept = {name: value for name, value in resource.items() if name != "clinicalStatus"}
        coding = {"system": _VERIFICATION, "code": WRONG}
        return {**kept, "verificationStatus": {"coding": [coding]}}
    for name in ("status", "lifecycleStatus"):
        element = definition(kind).elements.get(name)
        if element is not None and WRONG in element.codes:
            return {**resource, name: WRONG}
    return None


def is_withdrawn(resource: Mapping[str, Any]) -> bool:
    """Whether the resource says of itself that it was entered in error."""
    if WRONG in (resource.get("status"), resource.get("lifecycleStatus")):
        return True
    stated = resource.get("verificationStatus")
    codings = stated.get("coding") if isinstance(stated, Mapping) else None
    return any(
        isinstance(one, Mapping) and one.get("code") == WRONG
        for one in (codings if isinstance(codings, list) else ())
    )
