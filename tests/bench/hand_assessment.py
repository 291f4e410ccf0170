"""An assessment by hand: the form, each instrument's score and answers, and the alerts raised."""

from __future__ import annotations

from typing import Any

import shipped_clinic as clinic
from hand_checks import (
    ANSWERS,
    CLINICIAN,
    PATIENT,
    PROGRAM,
    codes,
    concept,
    concepts,
    ident,
    joined,
    listed,
    moment,
    number,
    point,
    ref,
    text,
    word,
    worded,
)
from hand_form import form

from fhirsvc.fhir.scoring import answers_of, score

STATUS, SCORE_STATUS = codes("assessment_status"), codes("score_status")
FLAG_STATUS, TASK_STATUS = codes("flag_status"), codes("alert_task_status")
SURVEY = [concept("observation-category", "survey", "Survey")]
SAFETY = [concept("flag-category", "safety", "Safety")]
SCORES, BANDS = concepts("instrument-total"), concepts("score_band")
NOT_PERFORMED = concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "not-performed")
REVIEW = concept("alert-task-code", "review-alert", "Review a safety alert")
CASE_MANAGER = [concept("nucc", "171M00000X", "Case Manager/Care Coordinator")]
CANONICAL = codes("instrument-questionnaire")
INSTRUMENTS = clinic.mappings().library.instruments
KNOWN = {name: instrument.answers() for name, instrument in INSTRUMENTS.items()}
PHQ_9_ITEM_9 = "PHQ-9 item 9: thoughts of being better off dead or of hurting oneself"


def assessment(r: dict[str, Any]) -> list[dict[str, Any]]:
    """All that an assessment becomes."""
    rid, client = ident(r["id"]), ident(r["client_id"])
    results = listed(r.get("instruments") or [])
    found = [_score(r, one, rid, client) for one in results]
    found += [_answers(r, one, rid, client) for one in results]
    found.append(_form(r, rid, client))
    if raised := [alert for one in results if (alert := _alert(one)) is not None]:
        found += [_flag(r, one, rid, client) for one in raised]
        found += [_task(r, one, rid, client) for one in raised]
    return found


def _score(r: dict[str, Any], one: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    key = ident(one["result_id"])
    name = joined(rid, key)
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "id": "assessment." + name,
        "identifier": [{"system": "urn:fhirsvc:instrument-result", "value": f"{rid}/{key}"}],
        "status": SCORE_STATUS[r["status"]],
        "category": SURVEY,
        "code": SCORES[one["instrument"]],
        "subject": ref(PATIENT, client),
        "effectiveDateTime": moment(one["administered_at"]),
        "derivedFrom": [{"reference": ANSWERS + name}],
    }
    performers = []
    if (staff := one.get("staff_id")) is not None:
        performers.append(ref(CLINICIAN, staff))
    if one.get("administered_by") == "self":
        performers.append(ref(PATIENT, client))
    if performers:
        made["performer"] = performers
    total, severity = one.get("total"), one.get("severity")
    if total is not None:
        made["valueQuantity"] = {
            "value": number(total),
            "unit": "{score}",
            "system": "http://unitsofmeasure.org",
            "code": "{score}",
        }
    if severity is not None:
        band = worded(BANDS[severity], one.get("severity_text"))
        if total is not None:
            made["interpretation"] = [band]
        else:
            made["valueCodeableConcept"] = band
    elif total is None:
        made["dataAbsentReason"] = NOT_PERFORMED
    if (note := one.get("note")) is not None:
        made["note"] = [{"text": text(note)}]
    return made


def _answers(r: dict[str, Any], one: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    key, instrument = ident(one["result_id"]), one["instrument"]
    made: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse",
        "id": "assessment." + joined(rid, key),
        "identifier": {"system": "urn:fhirsvc:instrument-result", "value": f"{rid}/{key}"},
        "questionnaire": CANONICAL[instrument],
        "status": STATUS[r["status"]],
        "subject": ref(PATIENT, client),
        "authored": moment(one["administered_at"]),
    }
    if (language := one.get("language")) is not None:
        made["language"] = word(language)
    if (staff := one.get("staff_id")) is not None:
        made["author"] = ref(CLINICIAN, staff)
    if one.get("administered_by") == "self":
        made["source"] = ref(PATIENT, client)
    known = KNOWN[instrument]
    items = [
        known[item["n"]][point(value)]
        for item in one.get("items") or []
        if (value := item.get("value")) is not None
    ]
    if items:
        made["item"] = items
    return made


def _form(r: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    authored = r.get("completed_at")
    if authored is None:
        authored = r.get("started_at")
    made: dict[str, Any] = {
        "resourceType": "QuestionnaireResponse",
        "id": "assessment." + rid,
        "identifier": {"system": "urn:fhirsvc:assessment", "value": rid},
        "questionnaire": "urn:fhirsvc:Questionnaire:assessment-core|1.0.0",
        "status": STATUS[r["status"]],
        "subject": ref(PATIENT, client),
        "authored": moment(r["updated_at"] if authored is None else authored),
    }
    if (author := r.get("author_id")) is not None:
        made["author"] = ref(CLINICIAN, author)
    if items := form(r):
        made["item"] = items
    return made


def _alert(one: dict[str, Any]) -> dict[str, Any] | None:
    """What a result calls for, whatever its total."""
    name = one["instrument"]
    if name == "phq-9":
        answered = any(
            item.get("n") == "9" and (item.get("value") or 0) > 0 for item in one.get("items") or []
        )
        if not answered and "9" not in one.get("item_flags", ()):
            return None
        key, said = "item-9", PHQ_9_ITEM_9
    elif name == "c-ssrs":
        counted = score(INSTRUMENTS[name], answers_of(INSTRUMENTS[name], one.get("items")))
        if "high" not in (one.get("severity"), counted.severity):
            return None
        key, said = "high", "C-SSRS: high risk of suicide"
    else:
        return None
    return {**one, "alert_id": f"{one['result_id']}.{key}", "code": f"{name}.{key}", "said": said}


def _flag(r: dict[str, Any], alert: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    key = ident(alert["alert_id"])
    made: dict[str, Any] = {
        "resourceType": "Flag",
        "id": "assessment." + joined(rid, key),
        "identifier": [{"system": "urn:fhirsvc:alert", "value": f"{rid}/{key}"}],
        "status": FLAG_STATUS[r["status"]],
        "category": SAFETY,
        "code": {
            "coding": [{"system": "urn:fhirsvc:CodeSystem:alert-code", "code": alert["code"]}],
            "text": alert["said"],
        },
        "subject": ref(PATIENT, client),
        "period": {"start": moment(alert["administered_at"])},
    }
    if (staff := alert.get("staff_id")) is not None:
        made["author"] = ref(CLINICIAN, staff)
    return made


def _task(r: dict[str, Any], alert: dict[str, Any], rid: str, client: str) -> dict[str, Any]:
    key = ident(alert["alert_id"])
    name = joined(rid, key)
    made: dict[str, Any] = {
        "resourceType": "Task",
        "id": "assessment." + name,
        "identifier": [{"system": "urn:fhirsvc:alert-task", "value": f"{rid}/{key}"}],
        "status": TASK_STATUS[r["status"]],
        "intent": "order",
        "priority": "urgent",
        "code": REVIEW,
        "description": alert["said"],
        "focus": {"reference": "Flag/assessment." + name},
        "for": ref(PATIENT, client),
        "authoredOn": moment(alert["administered_at"]),
        "performerType": CASE_MANAGER,
        "reasonReference": {"reference": ANSWERS + joined(rid, ident(alert["result_id"]))},
    }
    if (author := r.get("author_id")) is not None:
        made["requester"] = ref(CLINICIAN, author)
    if (program := r.get("program_id")) is not None:
        made["owner"] = ref(PROGRAM, program)
    return made
