"""The kinds of value a record field may hold: marshmallow fields that check and never convert.

Each kind knows three things: what it accepts, how it says what it expected (never what it got),
and its JSON Schema. ``load`` returns the JSON value it was given, so a record that passes is
unchanged: a date stays its ISO string, a number its number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, ClassVar

from marshmallow import ValidationError, fields
from marshmallow.exceptions import SCHEMA

from fhirsvc.records.suggest import did_you_mean

TEXT_MAX = 100_000
INTEGER_MAX = 2_147_483_647  # FHIR integer: https://hl7.org/fhir/R4/datatypes.html#integer
LIST_MAX = 1000

ID_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,34}[A-Za-z0-9])?"
KEY_PATTERN = r"[A-Za-z0-9.-]{1,20}"
CODE_PATTERN = r"[^\s]+(?:\s[^\s]+)*"  # https://hl7.org/fhir/R4/datatypes.html#code
DATE_PATTERN = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
TIME_PATTERN = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
DATETIME_PATTERN = (
    DATE_PATTERN + r"T" + TIME_PATTERN + r":[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)
# https://hl7.org/fhir/R4/datatypes.html#string: nothing below U+0020 but tab, newline and return.
_CHARS = re.compile(r"[\t\n\r\x20-\ud7ff\ue000-\U0010ffff]*")
_VISIBLE = re.compile(r"[^\s\ufeff]")


class Said(str):
    """A message that remembers the name of the rule it speaks for."""

    __slots__ = ("rule",)
    rule: str

    def __new__(cls, rule: str, message: str) -> Said:
        """Make the message ``message`` of rule ``rule``."""
        said = super().__new__(cls, message)
        said.rule = rule
        return said


def reject(rule: str, message: str, field: str | None = None) -> ValidationError:
    """Return the error a schema raises when fields are well formed but do not fit together."""
    return ValidationError([Said(rule, message)], field or SCHEMA)


class Kind(fields.Field[Any]):
    """What every kind shares: a one-line ``doc``, a ``sensitivity`` and a strict check."""

    kind: ClassVar[str]
    refers_to: str | None = None
    values: tuple[str, ...] = ()

    def __init__(self, doc: str, *, required: bool = False, sensitivity: str | None = None) -> None:
        super().__init__(
            required=required,
            allow_none=False,
            metadata={"doc": doc, "sensitivity": sensitivity},
            error_messages={
                "required": [Said("required", "is required")],
                "null": [Said("type", "is null; leave the field out")],
            },
        )

    def wrong(self, value: Any) -> Said | None:
        """Return what was expected when ``value`` is not that, else None."""
        raise NotImplementedError

    def json(self) -> dict[str, Any]:
        """Return this kind's JSON Schema."""
        raise NotImplementedError

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        said = self.wrong(value)
        if said is not None:
            raise ValidationError([said])
        return value


class String(Kind):
    """A short text: a name, a label, a phone number."""

    kind = "string"
    pattern: str | None = None
    expected = ""

    def __init__(
        self,
        doc: str,
        *,
        pattern: str | None = None,
        expected: str = "",
        required: bool = False,
        sensitivity: str | None = None,
    ) -> None:
        super().__init__(doc, required=required, sensitivity=sensitivity)
        self.pattern = pattern or type(self).pattern
        self.expected = expected or type(self).expected
        self._regex = re.compile(self.pattern) if self.pattern else None

    def wrong(self, value: Any) -> Said | None:
        """Reject anything FHIR could not carry as a string, and what the pattern does not fit."""
        if not isinstance(value, str):
            return Said("type", f"expected text{self._hint()}")
        if not _VISIBLE.search(value):
            return Said("value", "is blank; leave the field out")
        if len(value) > TEXT_MAX:
            return Said("value", f"is longer than {TEXT_MAX} characters")
        if not _CHARS.fullmatch(value):
            return Said("value", "holds a control character or half a surrogate pair")
        if self._regex and not self._regex.fullmatch(value):
            return Said("value", f"expected {self.expected or 'another form'}")
        return None

    def json(self) -> dict[str, Any]:
        """Return the schema of a text; patterns are ECMA 262 as JSON Schema asks."""
        if self.pattern:
            return {"type": "string", "pattern": f"^(?:{self.pattern})$", "maxLength": TEXT_MAX}
        return {"$ref": "#/$defs/text"}

    def _hint(self) -> str:
        return f": {self.expected}" if self.expected else ""


class Text(String):
    """A narrative of any length, line breaks kept."""

    kind = "text"


class Id(String):
    """A record's own id."""

    kind = "id"
    pattern = ID_PATTERN
    expected = "an id: 1 to 36 letters, digits, '-' or '.', no '-' or '.' at either end"


class Ref(Id):
    """The id of another record of type ``to``."""

    def __init__(self, to: str, doc: str, *, required: bool = False) -> None:
        super().__init__(doc, required=required)
        self.refers_to = to


class Key(Id):
    """What tells the items of one list apart, across versions and across systems."""

    pattern = KEY_PATTERN
    expected = "a key: 1 to 20 letters, digits, '-' or '.'"


class Code(String):
    """A code of a system named elsewhere; no leading, trailing or double spaces."""

    kind = "code"
    pattern = CODE_PATTERN
    expected = "a code without leading, trailing or double spaces"


class Phone(String):
    """A phone number as people write it."""

    pattern = r"\+?[0-9(][0-9().\- x]{1,38}[0-9]"
    expected = "a phone number: digits, spaces and any of + - . ( ) x"


class Email(String):
    """An e-mail address."""

    pattern = r"[^@\s]+@[^@\s]+\.[^@\s]+"
    expected = "an e-mail address"


class Npi(String):
    """A National Provider Identifier; its check digit is a rule of the record it is in."""

    pattern = r"[12][0-9]{9}"
    expected = "an NPI: ten digits starting with 1 or 2"


class Language(Code):
    """A language tag: https://www.rfc-editor.org/info/bcp47."""

    pattern = r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*"
    expected = "a language tag such as en or es-MX"


class Enum(String):
    """One of the house words."""

    kind = "enum"

    def __init__(
        self,
        values: Sequence[str],
        doc: str,
        *,
        required: bool = False,
        sensitivity: str | None = None,
    ) -> None:
        super().__init__(doc, required=required, sensitivity=sensitivity)
        self.values = tuple(values)

    def wrong(self, value: Any) -> Said | None:
        """Reject any other word, naming the nearest right one."""
        if isinstance(value, str) and value in self.values:
            return None
        expected = f"expected one of: {', '.join(self.values)}"
        if not isinstance(value, str):
            return Said("type", expected)
        return Said("value", expected + did_you_mean(value, self.values))

    def json(self) -> dict[str, Any]:
        """Return the schema of a closed list of words."""
        return {"type": "string", "enum": list(self.values)}


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


class Integer(Kind):
    """A whole number; ``5.0`` and ``"5"`` are not."""

    kind = "integer"

    def __init__(
        self, doc: str, *, low: int = 0, high: int = INTEGER_MAX, required: bool = False
    ) -> None:
        super().__init__(doc, required=required)
        self.low, self.high = low, high

    def wrong(self, value: Any) -> Said | None:
        """Reject other types and numbers out of range."""
        if not isinstance(value, int) or isinstance(value, bool):
            return Said("type", f"expected a whole number from {self.low} to {self.high}")
        if not self.low <= value <= self.high:
            return Said("value", f"expected a whole number from {self.low} to {self.high}")
        return None

    def json(self) -> dict[str, Any]:
        """Return the schema of a whole number."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class Decimal(Kind):
    """A finite number."""

    kind = "decimal"

    def __init__(
        self, doc: str, *, low: float = 0, high: float = 1_000_000, required: bool = False
    ) -> None:
        super().__init__(doc, required=required)
        self.low, self.high = low, high

    def wrong(self, value: Any) -> Said | None:
        """Reject other types and numbers out of range."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            return Said("type", f"expected a number from {self.low} to {self.high}")
        if not self.low <= value <= self.high:
            return Said("value", f"expected a number from {self.low} to {self.high}")
        return None

    def json(self) -> dict[str, Any]:
        """Return the schema of a number."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


class Boolean(Kind):
    """True or false; ``"yes"`` and ``1`` are not."""

    kind = "boolean"

    def wrong(self, value: Any) -> Said | None:
        """Reject everything but the two."""
        return None if isinstance(value, bool) else Said("type", "expected true or false")

    def json(self) -> dict[str, Any]:
        """Return the schema of a truth value."""
        return {"type": "boolean"}


def _not_in_calendar(kind: type[date], value: str, expected: str) -> Said | None:
    try:
        kind.fromisoformat(value)
    except ValueError:
        return Said("value", f"expected {expected}; there is no such day or time")
    return None
