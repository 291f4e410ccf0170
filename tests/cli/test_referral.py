"""``fhirsvc referral``: list, show, act, with what is refused and the exit codes."""

from __future__ import annotations

import pytest

DRAFT = {
    "type": "referral",
    "id": "r-1",
    "updated_at": "2026-01-01T09:00:00Z",
    "client_id": "client-1",
    "kind": "housing",
    "status": "draft",
    "requested_on": "2026-01-01",
}


@pytest.fixture(name="loaded")
def _loaded(shell):
    closed = {**DRAFT, "id": "r-2", "status": "declined", "status_reason": "Full."}
    late = {**DRAFT, "id": "r-0", "status": "sent", "requested_on": "2025-12-01"}
    assert shell("load", shell.file("r.ndjson", DRAFT, closed, late)).exit_code == 0
    return shell


def test_the_list_has_the_longest_overdue_first(loaded):
    """Open ones, with what is owed next and by whom; the closed ones when asked for."""
    day = ("--today", "2026-01-03")
    listed = loaded.json("referral", "list", *day)
    assert [("r-0", 28), ("r-1", 0)] == [(one["id"], one["overdue_days"]) for one in listed]
    assert {
        "what": "answer",
        "since": "2025-12-01",
        "due": "2025-12-06",
        "overdue_days": 28,
        "turn": "performer",
    } == listed[0]["clocks"][0]
    assert ["r-0"] == [one["id"] for one in loaded.json("referral", "list", "--overdue", *day)]
    assert 3 == len(loaded.json("referral", "list", "--all", *day))
    declined = loaded.json("referral", "list", "--status", "declined", *day)
    assert [("r-2", [])] == [(one["id"], one["clocks"]) for one in declined]
    said = loaded("referral", "list", *day).stdout
    assert "r-0  housing  sent  answer by 2025-12-06, 28 days over (performer)" in said
    assert said.endswith("2 referrals, 1 overdue\n")
    assert "none\n" == loaded("referral", "list", "--status", "failed").stdout


def test_one_goes_its_way(loaded):
    """Sent, accepted, scheduled, attended, completed: each a version with its delivery."""
    act = ("referral", "act", "r-1")
    steps = [
        ("send", "--by", "staff-1"),
        ("accept", "--by-text", "Intake"),
        ("schedule", "--visit", "2099-01-09T10:00:00Z", "--minutes", 50),
        ("attend",),
        ("complete", "--result", "service_started", "--said", "Has the keys."),
    ]
    made = [loaded.json(*act, *step)[0] for step in steps]
    assert [2, 3, 4, 5, 6] == [one["version"] for one in made]
    assert ["sent", "accepted", "scheduled", "attended", "completed"] == [m["status"] for m in made]
    (shown,) = loaded.json("referral", "show", "r-1")
    record = shown["record"]
    assert ["cli"] * 5 == [step["via"] for step in record["history"]]
    assert ("attended", 50) == (
        record["appointments"][0]["status"],
        record["appointments"][0]["minutes"],
    )
    assert {"result": "service_started", "text": "Has the keys."} == record["outcome"]
    assert {"requester": ["reopen", "mark_error"], "performer": []} == shown["may"]
    said = loaded("referral", "show", "r-1").stdout
    assert "accept → accepted (Intake)" in said
    assert "the performer may: do nothing with it" in said


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("r-1", "accept"), 1, "accept is not possible while it is draft; while it is draft the"),
        (("r-0", "decline"), 1, "$.reason: decline needs a reason"),
        (("r-0", "accept", "--as", "requester"), 2, "accept is for the performer"),
        (("r-0", "accept", "--version", 7), 1, "the current version is 1, not 7"),
        (("r-0", "accept", "--by", "no id!"), 1, "$.by_id: expected"),
        (("r-0", "hold", "--dialect", "bser", "--reason", "x"), 1, "hold is not possible"),
        (("r-9", "accept"), 2, "no such record"),
        (("r-0", "approve"), 2, "'approve' is not one of"),
    ],
)
def test_what_is_refused_is_said_on_one_line(loaded, args, code, said):
    """1 for what the referral does not allow, 2 for what was typed wrongly; nothing changes."""
    result = loaded("referral", "act", *args)
    assert (code, True) == (result.exit_code, said in result.stderr), result.stderr
    assert {1} == {one["version"] for one in loaded.json("referral", "list", "--all")}


def test_a_closed_one_is_asked_anew(loaded):
    """A draft that replaces it; an open one is not, nor under an id that there is."""
    (made,) = loaded.json("referral", "renew", "r-2", "r-3")
    assert ("r-3", "draft", 1) == (made["id"], made["status"], made["version"])
    (shown,) = loaded.json("referral", "show", "r-3")
    assert ("r-2", "housing") == (shown["record"]["replaces_id"], shown["record"]["kind"])
    for old, new, said in (
        ("r-0", "r-4", "once it is closed"),
        ("r-2", "r-0", "the current version is 1, not 0"),
        ("r-2", "no id!", "$.id: expected"),
    ):
        result = loaded("referral", "renew", old, new)
        assert (1, True) == (result.exit_code, said in result.stderr), result.stderr


def test_an_actor_is_taken_from_the_move(loaded):
    """Whoever's it is; the requester's where it is either's."""
    loaded("referral", "act", "r-0", "cancel", "--reason", "Found a flat.")
    (shown,) = loaded.json("referral", "show", "r-0")
    assert "requester" == shown["record"]["history"][-1]["actor"]
