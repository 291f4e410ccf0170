"""Dates as spans of time: a day is all of it, a period has two ends, an open end is for ever.

https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

Span = tuple[float, float]  # epoch seconds: low <= it < high
ALWAYS = 1e13  # seconds; beyond year 9999 on either side
_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def span(text: object) -> Span | None:
    """The span that a date, dateTime or instant names; None where it is none.

    Without an offset it is in UTC.
    """
    match = _MOMENT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        low = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
        start = (low - _EPOCH).total_seconds()
        if month is None:
            return start, start + ((366 if _is_leap(int(year)) else 365) * 86400.0)
        if day is None:
            # The 28th and four days is always in the next month.
            after = (low.replace(day=28) + timedelta(days=4)).replace(day=1)
            return start, (after - _EPOCH).total_seconds()
        if hour is None:
            return start, start + 86400.0
        if int(hour) > 24 or int(minute) > 59 or int(second or 0) > 60:
            return None
    except (ValueError, OverflowError):
        return None
    start += int(hour) * 3600 + int(minute) * 60 - _offset(offset)
    if second is None:
        return start, start + 60.0
    start += int(second)
    if fraction is None:
        return start, start + 1.0
    return start + int(fraction) / 10 ** len(fraction), (
        start + (int(fraction) + 1) / 10 ** len(fraction)
    )


def spans(value: Any) -> list[Span]:
    """The spans of an element: a date, a Period, or a Timing by its events or bounds."""
    if isinstance(value, str):
        found = span(value)
        return [found] if found else []
    if not isinstance(value, Mapping):
        return []
    if "event" in value and isinstance(value["event"], list):
        return [found for one in value["event"] if (found := span(one))]
    low, high = span(value.get("start")), span(value.get("end"))
    if low is None and high is None:
        return []
    return [(low[0] if low else -ALWAYS, high[1] if high else ALWAYS)]


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _offset(text: str | None) -> int:
    if text is None or text == "Z":
        return 0
    seconds = int(text[1:3]) * 3600 + int(text[4:6]) * 60
    return seconds if text[0] == "+" else -seconds
