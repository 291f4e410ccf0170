"""An aftercare plan: what follows discharge. Becomes a CarePlan replacing the treatment plan."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.care_plan import PLAN_STATUSES
from fhirsvc.records.choices import LEVELS_OF_CARE
from fhirsvc.records.kinds import Date, DateTime, Enum, Key, Phone, Ref, String, Text, reject
from fhirsvc.records.parts import (
    Appointment,
    CrisisPlan,
    Medication,
    Problem,
    RelapsePrevention,
    Signature,
    SocialOutcomes,
)
from fhirsvc.records.rules import in_order, need_episode
from fhirsvc.records.shapes import Many, Object, Part, Record, constant_type

END_REASONS = (
    "completed",
    "attendance",
    "client_decision",
    "stopped_coming",
    "financial",
    "lack_of_progress",
    "medical",
    "moved",
    "incarcerated",
    "higher_level_of_care",
    "transferred",
    "rule_violation",
    "deceased",
    "other",
)


class Support(Part):
    """Something or someone that carries the person on."""

    support_id = Key("Key of the support", required=True)
    kind = Enum(
        (
            "self_help",
            "peer",
            "sponsor",
            "crisis_line",
            "alumni",
            "faith",
            "family",
            "recovery_housing",
            "other",
        ),
        "What kind",
        required=True,
    )
    name = String("Name of the group or person")
    organization_id = Ref("organization", "The organization")
    phone = Phone("Phone number")
    schedule = String("When it meets")
    text = Text("What it is for")


class FollowUp(Part):
    """A check whether the person arrived and how it goes."""

    follow_up_id = Key("Key of the check", required=True)
    due_date = Date("When it is due", required=True)
    staff_id = Ref("staff", "Who does it")
    status = Enum(("planned", "reached", "not_reached", "cancelled"), "What became of it")
    done_on = Date("When it was done")
    text = Text("What was learned")


class AftercarePlan(Record):
    """What follows discharge: https://hl7.org/fhir/R4/careplan.html."""

    type_name: ClassVar[str] = "aftercare_plan"

    type = constant_type("aftercare_plan")
    client_id = Ref("client", "Whose plan", required=True)
    episode_id = Ref("episode", "The episode that ends")
    care_plan_id = Ref("care_plan", "The treatment plan it replaces")
    status = Enum(PLAN_STATUSES, "Where it stands", required=True)
    title = String("Title as people know it")
    summary = Text("Discharge summary")
    start_date = Date("First day")
    end_date = Date("Last day, as planned")
    authored_at = DateTime("When it was written")
    author_id = Ref("staff", "Who wrote it")
    discharge_date = Date("Day of discharge")
    discharge_type = Enum(
        ("planned", "transfer", "against_advice", "administrative", "left_early"),
        "How the episode ended",
    )
    end_reason = Enum(END_REASONS, "Why it ended")
    end_reason_text = Text("Why it ended, in words")
    next_level_of_care = Enum(LEVELS_OF_CARE, "Level of care that follows")
    diagnoses = Many(
        Object(Problem, "A problem"),
        "Diagnoses of the episode that need care on",
        key="diagnosis_id",
    )
    goal_ids = Many(Ref("goal", "A goal"), "Goals carried on")
    referral_ids = Many(Ref("referral", "A referral"), "Referrals that carry it")
    assessment_ids = Many(Ref("assessment", "An assessment"), "Assessments it rests on")
    recipient_ids = Many(Ref("organization", "A recipient"), "Who takes over")
    consent_id = Ref("consent", "The consent that allows the handoff")
    relapse_prevention = Object(RelapsePrevention, "Relapse prevention", sensitivity="SUD")
    crisis_plan = Object(CrisisPlan, "Crisis plan")
    appointments = Many(Object(Appointment, "An appointment"), "Appointments", key="appointment_id")
    medications = Many(
        Object(Medication, "A medication"), "Medications at discharge", key="medication_id"
    )
    medications_text = Text("Medications in words")
    supports = Many(Object(Support, "A support"), "Supports", key="support_id")
    follow_ups = Many(
        Object(FollowUp, "A check"),
        "Checks after discharge, e.g. 7 and 30 days",
        key="follow_up_id",
    )
    outcomes = Object(SocialOutcomes, "Where the person stands at discharge")
    recommendations = Text("What is recommended to those who take over")
    client_message = Text("What the person wants those who take over to know")
    signatures = Many(Object(Signature, "A signature"), "Who signed", key="signature_id")
    internal_notes = Text("The team's working notes; never leave")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """Start and end are in order, problems an episode's; a discharge has its day."""
        need_episode(data, "diagnoses")
        for name in ("discharge_type", "end_reason", "end_reason_text"):
            if name in data and "discharge_date" not in data:
                raise reject("needs", f"{name} needs the day of discharge", "discharge_date")
        in_order(data, "start_date", "end_date")
