"""A goal in the person's own words, with objectives that can be measured. Becomes a Goal."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.instruments import instrument_name
from fhirsvc.records.kinds import (
    Boolean,
    Code,
    Date,
    Decimal,
    Enum,
    Integer,
    Key,
    Ref,
    String,
    Text,
    reject,
)
from fhirsvc.records.parts import Note
from fhirsvc.records.rules import in_order, need_episode
from fhirsvc.records.shapes import Many, Object, Part, Record, constant_type

LIFECYCLES = (
    "proposed",
    "planned",
    "accepted",
    "active",
    "on_hold",
    "met",
    "dropped",
    "rejected",
    "error",
)
PROGRESS = (
    "in_progress",
    "improving",
    "worsening",
    "no_change",
    "achieved",
    "sustaining",
    "not_achieved",
    "no_progress",
    "not_attainable",
)
DOMAINS = (
    "symptoms",
    "substance_use",
    "safety",
    "trauma",
    "coping",
    "relationships",
    "family",
    "medication",
    "health",
    "wellness",
    "employment",
    "education",
    "housing",
    "financial",
    "legal",
    "community",
    "other",
)


class Intervention(Part):
    """What is done, and by whom, to reach an objective."""

    intervention_id = Key("Key of the intervention", required=True)
    text = Text("What is done", required=True)
    staff_id = Ref("staff", "Who does it")
    modality_id = Key("The plan's modality it happens in")
    frequency = String("How often")


class Objective(Part):
    """A step towards the goal; becomes Goal.target."""

    objective_id = Key("Key of the objective", required=True)
    text = Text("The objective in words")
    instrument = instrument_name("The instrument whose total measures it")
    measure = String("What is measured, when it is no instrument's total")
    op = Enum(("lt", "le", "eq", "ge", "gt"), "How the measure must compare with value")
    value = Decimal("The value to reach")
    unit = String("Unit of value, e.g. days per week")
    due_date = Date("By when")
    critical = Boolean("The goal cannot be met without it")
    status = Enum(("not_started", "in_progress", "met", "not_met", "dropped"), "Where it stands")
    met_on = Date("When it was met")
    interventions = Many(
        Object(Intervention, "An intervention"), "What is done for it", key="intervention_id"
    )

    @validates_schema
    def measurable(self, data: dict[str, Any], **_: Any) -> None:
        """An objective says something; a comparison has a measure, an operator and a value."""
        measure = data.get("instrument") or data.get("measure")
        if not measure and not data.get("text"):
            raise reject("needs", "needs at least one of: text, instrument, measure")
        if ("op" in data) != ("value" in data):
            field = "value" if "op" in data else "op"
            raise reject("needs", "op and value go together", field)
        if "value" in data and not measure:
            raise reject("needs", "a value needs an instrument or a measure", "value")


class Goal(Record):
    """What the person wants: https://hl7.org/fhir/us/core/StructureDefinition-us-core-goal.html."""

    type_name: ClassVar[str] = "goal"

    type = constant_type("goal")
    client_id = Ref("client", "Whose goal", required=True)
    episode_id = Ref("episode", "The episode it is worked on in")
    care_plan_id = Ref("care_plan", "The plan it belongs to")
    statement = Text("What the person wants", required=True)
    own_words = Boolean("The statement is in the person's own words")
    clinical_statement = Text("The goal as the team would put it")
    lifecycle = Enum(LIFECYCLES, "Where it is in its life", required=True)
    progress = Enum(PROGRESS, "How it is going")
    progress_text = Text("How it is going, in words")
    term = Enum(("short", "long"), "Short or long term")
    domain = Enum(DOMAINS, "What part of life it is about")
    asam_dimension = Code("ASAM dimension it answers, e.g. 5", pattern=r"[1-6]", expected="1 to 6")
    is_discharge_goal = Boolean("Must be met before discharge")
    priority = Enum(("high", "medium", "low"), "Priority")
    readiness = Integer("How ready the person feels, 0 to 10", high=10)
    diagnosis_ids = Many(Key("A diagnosis_id"), "Diagnoses of the episode it addresses")
    start_date = Date("When work on it starts")
    target_date = Date("When it should be met")
    review_due = Date("When it must next be reviewed")
    reviewed_on = Date("When it was last reviewed")
    status_date = Date("Since when lifecycle and progress are so")
    status_reason = Text("Why")
    objectives = Many(Object(Objective, "An objective"), "Steps", key="objective_id")
    strengths = Many(Text("A strength"), "What helps")
    barriers = Many(Text("A barrier"), "What stands in the way")
    author_id = Ref("staff", "Who wrote it down with the person")
    outcome_assessment_ids = Many(
        Ref("assessment", "An assessment"), "Assessments whose scores show the outcome"
    )
    outcome = Text("What came of it")
    notes = Many(Object(Note, "A note"), "Progress notes on the goal", key="note_id")
    internal_notes = Text("The team's working notes; never leave")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """Work starts before the target, a review before the next; diagnoses are an episode's."""
        need_episode(data, "diagnosis_ids")
        in_order(data, "start_date", "target_date")
        in_order(data, "reviewed_on", "review_due")
