"""A care plan by hand: CarePlan itself; what goes with it is in ``hand_plan_parts``."""

from __future__ import annotations

from typing import Any

from hand_activities import activities
from hand_checks import (
    ANSWERS,
    CLINICIAN,
    CONDITION,
    EPISODE,
    GOAL,
    PATIENT,
    PLAN,
    codes,
    concept,
    concepts,
    day,
    extension,
    flag,
    ident,
    joined,
    listed,
    moment,
    part_ref,
    period,
    ref,
    text,
)
from hand_plan_words import narrative

STATUS = codes("care_plan_status")
CATEGORY = [concept("careplan-category", "assess-plan"), concept("sct", "734163000", "Care Plan")]
NEED, NEED_STATUS, SOURCE = concepts("need_domain"), codes("need_status"), codes("feedback_source")


def care_plan(r: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0912 - one branch per field reads best
    """The CarePlan."""
    rid = ident(r["id"])
    made: dict[str, Any] = {
        "resourceType": "CarePlan",
        "id": "care-plan." + rid,
        "text": narrative(r),
        "identifier": [{"system": "urn:fhirsvc:care-plan", "value": rid}],
        "status": STATUS[r["status"]],
        "intent": "plan",
        "category": CATEGORY,
        "subject": ref(PATIENT, r["client_id"]),
    }
    extensions = []
    if (episode := r.get("episode_id")) is not None:
        url = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"
        extensions.append({"url": url, "valueReference": ref(EPISODE, episode)})
    if (due := r.get("review_due")) is not None:
        extensions.append(extension("review-due", "valueDate", day(due)))
    if (reviewed := r.get("reviewed_on")) is not None:
        extensions.append(extension("reviewed-on", "valueDate", day(reviewed)))
    if extensions:
        made["extension"] = extensions
    if (replaces := r.get("replaces_id")) is not None:
        made["replaces"] = [ref(PLAN, replaces)]
    if (title := r.get("title")) is not None:
        made["title"] = text(title)
    if (summary := r.get("summary")) is not None:
        made["description"] = text(summary)
    if lasts := period(r.get("start_date"), r.get("target_end_date")):
        made["period"] = lasts
    if (authored := r.get("authored_at")) is not None:
        made["created"] = moment(authored)
    if (author := r.get("author_id")) is not None:
        made["author"] = ref(CLINICIAN, author)
    if contributors := r.get("contributor_ids"):
        made["contributor"] = [ref(CLINICIAN, one) for one in listed(contributors)]
    if r.get("care_team"):
        made["careTeam"] = [{"reference": "CareTeam/care-plan." + joined(rid, "care-team")}]
    if diagnoses := r.get("diagnoses"):
        keys = [ident(one["diagnosis_id"]) for one in listed(diagnoses)]
        if episode is not None:
            made["addresses"] = [part_ref(CONDITION, episode, key) for key in keys]
    if assessments := r.get("assessment_ids"):
        made["supportingInfo"] = [ref(ANSWERS, one) for one in listed(assessments)]
    if goals := r.get("goal_ids"):
        made["goal"] = [ref(GOAL, one) for one in listed(goals)]
    if done := activities(r, rid):
        made["activity"] = done
    if notes := _notes(r):
        made["note"] = notes
    return made


def _notes(r: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in listed(r.get("discharge_criteria") or []):
        key = "discharge_criteria." + ident(one["criterion_id"])
        made: dict[str, Any] = {"id": key, "text": text(one["text"])}
        extensions = []
        if (met := one.get("met")) is not None:
            extensions.append(extension("criterion-met", "valueBoolean", flag(met)))
        if (met_on := one.get("met_on")) is not None:
            extensions.append(extension("criterion-met-on", "valueDate", day(met_on)))
        if (goal := one.get("goal_id")) is not None:
            extensions.append(extension("criterion-goal", "valueReference", ref(GOAL, goal)))
        if extensions:
            made["extension"] = extensions
        found.append(made)
    if progress := r.get("progress"):
        for one in listed(progress.get("feedback") or []):
            made = {
                "id": "progress.feedback." + ident(one["feedback_id"]),
                "text": text(one["text"]),
            }
            if (response := one.get("response")) is not None:
                made["extension"] = [extension("response", "valueString", text(response))]
            if (source := one.get("source")) is not None:
                made["authorString"] = SOURCE[source]
            if (on := one.get("on")) is not None:
                made["time"] = moment(on)
            found.append(made)
    if (note := r.get("note")) is not None:
        found.append({"text": text(note)})
    return found
