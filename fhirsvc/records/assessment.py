"""An assessment: intake, weekly review or discharge, with its instruments.

Becomes one QuestionnaireResponse per section and instrument, and score Observations.
"""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.assessment_sections import (
    Asam,
    ClinicalInterview,
    FamilySocial,
    InitialGoal,
    MedicalEvaluation,
    MentalStatus,
    Risk,
    SelfReport,
    SubstanceUse,
)
from fhirsvc.records.instruments import InstrumentResult
from fhirsvc.records.kinds import Code, DateTime, Enum, Ref, String, Text
from fhirsvc.records.parts import CulturalSocial, Preferences, Signature, SocialOutcomes
from fhirsvc.records.rules import in_order
from fhirsvc.records.shapes import Many, Object, Record, constant_type


class Assessment(Record):
    """What was asked and answered: https://hl7.org/fhir/R4/questionnaireresponse.html."""

    type_name: ClassVar[str] = "assessment"

    type = constant_type("assessment")
    client_id = Ref("client", "Who was assessed", required=True)
    episode_id = Ref("episode", "The episode it belongs to")
    kind = Enum(
        ("intake", "reassessment", "weekly_review", "screening", "discharge", "follow_up"),
        "On what occasion",
        required=True,
    )
    status = Enum(
        ("in_progress", "completed", "amended", "stopped", "error"),
        "Where it stands",
        required=True,
    )
    title = String("Title as people know it")
    form = Code("The form used, e.g. intake-core")
    form_version = String("Version of the form")
    encounter_id = Code("The EHR's id of the visit")
    started_at = DateTime("When it was begun")
    completed_at = DateTime("When it was completed")
    author_id = Ref("staff", "Who completed it")
    source = Enum(("client", "clinician", "family", "other"), "Who gave the answers")
    source_text = String("Who gave the answers, in words")
    interpreter_text = String("Who interpreted")
    clinical_interview = Object(ClinicalInterview, "Clinical interview")
    mental_status = Object(MentalStatus, "Mental status examination")
    risk = Object(Risk, "Risk of harm")
    medical_evaluation = Object(MedicalEvaluation, "Medical evaluation")
    substance_use = Many(
        Object(SubstanceUse, "A substance"),
        "Substance use",
        key="substance_use_id",
        sensitivity="SUD",
    )
    substance_use_text = Text("Substance use in words", sensitivity="SUD")
    family_social = Object(FamilySocial, "Family and social history")
    social = Object(SocialOutcomes, "Housing, work, education and legal status")
    asam = Object(Asam, "ASAM dimensions", sensitivity="SUD")
    strengths = Many(Text("A strength"), "What the person brings")
    barriers = Many(Text("A barrier"), "What may stand in the way")
    preferences = Object(Preferences, "How the person wants care to be given")
    cultural_social = Object(CulturalSocial, "Culture, language, stigma, LGBTQ+ needs")
    goals_initial = Many(
        Object(InitialGoal, "A wish"), "First goals in the person's words", key="goal_key"
    )
    instruments = Many(
        Object(InstrumentResult, "A result"), "Standardized instruments", key="result_id"
    )
    self_report = Object(SelfReport, "The person's own account of the week")
    impression = Text("What the clinician makes of it")
    recommendation = Text("What is recommended")
    summary = Text("The assessment in words")
    signatures = Many(Object(Signature, "A signature"), "Who signed", key="signature_id")
    internal_notes = Text("The team's working notes; never leave")
    psychotherapy_notes = Text(
        "Psychotherapy notes (45 CFR 164.501); never leave", sensitivity="PSYTHPN"
    )

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """An assessment starts before it is completed."""
        in_order(data, "started_at", "completed_at")
