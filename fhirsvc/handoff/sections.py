"""The sections of a handoff: the fifteen of PACIO Transitions of Care, and our own between them.

Codes and order of the fifteen: https://hl7.org/fhir/us/pacio-toc/STU1/ (TOC-Composition); the
displays are those of its source (input/fsh/TOCComposition.fsh). What else a clinician looks for
first has a section with a code of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LOINC = "http://loinc.org"
TEMPORARY = "http://hl7.org/fhir/us/pacio-toc/CodeSystem/toc-temp-cs"
OWN = "urn:fhirsvc:CodeSystem:handoff-section"
EMPTY = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
# https://hl7.org/fhir/R4/valueset-list-empty-reason.html
Why = Literal["nilknown", "notasked", "withheld", "unavailable"]
WHY = {
    "nilknown": "Nil Known",
    "notasked": "Not Asked",
    "withheld": "Information Withheld",
    "unavailable": "Unavailable",
}


@dataclass(frozen=True)
class Kind:
    """A kind of section: its code, its title, and why it is empty when nothing is known for it."""

    key: str
    system: str
    code: str
    display: str
    title: str
    empty: Why = "unavailable"


KINDS: tuple[Kind, ...] = (
    Kind("appointments", OWN, "appointments", "Appointments", "Appointments", "nilknown"),
    Kind(
        "instructions",
        LOINC,
        "69730-0",
        "Discharge Instructions",
        "Crisis plan and staying well",
    ),
    Kind(
        "medications",
        LOINC,
        "10160-0",
        "History of Medication Use",
        "Medications, as stated",
    ),
    Kind("reason", LOINC, "42349-1", "Reason for referral (narrative)", "Why the program ended"),
    Kind("problems", LOINC, "11450-4", "Problem list - Reported", "Problems"),
    Kind("plan", LOINC, "18776-5", "Plan of care note", "Aftercare plan"),
    Kind("goals", OWN, "goals", "Goals with their trend", "Goals", "nilknown"),
    Kind(
        "behavioral",
        TEMPORARY,
        "behavioral_health_summary",
        "Behavioral Health Summary",
        "Behavioral health: scores",
    ),
    Kind("referrals", OWN, "referrals", "Open referrals", "Open referrals", "nilknown"),
    Kind("social", LOINC, "29762-2", "Social history note", "Social history"),
    Kind("functional", LOINC, "47420-5", "Functional status", "Functional status"),
    Kind("allergies", LOINC, "48765-2", "Allergies and adverse reactions Document", "Allergies"),
    Kind(
        "directives", LOINC, "42348-3", "Advance healthcare directives", "Advance directives",
        "notasked",
    ),
    Kind(
        "immunizations", LOINC, "11369-6", "History of Immunization note", "Immunizations",
        "notasked",
    ),
    Kind(
        "devices", LOINC, "46264-8", "History of medical device use", "Medical devices",
        "notasked",
    ),
    Kind("procedures", LOINC, "47519-4", "History of Procedures Document", "Procedures"),
    Kind("results", LOINC, "30954-2", "Relevant diagnostic tests/laboratory data note", "Results"),
    Kind("vitals", LOINC, "8716-3", "Vital signs note", "Vital signs"),
)  # fmt: skip
BY_KEY = {one.key: one for one in KINDS}
