"""The parts of an individualized treatment plan."""

from __future__ import annotations

from typing import Any

from marshmallow import validates_schema

from fhirsvc.records.choices import RELATIONSHIPS
from fhirsvc.records.kinds import (
    Boolean,
    Code,
    Date,
    DateTime,
    Decimal,
    Enum,
    Integer,
    Key,
    Ref,
    String,
    Text,
    reject,
)
from fhirsvc.records.parts import LevelStep, Medication
from fhirsvc.records.rules import in_order
from fhirsvc.records.shapes import Many, Object, Part

MODALITIES = (
    "cbt",
    "dbt",
    "trauma_informed",
    "motivational_interviewing",
    "individual_therapy",
    "group_therapy",
    "family_therapy",
    "psychotherapy",
    "client_centered",
    "relapse_prevention_alcohol",
    "relapse_prevention_drug",
    "substance_use_therapy",
    "substance_use_education",
    "medication_management",
    "case_management",
    "peer_support",
    "mindfulness",
    "meditation",
    "yoga",
    "exercise",
    "art_therapy",
    "holistic",
    "psychoeducation",
    "skills_training",
    "other",
)
WELLNESS = ("exercise", "yoga", "meditation", "mindfulness", "nutrition", "sleep", "other")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"


class TeamMember(Part):
    """Someone of the care team: staff, family or another organization."""

    member_id = Key("Key of the member", required=True)
    staff_id = Ref("staff", "The staff member")
    contact_id = Key("The client's contact, by contact_id")
    organization_id = Ref("organization", "The organization")
    is_client = Boolean("The client, as member of the own team")
    role_text = String("What the member does in this team")
    is_lead = Boolean("Leads the team")
    start_date = Date("Member since")
    end_date = Date("Member until")

    @validates_schema
    def someone(self, data: dict[str, Any], **_: Any) -> None:
        """A member is exactly one of staff, contact, organization and client."""
        who = [n for n in ("staff_id", "contact_id", "organization_id", "is_client") if data.get(n)]
        if len(who) != 1:
            raise reject(
                "needs", "needs exactly one of: staff_id, contact_id, organization_id, is_client"
            )
        in_order(data, "start_date", "end_date")


class Modality(Part):
    """A kind of treatment given regularly; becomes a CarePlan activity."""

    modality_id = Key("Key of the modality", required=True)
    kind = Enum(MODALITIES, "What is done", required=True)
    kind_text = String("What is done, in words")
    delivery = Enum(("individual", "group", "family", "couple", "self_directed"), "In what setting")
    focus = Text("What it is about for this person")
    status = Enum(
        ("not_started", "scheduled", "in_progress", "on_hold", "completed", "cancelled", "stopped"),
        "Where it stands",
        required=True,
    )
    status_reason = Text("Why it stands there")
    sessions_per_week = Integer("Sessions a week", low=1, high=50)
    minutes = Integer("Minutes a session", low=5, high=600)
    facilitator_id = Ref("staff", "Who leads it")
    start_date = Date("First session")
    end_date = Date("Last session")
    telehealth = Boolean("By video or phone")
    location = String("Where")
    billing_code = Code("HCPCS or CPT code billed", pattern=r"[A-Z0-9]{5}", expected="five signs")
    goal_ids = Many(Ref("goal", "A goal"), "Goals it serves")
    note = Text("What to know about it")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """The first session is before the last."""
        in_order(data, "start_date", "end_date")


class Wellness(Part):
    """Something the person does for body and mind outside sessions."""

    wellness_id = Key("Key of the activity", required=True)
    kind = Enum(WELLNESS, "What kind", required=True)
    text = Text("What the person does")
    times_per_week = Integer("How often a week", low=1, high=50)
    minutes = Integer("Minutes each time", low=1, high=600)
    status = Enum(("not_started", "in_progress", "on_hold", "completed", "stopped"), "Where it is")
    goal_ids = Many(Ref("goal", "A goal"), "Goals it serves")


class MedicationSupport(Part):
    """Medication management and support in taking it."""

    prescriber_id = Ref("staff", "Who prescribes")
    medications = Many(Object(Medication, "A medication"), "Medications", key="medication_id")
    mat = Boolean("Medication for addiction treatment is part of the plan", sensitivity="SUD")
    adherence = Enum(("good", "partial", "poor", "declined", "unknown"), "How well it is taken")
    adherence_note = Text("What helps and hinders taking it")
    side_effects = Text("Side effects")
    interactions_note = Text("Interactions to watch")
    next_review = Date("Next medication review")
    text = Text("Medication support in words")


class FamilyMember(Part):
    """A member of the family's part in treatment."""

    family_id = Key("Key of the entry", required=True)
    contact_id = Key("The client's contact, by contact_id")
    name = String("Name, when not a contact")
    relationship = Enum(RELATIONSHIPS, "Who this is to the client")
    part = Text("The part agreed with the client")
    attends = Boolean("Comes to sessions")


class FamilyInvolvement(Part):
    """The family's part in treatment, as far as the person agrees."""

    consented = Boolean("The client agrees to it")
    members = Many(Object(FamilyMember, "A member"), "Who takes part", key="family_id")
    sessions_per_month = Integer("Family sessions a month", high=31)
    education = Text("What the family learns")
    decline_reason = Text("Why there is none")
    text = Text("Family involvement in words")


class Schedule(Part):
    """When and where treatment happens."""

    days = Many(Enum(DAYS, "A weekday"), "Treatment days")
    start_time = String("Start, local time", pattern=TIME, expected="a time hh:mm")
    end_time = String("End, local time", pattern=TIME, expected="a time hh:mm")
    hours_per_week = Decimal("Hours of treatment a week", high=168)
    telehealth = Boolean("By video or phone")
    location = String("Where")
    transportation = Text("How the person gets there")
    accommodations = Text("Childcare, work shifts, disability: what the schedule takes account of")
    text = Text("The schedule in words")

    @validates_schema
    def times(self, data: dict[str, Any], **_: Any) -> None:
        """A day starts before it ends."""
        if data.get("end_time", "24") <= data.get("start_time", ""):
            raise reject("order", "is not after start_time", "end_time")


class Coping(Part):
    """What helps, what does not, and where the person is of two minds."""

    worked = Many(Text("A way of coping"), "What helps")
    not_worked = Many(Text("A way of coping"), "What does not help")
    resistance = Many(Text("An area"), "Where the person is of two minds, and how it is met")
    text = Text("Coping in words")


class StepDown(Part):
    """How intensity goes down (or up) over the episode."""

    criteria = Many(Text("A criterion"), "What must be true to step down")
    steps = Many(Object(LevelStep, "A step"), "The steps, in order", key="step_id")
    text = Text("Step-down in words")


class DischargeCriterion(Part):
    """Something that must be true before discharge."""

    criterion_id = Key("Key of the criterion", required=True)
    text = Text("What must be true", required=True)
    met = Boolean("It is true now")
    met_on = Date("Since when")
    goal_id = Ref("goal", "The goal that stands for it")


class CaseConference(Part):
    """A weekly meeting of the team about this person."""

    conference_id = Key("Key of the conference", required=True)
    held_on = Date("When", required=True)
    recorded_at = DateTime("When it was written down", required=True)
    attendee_ids = Many(Ref("staff", "An attendee"), "Who was there")
    client_present = Boolean("The client was there")
    plan_version = Integer("The plan's version it led to", low=1, high=10_000)
    hours_per_week = Decimal("Hours a week decided", high=168)
    decision = Text("What was decided, and why")
    next_on = Date("Next conference")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """The next conference is after this one."""
        in_order(data, "held_on", "next_on")
