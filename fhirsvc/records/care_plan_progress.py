"""How a plan is followed: self-assessments, evaluations, feedback, milestones, real life."""

from __future__ import annotations

from typing import Any

from marshmallow import validates_schema

from fhirsvc.records.kinds import (
    Boolean,
    Date,
    Decimal,
    Enum,
    Integer,
    Key,
    Ref,
    String,
    Text,
)
from fhirsvc.records.rules import in_order
from fhirsvc.records.shapes import Many, Object, Part


class SelfAssessment(Part):
    """How the person sees the week; scales of 0 to 10."""

    entry_id = Key("Key of the entry", required=True)
    on = Date("When", required=True)
    mood = Integer("Mood, 0 worst to 10 best", high=10)
    craving = Integer("Craving, 0 none to 10 worst", high=10)
    confidence = Integer("Confidence, 0 to 10", high=10)
    sleep_hours = Decimal("Hours of sleep a night", high=24)
    assessment_id = Ref("assessment", "The assessment it comes from")
    text = Text("In the person's words")


class Evaluation(Part):
    """How a therapist sees the week."""

    evaluation_id = Key("Key of the evaluation", required=True)
    on = Date("When", required=True)
    staff_id = Ref("staff", "Who")
    participation = Enum(("none", "minimal", "partial", "active", "leading"), "Taking part")
    symptom_change = Enum(("better", "same", "worse", "mixed"), "Symptoms since the last one")
    attended = Integer("Sessions attended", high=100)
    missed = Integer("Sessions missed", high=100)
    text = Text("In words")


class Feedback(Part):
    """What someone said about treatment."""

    feedback_id = Key("Key of the feedback", required=True)
    on = Date("When")
    source = Enum(("client", "family", "peer", "staff", "partner"), "Who said it")
    text = Text("What was said", required=True)
    response = Text("What the team did about it")


class Milestone(Part):
    """Something reached on the way."""

    milestone_id = Key("Key of the milestone", required=True)
    text = Text("What was reached", required=True)
    reached_on = Date("When")
    goal_id = Ref("goal", "The goal it belongs to")


class Progress(Part):
    """How it is going."""

    self_assessments = Many(
        Object(SelfAssessment, "An entry"), "The person's own view", key="entry_id"
    )
    evaluations = Many(
        Object(Evaluation, "An evaluation"), "The therapists' view", key="evaluation_id"
    )
    feedback = Many(Object(Feedback, "A remark"), "Feedback", key="feedback_id")
    milestones = Many(Object(Milestone, "A milestone"), "Milestones", key="milestone_id")
    barriers = Many(Text("A barrier"), "What stands in the way now")
    monitoring = Text("How progress is measured, how often and by whom")
    summary = Text("Progress in words")


class Need(Part):
    """Something in daily life that case management works on."""

    need_id = Key("Key of the need", required=True)
    domain = Enum(
        (
            "employment",
            "education",
            "housing",
            "benefits",
            "transportation",
            "childcare",
            "food",
            "legal",
            "health_care",
            "identification",
            "community",
            "other",
        ),
        "What part of life",
        required=True,
    )
    text = Text("What is needed")
    status = Enum(("open", "in_progress", "met", "dropped"), "Where it stands")
    goal_id = Ref("goal", "The goal it serves")
    referral_id = Ref("referral", "The referral made for it")
    due_date = Date("By when")


class CaseManagement(Part):
    """Help with daily life: work, school, housing, benefits."""

    manager_id = Ref("staff", "The case manager")
    needs = Many(Object(Need, "A need"), "Needs", key="need_id")
    contact_frequency = String("How often they meet")
    text = Text("Case management in words")


class Certification(Part):
    """A physician's certification that this intensity is needed (42 CFR 424.24)."""

    physician_id = Ref("staff", "Who certifies")
    certified_on = Date("When")
    next_due = Date("When it must be renewed")
    hours_per_week = Decimal("Hours a week certified", high=168)
    text = Text("What is certified")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """Renewal is after certification."""
        in_order(data, "certified_on", "next_due")


class PlannedAftercare(Part):
    """What is meant to follow discharge, as seen while treatment goes on."""

    started = Boolean("Planning has started")
    services = Many(Text("A service"), "Services meant to follow")
    aftercare_plan_id = Ref("aftercare_plan", "The aftercare plan it became")
    text = Text("Aftercare in words")
