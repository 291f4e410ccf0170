"""A care plan by hand: the readable narrative, and clock times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hand_checks import clocked, listed, numeric, text

Show = Callable[[Any], str | None]


def clock(value: Any) -> str:
    """``hh:mm`` with its seconds."""
    return clocked(value + ":00")


def same(value: str) -> str:
    """Words as they are."""
    return value


def spaced(value: str) -> str:
    """A house word as a person reads it."""
    return value.replace("_", " ")


def said(value: Any) -> str:
    """A number or a truth as a person reads it."""
    return "yes" if value is True else "no" if value is False else str(numeric(value))


def many(values: Any) -> str | None:
    """Several texts."""
    return "; ".join(values) if values else None


def spaced_many(values: Any) -> str | None:
    """Several house words."""
    return "; ".join([value.replace("_", " ") for value in values]) if values else None


def each(name: str) -> Show:
    """One field of each item."""

    def shown(items: Any) -> str | None:
        found = [value for one in listed(items or []) if (value := one.get(name)) is not None]
        return "; ".join(found) or None

    return shown


ROWS: list[tuple[str | None, list[tuple[str, str, Show]]]] = [
    (
        None,
        [
            ("Plan", "title", same),
            ("Status", "status", spaced),
            ("Version", "plan_version", said),
            ("Why this version", "change_reason", same),
            ("Summary", "summary", same),
            ("Problems", "diagnoses", each("text")),
            ("How they are met", "diagnoses", each("approach")),
            ("Strengths", "strengths", many),
        ],
    ),
    (
        "preferences",
        [
            ("Preferred schedule", "schedule", same),
            ("Preferred style", "modality_style", same),
            ("Preferred setting", "setting", same),
            ("Preferred language", "language", same),
            ("Cultural preferences", "cultural", same),
            ("Spiritual preferences", "spiritual", same),
            ("Preferred clinician", "clinician_gender", spaced),
            ("Past experience of care", "past_experience", same),
            ("Communication", "communication", same),
            ("Experience preferences", "care_experience", same),
        ],
    ),
    (
        "coping",
        [
            ("Coping that worked", "worked", many),
            ("Coping that did not", "not_worked", many),
            ("What holds the client back", "resistance", many),
            ("Coping", "text", same),
        ],
    ),
    (
        "cultural_social",
        [
            ("Culture", "culture", same),
            ("Language", "language", same),
            ("Religion and spirituality", "religion_spirituality", same),
            ("Stigma", "stigma", same),
            ("LGBTQ+ needs", "lgbtq_needs", same),
            ("Community", "community", same),
            ("Discrimination", "discrimination", same),
            ("Adaptations", "adaptations", many),
        ],
    ),
    (None, [("Treatment", "modalities", each("focus")), ("Wellness", "wellness", each("text"))]),
    (
        "medication_support",
        [
            ("Medication support", "text", same),
            ("Adherence", "adherence", spaced),
            ("About adherence", "adherence_note", same),
            ("Side effects", "side_effects", same),
            ("Interactions", "interactions_note", same),
        ],
    ),
    (
        "family_involvement",
        [
            ("Family involvement", "text", same),
            ("Family members", "members", each("part")),
            ("Family education", "education", same),
            ("Family declined because", "decline_reason", same),
        ],
    ),
    (
        "schedule",
        [
            ("Hours a week", "hours_per_week", said),
            ("Days", "days", spaced_many),
            ("From", "start_time", same),
            ("Until", "end_time", same),
            ("Where", "location", same),
            ("Telehealth", "telehealth", said),
            ("Transportation", "transportation", same),
            ("Accommodations", "accommodations", same),
            ("Schedule", "text", same),
        ],
    ),
    ("step_down", [("Step-down criteria", "criteria", many), ("Step-down", "text", same)]),
    (
        None,
        [
            ("Discharge criteria", "discharge_criteria", each("text")),
            ("Case conferences", "case_conferences", each("decision")),
        ],
    ),
    (
        "progress",
        [
            ("Client's self-assessments", "self_assessments", each("text")),
            ("Therapist's evaluations", "evaluations", each("text")),
            ("Feedback", "feedback", each("text")),
            ("Milestones", "milestones", each("text")),
            ("Barriers", "barriers", many),
            ("Progress monitoring", "monitoring", same),
            ("Progress", "summary", same),
        ],
    ),
    (
        "crisis_plan",
        [
            ("Crisis plan", "text", same),
            ("Warning signs", "warning_signs", many),
            ("Coping in a crisis", "coping_steps", many),
            ("Reasons for living", "reasons_for_living", many),
            ("Safe surroundings", "safe_environment", same),
            ("Crisis line", "crisis_line", same),
        ],
    ),
    (
        "case_management",
        [
            ("Case management", "text", same),
            ("Case management needs", "needs", each("text")),
            ("Contact", "contact_frequency", same),
        ],
    ),
    ("aftercare", [("Aftercare", "text", same), ("Aftercare services", "services", many)]),
    ("certification", [("Certification", "text", same)]),
]
OPEN = '<div xmlns="http://www.w3.org/1999/xhtml">'


def narrative(r: dict[str, Any]) -> dict[str, str]:
    """The Narrative: a paragraph for each field that the record has."""
    rows = []
    for name, questions in ROWS:
        part = r if name is None else r.get(name)
        if not part:
            continue
        for label, field, show in questions:
            if (value := part.get(field)) is not None and (shown := show(value)) is not None:
                shown = shown.replace("&", "&amp;").replace("<", "&lt;")
                rows.append(f"<p><b>{label}:</b> {shown}</p>")
    return {"status": "generated", "div": text(f"{OPEN}{''.join(rows) or '<p>-</p>'}</div>")}
