"""What four EHRs state, cut down to what deliveries ask: types, interactions, how one can search.

From the vendors' published CapabilityStatements: Epic (sandbox, May 2026), Oracle Health (R4,
secured), MEDITECH (Greenfield), athenahealth. ``test_ehrs`` holds them against the whole ones where
those are at hand.
"""

from __future__ import annotations

from typing import Any

_EPIC = """\
Appointment           | read search-type                    | identifier patient _id
CarePlan              | read search-type                    | patient _id identifier
CareTeam              | read search-type                    | patient _id identifier
Communication         | create read search-type             | patient _id identifier
Condition             | create read search-type             | patient _id identifier
Consent               | read search-type                    | patient _id identifier
DiagnosticReport      | read search-type update             | identifier patient _id
DocumentReference     | create read search-type update      | patient _id identifier
Encounter             | read search-type                    | identifier patient _id
EpisodeOfCare         | read search-type                    | patient _id identifier
Flag                  | read search-type                    | patient _id identifier
Goal                  | read search-type                    | patient _id identifier
Location              | read search-type                    | _id identifier
MedicationRequest     | read search-type                    | patient _id identifier
Observation           | create read search-type update      | patient _id identifier
Organization          | read search-type                    | _id
Patient               | create read search-type             | identifier _id
Practitioner          | read search-type                    | identifier _id
PractitionerRole      | read search-type                    | identifier _id
Provenance            | read                                |
Questionnaire         | read search-type                    | _id
QuestionnaireResponse | create read search-type             | patient _id identifier
RelatedPerson         | read search-type                    | patient _id identifier
ServiceRequest        | create read search-type update      | identifier patient _id
Task                  | read search-type update             | patient _id identifier
"""
_ORACLE = """\
Appointment           | read search-type create patch       | _id patient
CarePlan              | read search-type                    | _id patient
CareTeam              | read search-type                    | _id patient
Communication         | read search-type create patch       | _id
Condition             | read search-type create update      | _id patient _lastUpdated
Consent               | read search-type                    | _id patient
DiagnosticReport      | read search-type create             | _id patient _lastUpdated
DocumentReference     | read search-type create update      | _id patient _lastUpdated
Encounter             | read search-type create patch       | _id patient identifier _lastUpdated
Goal                  | read search-type                    | _id patient
Location              | read search-type                    | _id identifier
MedicationRequest     | read search-type create patch       | _id patient _lastUpdated
Observation           | read search-type create update      | _id patient _lastUpdated
Organization          | read search-type create             | _id identifier
Patient               | read search-type create patch       | _id identifier
Practitioner          | read search-type create             | _id identifier
Provenance            | read search-type create             | _id
Questionnaire         | read search-type                    | _id
QuestionnaireResponse | read search-type update             | _id patient
RelatedPerson         | read search-type create patch       | _id identifier patient
ServiceRequest        | read search-type                    | _id patient _lastUpdated
"""
_MEDITECH = """\
Appointment           | read search-type                    | _id patient
CarePlan              | read search-type                    | _id patient
CareTeam              | read search-type                    | _id patient
Communication         | read search-type create             | _id patient
Condition             | read search-type                    | _id patient
DiagnosticReport      | read search-type                    | _id patient
DocumentReference     | read search-type                    | _id patient
Encounter             | read search-type                    | _id patient identifier
Goal                  | read search-type                    | _id patient
Location              | search-type read                    | _id
MedicationRequest     | read search-type                    | _id patient
Observation           | read search-type                    | _id patient
Organization          | search-type read                    | _id
Patient               | read search-type                    | _id identifier
Practitioner          | read search-type                    | _id identifier
PractitionerRole      | read search-type                    | _id
Provenance            | read                                |
QuestionnaireResponse | read search-type create update      | _id patient
RelatedPerson         | read search-type                    | _id patient
ServiceRequest        | read search-type                    | _id patient
Task                  | read                                |
"""
_ATHENA = """\
Appointment           | read search-type                    | _id
CarePlan              | read search-type                    | patient _lastUpdated _id
CareTeam              | read search-type                    | patient _lastUpdated _id
Condition             | read search-type                    | _id patient _lastUpdated
DiagnosticReport      | read search-type                    | _id patient _lastUpdated
DocumentReference     | read search-type                    | _id patient _lastUpdated
Encounter             | read search-type                    | _id patient _lastUpdated
Goal                  | read search-type                    | patient _id _lastUpdated
Location              | read search-type                    | _id
MedicationRequest     | read search-type                    | patient _id _lastUpdated
Observation           | read search-type                    | _id patient _lastUpdated
Organization          | read search-type                    | _id
Patient               | read search-type                    | _id identifier _lastUpdated
Practitioner          | read search-type                    | _id identifier
Provenance            | read search-type                    |
ServiceRequest        | read search-type                    | _id patient _lastUpdated
QuestionnaireResponse | create search-type read             | _id _lastUpdated patient
Questionnaire         | search-type read                    | _id
RelatedPerson         | search-type read                    | patient _lastUpdated _id
"""


def statement(table: str, **more: Any) -> dict[str, Any]:
    """A CapabilityStatement of lines ``Type | interactions | search parameters``."""
    resources = []
    for line in table.strip().splitlines():
        kind, codes, *searches = (part.strip() for part in line.split("|"))
        one: dict[str, Any] = {
            "type": kind,
            "interaction": [{"code": code} for code in codes.split()],
        }
        if searches and searches[0]:
            one["searchParam"] = [{"name": n, "type": "token"} for n in searches[0].split()]
        resources.append(one)
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": resources}],
        **more,
    }


_US_CORE = "http://hl7.org/fhir/us/core/CapabilityStatement/us-core-server"
EHRS: dict[str, dict[str, Any]] = {
    "epic": statement(_EPIC, instantiates=[f"{_US_CORE}|6.1.0"], software={"name": "Epic"}),
    "oracle": statement(_ORACLE, instantiates=[_US_CORE], publisher="Oracle Health"),
    "meditech": statement(_MEDITECH, instantiates=[_US_CORE]),
    "athena": statement(_ATHENA, instantiates=[f"{_US_CORE}|3.1.1", f"{_US_CORE}|6.1.0"]),
}
# The whole ones, by the names they have where they are kept.
WHOLE = {
    "epic": "epic-fhir-r4-capabilitystatement.json",
    "oracle": "cerner-r4-secure.json",
    "meditech": "meditech-greenfield-capabilitystatement.json",
    "athena": "athenahealth-fhir-capabilitystatement.json",
}


def everything(*, conditional: bool = True, without: str = "") -> dict[str, Any]:
    """A server that takes every type of the table below, as HAPI states it; some left out."""
    kinds = [kind for kind in _EVERY.split() if kind not in without.split()]
    made = statement("\n".join(f"{kind} | {_ALL} | identifier _tag" for kind in kinds))
    for one in made["rest"][0]["resource"]:
        one |= {"conditionalCreate": conditional, "conditionalUpdate": conditional}
    return made


_ALL = "read vread create update patch delete search-type history-instance"
_EVERY = (
    "Appointment CarePlan CareTeam Communication Condition Consent DocumentReference EpisodeOfCare "
    "Flag Goal MedicationRequest Observation Organization Patient Practitioner PractitionerRole "
    "Provenance Questionnaire QuestionnaireResponse RelatedPerson ServiceRequest Task"
)
