"""An episode: one course of treatment, intake to discharge. Becomes an EpisodeOfCare."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.choices import LEVELS_OF_CARE
from fhirsvc.records.kinds import Code, Date, Decimal, Enum, Ref, String, Text
from fhirsvc.records.parts import Diagnosis, LevelStep, StatusEvent
from fhirsvc.records.rules import in_order
from fhirsvc.records.shapes import Many, Object, Record, constant_type

STATUSES = ("planned", "waitlist", "active", "on_hold", "finished", "cancelled", "error")


class EpisodeEvent(StatusEvent):
    """One step in an episode's life."""

    status = Enum(STATUSES, "The status entered", required=True)


class Episode(Record):
    """One course of treatment: https://hl7.org/fhir/R4/episodeofcare.html."""

    type_name: ClassVar[str] = "episode"

    type = constant_type("episode")
    client_id = Ref("client", "Who is treated", required=True)
    status = Enum(STATUSES, "Where the episode stands", required=True)
    status_reason = Text("Why it stands there")
    status_history = Many(
        Object(EpisodeEvent, "A step"), "How the status came about", key="event_id"
    )
    level_of_care = Enum(LEVELS_OF_CARE, "The present level of care")
    level_of_care_text = String("The level of care in words")
    asam_level = Code(
        "ASAM level of care, e.g. 2.1",
        pattern=r"[0-4](?:\.[1-9])?(?:-?[A-Z]{2,4})?",
        expected="an ASAM level such as 2.1",
    )
    billing_code = Enum(("H0015", "S9480", "H0035"), "HCPCS code the program bills")
    hours_per_week = Decimal("Hours of treatment a week at present", high=168)
    levels = Many(Object(LevelStep, "A stretch"), "Levels of care so far, in order", key="step_id")
    start_date = Date("Day of admission")
    end_date = Date("Day of discharge")
    diagnoses = Many(
        Object(Diagnosis, "A diagnosis"), "Diagnoses, from admission on", key="diagnosis_id"
    )
    care_manager_id = Ref("staff", "The case manager responsible")
    referred_by_id = Ref("organization", "Who sent the person")
    referral_source = String("Who sent the person, in words")
    referral_ids = Many(Ref("referral", "A referral"), "Referrals made in the episode")
    presenting_reason = Text("Why the person came")
    internal_notes = Text("The team's working notes; never leave")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """Admission is before discharge."""
        in_order(data, "start_date", "end_date")
