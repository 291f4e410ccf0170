"""What surveys find wrong with treatment plans, asked before the surveyor does.

``RULES`` is the list: for each its name, what is wrong, who says so, and what finds it. A rule that
looks at another record (a goal's plan, a client's age) is silent where that record was not given:
what is not known is not a fault.

Sources: the standards that plans are most often cited under, CTS.03.01.03 (a plan reflects the
person's needs, strengths, preferences and goals) and CTS.03.01.09 (progress is measured); 42 CFR
424.24 and the Medicare IOP benefit for hours and certification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from fhirsvc.errors import Finding
from fhirsvc.records.chart import Chart, Record
from fhirsvc.records.copied import copies

Found = Iterator[tuple[str, str]]  # JSON path, what is wrong there
OPEN_PLANS = frozenset({"draft", "active", "on_hold"})
OPEN_GOALS = frozenset({"proposed", "planned", "accepted", "active", "on_hold"})
VOID = frozenset({"revoked", "error", "dropped", "rejected"})  # nobody is treated by these
# Hours of treatment a week by level of care: lowest, highest. Medicare's benefit since 2024: an
# intensive outpatient program is 9 to 19 hours, partial hospitalization 20 and more.
HOURS = {"intensive_outpatient": (9.0, 19.0), "partial_hospitalization": (20.0, 168.0)}
COPIED = "copied-text"  # the one rule that looks at all records at once
YOUNG, YOUNG_LOWEST = 21, 6.0  # under 21 an intensive outpatient program is 6 to 19 hours
_GONE = frozenset({"inactive", "remission", "resolved"})  # clinical_status of a diagnosis
_DENIED = frozenset({"refuted", "error"})  # its verification
_GIVEN = frozenset({"scheduled", "in_progress"})  # status of a modality


@dataclass(frozen=True)
class Rule:
    """One fault that a survey finds; ``ask`` yields where a record of ``type`` has it."""

    name: str
    type: str
    fault: str
    source: str
    ask: Callable[[Record, Chart], Found]


def lint(chart: Chart) -> list[tuple[int, Finding]]:
    """Return what is wrong with the plans and goals of a chart.

    :param chart: records that ``check`` finds nothing wrong with.
    :returns: index of the record and the finding (``where`` is its JSON path), in the order of the
        records. Messages name ids, paths and dates of the rule, never a value of the record.
    """
    found: list[tuple[int, Finding]] = []
    for (type, _), index in chart.current.items():
        record = chart.records[index]
        for rule in RULES:
            if rule.type == type:
                found += [
                    (index, Finding(rule.name, said, path))
                    for path, said in rule.ask(record, chart)
                ]
    found += [(index, Finding(COPIED, said, path)) for index, path, said in copies(chart)]
    return sorted(found, key=lambda one: one[0])


# ---- goals ---------------------------------------------------------------------------------


def _own_words(goal: Record, chart: Chart) -> Found:
    if goal["lifecycle"] not in VOID and not goal.get("own_words"):
        said = "is false" if "own_words" in goal else "is missing"
        yield "$.own_words", f"{said}: the goal is not said to be in the person's own words"


def _measurable(goal: Record, chart: Chart) -> Found:
    if goal["lifecycle"] in VOID:
        return
    objectives = goal.get("objectives", [])
    if not any("value" in one for one in objectives):
        where = "$.objectives"
        yield where, "no objective has a measure, an operator and a value: nothing can be measured"


def _dated(goal: Record, chart: Chart) -> Found:
    if goal["lifecycle"] not in OPEN_GOALS or "target_date" in goal:
        return
    if not any("due_date" in one for one in goal.get("objectives", [])):
        yield (
            "$.target_date",
            "is missing, and no objective has a due_date: there is no term",
        )


def _intervened(goal: Record, chart: Chart) -> Found:
    plans = chart.plans_of.get(goal["id"], [])
    if goal["lifecycle"] in VOID or not plans:
        return
    own = any(one.get("interventions") for one in goal.get("objectives", []))
    if not own and not any(goal["id"] in _served(plan) for plan in plans):
        said = "has no intervention here, and no modality, activity or need of its plan serves it"
        yield "$.objectives", said


def _served(plan: Record) -> set[str]:
    """The goals that something in a plan is done for."""
    done = [*plan.get("modalities", []), *plan.get("wellness", [])]
    needs = plan.get("case_management", {}).get("needs", [])
    return {name for one in done for name in one.get("goal_ids", [])} | {
        need["goal_id"] for need in needs if "goal_id" in need
    }


def _goal_review(goal: Record, chart: Chart) -> Found:
    plans = chart.plans_of.get(goal["id"], [])
    left = plans and not any(plan["status"] in OPEN_PLANS for plan in plans)
    if goal["lifecycle"] in OPEN_GOALS and not left:  # after discharge others review it
        yield from _overdue(goal, "review_due", "$.review_due", chart.today)


# ---- plans ---------------------------------------------------------------------------------


def _plan_review(plan: Record, chart: Chart) -> Found:
    if plan["status"] not in OPEN_PLANS:
        return
    if "review_due" not in plan:
        yield "$.review_due", "is missing: nobody can tell when the plan must be reviewed"
    yield from _overdue(plan, "review_due", "$.review_due", chart.today)
    support = plan.get("medication_support", {})
    yield from _overdue(support, "next_review", "$.medication_support.next_review", chart.today)


def _certification(plan: Record, chart: Chart) -> Found:
    if plan["status"] in OPEN_PLANS:
        certified = plan.get("certification", {})
        yield from _overdue(certified, "next_due", "$.certification.next_due", chart.today)


def _overdue(part: Record, name: str, path: str, today: date) -> Found:
    if name in part and date.fromisoformat(part[name]) < today:
        yield path, f"is before {today.isoformat()}: overdue"


def _discharge(plan: Record, chart: Chart) -> Found:
    if plan["status"] not in VOID and not plan.get("discharge_criteria"):
        yield "$.discharge_criteria", "there are none: nobody can tell when treatment is over"


def _has_goals(plan: Record, chart: Chart) -> Found:
    named = plan.get("goal_ids") or chart.goals_of.get(plan["id"])
    if plan["status"] not in VOID and not named:
        yield "$.goal_ids", "there are none: a plan without goals"


def _diagnosed(plan: Record, chart: Chart) -> Found:
    if plan["status"] in VOID or chart.absent_goals(plan):
        return
    goals = chart.goals_of.get(plan["id"], {}).values()
    addressed = {key for goal in goals for key in goal.get("diagnosis_ids", [])}
    episode = chart.get("episode", plan.get("episode_id")) or {}
    known = {d["diagnosis_id"]: d for d in episode.get("diagnoses", [])}
    for i, problem in enumerate(plan.get("diagnoses", [])):
        diagnosis = known.get(problem["diagnosis_id"], {})
        gone = diagnosis.get("clinical_status") in _GONE
        if gone or diagnosis.get("verification") in _DENIED:
            continue
        if problem["diagnosis_id"] not in addressed:
            yield f"$.diagnoses[{i}].diagnosis_id", "no goal of the plan names this diagnosis"


def _hours(plan: Record, chart: Chart) -> Found:
    """The hours now, those of each step and those certified, against the level they belong to."""
    if plan["status"] in VOID:
        return
    steps = plan.get("step_down", {}).get("steps", [])
    now = next((s.get("level_of_care") for s in steps if s.get("status") == "current"), None)
    episode = chart.get("episode", plan.get("episode_id")) or {}
    level = now or episode.get("level_of_care", "intensive_outpatient")
    stated = plan.get("schedule", {}).get("hours_per_week")
    certified = plan.get("certification", {}).get("hours_per_week")
    told: list[tuple[str, float | None, str]] = [
        (f"$.step_down.steps[{i}].hours_per_week", s.get("hours_per_week"), s["level_of_care"])
        for i, s in enumerate(steps)
        if s.get("status") != "skipped" and "level_of_care" in s
    ]
    if plan["status"] in OPEN_PLANS:
        path = "$.schedule.hours_per_week" if stated is not None else "$.modalities"
        hours = stated if stated is not None else given_hours(plan)
        told += [(path, hours, level), ("$.certification.hours_per_week", certified, level)]
    for path, number, of in told:
        if number is not None and of in HOURS:
            low, high = _range(of, chart.age(plan["client_id"]))
            if not low <= number <= high:
                yield path, _outside(of, low, high)


def _range(level: str, age: int | None) -> tuple[float, float]:
    low, high = HOURS[level]
    young = level == "intensive_outpatient" and age is not None and age < YOUNG
    return (YOUNG_LOWEST if young else low), high


def _outside(level: str, low: float, high: float) -> str:
    name = level.replace("_", " ")
    if level == "partial_hospitalization":
        return f"{name} is {low:g} hours a week or more"
    return f"{name} is {low:g} to {high:g} hours a week; 20 and more is partial hospitalization"


def given_hours(plan: Record) -> float | None:
    """Return the hours a week that a plan's present modalities add up to; None where none say."""
    minutes = [
        m["sessions_per_week"] * m["minutes"]
        for m in plan.get("modalities", [])
        if m["status"] in _GIVEN and "sessions_per_week" in m and "minutes" in m
    ]
    return sum(minutes) / 60 if minutes else None


CTS3 = "Joint Commission CTS.03.01.03"
CTS9 = "Joint Commission CTS.03.01.09"
IOP = "Medicare IOP benefit; 42 CFR 424.24"
RULES: tuple[Rule, ...] = (
    Rule("own-words", "goal", "A goal is not in the person's own words", CTS3, _own_words),
    Rule("not-measurable", "goal", "A goal has nothing to measure it by", CTS9, _measurable),
    Rule("no-date", "goal", "An open goal has no day by which it is to be met", CTS3, _dated),
    Rule("goal-without-intervention", "goal", "Nothing is done for a goal", CTS3, _intervened),
    Rule("review-overdue", "goal", "An open goal was not reviewed in time", CTS3, _goal_review),
    Rule("review-overdue", "care_plan", "A plan was not reviewed in time", CTS3, _plan_review),
    Rule("certification-overdue", "care_plan", "Certification has run out", IOP, _certification),
    Rule("no-discharge-criteria", "care_plan", "No discharge criteria", CTS3, _discharge),
    Rule("no-goals", "care_plan", "A plan has no goals", CTS3, _has_goals),
    Rule("diagnosis-without-goal", "care_plan", "No goal names a diagnosis", CTS3, _diagnosed),
    Rule("hours-range", "care_plan", "Hours do not fit the level of care", IOP, _hours),
)
