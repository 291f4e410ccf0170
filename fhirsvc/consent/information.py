"""Amount and kind: which word of a consent's ``information`` each resource and element is.

42 CFR 2.31(a)(3) wants the information described "in a specific and meaningful fashion"; the house
describes it in the words of ``fhirsvc.records.consent.INFORMATION``. A consent covers an element
when it names the element's own kind: a consent for the care plan does not cover the crisis plan
that stands in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

EVERYTHING = "everything"
SUBSTANCE_USE = "substance_use"
CONSENT = "consent"  # the consent itself: 42 CFR 2.32 lets a copy of it go along
COUNSELING_NOTES = "sud_counseling_notes"  # of no mapping so far; 42 CFR 2.31(b)
UNLISTED = "unlisted"  # covered by a consent for everything alone

# record type → resource type → kind; "" is any other resource of the record.
_RESOURCES: dict[str, dict[str, str]] = {
    "client": {"": "demographics"},
    "episode": {"Condition": "diagnoses", "": "attendance"},
    "assessment": {
        "Observation": "instrument_scores",
        "Flag": "instrument_scores",
        "Task": "instrument_scores",
        "": "assessments",
    },
    "care_plan": {
        "CareTeam": "care_team",
        "MedicationRequest": "medications",
        "Observation": "progress",
        "": "care_plan",
    },
    "goal": {"": "goals"},
    "referral": {"": "referrals"},
    "aftercare_plan": {"MedicationRequest": "medications", "": "aftercare"},
    "consent": {"": CONSENT},
}

# record type → field → kind of what is made of it, where it is not that of its resource.
FIELDS: dict[str, Mapping[str, str]] = {
    "episode": {"diagnoses": "diagnoses"},
    "assessment": {
        "instruments": "instrument_scores",
        "alerts": "instrument_scores",
        "substance_use": SUBSTANCE_USE,
        "substance_use_text": SUBSTANCE_USE,
        "asam": SUBSTANCE_USE,
        "medical_evaluation.medications": "medications",
    },
    "care_plan": {
        "diagnoses": "diagnoses",
        "medication_support": "medications",
        "care_team": "care_team",
        "case_conferences": "progress",
        "progress": "progress",
        "crisis_plan": "crisis_plan",
        "relapse_prevention": SUBSTANCE_USE,
        "aftercare": "aftercare",
    },
    "aftercare_plan": {
        "diagnoses": "diagnoses",
        "medications": "medications",
        "medications_text": "medications",
        "crisis_plan": "crisis_plan",
        "relapse_prevention": SUBSTANCE_USE,
    },
}


def kind_of(record_type: str, resource_type: str) -> frozenset[str]:
    """The kind of a resource as a whole."""
    known = _RESOURCES.get(record_type, {})
    return frozenset({known.get(resource_type) or known.get("") or UNLISTED})


def tells_kinds_apart(consents: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of a client's consents names kinds, so that elements have to be told apart.

    Where none does, resources need no ``kinds``, which are dearer to find than labels.
    """
    return any(
        one.get("excluded_information")
        or any(word != EVERYTHING for word in one.get("information") or ())
        for one in consents
    )
