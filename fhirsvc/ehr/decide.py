"""The decision table: what an answer of an EHR means for the write that caused it. Pure.

https://hl7.org/fhir/R4/http.html, and what real servers do beside it: HAPI answers 409, not 412,
to a stale If-Match, and some answer 409 to a repeated key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from fhirsvc.errors import Category

Action = Literal["done", "retry", "reread", "hold", "bury", "new_token"]
Problem = Literal[
    "secret",
    "token_refused",
    "token_busy",
    "token_unavailable",
    "elsewhere",
    "connect",
    "timeout",
    "reset",
    "oversize",
    "malformed",
]

BASE = 1.0  # seconds: the first retry comes within this time
CAP = 300.0  # seconds: no backoff of ours is longer
LONGEST = 3600.0  # seconds: a longer Retry-After is asked again after this time


@dataclass(frozen=True)
class Decision:
    """What to do now.

    ``delay`` is seconds, for ``retry``. ``unknown`` says that the write may have taken effect all
    the same, so that it has to be looked for before it is made again; ``is_late`` that the EHR may
    even be working on it still, so that looking at once proves nothing. ``rests`` says that the
    connection as a whole, not this write, asks for the pause. ``detail`` is safe to log.
    """

    action: Action
    category: Category | None = None
    delay: float = 0.0
    unknown: bool = False
    is_late: bool = False
    rests: bool = False
    detail: str = ""
    status: int | None = None  # of the answer, where it was a write that was refused


def decide(
    method: str,
    status: int | None,
    headers: Mapping[str, str],
    problem: Problem | None = None,
    *,
    attempts: int = 0,
    luck: float = 0.5,
    now: float = 0.0,
    renewed: bool = False,
) -> Decision:
    """Decide on the answer to one request.

    ``status`` is None when there was none, and ``problem`` says why. ``attempts`` is how often
    this delivery failed before, ``luck`` a random number in [0, 1), ``now`` epoch seconds (for
    Retry-After with a date), ``renewed`` whether the token was already renewed for this request.
    """
    wait = backoff(attempts, luck)
    writes = method not in ("GET", "HEAD")
    if status is None:
        return _unanswered(problem, _asked(headers, now, wait), wait, writes)
    if 200 <= status < 300:
        # 202: accepted, not done; the effect has to be looked for.
        late = Decision("retry", Category.UNAVAILABLE, wait, writes, is_late=writes)
        return late if status == 202 else _DONE
    if status in (429, 503):
        category = Category.BUSY if status == 429 else Category.UNAVAILABLE
        delay = _asked(headers, now, wait)
        return Decision("retry", category, delay, writes and status == 503, rests=True)
    if status == 401:
        action: Action = "retry" if renewed else "new_token"
        return Decision(action, Category.UNAUTHENTICATED, wait, rests=renewed)
    return _by_status(status, wait, writes)


_DONE = Decision("done")


# Nothing was sent, and what is missing is missing for all that goes to this connection.
_UNSENT: dict[Problem | None, Category] = {
    "secret": Category.UNAUTHENTICATED,
    "token_refused": Category.UNAUTHENTICATED,
    "token_busy": Category.BUSY,
    "token_unavailable": Category.UNAVAILABLE,
    "connect": Category.UNAVAILABLE,
}


def _asked(headers: Mapping[str, str], now: float, wait: float) -> float:
    """Seconds to wait: what Retry-After asks for, up to :data:`LONGEST`, else ``wait``."""
    asked = retry_after(headers, now)
    return wait if asked is None else min(asked, LONGEST)


def _unanswered(problem: Problem | None, asked: float, wait: float, writes: bool) -> Decision:
    if problem in _UNSENT:
        return Decision("retry", _UNSENT[problem], asked, rests=True, detail=problem or "")
    if problem == "elsewhere":
        # The address is another server's: the token is not for it.
        return Decision("hold", Category.UNSUPPORTED, detail="elsewhere")
    late = problem == "timeout"
    return Decision(
        "retry",
        Category.UNAVAILABLE,
        wait,
        unknown=writes,
        is_late=writes and late,
        rests=late,
        detail=problem or "",
    )


def _by_status(status: int, wait: float, writes: bool) -> Decision:
    if status in _FIXED:
        return _FIXED[status]
    if 300 <= status < 400:
        # Following it would hand the token to whoever the answer names.
        return Decision("hold", Category.UNSUPPORTED, detail="redirect")
    if status == 408 or status >= 500:
        late = status in (408, 502, 504)  # somebody gave up waiting for whoever does the work
        return Decision("retry", Category.UNAVAILABLE, wait, writes, is_late=writes and late)
    if status in (423, 425):
        return Decision("retry", Category.BUSY, wait)
    return Decision("bury", Category.INVALID)


_FIXED = {
    403: Decision("bury", Category.FORBIDDEN),
    404: Decision("bury", Category.NOT_FOUND),
    405: Decision("hold", Category.UNSUPPORTED),
    409: Decision("reread", Category.CONFLICT),
    410: Decision("hold", Category.GONE),
    412: Decision("reread", Category.CONFLICT),
    415: Decision("bury", Category.UNSUPPORTED),
    428: Decision("reread", Category.CONFLICT),
    501: Decision("hold", Category.UNSUPPORTED),
}


def backoff(attempts: int, luck: float) -> float:
    """Seconds to wait after ``attempts`` failures: full jitter under a doubling, capped ceiling.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return luck * min(CAP, BASE * 2.0 ** min(attempts, 30))


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that Retry-After asks for, whether as seconds or as a date; None without one.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds())


# A FHIRPath of names and indexes only: anything quoted could be a patient's own words.
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\[[0-9]{1,4}\]|\.[A-Za-z][A-Za-z0-9_]*){0,20}")
_CODE = re.compile(r"[a-z-]{1,30}")


def issues(outcome: Any) -> str:
    """The codes and places of an OperationOutcome, ``invalid at Goal.target[0]; required``.

    Its diagnostics and details can quote the patient's data, so they are left out.
    https://hl7.org/fhir/R4/operationoutcome.html
    """
    listed = outcome.get("issue") if isinstance(outcome, dict) else None
    found: list[str] = []
    for issue in listed if isinstance(listed, list) else []:
        if not isinstance(issue, dict):
            continue
        code = issue.get("code")
        places = issue.get("expression") or issue.get("location") or []
        paths = [
            place
            for place in (places if isinstance(places, list) else [])
            if isinstance(place, str) and len(place) <= 200 and _PATH.fullmatch(place)
        ]
        if isinstance(code, str) and _CODE.fullmatch(code):
            found.append(f"{code} at {', '.join(paths[:3])}" if paths else code)
    return "; ".join(dict.fromkeys(found[:10]))
