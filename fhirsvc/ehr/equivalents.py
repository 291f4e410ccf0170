"""What stands in where an EHR does not take a resource: a table, best meaning first.

An equivalent has to say the same thing to whoever reads it, in a resource whose meaning fits. Where
none does, a document a person can read is the honest form, and the table says why.
https://hl7.org/fhir/R4/resourcelist.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

WayName = Literal[
    "match",  # the EHR's own one, found by an identifier others know
    "named",  # said by identifier and display where it is referred to
    "observations",  # coded answers, an Observation each
    "response",  # said by the QuestionnaireResponse that it follows from
    "task",  # what is asked for goes into the Task that tracks it
    "request",  # where it stands goes into the ServiceRequest itself
    "message",  # a Communication to whoever has to act
    "document",
    "aside",  # left out; nothing else waits for it
]


@dataclass(frozen=True)
class Alternative:
    """One way out. ``keeps`` are the elements it carries as data, below the resource's name.

    What it does not keep goes ``rest`` (in words), or is dropped for the reason ``drops``.
    """

    way: WayName
    needs: tuple[str, str] = ("", "")  # (resource, interaction); what else is needed is in ladder
    via: str = ""
    keeps: Mapping[str, str] = field(default_factory=dict)  # element → how; "" as data
    rest: str = ""
    drops: str = ""
    why: str = ""


AS_DOCUMENT = "as readable text and attached FHIR"
NAMED = "named by identifier and display"
# A person, a place, an organization: the EHR has its own list of these and keeps it itself.
DIRECTORY = frozenset({"Patient", "Practitioner", "PractitionerRole", "Organization", "Location"})


def _data(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), "")


_MATCH = Alternative(
    "match",
    via="existing {resource} found by identifier",
    keeps={"identifier": ""},
    drops="the EHR's own {resource} is used, and nothing is written to it",
)
_NAMED = Alternative(
    "named",
    via="named by identifier and display where it is referred to",
    keeps={"identifier": NAMED, "name": NAMED},
    drops="a {resource} is only named here",
)
_DOCUMENT = Alternative(
    "document", ("DocumentReference", "create"), via="DocumentReference", rest=AS_DOCUMENT
)
_MESSAGE = Alternative(
    "message",
    ("Communication", "create"),
    via="Communication",
    keeps=_data("subject for requester author owner performer priority authoredOn"),
    rest="in the words of a message",
    why="the message reaches whoever has to act, which a filed document does not",
)


def _document(why: str) -> Alternative:
    return Alternative("document", _DOCUMENT.needs, "DocumentReference", {}, AS_DOCUMENT, why=why)


def _aside(why: str) -> Alternative:
    return Alternative("aside", via="left out", drops=why, why=why)


_OBSERVATIONS = Alternative(
    "observations",
    ("Observation", "create"),
    via="Observation for each coded answer",
    keeps=_data("identifier questionnaire status subject authored author item"),
    rest=AS_DOCUMENT,
    why="SDC's observation-based extraction: each answer under its own code, derived from the form",
)
_RESPONSE = Alternative(
    "response",
    via="the QuestionnaireResponse it follows from",
    keeps=_data(
        "identifier status code subject effectiveDateTime performer valueQuantity derivedFrom"
    ),
    rest="follows from the answers",
    why="a score is what its answers add up to, and the answers go out; a bare total is one",
)
_TASK = Alternative(
    "task",
    ("Task", "create"),
    via="Task",
    keeps=_data(
        "identifier status code category priority subject occurrencePeriod authoredOn "
        "requester performer reasonCode note patientInstruction supportingInfo "
        "reasonReference"
    ),
    rest="as readable text in Task.input",
    why="a Task asks for the same thing; R4 lets it carry what is needed as input",
)
_REQUEST = Alternative(
    "request",
    via="ServiceRequest: its own status, the rest as a note",
    keeps=_data(
        "groupIdentifier priority description focus for authoredOn requester owner restriction"
    ),
    rest="as a note of the ServiceRequest",
    why="the ServiceRequest's own status says where the referral stands, the note the rest",
)
_UNSAID_BY_NONE = {
    "Goal": "no other resource sets an aim: an Observation states what is, a Task what is to do",
    "CarePlan": "no other resource joins problems, goals and activities into one plan",
    "CareTeam": "no other resource says who is on a team and in which role",
    "Condition": "no other resource states a diagnosis; an Observation is no problem of the list",
    "Consent": "permission is not to be read out of anything but a Consent or its text",
    "EpisodeOfCare": "an Encounter is one visit, and an episode is none",
    "MedicationRequest": "what is taken was told to the team; it is no prescription of the EHR",
    "Appointment": "the visit is in another house's calendar; a Task would ask somebody to do it",
    "RelatedPerson": "a relative is no Patient and no Practitioner",
    "Observation": "no other resource states a finding",
}
_NOT_WRITTEN = {
    "Questionnaire": "answers name their form by its canonical URL, which nobody has to reach",
    "Provenance": "who signed and decided stays with the house",
    "PractitionerRole": "nothing refers to it, and it is known by no identifier but ours",
}

# By "record/Resource" or else by resource.
ALTERNATIVES: dict[str, tuple[Alternative, ...]] = {
    "Patient": (_MATCH,),
    "Practitioner": (_MATCH, _NAMED),
    "Organization": (_MATCH, _NAMED),
    "Location": (_MATCH, _NAMED),
    "PractitionerRole": (_MATCH, _aside(_NOT_WRITTEN["PractitionerRole"])),
    "RelatedPerson": (_document(_UNSAID_BY_NONE["RelatedPerson"]), _NAMED),
    "Questionnaire": (_aside(_NOT_WRITTEN["Questionnaire"]),),
    "QuestionnaireResponse": (_OBSERVATIONS, _document("answers are read in their form")),
    "assessment/Observation": (_RESPONSE, _document(_UNSAID_BY_NONE["Observation"])),
    "Observation": (_document(_UNSAID_BY_NONE["Observation"]),),
    "ServiceRequest": (_TASK, _MESSAGE, _document("a referral note says what is asked for")),
    "referral/Task": (_REQUEST, _MESSAGE, _document("it is told with the referral it tracks")),
    "assessment/Task": (_MESSAGE, _document("it is told with the alert that it answers")),
    "Task": (_document("it is told with the plan that it is part of"),),
    "Flag": (_MESSAGE, _document("no other resource warns of something at every visit")),
    "Provenance": (_document("what was signed or decided is read with what it is about"),
                   _aside(_NOT_WRITTEN["Provenance"])),
    **{
        name: (_document(_UNSAID_BY_NONE[name]),)
        for name in (
            "Goal", "CarePlan", "CareTeam", "Condition", "Consent", "EpisodeOfCare",
            "MedicationRequest", "Appointment",
        )
    },
}  # fmt: skip
_ANY = (_document("no equivalent is known"),)


def alternatives(record: str, resource: str) -> tuple[Alternative, ...]:
    """The ways out for a resource of a record type, best first."""
    return ALTERNATIVES.get(f"{record}/{resource}") or ALTERNATIVES.get(resource, _ANY)
