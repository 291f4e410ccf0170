"""``plan lint``: each rule fires where a survey would cite and is silent where it would not."""

from __future__ import annotations

import copy
import re
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from fhirsvc.records import check
from fhirsvc.records.chart import Chart
from fhirsvc.records.copied import SIMILAR, WORDS_MIN, Originals
from fhirsvc.records.plan_lint import COPIED, RULES, given_hours, lint

PAGE = Path(__file__).parents[2] / "docs" / "plan-lint.md"
TODAY = date(2026, 3, 1)
BASE = {"updated_at": "2026-02-01T09:00:00Z", "client_id": "c1"}
CLIENT = {
    "type": "client", "id": "c1", "updated_at": "2026-02-01T09:00:00Z",
    "name": {"family": "Quill"}, "birth_date": "1990-05-05", "sex": "female",
}  # fmt: skip
PLAN = {
    "type": "care_plan", "id": "p1", "episode_id": "e1", **BASE,
    "status": "active", "plan_version": 2,
    "summary": "Nine hours a week while evenings become bearable again",
    "review_due": "2026-03-10",
    "diagnoses": [{"diagnosis_id": "dx1", "text": "Depression"}],
    "goal_ids": ["g1"],
    "modalities": [{
        "modality_id": "m1", "kind": "cbt", "status": "in_progress", "sessions_per_week": 3,
        "minutes": 180, "goal_ids": ["g1"], "focus": "Evening thoughts that end at the garage door",
    }],
    "schedule": {"hours_per_week": 9},
    "certification": {"next_due": "2026-03-20", "hours_per_week": 9},
    "discharge_criteria": [{"criterion_id": "d1", "text": "PHQ-9 at 9 or lower"}],
}  # fmt: skip
GOAL = {
    "type": "goal", "id": "g1", "episode_id": "e1", **BASE,
    "care_plan_id": "p1", "lifecycle": "active",
    "statement": "Get out of bed because I feel like it", "own_words": True,
    "diagnosis_ids": ["dx1"], "review_due": "2026-03-10", "target_date": "2026-04-01",
    "objectives": [{"objective_id": "o1", "instrument": "phq-9", "op": "le", "value": 9}],
}  # fmt: skip
EPISODE = {
    "type": "episode", "id": "e1", **BASE, "status": "active",
    "diagnoses": [{"diagnosis_id": "dx1", "text": "Depression"}],
}  # fmt: skip


def chart():
    """A client with a plan and a goal that no rule finds fault with."""
    return copy.deepcopy([CLIENT, PLAN, GOAL, EPISODE])


def told(records, today=TODAY):
    """``(rule, id, path)`` of every finding; the records themselves are valid."""
    assert [] == [f for record in records for f in check(record)]
    return [(f.rule, records[i]["id"], f.where) for i, f in lint(Chart(records, today))]


def changed(**more):
    """The good chart with fields of the plan (``plan_…``) or goal (``goal_…``) changed."""
    records = chart()
    for name, value in more.items():
        kind, _, field = name.partition("_")
        record = records[{"client": 0, "plan": 1, "goal": 2, "episode": 3}[kind]]
        record.pop(field) if value is None else record.update({field: value})
    return records


def test_a_good_plan_has_no_finding():
    """Nothing is told about the chart from which the others are made."""
    assert [] == told(chart())


STEP = {"step_id": "s1", "status": "current"}
FIRING = [
    ("own-words", "g1", "$.own_words", {"goal_own_words": None}),
    ("own-words", "g1", "$.own_words", {"goal_own_words": False}),
    ("not-measurable", "g1", "$.objectives", {"goal_objectives": None}),
    ("not-measurable", "g1", "$.objectives",
     {"goal_objectives": [{"objective_id": "o1", "text": "Better", "due_date": "2026-04-01"}]}),
    ("no-date", "g1", "$.target_date", {"goal_target_date": None}),
    ("goal-without-intervention", "g1", "$.objectives", {"plan_modalities": None}),
    ("review-overdue", "g1", "$.review_due", {"goal_review_due": "2026-02-28"}),
    ("review-overdue", "p1", "$.review_due", {"plan_review_due": "2026-02-28"}),
    ("review-overdue", "p1", "$.review_due", {"plan_review_due": None}),
    ("review-overdue", "p1", "$.medication_support.next_review",
     {"plan_medication_support": {"next_review": "2026-02-28"}}),
    ("certification-overdue", "p1", "$.certification.next_due",
     {"plan_certification": {"next_due": "2026-02-28"}}),
    ("no-discharge-criteria", "p1", "$.discharge_criteria", {"plan_discharge_criteria": None}),
    ("no-discharge-criteria", "p1", "$.discharge_criteria",
     {"plan_discharge_criteria": None, "plan_status": "closed"}),
    ("no-goals", "p1", "$.goal_ids", {"plan_goal_ids": None, "goal_care_plan_id": None,
                                      "plan_diagnoses": None}),
    ("diagnosis-without-goal", "p1", "$.diagnoses[0].diagnosis_id", {"goal_diagnosis_ids": None}),
    ("hours-range", "p1", "$.schedule.hours_per_week", {"plan_schedule": {"hours_per_week": 8}}),
    ("hours-range", "p1", "$.schedule.hours_per_week", {"plan_schedule": {"hours_per_week": 20}}),
    ("hours-range", "p1", "$.modalities", {"plan_schedule": None, "plan_modalities": [
        {"modality_id": "m1", "kind": "cbt", "status": "in_progress", "sessions_per_week": 2,
         "minutes": 60, "goal_ids": ["g1"]}]}),
    ("hours-range", "p1", "$.certification.hours_per_week",
     {"plan_certification": {"hours_per_week": 6}}),
    ("hours-range", "p1", "$.step_down.steps[0].hours_per_week", {"plan_step_down": {"steps": [
        {**STEP, "level_of_care": "intensive_outpatient", "hours_per_week": 25}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "id", "path", "change"), FIRING)
def test_a_rule_fires(rule, id, path, change):
    """One thing is wrong, and just that is told, at its field."""
    assert [(rule, id, path)] == told(changed(**change))


SILENT = [
    ("own-words", {"goal_own_words": None, "goal_lifecycle": "dropped", "plan_diagnoses": None}),
    ("not-measurable", {"goal_objectives": None, "goal_lifecycle": "rejected"}),
    ("no-date", {"goal_target_date": None, "goal_objectives": [
        {"objective_id": "o1", "measure": "nights", "op": "ge", "value": 5,
         "due_date": "2026-04-01"}]}),
    ("no-date", {"goal_target_date": None, "goal_lifecycle": "met"}),
    ("goal-without-intervention", {"plan_modalities": None, "goal_objectives": [
        {**GOAL["objectives"][0], "interventions": [{"intervention_id": "i", "text": "Calls"}]}]}),
    ("goal-without-intervention", {"plan_modalities": None, "plan_case_management": {
        "needs": [{"need_id": "n", "domain": "housing", "goal_id": "g1"}]}}),
    ("goal-without-intervention", {"plan_modalities": None, "plan_wellness": [
        {"wellness_id": "w", "kind": "yoga", "goal_ids": ["g1"]}]}),
    ("review-overdue", {"goal_review_due": "2026-03-01", "plan_review_due": "2026-03-01"}),
    ("review-overdue", {"plan_status": "closed", "plan_review_due": "2026-01-01",
                        "goal_review_due": "2026-01-01"}),
    ("review-overdue", {"goal_review_due": "2026-01-01", "goal_lifecycle": "met"}),
    ("certification-overdue", {"plan_certification": {"next_due": "2026-03-01"}}),
    ("certification-overdue", {"plan_status": "closed",
                               "plan_certification": {"next_due": "2026-01-01"}}),
    ("no-discharge-criteria", {"plan_discharge_criteria": None, "plan_status": "revoked"}),
    ("no-goals", {"plan_goal_ids": None}),  # the goal names its plan
    ("diagnosis-without-goal", {"goal_diagnosis_ids": None, "episode_diagnoses": [
        {"diagnosis_id": "dx1", "text": "Depression", "clinical_status": "resolved"}]}),
    ("diagnosis-without-goal", {"goal_diagnosis_ids": None, "episode_diagnoses": [
        {"diagnosis_id": "dx1", "text": "Depression", "verification": "refuted"}]}),
    ("diagnosis-without-goal", {"goal_diagnosis_ids": None, "plan_goal_ids": ["g1", "g2"]}),
    ("hours-range", {"plan_schedule": {"hours_per_week": 19}}),
    ("hours-range", {"client_birth_date": "2008-05-05", "plan_schedule": {"hours_per_week": 6},
                     "plan_certification": {"hours_per_week": 6}}),
    ("hours-range", {"plan_schedule": {"hours_per_week": 20}, "plan_certification": None,
                     "plan_step_down": {"steps": [
                         {**STEP, "level_of_care": "partial_hospitalization"}]}}),
    ("hours-range", {"plan_status": "closed", "plan_schedule": {"hours_per_week": 3},
                     "plan_certification": None}),
    ("hours-range", {"plan_step_down": {"steps": [
        {**STEP, "status": "skipped", "level_of_care": "intensive_outpatient",
         "hours_per_week": 2}]}}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "change"), SILENT)
def test_a_rule_is_silent(rule, change):
    """What is near a fault and is none is not told."""
    assert [] == [found for found in told(changed(**change)) if found[0] == rule]


def test_every_rule_has_both_kinds_of_case():
    """A rule without a firing and a silent case here could say anything."""
    names = {rule.name for rule in RULES}
    assert names == {case[0] for case in FIRING} == {case[0] for case in SILENT}


def test_the_birthday_decides_the_range():
    """On the day someone turns 21 six hours are too few."""
    young = {"client_birth_date": "2005-03-01", "plan_schedule": {"hours_per_week": 6}}
    young["plan_certification"] = None
    assert [] == told(changed(**young), date(2026, 2, 28))
    assert [("hours-range", "p1", "$.schedule.hours_per_week")] == told(changed(**young), TODAY)


def test_the_level_of_the_episode_decides_where_no_step_does():
    """Twenty hours are right in partial hospitalization."""
    records = changed(plan_schedule={"hours_per_week": 20}, plan_certification=None)
    records[3]["level_of_care"] = "partial_hospitalization"
    assert [] == told(records)
    del records[3]["level_of_care"]
    assert ["hours-range"] == [rule for rule, *_ in told(records)]


def test_hours_count_what_is_given_now():
    """Modalities that are over or have no number add nothing."""
    session = {"status": "in_progress", "sessions_per_week": 3, "minutes": 90}
    over = {**session, "status": "completed"}
    assert 4.5 == given_hours({"modalities": [session, over, {"status": "in_progress"}]})
    assert given_hours({"modalities": [over]}) is None


def second(**change):
    """Another client's plan and goal, in words of their own unless changed."""
    plan, goal = copy.deepcopy([PLAN, GOAL])
    for record in (plan, goal):
        record.update({"id": record["id"] + "x", "client_id": "c2"})
    plan.update(
        {"summary": "Skills before exposure, with the pace set by her", "goal_ids": ["g1x"]}
    )
    plan["modalities"][0].update({"goal_ids": ["g1x"], "focus": "Names for what a body remembers"})
    goal.update({"care_plan_id": "p1x", "statement": "Sleep in my own bed with the lights off"})
    return [{**plan, **change.get("plan", {})}, {**goal, **change.get("goal", {})}]


def test_the_same_words_for_two_clients_are_copied():
    """With another case, number and stop they are still the same; the second is told."""
    said = PLAN["summary"].upper().replace("NINE", "9") + "!"
    wish = {"statement": "get out of bed, because I feel like it"}
    found = told([*chart(), *second(plan={"summary": f"{said} Nine"}, goal=wish)])
    assert [("copied-text", "g1x", "$.statement")] == [f for f in found if f[1] == "g1x"]
    assert [("copied-text", "p1x", "$.summary")] == [f for f in found if f[1] == "p1x"]


def test_words_of_their_own_are_not_copied():
    """Two clients with different words; a short wish that is alike is left alone."""
    short = {"statement": "Sleep through the night"}
    assert [] == told([*chart(), *second()])
    records = changed(goal_statement="Sleep through the night")
    assert [] == told([*records, *second(goal=short)])


def test_a_summary_that_stays_while_the_version_rises_is_copied():
    """The same record twice is no copy, a new version with the old words is."""
    records = chart()
    assert [] == told([*records, copy.deepcopy(records[1])])
    later = {**copy.deepcopy(records[1]), "plan_version": 3}
    assert [("copied-text", "p1", "$.summary")] == told([*records, later])
    fresh = {**later, "summary": "Hours go down now that evenings are planned ahead"}
    assert [] == told([*records, fresh])


def test_a_weekly_entry_that_repeats_the_last_is_copied():
    """In conferences of one plan and in assessments of one client."""
    said = "Stays at nine hours; craving is down and sleep is up"
    weeks = [
        {
            "conference_id": f"k{n}",
            "held_on": f"2026-02-0{n}",
            "decision": said,
            "recorded_at": f"2026-02-0{n}T16:00:00Z",
        }
        for n in (2, 9)
    ]
    found = told(changed(plan_case_conferences=weeks))
    assert [("copied-text", "p1", "$.case_conferences[1].decision")] == found
    review = {"type": "assessment", **BASE, "kind": "weekly_review", "status": "completed"}
    first = {**review, "id": "a1", "impression": said}
    assert [("copied-text", "a2", "$.impression")] == told([first, {**first, "id": "a2"}])


def test_the_threshold_is_one_word_in_twelve():
    """The boundary that the page states."""
    text = "one two three four five six seven eight nine ten eleven twelve"
    kept = Originals()
    assert kept.of(text, 7) is None
    assert 7 == kept.of(text.replace("six", "sixth"), 8)
    assert kept.of(text.replace("six", "sixth").replace("ten", "tenth"), 9) is None
    assert (0.8, 5) == (SIMILAR, WORDS_MIN)
    assert "of twelve words one may differ" in " ".join(PAGE.read_text(encoding="utf-8").split())


def test_messages_have_no_value_of_a_record():
    """Whatever is told, no word that someone wrote is in it."""
    records = changed(
        goal_own_words=None, goal_objectives=None, plan_schedule={"hours_per_week": 3}
    )
    twin = second(plan={"summary": PLAN["summary"]}, goal={"statement": GOAL["statement"]})
    said = " ".join(f.message for _, f in lint(Chart([*records, *twin], TODAY)))
    for word in ("Quill", "1990", "bearable", "garage", "bed because", "Depression"):
        assert word not in said
    assert "copied" not in said
    assert "$.summary of care_plan p1 version 2" in said


def test_the_page_has_every_rule():
    """docs/plan-lint.md and RULES agree: name, record, fault and source."""
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.*?) \| .*? \| (.*?) \|$",
                      PAGE.read_text(encoding="utf-8"), re.M)  # fmt: skip
    listed = [(r.name, r.type, r.fault, r.source) for r in RULES]
    assert listed == [tuple(row) for row in rows if row[0] != COPIED]
    assert COPIED in {row[0] for row in rows}


def test_the_demo_clinic_has_the_faults_it_has(demo):
    """Made by people for the demo, not for this: real plans have just such holes."""
    found = [(f.rule, demo[i]["id"]) for i, f in lint(Chart(demo, date(2026, 10, 20)))]
    counts = Counter(rule for rule, _ in found)
    assert {
        ("diagnosis-without-goal", "plan-03"),
        ("goal-without-intervention", "goal-01-3"),
        ("not-measurable", "goal-02-2"),
    } <= set(found)
    # Nothing was pasted, every goal is in the person's words, hours fit, PHP included.
    quiet = {"copied-text", "own-words", "hours-range", "no-discharge-criteria", "no-goals"}
    assert not quiet & set(counts)
