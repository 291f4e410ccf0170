"""Kinds of time: a calendar day, and a moment with its offset from UTC."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from fhirsvc.records.kind import Said
from fhirsvc.records.words import String

DATE_PATTERN = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIME_PATTERN = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
DATETIME_PATTERN = (
    DATE_PATTERN + r"T" + TIME_PATTERN + r":[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)


class Date(String):
    """A calendar day, ``YYYY-MM-DD``."""

    kind = "date"
    pattern = DATE_PATTERN
    expected = "a date YYYY-MM-DD"

    def wrong(self, value: Any) -> Said | None:
        """Reject what is not a day of the calendar."""
        said = super().wrong(value)
        return said or _not_in_calendar(date, value, self.expected)

    def json(self) -> dict[str, Any]:
        """Return the schema of a day."""
        return {**super().json(), "format": "date"}


class DateTime(String):
    """A moment to the second or finer, with its offset from UTC."""

    kind = "datetime"
    pattern = DATETIME_PATTERN
    expected = "a moment with offset, YYYY-MM-DDThh:mm:ss+hh:mm or …Z"

    def wrong(self, value: Any) -> Said | None:
        """Reject what is not a moment, or does not say its offset."""
        said = super().wrong(value)
        return said or _not_in_calendar(datetime, value[:19], self.expected)

    def json(self) -> dict[str, Any]:
        """Return the schema of a moment."""
        return {**super().json(), "format": "date-time"}


def _not_in_calendar(kind: type[date], value: str, expected: str) -> Said | None:
    try:
        kind.fromisoformat(value)
    except ValueError:
        return Said("value", f"expected {expected}; there is no such day or time")
    return None
