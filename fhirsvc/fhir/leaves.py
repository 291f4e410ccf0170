"""Checks of FHIR's primitive values, one function per type, built to cost little when all is well.

Source: https://hl7.org/fhir/R4/datatypes.html#primitive. Values that recur (dates, ids, codes) are
remembered once found good, up to a bound, so that the regular expression runs once per value.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable
from datetime import date

_MEMORY = 10_000
DATES: set[object] = set()
DATETIMES: set[object] = set()
IDS: set[object] = set()
CODES: set[object] = set()

_DATE = re.compile(r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?", re.ASCII)
_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(?:\.\d{1,9})?"
_ZONE = r"(?:Z|[+-](?:0\d|1[0-3]):[0-5]\d|[+-]14:00)"
_DATETIME = re.compile(rf"(\d{{4}}-\d\d-\d\d)T{_TIME}{_ZONE}", re.ASCII)
_CLOCK = re.compile(_TIME, re.ASCII)
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODE = re.compile(r"[^\s]+(?: [^\s]+)*")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+", re.ASCII)
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CONTROLS = bytes(i for i in range(32) if i not in b"\t\n\r")


def text_ok(value: object) -> bool:
    """Whether ``value`` is a FHIR string: not blank, no control characters, no lone surrogate."""
    if not isinstance(value, str) or not value.strip(" \t\r\n") or len(value) > 1_048_576:
        return False
    try:
        written = value.encode()
    except UnicodeEncodeError:
        return False
    return len(written.translate(None, CONTROLS)) == len(written)


def _calendar(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None or match[1] == "0000":
        return False
    if match[3] is None:
        return True
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def _remember(known: set[object], value: object) -> bool:
    if len(known) >= _MEMORY:
        known.clear()
    known.add(value)
    return True


def date_ok(value: object) -> bool:
    """``YYYY``, ``YYYY-MM`` or a day that exists."""
    return isinstance(value, str) and _calendar(value) and _remember(DATES, value)


def datetime_ok(value: object) -> bool:
    """A FHIR dateTime: a date, or a time of day with its offset."""
    if not isinstance(value, str):
        return False
    match = _DATETIME.fullmatch(value)
    good = _calendar(match[1]) if match else _calendar(value)
    return good and _remember(DATETIMES, value)


def instant_ok(value: object) -> bool:
    """A dateTime with its time and offset."""
    return isinstance(value, str) and "T" in value and datetime_ok(value)


def id_ok(value: object) -> bool:
    """Letters, digits, ``-`` and ``.``, at most 64."""
    return isinstance(value, str) and bool(_ID.fullmatch(value)) and _remember(IDS, value)


def code_ok(value: object) -> bool:
    """No blanks around it, single spaces within."""
    good = isinstance(value, str) and bool(_CODE.fullmatch(value)) and text_ok(value)
    return good and _remember(CODES, value)


def uri_ok(value: object) -> bool:
    """No blanks at all, not empty."""
    return isinstance(value, str) and text_ok(value) and not any(c.isspace() for c in value)


def integer_ok(value: object) -> bool:
    """A signed 32-bit integer; ``true`` is none."""
    return type(value) is int and -2_147_483_648 <= value <= 2_147_483_647


def unsigned_ok(value: object) -> bool:
    """Zero or more."""
    return integer_ok(value) and int(value) >= 0  # type: ignore[call-overload]


def positive_ok(value: object) -> bool:
    """One or more."""
    return integer_ok(value) and int(value) > 0  # type: ignore[call-overload]


def decimal_ok(value: object) -> bool:
    """A finite number."""
    return type(value) is int or (type(value) is float and math.isfinite(value))


def boolean_ok(value: object) -> bool:
    """``true`` or ``false``, never 0 or 1."""
    return value is True or value is False


def time_ok(value: object) -> bool:
    """``hh:mm:ss`` without an offset."""
    return isinstance(value, str) and bool(_CLOCK.fullmatch(value))


def base64_ok(value: object) -> bool:
    """Base64 with its padding; white space between is allowed."""
    if not isinstance(value, str) or not value:
        return False
    try:
        binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except (binascii.Error, ValueError):
        return False
    return True


def oid_ok(value: object) -> bool:
    """``urn:oid:`` and dotted numbers."""
    return isinstance(value, str) and bool(_OID.fullmatch(value))


def uuid_ok(value: object) -> bool:
    """``urn:uuid:`` and a lower-case UUID."""
    return isinstance(value, str) and bool(_UUID.fullmatch(value))


def xhtml_ok(value: object) -> bool:
    """A ``div``; what is inside it is checked where narrative is made or taken in."""
    good = isinstance(value, str) and text_ok(value) and value.startswith("<div")
    return good and str(value).endswith(("</div>", "/>"))


CHECKS: dict[str, Callable[[object], bool]] = {
    "base64Binary": base64_ok,
    "boolean": boolean_ok,
    "canonical": uri_ok,
    "code": code_ok,
    "date": date_ok,
    "dateTime": datetime_ok,
    "decimal": decimal_ok,
    "id": id_ok,
    "instant": instant_ok,
    "integer": integer_ok,
    "markdown": text_ok,
    "oid": oid_ok,
    "positiveInt": positive_ok,
    "string": text_ok,
    "time": time_ok,
    "unsignedInt": unsigned_ok,
    "uri": uri_ok,
    "url": uri_ok,
    "uuid": uuid_ok,
    "xhtml": xhtml_ok,
}
