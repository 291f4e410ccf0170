"""What US Core says must be supported, profile by profile, with its source.

Derived by ``tests/interop/must_support_source.py`` from the StructureDefinition snapshots of the
packages hl7.fhir.us.core 6.1.0, 7.0.0 and 8.0.0 (https://hl7.org/fhir/us/core/history.html):
elements with ``mustSupport``, without slices. ``!`` after a path: mandatory in the profile;
``@67``: only in these versions. Version 9 is taken as 8. An interop test compares.
"""

from __future__ import annotations

PROFILES: dict[str, str] = {
    "us-core-patient": (
        "Patient: identifier! identifier.system! identifier.value! name! name.family name.given "
        "telecom.system! telecom.value! telecom.use gender!@67 birthDate address address.line "
        "address.city address.state address.postalCode communication.language!"
    ),
    "us-core-practitioner": (
        "Practitioner: identifier! identifier.system! identifier.value! name! name.family! "
        "telecom telecom.system telecom.value address address.line address.city address.state "
        "address.postalCode address.country"
    ),
    "us-core-practitionerrole": (
        "PractitionerRole: practitioner organization code specialty location telecom "
        "telecom.system! telecom.value! endpoint"
    ),
    "us-core-organization": (
        "Organization: identifier identifier.system identifier.value active! name! telecom "
        "telecom.system telecom.value address address.line address.city address.state "
        "address.postalCode address.country"
    ),
    "us-core-relatedperson": ("RelatedPerson: active! patient! relationship name telecom address"),
    "us-core-careplan": (
        "CarePlan: text text.status! text.div! status! intent! category! subject!"
    ),
    "us-core-careteam": (
        "CareTeam: status subject! participant! participant.role! participant.member!"
    ),
    "us-core-goal": (
        "Goal: lifecycleStatus! description! subject! start[x] target target.due[x] expressedBy@8"
    ),
    "us-core-servicerequest": (
        "ServiceRequest: status! intent! category code! subject! occurrence[x] authoredOn "
        "requester encounter@78"
    ),
    "us-core-questionnaireresponse": (
        "QuestionnaireResponse: identifier questionnaire! status! subject! authored! author "
        "item item.linkId! item.text item.answer item.answer.value[x] item.answer.item "
        "item.item"
    ),
    "us-core-condition-problems-health-concerns": (
        "Condition: extension(http://hl7.org/fhir/StructureDefinition/condition-assertedDate) "
        "clinicalStatus verificationStatus category! code! subject! onset[x] abatement[x] "
        "recordedDate meta@78 meta.lastUpdated@78"
    ),
    "us-core-condition-encounter-diagnosis": (
        "Condition: "
        "extension(http://hl7.org/fhir/StructureDefinition/condition-assertedDate)@67 "
        "clinicalStatus@67 verificationStatus@67 category! code! subject! encounter onset[x]@67 "
        "abatement[x]@67 recordedDate"
    ),
    "us-core-observation-screening-assessment": (
        "Observation: status! category! code! subject! effective[x] performer value[x] "
        "dataAbsentReason hasMember derivedFrom"
    ),
    "us-core-observation-sexual-orientation": ("Observation: status! code! subject! effective[x]"),
    "us-core-treatment-intervention-preference": (
        "Observation: status!@78 category@78 code!@78 subject!@78 effective[x]@78 value[x]@78"
    ),
    "us-core-care-experience-preference": (
        "Observation: status!@78 category@78 code!@78 subject!@78 effective[x]@78 value[x]@78"
    ),
    "us-core-medicationrequest": (
        "MedicationRequest: status! intent! category reported[x] medication[x]! subject! "
        "encounter authoredOn requester dosageInstruction dosageInstruction.text "
        "dosageInstruction.timing dosageInstruction.doseAndRate "
        "dosageInstruction.doseAndRate.dose[x] dispenseRequest "
        "dispenseRequest.numberOfRepeatsAllowed dispenseRequest.quantity "
        "dosageInstruction.route@8"
    ),
    "us-core-documentreference": (
        "DocumentReference: identifier status! type! category! subject! date author content! "
        "content.attachment! content.attachment.contentType content.attachment.data "
        "content.attachment.url content.format context context.encounter context.period"
    ),
    "us-core-provenance": (
        "Provenance: target! target.reference recorded! agent! agent.type agent.who! "
        "agent.onBehalfOf"
    ),
    "us-core-encounter": (
        "Encounter: identifier identifier.system! identifier.value! status! class! type! "
        "subject! participant participant.type participant.period participant.individual period "
        "reasonCode reasonReference hospitalization hospitalization.dischargeDisposition "
        "location location.location! serviceProvider meta@78 meta.lastUpdated@78"
    ),
    "us-core-location": (
        "Location: status name! telecom address address.line address.city address.state "
        "address.postalCode managingOrganization identifier@78 type@78 type.coding!@8 "
        "type.coding.system!@8 type.coding.code!@8"
    ),
}
