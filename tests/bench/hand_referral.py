"""A referral by hand: ServiceRequest, Task, appointments, each step as Provenance."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hand_checks import (
    ANSWERS,
    CLINICIAN,
    CONDITION,
    EPISODE,
    GOAL,
    PATIENT,
    PROGRAM,
    REFERRAL,
    codes,
    concept,
    concepts,
    day,
    extension,
    flag,
    ident,
    instant,
    joined,
    listed,
    moment,
    part_ref,
    positive,
    ref,
    text,
    worded,
)

VISIT_STATUS, EVENT = codes("appointment_status"), concepts("referral_event")
ACTION, ACTOR = concepts("referral_action"), concepts("referral_actor")
WAY = concepts("referral_way")
AUTHOR = concept("provenance-participant", "author", "Author")
NOT_SAID = {"display": "Not said"}
REQUEST_STATUS, TASK_STATUS = codes("referral_request_status"), codes("referral_task_status")
BUSINESS_STATUS, PRIORITY = concepts("referral_business_status"), codes("referral_priority")
CATEGORY, KIND, RESULT = (
    concepts("referral_category"),
    concepts("referral_kind"),
    concepts("referral_result"),
)
FULFILL = concept("task-code", "fulfill", "Fulfill the focal request")
OUT_RESULT = concept("referral-output", "result", "Result")
OUT_AT = concept("referral-output", "reported-at", "Reported at")
OUT_BY = concept("referral-output", "reported-by", "Reported by")
OUT_DATE = concept("referral-output", "warm-handoff-date", "Day of the warm handoff")
OUT_CONTACT = concept("referral-output", "warm-handoff-contact", "With whom")
OUT_PHONE = concept("referral-output", "warm-handoff-phone", "Phone number of the contact")
OUT_STAFF = concept("referral-output", "warm-handoff-staff", "Who made the introduction")
OUT_CONFIRMED = concept("referral-output", "warm-handoff-confirmed", "The other side confirmed")
OUT_NOTE = concept("referral-output", "warm-handoff-note", "What was said")


def referral(r: dict[str, Any]) -> list[dict[str, Any]]:
    """All that a referral becomes."""
    rid, client = ident(r["id"]), ident(r["client_id"])
    found = [_appointment(one, rid, client) for one in listed(r.get("appointments") or [])]
    program = r.get("program_id")
    found += [_event(one, rid, program) for one in listed(r.get("history") or [])]
    found.append(_request(r, rid, client))
    found.append(_task(r, rid, client))
    return found


def _appointment(one: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    key, start, status = ident(one["appointment_id"]), instant(one["start_at"]), one.get("status")
    made: dict[str, Any] = {
        "resourceType": "Appointment",
        "id": "referral." + joined(rid, key),
        "identifier": [{"system": "urn:fhirsvc:referral-appointment", "value": f"{rid}/{key}"}],
        "status": "booked" if status is None else VISIT_STATUS[status],
        "start": start,
        "end": start,
        "basedOn": [ref(REFERRAL, rid)],
    }
    extensions = []
    if (organization := one.get("organization_id")) is not None:
        at = ref(PROGRAM, organization)
        extensions.append(extension("appointment-organization", "valueReference", at))
    if (telehealth := one.get("telehealth")) is not None:
        extensions.append(extension("telehealth", "valueBoolean", flag(telehealth)))
    if (phone := one.get("phone")) is not None:
        point = {"system": "phone", "value": text(phone)}
        extensions.append(extension("contact-point", "valueContactPoint", point))
    if (reminder := one.get("reminder_due")) is not None:
        extensions.append(extension("reminder-due", "valueDate", day(reminder)))
    if extensions:
        made["extension"] = extensions
    if (purpose := one.get("purpose")) is not None:
        made["description"] = text(purpose)
    if (minutes := one.get("minutes")) is not None:
        ends = datetime.fromisoformat(start) + timedelta(minutes=positive(minutes))
        made["end"] = ends.isoformat()
        made["minutesDuration"] = minutes
    if (note := one.get("note")) is not None:
        made["comment"] = text(note)
    people: list[dict[str, Any]] = [{"actor": ref(PATIENT, client), "status": "accepted"}]
    if (staff := one.get("staff_id")) is not None:
        people.append({"actor": ref(CLINICIAN, staff), "status": "accepted"})
    if (whom := one.get("with_text")) is not None:
        people.append({"actor": {"display": text(whom)}, "status": "accepted"})
    if (place := one.get("location")) is not None:
        actor = {"type": "Location", "display": text(place)}
        people.append({"actor": actor, "status": "accepted"})
    made["participant"] = people
    return made


def _event(one: dict[str, Any], rid: str, program: str | None) -> dict[str, Any]:
    key, by = ident(one["event_id"]), one.get("by_id")
    agent: dict[str, Any] = {"type": AUTHOR}
    if (actor := one.get("actor")) is not None:
        agent["role"] = [ACTOR[actor]]
    if by is not None:
        agent["who"] = ref(CLINICIAN, by)
        if program is not None:
            agent["onBehalfOf"] = ref(PROGRAM, program)
    elif (organization := one.get("by_organization_id")) is not None:
        agent["who"] = ref(PROGRAM, organization)
    elif (by_text := one.get("by_text")) is not None:
        agent["who"] = {"display": text(by_text)}
    else:
        agent["who"] = NOT_SAID
    made: dict[str, Any] = {
        "resourceType": "Provenance",
        "id": "referral." + joined(rid + ".event", key),
        "meta": {"tag": [{"system": "urn:fhirsvc:provenance-referral", "code": f"{rid}/{key}"}]},
        "target": [ref(REFERRAL, rid), {"reference": "Task/referral." + joined(rid, "task")}],
        "recorded": instant(one["at"]),
        "activity": EVENT[one["status"]],
        "agent": [agent],
    }
    if (reason := one.get("reason")) is not None:
        made["reason"] = [{"text": text(reason)}]
    extensions = []
    if (action := one.get("action")) is not None:
        extensions.append(extension("referral-action", "valueCodeableConcept", ACTION[action]))
    if (way := one.get("via")) is not None:
        extensions.append(extension("told-by-way", "valueCodeableConcept", WAY[way]))
    if (implied := one.get("implied")) is not None:
        extensions.append(extension("implied", "valueBoolean", flag(implied)))
    if extensions:
        made["extension"] = extensions
    return made


def _request(  # noqa: PLR0912 - one branch per field reads best
    r: dict[str, Any], rid: str, client: str
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "id": "referral." + rid,
        "identifier": [{"system": "urn:fhirsvc:referral", "value": rid}],
        "status": REQUEST_STATUS[r["status"]],
        "intent": "order",
        "category": [CATEGORY[r["kind"]]],
        "code": worded(KIND[r["kind"]], r.get("kind_text")),
        "subject": ref(PATIENT, client),
    }
    pertains = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"
    extensions: list[dict[str, Any]] = [
        {"url": pertains, "valueReference": ref(GOAL, one)}
        for one in listed(r.get("goal_ids") or [])
    ]
    if (episode := r.get("episode_id")) is not None:
        url = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"
        extensions.append({"url": url, "valueReference": ref(EPISODE, episode)})
    if (expires := r.get("expires_on")) is not None:
        extensions.append(extension("expires-on", "valueDate", day(expires)))
    if extensions:
        made["extension"] = extensions
    if (replaces := r.get("replaces_id")) is not None:
        made["replaces"] = [ref(REFERRAL, replaces)]
    if (requisition := r.get("requisition")) is not None:
        made["requisition"] = {"system": "urn:fhirsvc:requisition", "value": text(requisition)}
    if (needed := r.get("needed_by")) is not None:
        made["occurrencePeriod"] = {"end": moment(needed)}
    _ordered(r, made)
    performers = []
    if (organization := r.get("performer_organization_id")) is not None:
        performers.append(ref(PROGRAM, organization))
    if (staff := r.get("performer_staff_id")) is not None:
        performers.append(ref(CLINICIAN, staff))
    if (whom := r.get("performer_text")) is not None:
        performers.append({"display": text(whom)})
    if performers:
        made["performer"] = performers
    if (reason := r.get("reason")) is not None:
        made["reasonCode"] = [{"text": text(reason)}]
    if (diagnoses := r.get("diagnosis_ids")) and episode is not None:
        made["reasonReference"] = [part_ref(CONDITION, episode, x) for x in listed(diagnoses)]
    info = [ref(ANSWERS, one) for one in listed(r.get("assessment_ids") or [])]
    if (consent := r.get("consent_id")) is not None:
        info.append(ref("Consent/consent.", consent))
    if info:
        made["supportingInfo"] = info
    if (note := r.get("note")) is not None:
        made["note"] = [{"text": text(note)}]
    if (instructions := r.get("instructions")) is not None:
        made["patientInstruction"] = text(instructions)
    return made


def _ordered(r: dict[str, Any], made: dict[str, Any]) -> None:
    """What request and task say alike: how urgent, when and by whom."""
    if (priority := r.get("priority")) is not None:
        made["priority"] = PRIORITY[priority]
    if (requested := r.get("requested_on")) is not None:
        made["authoredOn"] = moment(requested)
    if (requester := r.get("requester_id")) is not None:
        made["requester"] = ref(CLINICIAN, requester)


def _task(r: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    status = r["status"]
    made: dict[str, Any] = {
        "resourceType": "Task",
        "id": "referral." + joined(rid, "task"),
        "identifier": [{"system": "urn:fhirsvc:referral-task", "value": rid}],
        "groupIdentifier": {"system": "urn:fhirsvc:referral", "value": rid},
        "status": TASK_STATUS[status],
        "intent": "order",
        "code": FULFILL,
        "focus": ref(REFERRAL, rid),
        "for": ref(PATIENT, client),
    }
    _ordered(r, made)
    if (why := r.get("status_reason")) is not None:
        made["statusReason"] = {"text": text(why)}
    if (business := BUSINESS_STATUS[status]) is not None:
        made["businessStatus"] = business
    if (said := r.get("kind_text")) is not None:
        made["description"] = text(said)
    if (owner := r.get("performer_organization_id")) is not None:
        made["owner"] = ref(PROGRAM, owner)
    if (needed := r.get("needed_by")) is not None:
        made["restriction"] = {"period": {"end": moment(needed)}}
    outcome = r.get("outcome") or {}
    if (words := outcome.get("text")) is not None:
        made["note"] = [{"text": text(words)}]
    if output := [*_outcome(outcome), *_handoff(r.get("warm_handoff") or {})]:
        made["output"] = output
    return made


def _outcome(outcome: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if (result := outcome.get("result")) is not None:
        found.append({"type": OUT_RESULT, "valueCodeableConcept": RESULT[result]})
    if (at := outcome.get("reported_at")) is not None:
        found.append({"type": OUT_AT, "valueDateTime": moment(at)})
    if (by := outcome.get("reported_by")) is not None:
        found.append({"type": OUT_BY, "valueString": text(by)})
    return found


def _handoff(handoff: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if (on := handoff.get("date")) is not None:
        found.append({"type": OUT_DATE, "valueDate": day(on)})
    if (contact := handoff.get("contact")) is not None:
        found.append({"type": OUT_CONTACT, "valueString": text(contact)})
    if (phone := handoff.get("phone")) is not None:
        point = {"system": "phone", "value": text(phone)}
        found.append({"type": OUT_PHONE, "valueContactPoint": point})
    if (staff := handoff.get("staff_id")) is not None:
        found.append({"type": OUT_STAFF, "valueReference": ref(CLINICIAN, staff)})
    if (confirmed := handoff.get("confirmed")) is not None:
        found.append({"type": OUT_CONFIRMED, "valueBoolean": flag(confirmed)})
    if (note := handoff.get("note")) is not None:
        found.append({"type": OUT_NOTE, "valueString": text(note)})
    return found
