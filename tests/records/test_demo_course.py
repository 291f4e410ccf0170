"""Each demo client's course holds together: hours, levels, goals and scores agree."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise

import pytest
from clinic import CLIENTS, OPS, of, totals, values

from fhirsvc.records import fields


class TestGoals:
    def test_a_met_goal_has_met_objectives_and_the_last_score_agrees(self, demo, scores):
        """Goal met means every objective met, and by the last score, not only once."""
        met = [r for r in demo if r["type"] == "goal" and r["lifecycle"] == "met"]
        by_score = 0
        for goal in met:
            for objective in goal["objectives"]:
                assert objective["status"] == "met"
                if "instrument" in objective:
                    last = totals(scores, goal["client_id"], objective["instrument"])[-1]
                    by_score += 1

                    assert OPS[objective["op"]](last, objective["value"]), goal["id"]

        assert len(met) >= 12
        assert by_score >= 12

    def test_met_on_is_the_day_a_score_first_reached_the_target(self, demo, scores):
        """The day written beside a met score objective is a day with such a score."""
        for goal in (r for r in demo if r["type"] == "goal"):
            for objective in goal.get("objectives", []):
                if "instrument" in objective and "met_on" in objective:
                    results = scores[goal["client_id"]][objective["instrument"]]
                    reached = [
                        r for r in results if OPS[objective["op"]](r["total"], objective["value"])
                    ]

                    assert objective["met_on"] == reached[0]["administered_at"][:10], goal["id"]

    def test_a_goal_not_reached_is_not_reached_by_score(self, demo, scores):
        """An objective not met has a last score that misses the target."""
        missed = 0
        for goal in (r for r in demo if r["type"] == "goal"):
            for objective in goal.get("objectives", []):
                if "instrument" in objective and objective["status"] == "not_met":
                    last = totals(scores, goal["client_id"], objective["instrument"])[-1]
                    missed += 1

                    assert not OPS[objective["op"]](last, objective["value"])

        assert missed

    def test_lifecycle_and_progress_agree(self, demo):
        """Met goals were achieved or hold; dropped ones were not achieved; active ones go on."""
        fits = {
            "met": {"achieved", "sustaining"},
            "dropped": {"not_achieved", "not_attainable"},
            "active": {"in_progress", "improving"},
        }
        for goal in (r for r in demo if r["type"] == "goal"):
            assert goal["progress"] in fits[goal["lifecycle"]]

    def test_goals_are_in_own_words_and_measurable(self, demo):
        """Every goal is in the person's words and has an objective."""
        for goal in (r for r in demo if r["type"] == "goal"):
            assert goal["own_words"] is True
            assert goal["objectives"]


class TestCourse:
    @pytest.mark.parametrize("client", CLIENTS)
    def test_from_intake_to_discharge(self, demo, client):
        """Intake, at least three reviews, a finished episode, a discharge and an aftercare plan."""
        kinds = [a["kind"] for a in of(demo, "assessment", client)]
        (episode,) = of(demo, "episode", client)
        (aftercare,) = of(demo, "aftercare_plan", client)

        assert kinds.count("intake") == 1
        assert kinds.count("discharge") == 1
        assert kinds.count("weekly_review") >= 3
        assert episode["status"] == "finished"
        assert aftercare["discharge_date"] == episode["end_date"]

    @pytest.mark.parametrize("client", CLIENTS)
    def test_hours_are_the_sum_of_what_is_given(self, demo, client):
        """At the start of each step of each plan the running modalities make up its hours."""
        for plan in of(demo, "care_plan", client):
            for step in plan["step_down"]["steps"]:
                if step["status"] == "skipped":
                    continue
                minutes = sum(
                    m["sessions_per_week"] * m["minutes"]
                    for m in plan["modalities"]
                    if m["start_date"] <= step["start_date"] <= m["end_date"]
                    and m["status"] != "cancelled"
                )

                assert minutes == step["hours_per_week"] * 60, (plan["id"], step["step_id"])

    @pytest.mark.parametrize("client", CLIENTS)
    def test_hours_are_within_the_level_of_care(self, demo, client):
        """IOP is 9 to 19 hours a week, partial hospital 20 or more."""
        (episode,) = of(demo, "episode", client)
        for step in episode["levels"]:
            low, high = (20, 40) if step["level_of_care"] == "partial_hospitalization" else (9, 19)

            assert low <= step["hours_per_week"] <= high

    def test_steps_follow_one_another(self, demo):
        """Each step of an episode starts the day after the one before."""
        for episode in (r for r in demo if r["type"] == "episode"):
            days = [(s["start_date"], s["end_date"]) for s in episode["levels"]]
            assert days[0][0] == episode["start_date"]
            assert days[-1][1] == episode["end_date"]
            for (_, end), (start, _) in pairwise(days):
                assert date.fromisoformat(start) == date.fromisoformat(end) + timedelta(days=1)

    def test_eleven_get_better_and_one_does_not(self, scores):
        """The first instrument of each story falls from intake to discharge, but for client 12."""
        story = {
            "client-02": "pcl-5", "client-03": "gad-7", "client-05": "gad-7",
            "client-09": "gad-7", "client-10": "gad-7",
        }  # fmt: skip
        better = {
            client: (t := totals(scores, client, story.get(client, "phq-9")))[-1] < t[0]
            for client in CLIENTS
        }

        assert [c for c, fell in better.items() if not fell] == ["client-12"]

    def test_free_text_is_never_copied_between_clients(self, demo):
        """No text of forty signs or more occurs for two clients, nor twice in own words."""
        where = defaultdict(set)
        own_words = []
        for record in demo:
            for field in fields(record["type"]).values():
                if field.kind in ("text", "string"):
                    for text in values(record, field.path):
                        if len(text) >= 40:
                            where[text].add(record.get("client_id", record["id"]))
            own_words += values(record, "self_report.text")

        assert {t: c for t, c in where.items() if len(c) > 1} == {}
        assert len(set(own_words)) == len(own_words) >= 60

    def test_text_is_as_people_write_it(self, demo):
        """Quotes, accents, an emoji and a line break occur."""
        everything = json.dumps(demo, ensure_ascii=False)

        assert '\\"' in everything
        assert "«" in everything
        assert re.search("[áéíñóú]", everything)
        assert re.search("[\U0001f300-\U0001faff]", everything)
        assert "\\n" in everything
