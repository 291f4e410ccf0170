"""The sections an assessment may have: interview, examination, substance use, ASAM, the week."""

from __future__ import annotations

from typing import Any

from marshmallow import validates_schema

from fhirsvc.records.choices import LEVELS_OF_CARE
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
from fhirsvc.records.parts import Medication
from fhirsvc.records.shapes import Many, Object, Part

ROUTES = ("oral", "smoked", "inhaled", "intranasal", "injected", "transdermal", "other", "unknown")


class ClinicalInterview(Part):
    """What the person told about why they came and what came before."""

    presenting_problem = Text("Why now")
    history = Text("How it developed")
    mental_health_history = Text("Mental health before")
    current_symptoms = Many(Text("A symptom"), "Symptoms now")
    prior_treatment = Many(Text("A treatment"), "Earlier treatment, and how it went")
    coping_worked = Many(Text("A way of coping"), "What has helped")
    coping_not_worked = Many(Text("A way of coping"), "What has not helped")
    resistance_areas = Many(Text("An area"), "Where the person is of two minds")
    trauma_history = Text("Trauma, as far as the person wants it written down")
    text = Text("The interview in words")


class MentalStatus(Part):
    """Mental status examination."""

    appearance = Text("Appearance")
    behavior = Text("Behaviour")
    speech = Text("Speech")
    mood = Text("Mood, in the person's words")
    affect = Text("Affect")
    thought_process = Text("Thought process")
    thought_content = Text("Thought content")
    perception = Text("Perception")
    cognition = Text("Cognition and orientation")
    insight = Text("Insight")
    judgment = Text("Judgment")
    text = Text("The examination in words")


class Risk(Part):
    """Risk of harm to self or others."""

    suicidal_ideation = Enum(
        ("none", "passive", "active_no_plan", "active_with_plan", "active_with_intent"),
        "Suicidal ideation",
    )
    self_harm = Enum(("none", "past", "recent", "current"), "Self-harm")
    violence = Enum(("none", "past", "recent", "current"), "Violence towards others")
    level = Enum(("low", "moderate", "high"), "Overall level")
    protective_factors = Many(Text("A factor"), "What protects")
    access_to_means = Text("Access to means, and what was done about it")
    action_taken = Text("What was done, when and by whom")
    text = Text("The risk in words")


class MedicalCondition(Part):
    """A condition of the body, as told to the team."""

    condition_id = Key("Key of the condition", required=True)
    text = Text("The condition in words", required=True)
    onset_text = String("Since when")
    under_care = Boolean("Someone treats it")
    note = Text("What it means for treatment")


class Allergy(Part):
    """An allergy or intolerance."""

    allergy_id = Key("Key of the allergy", required=True)
    text = String("To what", required=True)
    reaction = Text("What happens")
    severity = Enum(("mild", "moderate", "severe"), "How bad")


class Vitals(Part):
    """Vital signs of one moment."""

    measured_at = DateTime("When they were measured")
    systolic = Integer("Systolic blood pressure, mm[Hg]", high=400)
    diastolic = Integer("Diastolic blood pressure, mm[Hg]", high=300)
    heart_rate = Integer("Heart rate, /min", high=400)
    respiratory_rate = Integer("Respiratory rate, /min", high=150)
    temperature_c = Decimal("Body temperature, Cel", low=20, high=46)
    height_cm = Decimal("Height, cm", low=20, high=280)
    weight_kg = Decimal("Weight, kg", low=1, high=500)

    @validates_schema
    def pressures(self, data: dict[str, Any], **_: Any) -> None:
        """Systolic pressure is not below diastolic."""
        if data.get("systolic", 400) < data.get("diastolic", 0):
            raise reject("order", "is below the diastolic pressure", "systolic")


class MedicalEvaluation(Part):
    """Medical evaluation; the EHR is its master."""

    conditions = Many(Object(MedicalCondition, "A condition"), "Conditions", key="condition_id")
    medications = Many(Object(Medication, "A medication"), "Medications", key="medication_id")
    allergies = Many(Object(Allergy, "An allergy"), "Allergies", key="allergy_id")
    interactions_note = Text("Interactions between medications and substances")
    vitals = Object(Vitals, "Vital signs")
    last_physical_exam = Date("Last physical examination")
    sleep = Text("Sleep")
    appetite = Text("Appetite")
    pain = Text("Pain")
    pregnancy = Enum(("no", "yes", "unknown", "not_applicable"), "Pregnancy")
    text = Text("The evaluation in words")


class SubstanceUse(Part):
    """Use of one substance."""

    substance_use_id = Key("Key of the entry", required=True)
    substance = Enum(
        (
            "alcohol",
            "cannabis",
            "opioids",
            "cocaine",
            "methamphetamine",
            "other_stimulants",
            "sedatives",
            "hallucinogens",
            "inhalants",
            "tobacco_nicotine",
            "other",
        ),
        "Which substance",
        required=True,
    )
    substance_text = String("The substance in words")
    rank = Enum(("primary", "secondary", "tertiary"), "How much it matters")
    severity = Enum(("none", "mild", "moderate", "severe", "in_remission"), "Severity of disorder")
    frequency = Enum(
        ("none", "less_than_monthly", "monthly", "weekly", "several_times_weekly", "daily"),
        "How often",
    )
    days_used_30 = Integer("Days of use in the past 30 days", high=30)
    amount_text = Text("How much, in words")
    route = Enum(ROUTES, "How it is taken")
    age_first_use = Integer("Age at first use, years", high=120)
    last_use_date = Date("Last use")
    triggers = Many(Text("A trigger"), "What leads to use")
    craving = Integer("Craving, 0 to 10", high=10)
    withdrawal_risk = Enum(("none", "low", "moderate", "high"), "Risk of withdrawal")
    withdrawal_text = Text("Withdrawal in words")
    overdose_history = Text("Overdoses")
    periods_of_abstinence = Text("Times without use, and what helped")
    note = Text("What to know about it")


class FamilySocial(Part):
    """Family and social history."""

    supports = Many(Text("A support"), "People and groups that help")
    relationships = Text("Relationships")
    home_environment = Text("Home")
    children = Text("Children and who cares for them")
    family_sud_history = Text("Substance use in the family")
    family_mental_health_history = Text("Mental health in the family")
    ipv = Enum(("none", "past", "current", "declined"), "Violence by a partner", sensitivity="SDV")
    ipv_text = Text("Violence by a partner, in words", sensitivity="SDV")
    military_service = Text("Military service")
    developmental = Text("Growing up")
    transportation = Text("How the person gets here")
    text = Text("Family and social history in words")


class AsamDimension(Part):
    """One ASAM dimension; ratings are the edition's own symbols, not numbers."""

    dimension_id = Key("Number of the dimension, 1 to 6", required=True)
    rating = Code("The edition's rating, e.g. 2 or 3A; dimension 6 of edition 4 has none")
    comment = Text("What led to the rating")


class Asam(Part):
    """ASAM dimensions and the level of care they lead to."""

    edition = Enum(("3", "4"), "Edition of the criteria")
    dimensions = Many(Object(AsamDimension, "A dimension"), "Dimensions", key="dimension_id")
    recommended_level = Enum(LEVELS_OF_CARE, "Level of care recommended")
    placed_level = Enum(LEVELS_OF_CARE, "Level of care given")
    variance_reason = Text("Why the two differ")
    text = Text("The dimensions in words")

    @validates_schema
    def six(self, data: dict[str, Any], **_: Any) -> None:
        """There are six dimensions."""
        for dimension in data.get("dimensions", []):
            if dimension["dimension_id"] not in ("1", "2", "3", "4", "5", "6"):
                raise reject("range", "dimension_id is 1 to 6", "dimensions")


class InitialGoal(Part):
    """A wish voiced at intake, before it becomes a goal record."""

    goal_key = Key("Key of the wish", required=True)
    text = Text("The wish in the person's words", required=True)
    term = Enum(("short", "long"), "Short or long term")
    readiness = Integer("How ready the person feels, 0 to 10", high=10)
    goal_id = Ref("goal", "The goal it became")


class SelfReport(Part):
    """The person's own account, on scales of 0 to 10 and in words."""

    mood = Integer("Mood, 0 worst to 10 best", high=10)
    anxiety = Integer("Anxiety, 0 none to 10 worst", high=10)
    craving = Integer("Craving, 0 none to 10 worst", high=10)
    confidence = Integer("Confidence in the plan, 0 to 10", high=10)
    sleep_hours = Decimal("Hours of sleep a night", high=24)
    days_used = Integer("Days of use in the past week", high=7)
    skills_used = Many(Text("A skill"), "Skills used")
    helpful = Text("What helped in treatment")
    unhelpful = Text("What did not help")
    text = Text("The week in the person's words")
