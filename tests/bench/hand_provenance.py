"""A care plan by hand: who certified, decided, signed and changed it, as Provenance."""

from __future__ import annotations

from typing import Any

from hand_checks import (
    CLINICIAN,
    PATIENT,
    PLAN,
    at_least_zero,
    codings,
    concept,
    concepts,
    day,
    extension,
    flag,
    ident,
    instant,
    integer,
    joined,
    listed,
    moment,
    ref,
    text,
)

ATTESTER = concept("provenance-participant", "attester", "Attester")
AUTHOR = concept("provenance-participant", "author", "Author")
PERFORMER = concept("provenance-participant", "performer", "Performer")
INFORMANT = concept("provenance-participant", "informant", "Informant")
CERTIFICATION = concept("plan-part", "certification", "Certification of need")
REVISED = concept("v3-DataOperation", "UPDATE", "revise")
CONFERENCE = {**REVISED, "text": "Case conference"}
SIGNED = concept("v3-DocumentCompletion", "LA", "legally authenticated")
SIGNER, SIGNATURE_TYPE = concepts("signer"), codings("signature_type")
METHOD = concepts("signature_method")
A_PHYSICIAN, THE_TEAM = {"display": "A physician of the program"}, {"display": "The treatment team"}
BY_HAND = {"display": "Signed by hand"}


def _provenance(
    rid: str, name: str, key: str | None, recorded: Any, activity: dict[str, Any]
) -> dict[str, Any]:
    local = joined(rid, name) if key is None else joined(f"{rid}.{name}", ident(key))
    code = rid if key is None else f"{rid}/{key}"
    return {
        "resourceType": "Provenance",
        "id": "care-plan." + local,
        "meta": {"tag": [{"system": f"urn:fhirsvc:provenance-{name}", "code": code}]},
        "target": [ref(PLAN, rid)],
        "recorded": instant(recorded),
        "activity": activity,
    }


def _weekly_hours(value: Any) -> dict[str, Any]:
    repeat = {
        "duration": at_least_zero(value),
        "durationUnit": "h",
        "frequency": 1,
        "period": 1,
        "periodUnit": "wk",
    }
    return extension("weekly-hours", "valueTiming", {"repeat": repeat})


def _agent(kind: dict[str, Any], who: dict[str, Any], behalf: Any) -> dict[str, Any]:
    if behalf is None:
        return {"type": kind, "who": who}
    return {"type": kind, "who": who, "onBehalfOf": behalf}


def certified(
    r: dict[str, Any], certification: dict[str, Any], rid: str, behalf: Any
) -> dict[str, Any]:
    made = _provenance(rid, "certification", None, r["updated_at"], CERTIFICATION)
    physician = certification.get("physician_id")
    who = A_PHYSICIAN if physician is None else ref(CLINICIAN, physician)
    made["agent"] = [_agent(ATTESTER, who, behalf)]
    extensions = []
    if (hours := certification.get("hours_per_week")) is not None:
        extensions.append(_weekly_hours(hours))
    if (due := certification.get("next_due")) is not None:
        extensions.append(extension("renewal-due", "valueDate", day(due)))
    if extensions:
        made["extension"] = extensions
    if (on := certification.get("certified_on")) is not None:
        made["occurredDateTime"] = moment(on)
    if (said := certification.get("text")) is not None:
        made["reason"] = [{"text": text(said)}]
    return made


def conference(one: dict[str, Any], rid: str, client: str, behalf: Any) -> dict[str, Any]:
    key = one["conference_id"]
    made = _provenance(rid, "conference", key, one["recorded_at"], CONFERENCE)
    made["occurredDateTime"] = moment(one["held_on"])
    extensions = []
    if (version := one.get("plan_version")) is not None:
        extensions.append(extension("plan-version", "valueInteger", integer(version)))
    if (hours := one.get("hours_per_week")) is not None:
        extensions.append(_weekly_hours(hours))
    if (following := one.get("next_on")) is not None:
        extensions.append(extension("next-conference", "valueDate", day(following)))
    if (present := one.get("client_present")) is not None:
        extensions.append(extension("client-present", "valueBoolean", flag(present)))
    if extensions:
        made["extension"] = extensions
    if (decision := one.get("decision")) is not None:
        made["reason"] = [{"text": text(decision)}]
    agents = [_agent(AUTHOR, THE_TEAM, behalf)]
    for attendee in listed(one.get("attendee_ids") or []):
        agents.append(_agent(PERFORMER, ref(CLINICIAN, attendee), behalf))
    if present:
        agents.append({"type": INFORMANT, "who": ref(PATIENT, client)})
    made["agent"] = agents
    return made


def signature(one: dict[str, Any], rid: str, client: str, behalf: Any) -> dict[str, Any]:
    signed_at, role = one["signed_at"], one["role"]
    made = _provenance(rid, "signature", one["signature_id"], signed_at, SIGNED)
    staff, name = one.get("staff_id"), one.get("name")
    if staff is not None:
        agent = signer = ref(CLINICIAN, staff)
    else:
        named = BY_HAND if name is None else {"display": text(name)}
        patient = ref(PATIENT, client) if role == "client" else None
        agent = patient or named
        signer = patient if patient and name is None else named
    made["agent"] = [_agent(SIGNER[role], agent, None if staff is None else behalf)]
    made["signature"] = [{"type": [SIGNATURE_TYPE[role]], "when": signed_at, "who": signer}]
    if (method := one.get("method")) is not None:
        made["extension"] = [extension("signature-method", "valueCodeableConcept", METHOD[method])]
    return made


def versioned(r: dict[str, Any], version: Any, rid: str, behalf: Any) -> dict[str, Any]:
    made = _provenance(rid, "version", None, r["updated_at"], REVISED)
    author = r.get("author_id")
    who = THE_TEAM if author is None else ref(CLINICIAN, author)
    made["agent"] = [_agent(AUTHOR, who, behalf)]
    made["extension"] = [extension("plan-version", "valueInteger", integer(version))]
    if (reason := r.get("change_reason")) is not None:
        made["reason"] = [{"text": text(reason)}]
    return made
