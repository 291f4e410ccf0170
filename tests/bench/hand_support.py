"""A care plan by hand: family, case management and aftercare among its activities."""

from __future__ import annotations

from typing import Any

from hand_checks import (
    CLINICIAN,
    CONTACT,
    GOAL,
    NONE,
    REFERRAL,
    codes,
    concept,
    concepts,
    extension,
    flag,
    ident,
    listed,
    moment,
    part_ref,
    positive,
    ref,
    text,
    worded,
)

ADHERENCE, RELATIONSHIP = concepts("plan_adherence"), concepts("relationship")
NEED, NEED_STATUS, SOURCE = concepts("need_domain"), codes("need_status"), codes("feedback_source")
FAMILY = concept("plan-part", "family-involvement", "Family involvement")
CASE_MANAGEMENT = concept("sct", "425604002", "Case management follow up")
AFTERCARE = concept("plan-part", "aftercare", "Aftercare")


def family(part: dict[str, Any], status: str, client: str) -> list[dict[str, Any]]:
    detail: dict[str, Any] = {}
    extensions = []
    if (consented := part.get("consented")) is not None:
        extensions.append(extension("consented", "valueBoolean", flag(consented)))
    if (education := part.get("education")) is not None:
        extensions.append(extension("education", "valueString", text(education)))
    for one in listed(part.get("members") or []):
        key = ident(one["family_id"])
        if inner := _family_member(one, client):
            url = "urn:fhirsvc:StructureDefinition:family-member"
            key = "family_involvement.members." + key
            extensions.append({"id": key, "url": url, "extension": inner})
    if extensions:
        detail["extension"] = extensions
    if (declined := part.get("decline_reason")) is not None:
        detail["statusReason"] = {"text": text(declined)}
    if (sessions := part.get("sessions_per_month")) is not None:
        repeat = {"frequency": positive(sessions), "period": 1, "periodUnit": "mo"}
        detail["scheduledTiming"] = {"repeat": repeat}
    if (said := part.get("text")) is not None:
        detail["description"] = text(said)
    if not detail:
        return NONE
    detail["code"] = FAMILY
    detail["status"] = status
    return [{"detail": detail}]


def _family_member(one: dict[str, Any], client: str) -> list[dict[str, Any]]:
    inner: list[dict[str, Any]] = []
    if (contact := one.get("contact_id")) is not None:
        inner.append({"url": "contact", "valueReference": part_ref(CONTACT, client, contact)})
    if (name := one.get("name")) is not None:
        inner.append({"url": "name", "valueString": text(name)})
    if (kin := one.get("relationship")) is not None:
        inner.append({"url": "relationship", "valueCodeableConcept": RELATIONSHIP[kin]})
    if (does := one.get("part")) is not None:
        inner.append({"url": "part", "valueString": text(does)})
    if (attends := one.get("attends")) is not None:
        inner.append({"url": "attends", "valueBoolean": flag(attends)})
    return inner


def case_management(management: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    detail: dict[str, Any] = {}
    if (often := management.get("contact_frequency")) is not None:
        detail["scheduledString"] = text(often)
    if (manager := management.get("manager_id")) is not None:
        detail["performer"] = [ref(CLINICIAN, manager)]
    if (said := management.get("text")) is not None:
        detail["description"] = text(said)
    if detail:
        detail["code"] = CASE_MANAGEMENT
        detail["status"] = "in-progress"
        found.append({"detail": detail})
    found += [_need(one) for one in listed(management.get("needs") or [])]
    return found


def _need(one: dict[str, Any]) -> dict[str, Any]:
    key = ident(one["need_id"])
    state = one.get("status")
    detail: dict[str, Any] = {
        "code": worded(NEED[one["domain"]], one.get("text")),
        "status": "not-started" if state is None else NEED_STATUS[state],
    }
    if (referral := one.get("referral_id")) is not None:
        detail["extension"] = [extension("referral", "valueReference", ref(REFERRAL, referral))]
    if (goal := one.get("goal_id")) is not None:
        detail["goal"] = [ref(GOAL, goal)]
    if (due := one.get("due_date")) is not None:
        detail["scheduledPeriod"] = {"end": moment(due)}
    return {"id": "case_management.needs." + key, "detail": detail}


def aftercare(part: dict[str, Any]) -> list[dict[str, Any]]:
    detail: dict[str, Any] = {}
    extensions = []
    if (started := part.get("started")) is not None:
        extensions.append(extension("planning-started", "valueBoolean", flag(started)))
    for service in listed(part.get("services") or []):
        extensions.append(extension("service", "valueString", text(service)))
    if extensions:
        detail["extension"] = extensions
    if (said := part.get("text")) is not None:
        detail["description"] = text(said)
    if not detail:
        return NONE
    detail["code"] = AFTERCARE
    detail["status"] = "not-started"
    return [{"detail": detail}]
