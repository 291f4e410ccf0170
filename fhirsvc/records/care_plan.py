"""A care plan: one person's treatment plan, whole. Becomes a CarePlan and a CareTeam."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.care_plan_parts import (
    CaseConference,
    Coping,
    DischargeCriterion,
    FamilyInvolvement,
    MedicationSupport,
    Modality,
    Schedule,
    StepDown,
    TeamMember,
    Wellness,
)
from fhirsvc.records.care_plan_progress import (
    CaseManagement,
    Certification,
    PlannedAftercare,
    Progress,
)
from fhirsvc.records.kinds import Date, DateTime, Enum, Integer, Ref, String, Text
from fhirsvc.records.parts import (
    CrisisPlan,
    CulturalSocial,
    Preferences,
    Problem,
    RelapsePrevention,
    Signature,
)
from fhirsvc.records.rules import in_order, need_episode
from fhirsvc.records.shapes import Many, Object, Record, constant_type

PLAN_STATUSES = ("draft", "active", "on_hold", "closed", "revoked", "error")


class CarePlan(Record):
    """The plan: https://hl7.org/fhir/us/core/StructureDefinition-us-core-careplan.html."""

    type_name: ClassVar[str] = "care_plan"

    type = constant_type("care_plan")
    client_id = Ref("client", "Whose plan", required=True)
    episode_id = Ref("episode", "The episode it is for")
    status = Enum(PLAN_STATUSES, "Where it stands", required=True)
    plan_version = Integer("Version of the plan, 1 at first", low=1, high=10_000)
    change_reason = Text("Why this version was made")
    replaces_id = Ref("care_plan", "The plan this one replaces, e.g. at another level of care")
    title = String("Title as people know it")
    summary = Text("The plan in words")
    start_date = Date("First day")
    target_end_date = Date("Last day, as planned")
    authored_at = DateTime("When it was written")
    author_id = Ref("staff", "Who wrote it")
    contributor_ids = Many(Ref("staff", "A contributor"), "Who helped to write it")
    review_due = Date("When it must next be reviewed")
    reviewed_on = Date("When it was last reviewed")
    diagnoses = Many(
        Object(Problem, "A problem"),
        "Diagnoses of the episode it addresses, treated together",
        key="diagnosis_id",
    )
    care_team = Many(Object(TeamMember, "A member"), "The care team", key="member_id")
    assessment_ids = Many(Ref("assessment", "An assessment"), "Assessments it rests on")
    goal_ids = Many(Ref("goal", "A goal"), "Its goals")
    referral_ids = Many(Ref("referral", "A referral"), "Referrals made under it")
    modalities = Many(Object(Modality, "A modality"), "Treatment given", key="modality_id")
    wellness = Many(Object(Wellness, "An activity"), "Wellness", key="wellness_id")
    medication_support = Object(MedicationSupport, "Medication support")
    family_involvement = Object(FamilyInvolvement, "Family involvement")
    schedule = Object(Schedule, "Schedule")
    preferences = Object(Preferences, "How the person wants care to be given")
    coping = Object(Coping, "Coping")
    strengths = Many(Text("A strength"), "What the person brings")
    cultural_social = Object(CulturalSocial, "Culture, language, stigma, LGBTQ+ needs")
    step_down = Object(StepDown, "Step-down")
    discharge_criteria = Many(
        Object(DischargeCriterion, "A criterion"),
        "What must be true before discharge",
        key="criterion_id",
    )
    case_conferences = Many(
        Object(CaseConference, "A conference"), "Weekly case conferences", key="conference_id"
    )
    progress = Object(Progress, "Progress")
    crisis_plan = Object(CrisisPlan, "Crisis plan")
    relapse_prevention = Object(RelapsePrevention, "Relapse prevention", sensitivity="SUD")
    case_management = Object(CaseManagement, "Case management")
    aftercare = Object(PlannedAftercare, "What is meant to follow")
    certification = Object(Certification, "The physician's certification")
    signatures = Many(Object(Signature, "A signature"), "Who signed", key="signature_id")
    note = Text("Anything else")
    internal_notes = Text("The team's working notes; never leave")
    psychotherapy_notes = Text(
        "Psychotherapy notes (45 CFR 164.501); never leave", sensitivity="PSYTHPN"
    )

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """Start and end, review and next review are in order; problems are an episode's."""
        need_episode(data, "diagnoses")
        in_order(data, "start_date", "target_end_date")
        in_order(data, "reviewed_on", "review_due")
