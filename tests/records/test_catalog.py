"""fields() tells what each record type holds."""

from __future__ import annotations

import pytest
from clinic import load

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records import TYPES, Field, fields, json_schema, schema_for

KINDS = {
    "string": str, "text": str, "id": str, "code": str, "enum": str, "date": str, "datetime": str,
    "integer": int, "decimal": (int, float), "boolean": bool, "object": dict,
}  # fmt: skip


def test_the_ten_types():
    """There are ten record types, in the order the house speaks of them."""
    assert TYPES == (
        "client",
        "staff",
        "organization",
        "episode",
        "assessment",
        "care_plan",
        "goal",
        "referral",
        "aftercare_plan",
        "consent",
    )


def test_a_field_says_all_about_itself():
    """Path, kind, many, required, values, reference, key and a line of documentation."""
    plan = fields("care_plan")

    assert plan["modalities"] == Field(
        path="modalities",
        kind="object",
        many=True,
        required=False,
        values=(),
        refers_to=None,
        doc="Treatment given",
        sensitivity=None,
        key="modality_id",
    )
    assert plan["modalities[].kind"].required
    assert "dbt" in plan["modalities[].kind"].values
    assert plan["modalities[].goal_ids"].refers_to == "goal"
    assert plan["modalities[].goal_ids"].many
    assert plan["schedule.hours_per_week"].kind == "decimal"
    assert plan["medication_support.medications[].prescriber_id"].refers_to == "staff"


def test_sensitivity_is_inherited_by_what_is_inside():
    """Psychotherapy notes are labelled; everything under substance use carries its label."""
    for type in ("assessment", "care_plan"):
        assert fields(type)["psychotherapy_notes"].sensitivity == "PSYTHPN"
    assert fields("assessment")["substance_use[].triggers"].sensitivity == "SUD"
    assert fields("assessment")["asam.dimensions[].rating"].sensitivity == "SUD"
    assert fields("assessment")["family_social.ipv_text"].sensitivity == "SDV"
    assert fields("assessment")["strengths"].sensitivity is None


@pytest.mark.parametrize("type", TYPES)
def test_every_field_is_documented_and_of_a_known_kind(type):
    """Each field has a one-line doc, a kind of the closed list, and enums have values."""
    for field in fields(type).values():
        assert field.doc
        assert "\n" not in field.doc
        assert field.kind in KINDS
        assert bool(field.values) == (field.kind == "enum")
        assert field.refers_to is None or field.refers_to in TYPES


@pytest.mark.parametrize("type", TYPES)
def test_lists_of_objects_have_a_required_key(type):
    """Every list of objects names a key field, and that field is required text."""
    known = fields(type)
    for field in known.values():
        if field.many and field.kind == "object":
            key = known[f"{field.path}[].{field.key}"]

            assert key.required
            assert key.kind in ("id", "code", "string")


@pytest.mark.parametrize("type", TYPES)
def test_values_of_the_demo_are_of_the_kind_their_field_says(type):
    """Kinds say what JSON holds: walked over every value of every demo record."""
    seen = 0

    def walk(node, prefix):
        nonlocal seen
        for name, value in node.items():
            field = fields(type)[prefix + name]
            for item in value if field.many else [value]:
                seen += 1
                assert isinstance(item, KINDS[field.kind])
                if field.kind == "object":
                    walk(item, f"{field.path}[]." if field.many else f"{field.path}.")

    for record in load():
        if record["type"] == type:
            walk(record, "")

    assert seen


def test_parts_of_an_individualized_plan_all_have_a_field():
    """What an individualized treatment plan must hold is a field of a plan or its assessments."""
    plan, assessment, goal = fields("care_plan"), fields("assessment"), fields("goal")

    assert {
        "clinical_interview", "medical_evaluation", "instruments", "substance_use[].severity",
        "substance_use[].frequency", "substance_use[].triggers", "family_social", "goals_initial",
        "preferences.past_experience", "self_report",
    } <= set(assessment)  # fmt: skip
    assert {
        "modalities", "medication_support", "family_involvement", "wellness", "progress",
        "aftercare", "preferences", "schedule", "coping.worked", "coping.resistance",
        "cultural_social.language", "cultural_social.stigma", "cultural_social.lgbtq_needs",
        "case_conferences", "plan_version", "schedule.hours_per_week", "step_down.steps",
        "diagnoses[].approach", "progress.self_assessments", "progress.evaluations",
        "progress.feedback", "progress.milestones", "case_management.needs", "care_team",
    } <= set(plan)  # fmt: skip
    assert {"term", "readiness", "objectives", "own_words"} <= set(goal)
    assert {
        "cbt", "dbt", "trauma_informed", "motivational_interviewing", "group_therapy",
        "family_therapy", "holistic",
    } <= set(plan["modalities[].kind"].values)  # fmt: skip


@pytest.mark.parametrize("ask", [schema_for, fields, json_schema])
def test_an_unknown_type_is_said_with_the_nearest_one(ask):
    """Asking for a type that does not exist is NOT_FOUND and names the nearest."""
    with pytest.raises(FhirsvcError, match="did you mean 'referral'") as caught:
        ask("referal")

    assert caught.value.category is Category.NOT_FOUND
