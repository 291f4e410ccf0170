"""The workload of the benchmarks: treatment plans as a clinic keeps them, made from a seed.

One unit is an episode with its diagnoses, a care plan with its goals, a referral and a weekly
assessment (about 5 KB of records, 13 resources). Words are drawn from a list, so that no two units
are alike and none is a person's.
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

_WORDS = (
    "sleep family work evening meeting craving walk call plan morning group skill panic bus "
    "daughter rent shift mood anger calm quiet church garden phone friend sober week return "
    "nightmare safe breath choose listen practice notice write share cook train visit study"
).split()
_MODALITIES = ("cbt", "dbt", "group_therapy", "mindfulness", "case_management", "family_therapy")


def units(count: int, seed: int = 7) -> list[list[dict[str, Any]]]:
    """``count`` units, each a list of records."""
    rng = random.Random(seed)
    return [unit(rng, i) for i in range(count)]


def _text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(_WORDS, k=words)).capitalize() + "."


def unit(rng: random.Random, i: int) -> list[dict[str, Any]]:
    start = date(2026, 1, 5) + timedelta(days=rng.randrange(200))
    client, plan = f"c-{i:05d}", f"cp-{i:05d}"
    goals = [f"g-{i:05d}-{n}" for n in range(3)]
    common = {"client_id": client, "updated_at": f"{start}T16:30:00Z", "program_id": "org-1"}
    common["episode_id"] = f"e-{i:05d}"
    return [
        _episode(f"e-{i:05d}", start, common),
        _plan(rng, plan, goals, start, common),
        *(_goal(rng, goal, plan, start, common) for goal in goals),
        _referral(rng, f"r-{i:05d}", plan, goals[0], start, common),
        _assessment(rng, f"a-{i:05d}", start, common),
    ]


def _episode(episode: str, start: date, common: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in common.items() if name != "episode_id"}
    return {
        "type": "episode",
        "id": episode,
        **own,
        "status": "active",
        "level_of_care": "intensive_outpatient",
        "billing_code": "S9480",
        "hours_per_week": 12,
        "start_date": str(start),
        "diagnoses": [
            {
                "diagnosis_id": f"dx{n}",
                "code_system": "icd10",
                "code": code,
                "text": text,
                "rank": rank,
                "clinical_status": "active",
                "verification": "confirmed",
                "recorded_on": str(start),
            }
            for n, (code, text, rank) in enumerate(
                (
                    ("F33.1", "Major depressive disorder, recurrent, moderate", "principal"),
                    ("F10.20", "Alcohol dependence, uncomplicated", "co_occurring"),
                )
            )
        ],
    }


def _plan(
    rng: random.Random, plan: str, goals: list[str], start: date, common: dict[str, Any]
) -> dict[str, Any]:
    end = start + timedelta(days=84)
    return {
        "type": "care_plan",
        "id": plan,
        **common,
        "status": "active",
        "plan_version": rng.randint(1, 9),
        "title": "Intensive outpatient plan",
        "summary": _text(rng, 40),
        "start_date": str(start),
        "target_end_date": str(end),
        "authored_at": f"{start}T15:00:00-05:00",
        "author_id": "s-1",
        "diagnoses": [{"diagnosis_id": "dx0"}, {"diagnosis_id": "dx1"}],
        "care_team": [
            {"member_id": "m1", "staff_id": "s-1", "role_text": "Therapist", "is_lead": True},
            {"member_id": "m2", "is_client": True, "role_text": "Client"},
        ],
        "goal_ids": goals,
        "modalities": [
            {
                "modality_id": f"m{n}",
                "kind": kind,
                "delivery": rng.choice(("individual", "group")),
                "focus": _text(rng, 9),
                "status": "in_progress",
                "sessions_per_week": rng.randint(1, 4),
                "minutes": rng.choice((50, 60, 90)),
                "facilitator_id": f"s-{n + 1}",
                "start_date": str(start),
                "end_date": str(end),
                "goal_ids": [rng.choice(goals)],
            }
            for n, kind in enumerate(rng.sample(_MODALITIES, 4))
        ],
        "strengths": [_text(rng, 4), _text(rng, 5)],
        "preferences": {"schedule": _text(rng, 6), "modality_style": _text(rng, 6)},
        "schedule": {"days": ["monday", "wednesday", "friday"], "hours_per_week": 12},
        "step_down": {
            "criteria": [_text(rng, 8)],
            "steps": [
                {"step_id": "s1", "hours_per_week": 12, "status": "current"},
                {"step_id": "s2", "hours_per_week": 9, "status": "planned"},
            ],
        },
        "discharge_criteria": [{"criterion_id": f"d{n}", "text": _text(rng, 9)} for n in range(2)],
    }


def _goal(
    rng: random.Random, goal: str, plan: str, start: date, common: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "goal",
        "id": goal,
        **common,
        "care_plan_id": plan,
        "statement": _text(rng, 14),
        "own_words": True,
        "lifecycle": "active",
        "progress": rng.choice(("in_progress", "improving", "no_change")),
        "term": rng.choice(("short", "long")),
        "domain": rng.choice(("symptoms", "coping", "employment", "housing")),
        "priority": "high",
        "diagnosis_ids": ["dx0"],
        "start_date": str(start),
        "objectives": [
            {
                "objective_id": "o1",
                "instrument": "phq-9",
                "op": "lt",
                "value": 10,
                "due_date": str(start + timedelta(days=56)),
            }
        ],
    }


def _referral(
    rng: random.Random, referral: str, plan: str, goal: str, start: date, common: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "referral",
        "id": referral,
        **common,
        "care_plan_id": plan,
        "goal_ids": [goal],
        "kind": rng.choice(("psychiatry", "employment", "housing", "peer_support")),
        "status": "sent",
        "priority": "routine",
        "requested_on": str(start + timedelta(days=7)),
        "requester_id": "s-1",
        "performer_organization_id": "org-2",
        "reason": _text(rng, 12),
        "diagnosis_ids": ["dx0"],
    }


def _assessment(
    rng: random.Random, assessment: str, start: date, common: dict[str, Any]
) -> dict[str, Any]:
    items = [{"n": str(n), "value": rng.randint(0, 3)} for n in range(1, 10)]
    return {
        "type": "assessment",
        "id": assessment,
        **common,
        "kind": "weekly_review",
        "status": "completed",
        "completed_at": f"{start}T15:00:00-05:00",
        "author_id": "s-1",
        "summary": _text(rng, 20),
        "instruments": [
            {
                "result_id": "phq",
                "instrument": "phq-9",
                "administered_at": f"{start}T14:30:00-05:00",
                "administered_by": "self",
                "items": items,
                "total": sum(item["value"] for item in items),
            }
        ],
    }
