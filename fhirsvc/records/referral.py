"""A referral to another service. Becomes a ServiceRequest and the Task that tracks it."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from marshmallow import validates_schema

from fhirsvc.records.kinds import (
    Boolean,
    Code,
    Date,
    DateTime,
    Enum,
    Key,
    Phone,
    Ref,
    String,
    Text,
    reject,
)
from fhirsvc.records.parts import Appointment, StatusEvent
from fhirsvc.records.rules import in_order, need_episode
from fhirsvc.records.shapes import Many, Object, Part, Record, constant_type

REFERRAL_KINDS = (
    "psychiatry",
    "step_down_outpatient",
    "step_up_php",
    "sud_program",
    "family_therapy",
    "peer_support",
    "primary_care",
    "employment",
    "education",
    "housing",
    "benefits",
    "community_resources",
    "case_management",
    "other",
)
State = Literal[
    "draft",
    "sent",
    "accepted",
    "declined",
    "scheduled",
    "attended",
    "no_show",
    "visit_cancelled",
    "on_hold",
    "cancel_requested",
    "cancelled",
    "completed",
    "failed",
    "error",
]
Actor = Literal["requester", "performer"]
Action = Literal[
    "send",
    "accept",
    "decline",
    "schedule",
    "reschedule",
    "attend",
    "miss",
    "cancel_visit",
    "hold",
    "resume",
    "request_cancel",
    "confirm_cancel",
    "refuse_cancel",
    "cancel",
    "complete",
    "fail",
    "reopen",
    "mark_error",
]
REFERRAL_STATUSES: tuple[State, ...] = get_args(State)
REFERRAL_ACTIONS: tuple[Action, ...] = get_args(Action)
REFERRAL_ACTORS: tuple[Actor, ...] = get_args(Actor)


class ReferralEvent(StatusEvent):
    """One step in a referral's life; which may follow which, ``fhirsvc/referral`` says."""

    status = Enum(REFERRAL_STATUSES, "The status entered", required=True)
    action = Enum(REFERRAL_ACTIONS, "What was done")
    actor = Enum(REFERRAL_ACTORS, "On whose side it was done")
    by_organization_id = Ref("organization", "Which organization did it")
    via = Enum(("page", "fhir", "cli", "api"), "By which way it was told")
    implied = Boolean("Nobody told of it: it must have been, since what came after it was told")

    @validates_schema
    def one_doer(self, data: dict[str, Any], **_: Any) -> None:
        """A step of somebody on our staff is not an organization's too."""
        if "by_id" in data and "by_organization_id" in data:
            raise reject("conflict", "is not said beside by_id", "by_organization_id")


class Outcome(Part):
    """What the other side reported."""

    reported_at = DateTime("When it was reported")
    reported_by = String("Who reported it")
    result = Enum(
        ("service_started", "service_completed", "not_eligible", "waitlisted", "not_started"),
        "What happened",
    )
    text = Text("What happened, in words")


class WarmHandoff(Part):
    """A person-to-person introduction to the other service."""

    date = Date("When")
    contact = String("With whom on the other side")
    phone = Phone("Phone number")
    staff_id = Ref("staff", "Who made the introduction")
    confirmed = Boolean("The other side confirmed")
    note = Text("What was said")


class Referral(Record):
    """A request to another service: https://hl7.org/fhir/R4/servicerequest.html."""

    type_name: ClassVar[str] = "referral"

    type = constant_type("referral")
    client_id = Ref("client", "Who is referred", required=True)
    episode_id = Ref("episode", "The episode it is made in")
    care_plan_id = Ref("care_plan", "The plan it belongs to")
    goal_ids = Many(Ref("goal", "A goal"), "Goals it serves")
    replaces_id = Ref("referral", "The referral this one re-routes")
    kind = Enum(REFERRAL_KINDS, "What is asked for", required=True)
    kind_text = String("What is asked for, in words")
    status = Enum(REFERRAL_STATUSES, "Where it stands", required=True)
    status_reason = Text("Why it stands there")
    history = Many(Object(ReferralEvent, "A step"), "How the status came about", key="event_id")
    priority = Enum(("routine", "urgent", "asap", "stat"), "How urgent")
    requisition = Code("Number shared by the referrals of one decision")
    requested_on = Date("When it was decided")
    needed_by = Date("By when the service should start")
    expires_on = Date("After which it is void")
    requester_id = Ref("staff", "Who asks")
    performer_organization_id = Ref("organization", "Who is asked")
    performer_staff_id = Ref("staff", "The person asked, when on our staff")
    performer_text = String("Who is asked, in words")
    reason = Text("Why, in words")
    diagnosis_ids = Many(Key("A diagnosis_id"), "Diagnoses of the episode it is for")
    assessment_ids = Many(Ref("assessment", "An assessment"), "Assessments that support it")
    consent_id = Ref("consent", "The consent that allows it")
    instructions = Text("Instructions for the client")
    note = Text("Note for the other side")
    appointments = Many(
        Object(Appointment, "An appointment"), "Visits agreed", key="appointment_id"
    )
    outcome = Object(Outcome, "What came of it")
    warm_handoff = Object(WarmHandoff, "The introduction")
    internal_notes = Text("The team's working notes; never leave")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """Needed and void come after asked for; diagnoses are an episode's."""
        need_episode(data, "diagnosis_ids")
        in_order(data, "requested_on", "needed_by")
        in_order(data, "requested_on", "expires_on")
