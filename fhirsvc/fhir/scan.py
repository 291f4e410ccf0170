"""A JSON scanner that builds nothing and finds the first thing wrong, with line and column.

Grammar: RFC 8259. Used after a fast reader failed or grew suspicious, so clarity before speed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"((?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*)"')
_STRING_HEAD = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9A-Za-z.+-])")
_WORD = re.compile(r"(?:true|false|null)(?![0-9A-Za-z_])")
_NOT_FINITE = re.compile(r"[+-]?(?:NaN|Infinity|inf|nan)", re.ASCII)
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|["\\/bfnrt])')
_SIMPLE = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Problem(NamedTuple):
    """What is wrong and where; line and column from 1, columns in characters."""

    message: str
    line: int
    column: int


class _WrongError(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message, self.at = message, at


@dataclass
class _Open:
    """An object or list not yet closed; ``names`` holds where each name of an object stands."""

    closer: str
    names: dict[str, int] = field(default_factory=dict)


def first_problem(data: bytes, depth: int, line: int = 1, column: int = 1) -> Problem | None:
    """Return the first problem of the JSON text ``data``, or None when it is sound.

    ``line`` and ``column`` say where the text starts.
    """
    start = (line, column)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        return Problem("is not UTF-8", *_place(before, len(before), start))
    try:
        _Scanner(text, depth, start).run()
    except _WrongError as wrong:
        return Problem(wrong.message, *_place(text, wrong.at, start))
    return None


class _Scanner:
    def __init__(self, text: str, depth: int, start: tuple[int, int]) -> None:
        self.text, self.depth, self.start = text, depth, start
        self.at = 0
        self.stack: list[_Open] = []

    def run(self) -> None:
        self._space()
        if self.at == len(self.text):
            raise _WrongError("is empty", 0)
        self._value()
        while self.stack:
            self._after_value()
        self._space()
        if self.at < len(self.text):
            raise _WrongError("more follows after the end of the value", self.at)

    def _value(self) -> None:
        """Read one scalar, or open an object or list and read on to its first scalar."""
        while True:
            self._space()
            sign = self._peek()
            if sign not in ("{", "["):
                self._scalar(sign)
                return
            self._open(sign)
            self._space()
            if self._peek() == self.stack[-1].closer:
                self._close()
                return
            if sign == "{":
                self._name()

    def _after_value(self) -> None:
        """Read a comma and the next value, or a closing bracket."""
        self._space()
        sign, top = self._peek(), self.stack[-1]
        if sign == top.closer:
            self._close()
            return
        if sign != ",":
            raise _WrongError(f"expected ',' or '{top.closer}'", self.at)
        self.at += 1
        self._space()
        if self._peek() == top.closer:
            raise _WrongError("a comma stands before the end", self.at)
        if top.closer == "}":
            self._name()
        self._value()

    def _name(self) -> None:
        if self._peek() != '"':
            raise _WrongError("expected a name in double quotes", self.at)
        start, name = self.at, self._string()
        names = self.stack[-1].names
        if name in names:
            line, column = _place(self.text, names[name], self.start)
            raise _WrongError(f"this name was already used at {line}:{column}", start)
        names[name] = start
        self._space()
        if self._peek() != ":":
            raise _WrongError("expected ':'", self.at)
        self.at += 1

    def _scalar(self, sign: str) -> None:
        if sign == '"':
            self._string()
            return
        number = _NUMBER.match(self.text, self.at)
        found = number or _WORD.match(self.text, self.at)
        if number and math.isinf(float(number.group())):
            raise _WrongError("this number is too large", self.at)
        if found:
            self.at = found.end()
        elif not sign:
            raise _WrongError("ends too early", self.at)
        elif _NOT_FINITE.match(self.text, self.at):
            raise _WrongError("NaN and Infinity are not JSON", self.at)
        else:
            raise _WrongError("expected a JSON value", self.at)

    def _string(self) -> str:
        found = _STRING.match(self.text, self.at)
        if not found:
            raise self._broken_string()
        string = found.group(1)
        unescaped = _unescape(string, self.at + 1) if "\\" in string else string
        self.at = found.end()
        return unescaped

    def _broken_string(self) -> _WrongError:
        head = _STRING_HEAD.match(self.text, self.at)
        end = head.end() if head else self.at
        if end == len(self.text):
            return _WrongError("this text has no closing quote", self.at)
        if self.text[end] == "\\":
            return _WrongError("this escape is not JSON", end)
        return _WrongError("a control character must be escaped", end)

    def _open(self, sign: str) -> None:
        if len(self.stack) == self.depth:
            raise _WrongError(f"is nested deeper than {self.depth} levels", self.at)
        self.stack.append(_Open("}" if sign == "{" else "]"))
        self.at += 1

    def _close(self) -> None:
        self.stack.pop()
        self.at += 1

    def _space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]


def _unescape(string: str, start: int) -> str:
    """Return what ``string`` means; raise on NUL and on half a surrogate pair."""

    def one(found: re.Match[str]) -> str:
        if found.group(1) is None:
            sign = found.group(0)[1]
            return _SIMPLE.get(sign, sign)
        if found.group(1) == "0000":
            raise _WrongError("a NUL character is not allowed", start + found.start())
        return chr(int(found.group(1), 16))

    raw = _ESCAPE.sub(one, string)
    try:
        return raw.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _WrongError("half a surrogate pair", _half_pair(string, start)) from None


def _half_pair(string: str, start: int) -> int:
    """Return where the first unpaired surrogate escape of ``string`` stands."""
    pairs = re.compile(r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}")
    half = re.compile(r"u[dD][89a-fA-F]")
    at = 0
    while found := _ESCAPE.search(string, at):
        pair = pairs.match(string, found.start())
        if not pair and half.match(string, found.start() + 1):
            return start + found.start()
        at = pair.end() if pair else found.end()
    return start


def _place(text: str, at: int, start: tuple[int, int]) -> tuple[int, int]:
    """Return line and column, from 1, of position ``at`` of a text that begins at ``start``."""
    lines = text.count("\n", 0, at)
    column = at - text.rfind("\n", 0, at)
    return start[0] + lines, column if lines else column + start[1] - 1
