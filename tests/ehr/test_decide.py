"""The decision table: one row per kind of answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc.ehr.decide import BASE, CAP, LONGEST, Decision, backoff, decide, issues, retry_after
from fhirsvc.errors import Category

NOW = 1_770_000_000.0
HALF = backoff(3, 0.5)
BUSY, UNAVAILABLE = Category.BUSY, Category.UNAVAILABLE
IN_A_MINUTE = {"Retry-After": "Mon, 02 Feb 2026 02:41:00 GMT"}

TABLE = [
    # method, status, headers, problem, expected
    ("PUT", 200, {}, None, Decision("done")),
    ("POST", 201, {}, None, Decision("done")),
    ("PUT", 204, {}, None, Decision("done")),
    ("POST", 202, {}, None, Decision("retry", UNAVAILABLE, HALF, unknown=True, is_late=True)),
    ("GET", 200, {}, None, Decision("done")),
    ("PUT", 302, {}, None, Decision("hold", Category.UNSUPPORTED, detail="redirect")),
    ("PUT", 400, {}, None, Decision("bury", Category.INVALID)),
    ("PUT", 403, {}, None, Decision("bury", Category.FORBIDDEN)),
    ("POST", 404, {}, None, Decision("bury", Category.NOT_FOUND)),
    ("PUT", 405, {}, None, Decision("hold", Category.UNSUPPORTED)),
    ("PUT", 408, {}, None, Decision("retry", UNAVAILABLE, HALF, unknown=True, is_late=True)),
    ("GET", 408, {}, None, Decision("retry", UNAVAILABLE, HALF)),
    ("PUT", 409, {}, None, Decision("reread", Category.CONFLICT)),
    ("PUT", 410, {}, None, Decision("hold", Category.GONE)),
    ("PUT", 412, {}, None, Decision("reread", Category.CONFLICT)),
    ("POST", 413, {}, None, Decision("bury", Category.INVALID)),
    ("POST", 415, {}, None, Decision("bury", Category.UNSUPPORTED)),
    ("POST", 422, {}, None, Decision("bury", Category.INVALID)),
    ("PUT", 423, {}, None, Decision("retry", BUSY, HALF)),
    ("PUT", 428, {}, None, Decision("reread", Category.CONFLICT)),
    ("PUT", 429, {"Retry-After": "7"}, None, Decision("retry", BUSY, 7.0, rests=True)),
    ("PUT", 429, {}, None, Decision("retry", BUSY, HALF, rests=True)),
    ("PUT", 429, {"Retry-After": "soon"}, None, Decision("retry", BUSY, HALF, rests=True)),
    (
        "PUT",
        503,
        {"Retry-After": "7"},
        None,
        Decision("retry", UNAVAILABLE, 7.0, unknown=True, rests=True),
    ),
    ("GET", 503, IN_A_MINUTE, None, Decision("retry", UNAVAILABLE, 60.0, rests=True)),
    (
        "GET",
        503,
        {"Retry-After": "999999"},
        None,
        Decision("retry", UNAVAILABLE, LONGEST, rests=True),
    ),
    ("PUT", 500, {}, None, Decision("retry", UNAVAILABLE, HALF, unknown=True)),
    ("PUT", 501, {}, None, Decision("hold", Category.UNSUPPORTED)),
    ("POST", 502, {}, None, Decision("retry", UNAVAILABLE, HALF, unknown=True, is_late=True)),
    ("POST", 504, {}, None, Decision("retry", UNAVAILABLE, HALF, unknown=True, is_late=True)),
    (
        "PUT",
        None,
        {},
        "connect",
        Decision("retry", UNAVAILABLE, HALF, rests=True, detail="connect"),
    ),
    (
        "PUT",
        None,
        {},
        "timeout",
        Decision(
            "retry",
            UNAVAILABLE,
            HALF,
            unknown=True,
            is_late=True,
            rests=True,
            detail="timeout",
        ),
    ),
    ("PUT", None, {}, "reset", Decision("retry", UNAVAILABLE, HALF, unknown=True, detail="reset")),
    ("GET", None, {}, "reset", Decision("retry", UNAVAILABLE, HALF, detail="reset")),
    (
        "PUT",
        None,
        {},
        "malformed",
        Decision("retry", UNAVAILABLE, HALF, unknown=True, detail="malformed"),
    ),
    (
        "PUT",
        None,
        {},
        "secret",
        Decision("retry", Category.UNAUTHENTICATED, HALF, rests=True, detail="secret"),
    ),
]


@pytest.mark.parametrize(("method", "status", "headers", "problem", "expected"), TABLE)
def test_table(method, status, headers, problem, expected):
    """Every kind of answer has one decision."""
    got = decide(method, status, headers, problem, attempts=3, luck=0.5, now=NOW)

    assert expected == got


def test_a_token_is_renewed_once():
    """The first 401 asks for a new token; with the new one it is the connection that rests."""
    first = decide("PUT", 401, {}, luck=0.5)
    second = decide("PUT", 401, {}, luck=0.5, renewed=True)

    assert (first.action, second.action, second.rests) == ("new_token", "retry", True)


def test_a_date_in_the_past_means_now():
    """Retry-After with a date that is over asks for no wait."""
    assert retry_after({"Retry-After": "Mon, 02 Feb 2015 02:41:00 GMT"}, NOW) == 0.0


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(attempts, luck):
    """However often it failed, the wait is between 0 and the cap, and never more than doubling."""
    assert 0.0 <= backoff(attempts, luck) <= min(CAP, BASE * 2 ** min(attempts, 30))


@given(st.integers(0, 40))
def test_backoff_has_full_jitter(attempts):
    """The wait spreads over the whole range, so that many retries do not come together."""
    assert backoff(attempts, 0.0) == 0.0
    assert backoff(attempts, 0.25) * 3 == pytest.approx(backoff(attempts, 0.75))


@given(st.integers(100, 599), st.sampled_from(["GET", "PUT", "POST"]))
def test_every_status_has_a_decision(status, method):
    """No status is left without one, and a failure always has a category."""
    got = decide(method, status, {})

    assert (got.action == "done") == (200 <= status < 300 and status != 202)
    assert got.action == "done" or got.category is not None


def test_issues_tell_codes_and_places_only():
    """Diagnostics and details can quote the patient; codes and paths cannot."""
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "Zebulon has no status",
                "details": {"text": "Zebulon"},
                "expression": ["Goal.target[0].due", "Goal.where(note='Zebulon')"],
            },
            {"severity": "error", "code": "Zebulon"},
            {"severity": "error", "code": "invalid", "location": ["Patient.name"]},
            {"severity": "error", "code": "processing"},
        ],
    }

    expected = "required at Goal.target[0].due; invalid at Patient.name; processing"
    assert expected == issues(outcome)


@pytest.mark.parametrize("odd", [None, [], {"issue": "x"}, {"issue": [1, {"code": 7}]}])
def test_issues_of_anything_else_are_empty(odd):
    """What is no OperationOutcome says nothing, and breaks nothing."""
    assert issues(odd) == ""
