"""A care plan by hand: what is done, as the activities of the CarePlan."""

from __future__ import annotations

from typing import Any

from hand_checks import (
    CLINICIAN,
    GOAL,
    REFERRAL,
    at_least_zero,
    codes,
    codings,
    concept,
    concepts,
    day,
    extension,
    flag,
    ident,
    listed,
    moment,
    part_ref,
    period,
    positive,
    ref,
    text,
    word,
    worded,
)
from hand_plan_words import clock
from hand_support import aftercare, case_management, family

PART_STATUS = {
    "draft": "not-started",
    "on_hold": "on-hold",
    "closed": "completed",
    "revoked": "cancelled",
    "error": "entered-in-error",
}
MODALITY, DELIVERY = codings("modality"), codings("delivery")
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
ACTIVITY_STATUS = codes("activity_status")
WELLNESS, WELLNESS_STATUS = concepts("wellness"), codes("wellness_status")
LEVEL, STEP_STATUS = concepts("level_of_care"), codes("step_status")
ADHERENCE, RELATIONSHIP = concepts("plan_adherence"), concepts("relationship")
WEEKDAY, CRISIS_STATUS = codes("weekday"), codes("crisis_plan_status")
HOURS = concept("plan-part", "program-hours", "Hours of treatment a week")
DAYS = concept("plan-part", "program-days", "Days of treatment")
MEDICATION_SUPPORT = concept("plan-part", "medication-support", "Medication support")
CRISIS = concept("sct", "401277000", "Completion of mental health crisis plan")


def activities(r: dict[str, Any], rid: str) -> list[dict[str, Any]]:
    """The activities, part by part of the plan."""
    status = PART_STATUS.get(r["status"], "in-progress")
    found = [_modality(one) for one in listed(r.get("modalities") or [])]
    found += [_wellness(one) for one in listed(r.get("wellness") or [])]
    if step_down := r.get("step_down"):
        made = [_step(one) for one in listed(step_down.get("steps") or [])]
        found += [one for one in made if one is not None]
    if schedule := r.get("schedule"):
        found += _schedule(schedule, status)
    if support := r.get("medication_support"):
        found += _medication_support(support, status, rid)
    if household := r.get("family_involvement"):
        found += family(household, status, r["client_id"])
    found += [{"reference": ref(REFERRAL, one)} for one in listed(r.get("referral_ids") or [])]
    if (crisis := r.get("crisis_plan")) and (state := crisis.get("status")) is not None:
        detail: dict[str, Any] = {"code": CRISIS, "status": CRISIS_STATUS[state]}
        if (done := crisis.get("completed_on")) is not None:
            detail["scheduledPeriod"] = {"end": moment(done)}
        found.append({"detail": detail})
    if management := r.get("case_management"):
        found += case_management(management)
    if later := r.get("aftercare"):
        found += aftercare(later)
    return found


def _modality(one: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0912 - one branch per field reads best
    key = ident(one["modality_id"])
    coding = [MODALITY[one["kind"]]]
    if (billing := one.get("billing_code")) is not None:
        coding.append({"system": HCPCS, "code": word(billing)})
    code: dict[str, Any] = {"coding": coding}
    if (kind := one.get("kind_text")) is not None:
        code["text"] = text(kind)
    detail: dict[str, Any] = {
        "kind": "ServiceRequest",
        "code": code,
        "status": ACTIVITY_STATUS[one["status"]],
    }
    extensions = []
    if (delivery := one.get("delivery")) is not None:
        extensions.append(extension("delivery", "valueCoding", DELIVERY[delivery]))
    if (telehealth := one.get("telehealth")) is not None:
        extensions.append(extension("telehealth", "valueBoolean", flag(telehealth)))
    if extensions:
        detail["extension"] = extensions
    if goals := one.get("goal_ids"):
        detail["goal"] = [ref(GOAL, goal) for goal in listed(goals)]
    if (reason := one.get("status_reason")) is not None:
        detail["statusReason"] = {"text": text(reason)}
    repeat = _weekly(one, "sessions_per_week")
    if bounds := period(one.get("start_date"), one.get("end_date")):
        repeat["boundsPeriod"] = bounds
    if repeat:
        detail["scheduledTiming"] = {"repeat": repeat}
    if (place := one.get("location")) is not None:
        detail["location"] = {"display": text(place)}
    if (facilitator := one.get("facilitator_id")) is not None:
        detail["performer"] = [ref(CLINICIAN, facilitator)]
    if (focus := one.get("focus")) is not None:
        detail["description"] = text(focus)
    made: dict[str, Any] = {"id": "modalities." + key, "detail": detail}
    if (note := one.get("note")) is not None:
        made["progress"] = [{"text": text(note)}]
    return made


def _weekly(one: dict[str, Any], often: str) -> dict[str, Any]:
    """How often a week, and how long each time."""
    repeat: dict[str, Any] = {}
    if (times := one.get(often)) is not None:
        repeat = {"frequency": positive(times), "period": 1, "periodUnit": "wk"}
    if (minutes := one.get("minutes")) is not None:
        repeat["duration"] = at_least_zero(minutes)
        repeat["durationUnit"] = "min"
    return repeat


def _wellness(one: dict[str, Any]) -> dict[str, Any]:
    key = ident(one["wellness_id"])
    state = one.get("status")
    detail: dict[str, Any] = {
        "code": worded(WELLNESS[one["kind"]], one.get("text")),
        "status": "not-started" if state is None else WELLNESS_STATUS[state],
    }
    if goals := one.get("goal_ids"):
        detail["goal"] = [ref(GOAL, goal) for goal in listed(goals)]
    if repeat := _weekly(one, "times_per_week"):
        detail["scheduledTiming"] = {"repeat": repeat}
    return {"id": "wellness." + key, "detail": detail}


def _hours(value: float) -> dict[str, Any]:
    """Hours a week."""
    return {
        "duration": at_least_zero(value),
        "durationUnit": "h",
        "frequency": 1,
        "period": 1,
        "periodUnit": "wk",
    }


def _step(one: dict[str, Any]) -> dict[str, Any] | None:
    key = ident(one["step_id"])
    detail: dict[str, Any] = {}
    if (level := one.get("level_of_care")) is not None:
        detail["code"] = LEVEL[level]
    if (state := one.get("status")) is not None:
        detail["status"] = STEP_STATUS[state]
    if (reason := one.get("reason")) is not None:
        detail["statusReason"] = {"text": text(reason)}
    hours = one.get("hours_per_week")
    repeat = {} if hours is None else _hours(hours)
    if bounds := period(one.get("start_date"), one.get("end_date")):
        repeat["boundsPeriod"] = bounds
    if repeat:
        detail["scheduledTiming"] = {"repeat": repeat}
    if (criteria := one.get("criteria")) is not None:
        detail["description"] = text(criteria)
    if not detail:
        return None
    if state is None:
        detail["status"] = "not-started"
    return {"id": "step_down.steps." + key, "detail": detail}


def _schedule(schedule: dict[str, Any], status: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if (hours := schedule.get("hours_per_week")) is not None:
        timing = {"repeat": _hours(hours)}
        found.append({"detail": {"code": HOURS, "status": status, "scheduledTiming": timing}})
    detail: dict[str, Any] = {}
    extensions = []
    if (telehealth := schedule.get("telehealth")) is not None:
        extensions.append(extension("telehealth", "valueBoolean", flag(telehealth)))
    if (ends := schedule.get("end_time")) is not None:
        extensions.append(extension("ends-at", "valueTime", clock(ends)))
    if (transport := schedule.get("transportation")) is not None:
        extensions.append(extension("transportation", "valueString", text(transport)))
    if (needs := schedule.get("accommodations")) is not None:
        extensions.append(extension("accommodations", "valueString", text(needs)))
    if extensions:
        detail["extension"] = extensions
    repeat: dict[str, Any] = {}
    if days := schedule.get("days"):
        repeat["dayOfWeek"] = [WEEKDAY[one] for one in listed(days)]
    if (starts := schedule.get("start_time")) is not None:
        repeat["timeOfDay"] = [clock(starts)]
    if repeat:
        detail["scheduledTiming"] = {"repeat": repeat}
    if (place := schedule.get("location")) is not None:
        detail["location"] = {"display": text(place)}
    if (said := schedule.get("text")) is not None:
        detail["description"] = text(said)
    if detail:
        detail["code"] = DAYS
        detail["status"] = status
        found.append({"detail": detail})
    return found


def _medication_support(support: dict[str, Any], status: str, rid: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in listed(support.get("medications") or []):
        key = ident(one["medication_id"])
        if not one.get("is_mat"):
            found.append({"reference": part_ref("MedicationRequest/care-plan.", rid, key)})
    detail: dict[str, Any] = {}
    extensions = []
    if (review := support.get("next_review")) is not None:
        extensions.append(extension("next-review", "valueDate", day(review)))
    if (adherence := support.get("adherence")) is not None:
        extensions.append(extension("adherence", "valueCodeableConcept", ADHERENCE[adherence]))
    if (note := support.get("adherence_note")) is not None:
        extensions.append(extension("adherence-note", "valueString", text(note)))
    if (effects := support.get("side_effects")) is not None:
        extensions.append(extension("side-effects", "valueString", text(effects)))
    if (interactions := support.get("interactions_note")) is not None:
        extensions.append(extension("interactions", "valueString", text(interactions)))
    if extensions:
        detail["extension"] = extensions
    if (prescriber := support.get("prescriber_id")) is not None:
        detail["performer"] = [ref(CLINICIAN, prescriber)]
    if (said := support.get("text")) is not None:
        detail["description"] = text(said)
    if detail:
        detail["code"] = MEDICATION_SUPPORT
        detail["status"] = status
        found.append({"detail": detail})
    return found
