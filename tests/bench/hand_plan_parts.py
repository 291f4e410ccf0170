"""A care plan by hand: the team, medications, observations and provenance beside the CarePlan."""

from __future__ import annotations

from typing import Any

from hand_checks import (
    ANSWERS,
    CLINICIAN,
    GOAL,
    NONE,
    PATIENT,
    PLAN,
    PROGRAM,
    concept,
    concepts,
    ident,
    integer,
    joined,
    listed,
    moment,
    number,
    ref,
    text,
)
from hand_provenance import certified, conference, signature, versioned
from hand_team import medication, team

THERAPY = [concept("observation-category", "therapy", "Therapy")]
EVALUATION = concept("plan-part", "evaluation", "Therapist's view of the week")
TAKING_PART = concept("plan-part", "participation", "Taking part")
SYMPTOMS = concept("plan-part", "symptom-change", "Symptoms since the last evaluation")
ATTENDED = concept("plan-part", "sessions-attended", "Sessions attended")
MISSED = concept("plan-part", "sessions-missed", "Sessions missed")
PARTICIPATION, CHANGE = concepts("participation"), concepts("symptom_change")
EXPERIENCE_CATEGORY = [concept("us-core-category", "care-experience-preference")]
EXPERIENCE = concept("loinc", "95541-9", "Care experience preference")
INTERVENTION_CATEGORY = [concept("us-core-category", "treatment-intervention-preference")]
INTERVENTION = concept(
    "loinc",
    "75773-2",
    "Goals, preferences, and priorities for medical treatment Narrative - Reported",
)
UNKNOWN = concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "unknown")
PREFERENCES = [
    ("past_experience", concept("plan-part", "prefers-past-experience", "Earlier treatment")),
    ("setting", concept("plan-part", "prefers-setting", "Setting")),
    ("schedule", concept("plan-part", "prefers-schedule", "Days and times")),
    ("language", concept("plan-part", "prefers-language", "Language")),
    ("communication", concept("plan-part", "prefers-communication", "Communication")),
    ("cultural", concept("plan-part", "prefers-cultural", "Cultural wishes")),
    ("spiritual", concept("plan-part", "prefers-spiritual", "Spiritual wishes")),
]
PREFERS_CLINICIAN = concept("plan-part", "prefers-clinician", "Clinician's gender")
GENDER = concepts("clinician_gender")
MILESTONE = concept("plan-part", "milestone", "Milestone")
PROGRESS = concept("plan-part", "progress", "Progress in treatment")
MONITORING = concept("plan-part", "monitoring", "How progress is measured")
BARRIER = concept("plan-part", "barrier", "What stands in the way")
SELF = concept("plan-part", "self-assessment", "Client's own view of the week")
MOOD = concept("plan-part", "mood", "Mood, 0 worst to 10 best")
CONFIDENCE = concept("plan-part", "confidence", "Confidence, 0 to 10")
SLEEP = concept("plan-part", "sleep-hours", "Hours of sleep a night")


def plan_parts(r: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything beside the CarePlan."""
    rid, client = ident(r["id"]), ident(r["client_id"])
    found = team(r, rid, client)
    if support := r.get("medication_support"):
        made = [medication(one, rid, client) for one in listed(support.get("medications") or [])]
        found += [one for one in made if one is not None]
    progress = r.get("progress")
    if progress:
        found += [_evaluation(x, rid, client) for x in listed(progress.get("evaluations") or [])]
    found += _preferences(r, rid, client)
    if progress:
        found += [_milestone(x, rid, client) for x in listed(progress.get("milestones") or [])]
    if progress is not None:
        found.append(_progress(r, progress, rid, client))
    if progress:
        found += [_self(x, rid, client) for x in listed(progress.get("self_assessments") or [])]
    program = r.get("program_id")
    behalf = None if program is None else ref(PROGRAM, program)
    if (certification := r.get("certification")) is not None:
        found.append(certified(r, certification, rid, behalf))
    for one in listed(r.get("case_conferences") or []):
        found.append(conference(one, rid, client, behalf))
    for one in listed(r.get("signatures") or []):
        found.append(signature(one, rid, client, behalf))
    if (version := r.get("plan_version")) is not None:
        found.append(versioned(r, version, rid, behalf))
    return found


def _observation(
    rid: str, client: str, name: str, code: dict[str, Any], when: Any
) -> dict[str, Any]:
    """An Observation that there is one of for each plan."""
    system = f"urn:fhirsvc:{name}" if name == "progress" else f"urn:fhirsvc:{name}-preference"
    return {
        "resourceType": "Observation",
        "id": "care-plan." + joined(rid, name),
        "identifier": [{"system": system, "value": rid}],
        "status": "final",
        "code": code,
        "subject": ref(PATIENT, client),
        "effectiveDateTime": moment(when),
    }


def _entry(
    rid: str, client: str, kind: tuple[str, str], key: str, code: dict[str, Any]
) -> dict[str, Any]:
    """An Observation that there is one of for each entry of a list."""
    return {
        "resourceType": "Observation",
        "id": "care-plan." + joined(f"{rid}.{kind[0]}", ident(key)),
        "identifier": [{"system": kind[1], "value": f"{rid}/{key}"}],
        "basedOn": [ref(PLAN, rid)],
        "status": "final",
        "code": code,
        "subject": ref(PATIENT, client),
    }


def _evaluation(one: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    kind = ("evaluation", "urn:fhirsvc:evaluation")
    made = _entry(rid, client, kind, one["evaluation_id"], EVALUATION)
    made["effectiveDateTime"] = moment(one["on"])
    made["category"] = THERAPY
    if (staff := one.get("staff_id")) is not None:
        made["performer"] = [ref(CLINICIAN, staff)]
    if (said := one.get("text")) is not None:
        made["valueString"] = text(said)
    components: list[dict[str, Any]] = []
    if (part := one.get("participation")) is not None:
        components.append({"code": TAKING_PART, "valueCodeableConcept": PARTICIPATION[part]})
    if (change := one.get("symptom_change")) is not None:
        components.append({"code": SYMPTOMS, "valueCodeableConcept": CHANGE[change]})
    if (attended := one.get("attended")) is not None:
        components.append({"code": ATTENDED, "valueInteger": integer(attended)})
    if (missed := one.get("missed")) is not None:
        components.append({"code": MISSED, "valueInteger": integer(missed)})
    if components:
        made["component"] = components
    return made


def _preferences(r: dict[str, Any], rid: str, client: str) -> list[dict[str, Any]]:
    preferences = r.get("preferences")
    if preferences is None:
        return NONE
    when = r.get("authored_at")
    when = r["updated_at"] if when is None else when
    made = _observation(rid, client, "experience", EXPERIENCE, when)
    made["category"] = EXPERIENCE_CATEGORY
    if (said := preferences.get("care_experience")) is not None:
        made["valueString"] = text(said)
    else:
        made["dataAbsentReason"] = UNKNOWN
    components = [
        {"code": code, "valueString": text(value)}
        for name, code in PREFERENCES
        if (value := preferences.get(name)) is not None
    ]
    if (gender := preferences.get("clinician_gender")) is not None:
        components.append({"code": PREFERS_CLINICIAN, "valueCodeableConcept": GENDER[gender]})
    if components:
        made["component"] = components
    if (style := preferences.get("modality_style")) is None:
        return [made]
    other = _observation(rid, client, "intervention", INTERVENTION, when)
    other["category"] = INTERVENTION_CATEGORY
    other["valueString"] = text(style)
    return [made, other]


def _milestone(one: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    kind = ("milestone", "urn:fhirsvc:milestone")
    made = _entry(rid, client, kind, one["milestone_id"], MILESTONE)
    made["category"] = THERAPY
    if (goal := one.get("goal_id")) is not None:
        made["focus"] = [ref(GOAL, goal)]
    made["valueString"] = text(one["text"])
    if (reached := one.get("reached_on")) is not None:
        made["effectiveDateTime"] = moment(reached)
    return made


def _progress(r: dict[str, Any], progress: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    when = r.get("reviewed_on")
    when = r["updated_at"] if when is None else when
    made = _observation(rid, client, "progress", PROGRESS, when)
    made["category"] = THERAPY
    made["basedOn"] = [ref(PLAN, rid)]
    if (summary := progress.get("summary")) is not None:
        made["valueString"] = text(summary)
    else:
        made["dataAbsentReason"] = UNKNOWN
    components = []
    if (monitoring := progress.get("monitoring")) is not None:
        components.append({"code": MONITORING, "valueString": text(monitoring)})
    for barrier in listed(progress.get("barriers") or []):
        components.append({"code": BARRIER, "valueString": text(barrier)})
    if components:
        made["component"] = components
    return made


def _self(one: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    kind = ("self", "urn:fhirsvc:self-assessment")
    made = _entry(rid, client, kind, one["entry_id"], SELF)
    made["effectiveDateTime"] = moment(one["on"])
    made["performer"] = [ref(PATIENT, client)]
    if (said := one.get("text")) is not None:
        made["valueString"] = text(said)
    if (assessment := one.get("assessment_id")) is not None:
        made["derivedFrom"] = [ref(ANSWERS, assessment)]
    components: list[dict[str, Any]] = []
    if (mood := one.get("mood")) is not None:
        components.append({"code": MOOD, "valueInteger": integer(mood)})
    if (confidence := one.get("confidence")) is not None:
        components.append({"code": CONFIDENCE, "valueInteger": integer(confidence)})
    if (sleep := one.get("sleep_hours")) is not None:
        quantity = {
            "value": number(sleep),
            "unit": "h",
            "system": "http://unitsofmeasure.org",
            "code": "h",
        }
        components.append({"code": SLEEP, "valueQuantity": quantity})
    if components:
        made["component"] = components
    return made
