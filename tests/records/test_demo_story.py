"""Each story the demo promises is there, and its scores tell it."""

from __future__ import annotations

import json
import re
from itertools import pairwise

from clinic import CLIENTS, DEMO, of, totals, values


class TestScenarios:
    def test_dual_diagnosis_with_a_lapse(self, demo, scores):
        """01: alcohol and depression in one plan; the PHQ-9 rises once, with the lapse."""
        (plan,) = of(demo, "care_plan", "client-01")
        phq = totals(scores, "client-01", "phq-9")
        rises = [b - a for a, b in pairwise(phq) if b > a]

        (episode,) = of(demo, "episode", "client-01")
        assert {d["diagnosis_id"] for d in plan["diagnoses"]} == {"dx1", "dx2"}
        assert {d["code"]: d["rank"] for d in episode["diagnoses"]} == {
            "F10.20": "principal",
            "F33.1": "co_occurring",
        }
        assert rises == [3]
        assert totals(scores, "client-01", "audit-c") == [11, 3, 1]

    def test_trauma_course_with_dbt(self, demo, scores):
        """02: DBT and exposure; PCL-5 from above the cut-off to below, never rising."""
        (plan,) = of(demo, "care_plan", "client-02")
        pcl = totals(scores, "client-02", "pcl-5")

        assert {"dbt", "trauma_informed"} <= set(values(plan, "modalities[].kind"))
        assert pcl[0] >= 33 > pcl[-1]
        assert pcl == sorted(pcl, reverse=True)

    def test_spanish_with_an_interpreter(self, by_id, scores):
        """03: Spanish, interpreter needed, and every instrument answered through one."""
        client = by_id["client-03"]

        assert client["language"] == "es-MX"
        assert client["interpreter_needed"] is True
        assert all(
            r["language"] == "es" and r["interpreted"]
            for results in scores["client-03"].values()
            for r in results
        )

    def test_name_in_use(self, by_id):
        """04: a legal name, another to use, pronouns and gender identity in her own words."""
        client = by_id["client-04"]

        assert client["name_to_use"] == "Delia"
        assert "Delia" not in client["name"]["given"]
        assert client["pronouns"] == "she/her"
        assert client["sex"] == "male"
        assert client["gender_identity"] == "transgender woman"

    def test_family_involvement(self, by_id):
        """05: three family members with a part each, two family sessions a week."""
        family = by_id["plan-05"]["family_involvement"]
        sessions = [m for m in by_id["plan-05"]["modalities"] if m["kind"] == "family_therapy"]

        assert family["consented"] is True
        assert len(family["members"]) == 3
        assert sessions[0]["sessions_per_week"] == 2

    def test_medication_support(self, by_id):
        """06: a restarted medicine, adherence as a met goal, a prescriber and a next review."""
        support = by_id["plan-06"]["medication_support"]

        assert support["adherence"] == "good"
        assert {"prescriber_id", "medications", "side_effects", "next_review"} <= set(support)
        assert by_id["goal-06-1"]["domain"] == "medication"
        assert by_id["goal-06-1"]["lifecycle"] == "met"

    def test_housing_and_employment(self, by_id):
        """07: both real-life goals met, each by a completed referral; homeless to sober living."""
        for goal, referral in (("goal-07-1", "referral-07-1"), ("goal-07-2", "referral-07-2")):
            assert by_id[goal]["lifecycle"] == "met"
            assert by_id[referral]["status"] == "completed"
            assert by_id[referral]["goal_ids"] == [goal]
        assert by_id["assessment-07-intake"]["social"]["housing_status"] == "homeless"
        assert by_id["assessment-07-discharge"]["social"]["housing_status"] == "sober_living"

    def test_item_nine_alert(self, by_id, scores):
        """08: item 9 answered 2 in week 3; flag, more hours, crisis plan that day; then zero."""
        item9 = [r["items"][8]["value"] for r in scores["client-08"]["phq-9"]]
        alert = by_id["assessment-08-w03"]
        plan = by_id["plan-08"]

        assert item9 == [0, 0, 0, 2, 1, 0, 0, 0, 0]
        assert alert["instruments"][0]["item_flags"] == ["9"]
        assert alert["risk"]["action_taken"]
        assert plan["crisis_plan"]["completed_on"] == alert["completed_at"][:10]
        assert [s["hours_per_week"] for s in plan["step_down"]["steps"]] == [9, 12, 9]

    def test_items_above_zero_are_always_flagged(self, demo):
        """Any answer above 0 on PHQ-9 item 9 is flagged and explained, whatever the total."""
        for record in demo:
            for result in record.get("instruments", []):
                if result["instrument"] == "phq-9":
                    flagged = result["items"][8]["value"] > 0

                    assert (result.get("item_flags") == ["9"]) is flagged

    def test_declined_referral_is_re_routed(self, by_id):
        """09: declined with a reason, consent revoked, another organization takes over."""
        declined, taken = by_id["referral-09-1"], by_id["referral-09-2"]

        assert declined["status"] == "declined"
        assert declined["status_reason"]
        assert taken["replaces_id"] == "referral-09-1"
        assert taken["status"] == "attended"
        assert by_id["consent-09-1"]["status"] == "revoked"

    def test_no_show_then_attended(self, by_id):
        """10: the first visit is a no-show, the second is attended."""
        referral = by_id["referral-10-1"]
        steps = [h["status"] for h in referral["history"]]

        assert [a["status"] for a in referral["appointments"]] == ["no_show", "attended"]
        assert steps.index("no_show") < steps.index("attended")

    def test_step_up_to_partial_hospital(self, by_id, scores):
        """11: scores rise, a second plan at 20 hours replaces the first, then down again."""
        levels = by_id["episode-11"]["levels"]
        phq = totals(scores, "client-11", "phq-9")

        assert [s["hours_per_week"] for s in levels] == [12, 20, 12, 9]
        assert levels[1]["level_of_care"] == "partial_hospitalization"
        assert by_id["plan-11b"]["replaces_id"] == "plan-11"
        assert by_id["plan-11"]["status"] == "revoked"
        assert by_id["referral-11-1"]["kind"] == "step_up_php"
        assert phq.index(max(phq)) == 3
        assert phq[:4] == sorted(phq[:4])
        assert phq[3:] == sorted(phq[3:], reverse=True)

    def test_one_leaves_early(self, demo, by_id, scores):
        """12: scores rise, goals are dropped, consent and referral withdrawn."""
        phq = totals(scores, "client-12", "phq-9")

        assert phq == sorted(phq)
        assert phq[-1] > phq[0]
        assert by_id["aftercare-12"]["discharge_type"] == "left_early"
        assert by_id["assessment-12-discharge"]["status"] == "stopped"
        assert {g["lifecycle"] for g in of(demo, "goal", "client-12")} == {"dropped"}
        assert by_id["referral-12-1"]["status"] == "cancelled"
        assert by_id["consent-12-1"]["status"] == "revoked"

    def test_notes_that_must_never_leave_are_planted(self, demo):
        """At least five records hold internal notes and three psychotherapy notes, each marked."""
        internal = [r["internal_notes"] for r in demo if "internal_notes" in r]
        psychotherapy = [r["psychotherapy_notes"] for r in demo if "psychotherapy_notes" in r]
        elsewhere = json.dumps(
            [
                {k: v for k, v in r.items() if k not in ("internal_notes", "psychotherapy_notes")}
                for r in demo
            ]
        )

        assert len(internal) >= 5
        assert len(psychotherapy) >= 3
        assert all("quiet heron" in note for note in internal)
        assert all("glass orchard" in note for note in psychotherapy)
        assert "quiet heron" not in elsewhere
        assert "glass orchard" not in elsewhere

    def test_substance_use_records_are_labelled(self, demo):
        """All records of a client with a substance-use diagnosis carry the label SUD."""
        for client in ("client-01", "client-05", "client-07", "client-12"):
            for record in demo:
                if record.get("client_id") == client:
                    assert "SUD" in record["sensitivity"]

    def test_every_story_is_told_in_the_readme(self, by_id):
        """The README tells each client's story under the client's name, in three lines."""
        text = (DEMO / "README.md").read_text(encoding="utf-8")
        for client in CLIENTS:
            record = by_id[client]
            name = record.get("name_to_use") or record["name"]["given"][0]
            title = rf"\*\*{client[-2:]} {name} {record['name']['family']}: .+\.\*\*"
            found = re.search(title + r"\n(?:.+\n){3}", text)

            assert found, client
