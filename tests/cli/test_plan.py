"""``plan lint``: findings with file, line and path; the day is an argument."""

from __future__ import annotations

PLAN = {
    "type": "care_plan",
    "id": "p1",
    "updated_at": "2026-02-01T09:00:00Z",
    "client_id": "c1",
    "status": "active",
    "review_due": "2026-03-10",
    "goal_ids": ["g1"],
    "discharge_criteria": [{"criterion_id": "d1", "text": "quiet heron"}],
}


def test_a_finding_has_file_line_path_and_rule(shell):
    """As text; the count goes with the findings, and what was not given is said."""
    file = shell.file("plans.ndjson", PLAN, {**PLAN, "id": "p2", "review_due": "2026-02-28"})
    result = shell("plan", "lint", file, "--today", "2026-03-01")
    assert result.exit_code == 1
    assert result.stdout == (
        f"{file}:2: $.review_due: error: is before 2026-03-01: overdue [review-overdue]\n"
    )
    assert result.stderr == ("2 plans, 0 goals: 1 finding\nnot given: 1 goal that plans name\n")
    assert "heron" not in result.output


def test_nothing_found_is_exit_0(shell):
    """And the count is the answer, on standard output."""
    result = shell("plan", "lint", shell.file("p.ndjson", PLAN), "--today", "2026-03-10")
    assert (result.exit_code, result.stdout) == (0, "1 plan, 0 goals: 0 findings\n")


def test_json_is_a_line_each_and_a_count(shell):
    """With file and line beside the finding's own place."""
    file = shell.file("p.ndjson", PLAN)
    finding, counts = shell.json("plan", "lint", file, "--today", "2026-03-11", code=1)
    assert (finding["line"], finding["where"]) == (1, "$.review_due")
    assert finding["rule"] == "review-overdue"
    assert counts == {"care_plans": 1, "goals": 0, "findings": 1, "absent_goals": 1}


def test_a_record_that_is_wrong_is_told_and_left_out(shell):
    """A status that no plan has, a line that is no JSON: told as records check tells them."""
    file = shell.file("p.ndjson", {**PLAN, "status": "actve"}, "{", PLAN)
    result = shell("plan", "lint", file, "--today", "2026-03-01")
    assert result.exit_code == 1
    assert f"{file}:1: $.status: error:" in result.stdout
    assert f"{file}:2:2: error:" in result.stdout
    assert "1 plan, 0 goals: 2 findings" in result.stderr


def test_a_day_that_is_none_is_usage(shell):
    """Exit 2, no traceback."""
    result = shell("plan", "lint", shell.file("p.ndjson", PLAN), "--today", "soon")
    assert result.exit_code == 2


def test_the_day_is_today_when_none_is_given(shell):
    """A review that was due long ago is overdue on any day."""
    file = shell.file("p.ndjson", {**PLAN, "review_due": "2001-01-01"})
    result = shell("plan", "lint", "-", input=file.read_text(encoding="utf-8"))
    assert "<stdin>:1: $.review_due" in result.stdout
