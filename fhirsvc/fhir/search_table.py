"""The table of search parameters: R4's own, for the types that records map to.

A row is ``name kind [index…] [Target…]: path, path``; see :mod:`fhirsvc.fhir.search_parameters`.
Source: https://hl7.org/fhir/R4/searchparameter-registry.html.
"""

from __future__ import annotations

_SUBJECT = """
subject reference: subject
patient reference subject Patient: subject
identifier token: identifier
"""
_PATIENT = """
patient reference: patient
identifier token: identifier
"""
_PERSON = """
identifier token: identifier
active token: active
name string family given text: name
family string: name.family
given string: name.given
text string: name.text
gender token: gender
"""
TABLE = {
    "Appointment": """
identifier token: identifier
actor reference: participant.actor
patient reference actor Patient: participant.actor
practitioner reference actor Practitioner: participant.actor
location reference actor Location: participant.actor
status token: status
part-status token: participant.status
date date: start
based-on reference: basedOn
appointment-type token: appointmentType
service-type token: serviceType
service-category token: serviceCategory
specialty token: specialty
reason-code token: reasonCode
""",
    "CarePlan": f"""{_SUBJECT}
status token: status
intent token: intent
category token: category
date date: period
goal reference: goal
condition reference: addresses
care-team reference: careTeam
based-on reference: basedOn
replaces reference: replaces
part-of reference: partOf
encounter reference: encounter
activity-reference reference: activity.reference
activity-code token: activity.detail.code
performer reference: activity.detail.performer
""",
    "CareTeam": f"""{_SUBJECT}
status token: status
category token: category
date date: period
participant reference: participant.member
encounter reference: encounter
""",
    "Condition": f"""{_SUBJECT}
clinical-status token: clinicalStatus
verification-status token: verificationStatus
category token: category
code token: code
severity token: severity
onset-date date: onsetDateTime, onsetPeriod
abatement-date date: abatementDateTime, abatementPeriod
recorded-date date: recordedDate
encounter reference: encounter
asserter reference: asserter
""",
    "Consent": f"""{_PATIENT}
status token: status
scope token: scope
category token: category
date date: dateTime
period date: provision.period
consentor reference: performer
organization reference: organization
""",
    "EpisodeOfCare": f"""{_PATIENT}
status token: status
type token: type
date date: period
condition reference: diagnosis.condition
organization reference: managingOrganization
care-manager reference: careManager
incoming-referral reference: referralRequest
""",
    "Flag": f"""{_SUBJECT}
date date: period
author reference: author
encounter reference: encounter
""",
    "Goal": f"""{_SUBJECT}
lifecycle-status token: lifecycleStatus
achievement-status token: achievementStatus
category token: category
start-date date: startDate
target-date date: target.dueDate
""",
    "MedicationRequest": f"""{_SUBJECT}
status token: status
intent token: intent
category token: category
priority token: priority
code token: medicationCodeableConcept
medication reference: medicationReference
authoredon date: authoredOn
requester reference: requester
encounter reference: encounter
""",
    "Observation": f"""{_SUBJECT}
status token: status
category token: category
code token: code
component-code token: component.code
combo-code token code component-code: code
value-concept token: valueCodeableConcept
date date: effectiveDateTime, effectivePeriod, effectiveInstant
performer reference: performer
based-on reference: basedOn
derived-from reference: derivedFrom
has-member reference: hasMember
part-of reference: partOf
focus reference: focus
encounter reference: encounter
""",
    "Organization": """
identifier token: identifier
active token: active
type token: type
name string: name, alias
partof reference: partOf
""",
    "Patient": f"""{_PERSON}
birthdate date: birthDate
language token: communication.language
general-practitioner reference: generalPractitioner
organization reference: managingOrganization
""",
    "Practitioner": f"""{_PERSON}
""",
    "PractitionerRole": """
identifier token: identifier
active token: active
practitioner reference: practitioner
organization reference: organization
role token: code
specialty token: specialty
date date: period
""",
    "Provenance": """
target reference: target
patient reference target Patient: target
agent reference: agent.who
agent-type token: agent.type
entity reference: entity.what
recorded date: recorded
when date: occurredDateTime, occurredPeriod
signature-type token: signature.type
""",
    "Questionnaire": """
identifier token: identifier
url uri: url
name string: name
title string: title
status token: status
version token: version
date date: date
publisher string: publisher
subject-type token: subjectType
""",
    # It has one identifier, which is ours: another's is in an extension beside it.
    "QuestionnaireResponse": f"""{_SUBJECT}
identifier token: identifier, extension.valueIdentifier
status token: status
questionnaire uri: questionnaire
authored date: authored
author reference: author
source reference: source
based-on reference: basedOn
part-of reference: partOf
encounter reference: encounter
""",
    "RelatedPerson": """
patient reference: patient
identifier token: identifier
active token: active
name string: name.family, name.given, name.text
relationship token: relationship
gender token: gender
""",
    "ServiceRequest": f"""{_SUBJECT}
status token: status
intent token: intent
priority token: priority
category token: category
code token: code
authored date: authoredOn
occurrence date: occurrenceDateTime, occurrencePeriod
requester reference: requester
performer reference: performer
performer-type token: performerType
based-on reference: basedOn
replaces reference: replaces
requisition token: requisition
encounter reference: encounter
""",
    "Task": """
identifier token: identifier
subject reference: for
patient reference subject Patient: for
status token: status
business-status token: businessStatus
intent token: intent
priority token: priority
code token: code
authored-on date: authoredOn
modified date: lastModified
period date: executionPeriod
owner reference: owner
requester reference: requester
performer token: performerType
focus reference: focus
based-on reference: basedOn
part-of reference: partOf
encounter reference: encounter
group-identifier token: groupIdentifier
""",
}
