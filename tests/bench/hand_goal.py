"""A goal by hand."""

from __future__ import annotations

from typing import Any

from hand_checks import (
    ANSWERS,
    CLINICIAN,
    CONDITION,
    EPISODE,
    PATIENT,
    codes,
    concept,
    concepts,
    day,
    extension,
    flag,
    ident,
    integer,
    listed,
    moment,
    number,
    part_ref,
    ref,
    text,
    worded,
)

LIFECYCLE, ACHIEVEMENT = codes("goal_lifecycle"), concepts("goal_progress")
DOMAIN, TERM, PRIORITY = concepts("goal_domain"), concepts("goal_term"), concepts("goal_priority")
DISCHARGE = concept("goal-role", "discharge", "Must be met before discharge")
OBJECTIVE_STATUS, COMPARATOR = concepts("objective_status"), codes("comparator")
SCORES = concepts("instrument-total")
OBJECTIVE = {"text": "objective"}


def goal(r: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0912 - one branch per field reads best
    """The Goal."""
    rid, client, author = ident(r["id"]), r["client_id"], r.get("author_id")
    made: dict[str, Any] = {
        "resourceType": "Goal",
        "id": "goal." + rid,
        "identifier": [{"system": "urn:fhirsvc:goal", "value": rid}],
        "lifecycleStatus": LIFECYCLE[r["lifecycle"]],
        "description": {"text": text(r["statement"])},
        "subject": ref(PATIENT, client),
    }
    if extensions := _extensions(r):
        made["extension"] = extensions
    if (progress := r.get("progress")) is not None:
        made["achievementStatus"] = worded(ACHIEVEMENT[progress], r.get("progress_text"))
    categories = []
    if (domain := r.get("domain")) is not None:
        categories.append(DOMAIN[domain])
    if (term := r.get("term")) is not None:
        categories.append(TERM[term])
    if r.get("is_discharge_goal") == True:  # noqa: E712 - as the mapping compares
        categories.append(DISCHARGE)
    if categories:
        made["category"] = categories
    if (priority := r.get("priority")) is not None:
        made["priority"] = PRIORITY[priority]
    if (start := r.get("start_date")) is not None:
        made["startDate"] = day(start)
    made_targets = [_target(one) for one in listed(r.get("objectives") or [])]
    targets = [one for one in made_targets if one is not None]
    if (due := r.get("target_date")) is not None:
        targets.append({"dueDate": day(due)})
    if targets:
        made["target"] = targets
    if (on := r.get("status_date")) is not None:
        made["statusDate"] = day(on)
    if (reason := r.get("status_reason")) is not None:
        made["statusReason"] = text(reason)
    if r.get("own_words") == True:  # noqa: E712 - as the mapping compares
        made["expressedBy"] = ref(PATIENT, client)
    elif author is not None:
        made["expressedBy"] = ref(CLINICIAN, author)
    if diagnoses := r.get("diagnosis_ids"):
        episode = r.get("episode_id")
        if episode is not None:
            made["addresses"] = [part_ref(CONDITION, episode, one) for one in listed(diagnoses)]
    if notes := _notes(r):
        made["note"] = notes
    if (outcome := r.get("outcome")) is not None:
        made["outcomeCode"] = [{"text": text(outcome)}]
    return made


def _extensions(r: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    if (episode := r.get("episode_id")) is not None:
        found.append(extension("episode", "valueReference", ref(EPISODE, episode)))
    if (readiness := r.get("readiness")) is not None:
        found.append(extension("readiness", "valueInteger", integer(readiness)))
    if (due := r.get("review_due")) is not None:
        found.append(extension("review-due", "valueDate", day(due)))
    if (reviewed := r.get("reviewed_on")) is not None:
        found.append(extension("reviewed-on", "valueDate", day(reviewed)))
    for one in listed(r.get("strengths") or []):
        found.append(extension("strength", "valueString", text(one)))
    for one in listed(r.get("barriers") or []):
        found.append(extension("barrier", "valueString", text(one)))
    for one in listed(r.get("outcome_assessment_ids") or []):
        found.append(extension("outcome-assessment", "valueReference", ref(ANSWERS, one)))
    return found


def _target(one: dict[str, Any]) -> dict[str, Any] | None:
    key = ident(one["objective_id"])
    target: dict[str, Any] = {}
    extensions: list[dict[str, Any]] = []
    if (critical := one.get("critical")) is not None:
        extensions.append(extension("critical", "valueBoolean", flag(critical)))
    if (status := one.get("status")) is not None:
        said = OBJECTIVE_STATUS[status]
        extensions.append(extension("objective-status", "valueCodeableConcept", said))
    if (met := one.get("met_on")) is not None:
        extensions.append(extension("met-on", "valueDate", day(met)))
    extensions += [_intervention(each, key) for each in listed(one.get("interventions") or [])]
    if extensions:
        target["extension"] = extensions
    if (instrument := one.get("instrument")) is not None:
        target["measure"] = SCORES[instrument]
    elif (measure := one.get("measure")) is not None:
        target["measure"] = {"text": text(measure)}
    if (value := one.get("value")) is not None:
        quantity: dict[str, Any] = {"value": number(value)}
        op = one.get("op")
        if op is not None and (comparator := COMPARATOR[op]) is not None:
            quantity["comparator"] = comparator
        if (unit := one.get("unit")) is not None:
            quantity["unit"] = text(unit)
        target["detailQuantity"] = quantity
    elif (said := one.get("text")) is not None:
        target["detailString"] = text(said)
    if (due := one.get("due_date")) is not None:
        target["dueDate"] = day(due)
    if not target:
        return None
    target.setdefault("measure", OBJECTIVE)
    target["id"] = "objectives." + key
    return target


def _intervention(one: dict[str, Any], objective: str) -> dict[str, Any]:
    inner: list[dict[str, Any]] = [{"url": "text", "valueString": text(one["text"])}]
    if (staff := one.get("staff_id")) is not None:
        inner.append({"url": "who", "valueReference": ref(CLINICIAN, staff)})
    if (modality := one.get("modality_id")) is not None:
        inner.append({"url": "modality", "valueString": text(modality)})
    if (often := one.get("frequency")) is not None:
        inner.append({"url": "frequency", "valueString": text(often)})
    return {
        "id": f"interventions.{ident(one['intervention_id'])}/objectives.{objective}",
        "extension": inner,
        "url": "urn:fhirsvc:StructureDefinition:intervention",
    }


def _notes(r: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if (clinical := r.get("clinical_statement")) is not None:
        found.append({"id": "clinical-statement", "text": text(clinical)})
    for one in listed(r.get("notes") or []):
        note: dict[str, Any] = {"id": "notes." + ident(one["note_id"]), "text": text(one["text"])}
        if (author := one.get("author_id")) is not None:
            note["authorReference"] = ref(CLINICIAN, author)
        if (at := one.get("at")) is not None:
            note["time"] = moment(at)
        found.append(note)
    return found
