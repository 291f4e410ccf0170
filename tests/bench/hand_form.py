"""An assessment by hand: the questions of the clinic's own form, and who answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hand_checks import chosen, day, ident, integer, listed, number, text

from fhirsvc.records import fields

Answer = Callable[[Any], list[dict[str, Any]]]
Questions = list[tuple[str, str, str, Answer]]


def said(value: Any) -> list[dict[str, Any]]:
    """Words."""
    return [{"valueString": text(value)}]


def many(values: Any) -> list[dict[str, Any]]:
    """Several words."""
    return [{"valueString": text(value)} for value in listed(values or [])]


def whole(value: Any) -> list[dict[str, Any]]:
    """An integer."""
    return [{"valueInteger": integer(value)}]


def decimal(value: Any) -> list[dict[str, Any]]:
    """A number."""
    return [{"valueDecimal": number(value)}]


def date(value: Any) -> list[dict[str, Any]]:
    """A day."""
    return [{"valueDate": day(value)}]


def one_of(path: str) -> Answer:
    """One of the words that a field may have, as a person reads it."""
    words = frozenset(fields("assessment")[path].values)

    def answer(value: Any) -> list[dict[str, Any]]:
        return [{"valueString": chosen(value, words).replace("_", " ")}]

    return answer


FIRST: Questions = [
    ("kind", "Kind of assessment", "kind", one_of("kind")),
    ("title", "Title", "title", said),
    ("source", "Who gave the information", "source_text", said),
    ("interpreter", "Interpreter", "interpreter_text", said),
]
INTERVIEW: Questions = [
    ("ci.presenting-problem", "Presenting problem", "presenting_problem", said),
    ("ci.history", "History", "history", said),
    ("ci.mental-health-history", "Mental health history", "mental_health_history", said),
    ("ci.symptoms", "Current symptoms", "current_symptoms", many),
    ("ci.prior-treatment", "Prior treatment", "prior_treatment", many),
    ("ci.coping-worked", "Coping that worked", "coping_worked", many),
    ("ci.coping-not-worked", "Coping that did not work", "coping_not_worked", many),
    ("ci.resistance", "What holds the client back", "resistance_areas", many),
    ("ci.trauma", "Trauma history", "trauma_history", said),
    ("ci.text", "Interview in words", "text", said),
]
MENTAL_STATUS: Questions = [
    ("ms.appearance", "Appearance", "appearance", said),
    ("ms.behavior", "Behavior", "behavior", said),
    ("ms.speech", "Speech", "speech", said),
    ("ms.mood", "Mood", "mood", said),
    ("ms.affect", "Affect", "affect", said),
    ("ms.thought-process", "Thought process", "thought_process", said),
    ("ms.thought-content", "Thought content", "thought_content", said),
    ("ms.perception", "Perception", "perception", said),
    ("ms.cognition", "Cognition", "cognition", said),
    ("ms.insight", "Insight", "insight", said),
    ("ms.judgment", "Judgment", "judgment", said),
    ("ms.text", "Mental status in words", "text", said),
]
RISK: Questions = [
    ("risk.ideation", "Suicidal ideation", "suicidal_ideation", one_of("risk.suicidal_ideation")),
    ("risk.self-harm", "Self-harm", "self_harm", one_of("risk.self_harm")),
    ("risk.violence", "Violence", "violence", one_of("risk.violence")),
    ("risk.level", "Level of risk", "level", one_of("risk.level")),
    ("risk.protective", "Protective factors", "protective_factors", many),
    ("risk.means", "Access to means", "access_to_means", said),
    ("risk.action", "Action taken", "action_taken", said),
    ("risk.text", "Risk in words", "text", said),
]
MEDICAL: Questions = [
    ("me.interactions", "Interactions", "interactions_note", said),
    ("me.last-exam", "Last physical examination", "last_physical_exam", date),
    ("me.sleep", "Sleep", "sleep", said),
    ("me.appetite", "Appetite", "appetite", said),
    ("me.pain", "Pain", "pain", said),
    ("me.pregnancy", "Pregnancy", "pregnancy", one_of("medical_evaluation.pregnancy")),
    ("me.text", "Medical evaluation in words", "text", said),
]
FAMILY: Questions = [
    ("fs.supports", "Supports", "supports", many),
    ("fs.relationships", "Relationships", "relationships", said),
    ("fs.home", "Home", "home_environment", said),
    ("fs.children", "Children", "children", said),
    ("fs.family-sud", "Substance use in the family", "family_sud_history", said),
    ("fs.family-mh", "Mental health in the family", "family_mental_health_history", said),
    ("fs.military", "Military service", "military_service", said),
    ("fs.developmental", "Development", "developmental", said),
    ("fs.transportation", "Transportation", "transportation", said),
    ("fs.text", "Family and social history in words", "text", said),
]
LIVING: Questions = [
    ("so.housing", "Housing", "housing_status", one_of("social.housing_status")),
    ("so.housing-text", "Housing in words", "housing_text", said),
    ("so.employment", "Employment", "employment_status", one_of("social.employment_status")),
    ("so.employment-text", "Employment in words", "employment_text", said),
    ("so.education", "Education", "education_level", one_of("social.education_level")),
    ("so.legal", "Legal status", "legal_status", one_of("social.legal_status")),
    ("so.legal-text", "Legal status in words", "legal_text", said),
    ("so.arrests", "Arrests in 30 days", "arrests_30", whole),
    ("so.self-help", "Self-help meetings in 30 days", "self_help_30", whole),
]
THEN: Questions = [
    ("strengths", "Strengths", "strengths", many),
    ("barriers", "Barriers", "barriers", many),
]
PREFERENCES: Questions = [
    ("pr.schedule", "Schedule", "schedule", said),
    ("pr.style", "Style of treatment", "modality_style", said),
    ("pr.setting", "Setting", "setting", said),
    ("pr.language", "Language", "language", said),
    ("pr.cultural", "Culture", "cultural", said),
    ("pr.spiritual", "Spirituality", "spiritual", said),
    (
        "pr.clinician",
        "Clinician's gender",
        "clinician_gender",
        one_of("preferences.clinician_gender"),
    ),
    ("pr.past", "Past experience of care", "past_experience", said),
    ("pr.communication", "Communication", "communication", said),
    ("pr.experience", "Experience of care", "care_experience", said),
]
CULTURE: Questions = [
    ("cs.culture", "Culture", "culture", said),
    ("cs.language", "Language", "language", said),
    ("cs.religion", "Religion and spirituality", "religion_spirituality", said),
    ("cs.stigma", "Stigma", "stigma", said),
    ("cs.lgbtq", "LGBTQ+ needs", "lgbtq_needs", said),
    ("cs.community", "Community", "community", said),
    ("cs.discrimination", "Discrimination", "discrimination", said),
    ("cs.adaptations", "Adaptations", "adaptations", many),
]
GOALS: Questions = [
    ("goals.text", "Goal", "text", said),
    ("goals.term", "Term", "term", one_of("goals_initial[].term")),
    ("goals.readiness", "Readiness (0 to 10)", "readiness", whole),
]
SELF_REPORT: Questions = [
    ("self.mood", "Mood", "mood", whole),
    ("self.anxiety", "Anxiety", "anxiety", whole),
    ("self.confidence", "Confidence", "confidence", whole),
    ("self.sleep", "Hours of sleep", "sleep_hours", decimal),
    ("self.skills", "Skills used", "skills_used", many),
    ("self.helpful", "What helped", "helpful", said),
    ("self.unhelpful", "What did not help", "unhelpful", said),
    ("self.text", "Self-report in words", "text", said),
]
LAST: Questions = [
    ("impression", "Impression", "impression", said),
    ("recommendation", "Recommendation", "recommendation", said),
    ("summary", "Summary", "summary", said),
]
CONDITION: Questions = [("me.condition", "Condition", "text", said)]
MEDICATION: Questions = [("me.medication", "Medication", "text", said)]
ALLERGY: Questions = [("me.allergy", "Allergy", "text", said)]
GROUPS_BEFORE = [
    ("clinical_interview", "ci", "Clinical interview", INTERVIEW),
    ("mental_status", "ms", "Mental status", MENTAL_STATUS),
    ("risk", "risk", "Risk", RISK),
    ("medical_evaluation", "me", "Medical evaluation", MEDICAL),
    ("family_social", "fs", "Family and social history", FAMILY),
    ("social", "so", "Living situation", LIVING),
]
GROUPS_BETWEEN = [
    ("preferences", "pr", "Preferences", PREFERENCES),
    ("cultural_social", "cs", "Culture and community", CULTURE),
]
MEDICAL_LISTS = [
    ("conditions", "condition_id", "me.conditions", "Medical conditions", CONDITION),
    ("medications", "medication_id", "me.medications", "Medications", MEDICATION),
    ("allergies", "allergy_id", "me.allergies", "Allergies", ALLERGY),
]


def items(part: dict[str, Any], questions: Questions) -> list[dict[str, Any]]:
    """The items of the questions that a part of the record answers."""
    found = []
    for link, label, name, answer in questions:
        if (value := part.get(name)) is not None and (answers := answer(value)):
            found.append({"linkId": link, "text": label, "answer": answers})
    return found


def form(r: dict[str, Any]) -> list[dict[str, Any]]:
    """All items, group by group."""
    found = items(r, FIRST)
    for name, link, label, questions in GROUPS_BEFORE:
        _group(found, r, name, link, label, questions)
    found += items(r, THEN)
    for name, link, label, questions in GROUPS_BETWEEN:
        _group(found, r, name, link, label, questions)
    for one in listed(r.get("goals_initial") or []):
        key = "goals_initial." + ident(one["goal_key"])
        if asked := items(one, GOALS):
            label = "Goals in the client's words"
            found.append({"id": key, "linkId": "goals", "text": label, "item": asked})
    _group(found, r, "self_report", "self", "Self-report", SELF_REPORT)
    found += items(r, LAST)
    return found


def _group(
    found: list[dict[str, Any]],
    r: dict[str, Any],
    name: str,
    link: str,
    label: str,
    questions: Questions,
) -> None:
    part = r.get(name)
    if not part:
        return
    asked = _medical(part) if name == "medical_evaluation" else []
    asked += items(part, questions)
    if asked:
        found.append({"linkId": link, "text": label, "item": asked})


def _medical(part: dict[str, Any]) -> list[dict[str, Any]]:
    """What is listed: conditions, medications, allergies."""
    found = []
    for name, key, link, label, questions in MEDICAL_LISTS:
        for one in listed(part.get(name) or []):
            local = f"medical_evaluation.{name}." + ident(one[key])
            if asked := items(one, questions):
                found.append({"id": local, "linkId": link, "text": label, "item": asked})
    return found
