"""How a page of resources is laid out: headings, what is left out, and the columns of tables."""

from __future__ import annotations

Columns = tuple[tuple[str, tuple[str, ...]], ...]

# Resource type → heading of one, heading of several. The order is that of the page.
HEADINGS = {
    "CarePlan": ("Plan of care", "Plans of care"),
    "Goal": ("Goal", "Goals"),
    "ServiceRequest": ("Referral", "Referrals"),
    "Task": ("Task", "Tasks"),
    "Flag": ("Alert", "Alerts"),
    "EpisodeOfCare": ("Episode of care", "Episodes of care"),
    "Condition": ("Problem", "Problems"),
    "QuestionnaireResponse": ("Answers", "Answers"),
    "Observation": ("Findings", "Findings"),
    "MedicationRequest": ("Medication, as told to the team", "Medications, as told to the team"),
    "Appointment": ("Appointment", "Appointments"),
    "CareTeam": ("Care team", "Care teams"),
    "Consent": ("Consent", "Consents"),
    "Patient": ("Person", "Persons"),
    "RelatedPerson": ("Family or contact", "Family and contacts"),
    "Practitioner": ("Clinician", "Clinicians"),
    "PractitionerRole": ("Role", "Roles"),
    "Organization": ("Organization", "Organizations"),
    "Provenance": ("Signed or decided", "Signed and decided"),
}
NEVER = frozenset(
    "resourceType id meta text identifier language implicitRules subject patient for intent "
    "basedOn derivedFrom target targetFormat questionnaire groupIdentifier requisition "
    "policyRule policy scope contained".split()
)
NOT_OF = {
    "CarePlan": {"category"},
    "Observation": {"category"},
    "Condition": {"category"},
    "ServiceRequest": {"category"},
    "Task": {"focus", "code", "reasonReference"},
    "MedicationRequest": {"reportedBoolean"},
    "CarePlan.activity": {"detail.kind"},
    "Provenance": {"signature.type", "signature.when"},
}
# What an element is called on a page, where its own name in words says little.
LABELS = {
    "workflow-episodeOfCare": "Episode of care",
    "resource-pertainsToGoal": "Goals",
    "supportingInfo": "See also",
    "reasonCode": "Reason",
    "reasonReference": "Reason",
    "occurrence": "Needed",
    "authoredOn": "Asked for on",
    "authored": "Answered",
    "addresses": "Problems",
    "goal": "Goals",
    "contributor": "Contributors",
    "expressedBy": "Said by",
    "detail": "Aim",
    "dateTime": "Signed",
    "effective": "When",
    "value": "Result",
    "dataAbsentReason": "No result",
    "lifecycleStatus": "Status",
    "achievementStatus": "Progress",
}
# Parts whose values are called after the part.
PARTS = {"restriction": "Needed"}
# Element or resource → its columns: heading, and the beginnings of the paths that stand in it ("$":
# the whole path).
# What none of them takes stands in the last column, each with its label.
COLUMNS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "CarePlan.activity": (
        ("Activity", ("detail.code", "reference")),
        ("When", ("detail.scheduled",)),
        ("Who and where", ("detail.performer", "detail.location")),
        ("Status", ("detail.status$",)),
        ("What it is about", ("detail.description",)),
    ),
    "Goal.target": (("Objective", ("measure", "detail")), ("By", ("due",))),
    "CareTeam.participant": (("Role", ("role",)), ("Who", ("member",)), ("When", ("period",))),
    "Observation.component": (("What", ("code",)), ("Result", ("value",))),
    "Task.output": (("What", ("type",)), ("Result", ("value",))),
    "Task.input": (("What", ("type",)), ("Given", ("value",))),
    "Provenance": (
        ("When", ("occurred", "recorded")),
        ("What", ("activity",)),
        ("Who", ("agent", "signature")),
        ("Decided or said", ("reason",)),
    ),
    "Condition": (
        ("Problem", ("code",)),
        ("Status", ("clinicalStatus", "verificationStatus", "severity")),
        ("Since", ("onset",)),
    ),
    "MedicationRequest": (
        ("Medication", ("medication",)),
        ("Dose", ("dosageInstruction",)),
        ("For", ("reason",)),
        ("Prescribed by", ("requester",)),
    ),
    "Appointment": (
        ("When", ("start",)),
        ("What", ("description",)),
        ("With", ("participant",)),
        ("Status", ("status$",)),
    ),
    "RelatedPerson": (
        ("Name", ("name",)),
        ("Relationship", ("relationship",)),
        ("Contact", ("telecom", "address")),
    ),
    "Task": (
        ("What", ("code", "description")),
        ("By", ("restriction",)),
        ("Status", ("status$", "businessStatus")),
        ("Who", ("owner",)),
    ),
    "Observation": (
        ("What", ("code",)),
        ("Result", ("value", "dataAbsentReason")),
        ("Meaning", ("interpretation",)),
        ("When", ("effective",)),
    ),
    "Goal": (("Goal", ("description",)), ("Status", ("lifecycleStatus", "achievementStatus"))),
    "Flag": (("Alert", ("code",)), ("Status", ("status",)), ("Since", ("period",))),
}
