"""Kinds written as text: names, narratives, ids, codes and the house words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fhirsvc.records.kind import Kind, Said

TEXT_MAX = 100_000

ID_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,34}[A-Za-z0-9])?"
KEY_PATTERN = r"[A-Za-z0-9.-]{1,20}"
CODE_PATTERN = r"[^\s]+(?: [^\s]+)*"  # https://hl7.org/fhir/R4/datatypes.html#code
# https://hl7.org/fhir/R4/datatypes.html#string: nothing below U+0020 but tab, newline and return,
# and something to see. Blanks are listed because regular expression dialects disagree on them.
_CONTROLS = r"\u0000-\u0008\u000b\u000c\u000e-\u001f"
_BLANKS = r"\t\n\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_BAD = re.compile(rf"[{_CONTROLS}\ud800-\udfff]")
_VISIBLE = re.compile(rf"[^{_BLANKS}]")
TEXT_SCHEMA = {
    "type": "string",
    "maxLength": TEXT_MAX,
    "pattern": rf"^(?=[\s\S]*[^{_BLANKS}])[^{_CONTROLS}]*$",
}


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
        if _BAD.search(value):
            return Said("value", "holds a control character or half a surrogate pair")
        if self._regex and not self._regex.fullmatch(value):
            return Said("value", f"expected {self.expected or 'another form'}")
        return None

    def json(self) -> dict[str, Any]:
        """Return the schema of a text; patterns are ECMA 262 as JSON Schema asks."""
        text = {"$ref": "#/$defs/text"}
        return {**text, "pattern": f"^(?:{self.pattern})$"} if self.pattern else text

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
        """Reject any other word; which one was meant is looked for when the error is shown."""
        if isinstance(value, str) and value in self.values:
            return None
        rule = "value" if isinstance(value, str) else "type"
        return Said(rule, f"expected one of: {', '.join(self.values)}")

    def json(self) -> dict[str, Any]:
        """Return the schema of a closed list of words."""
        if len(self.values) == 1:
            return {"const": self.values[0]}
        return {"enum": list(self.values)}
