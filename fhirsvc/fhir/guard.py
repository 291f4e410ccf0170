"""Reading JSON from strangers: strict, bounded, and exact about where it is wrong.

RFC 8259 leaves open what a repeated name means, and readers differ: most keep the last value
silently. Here a repeated name is an error, as are NUL characters, half surrogate pairs, NaN and
Infinity, nesting too deep and bodies too large.

orjson drops repeated names. Writing the value out again shows whether it did: where the two texts
are the same but for white space nothing was dropped, and where they differ (an escape, a number's
form) they still hold the same number of names. Only input that fails, or that might, is read once
more by a scanner that knows lines and columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir import scan

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
_ASCII_ESCAPE = re.compile(rb"\\u00[0-7]")


@dataclass(frozen=True)
class Limits:
    """How much of it we read: ``bytes`` of the body, ``depth`` of nested objects and lists."""

    bytes: int = 2_000_000
    depth: int = 60


DEFAULT = Limits()


def parse(data: bytes, limits: Limits = DEFAULT, *, line: int = 1, column: int = 1) -> Any:
    """Return the JSON value in ``data`` (UTF-8, a byte order mark is allowed).

    ``line`` and ``column`` say where it starts in the file it comes from. Integers beyond 64 bits
    and all fractions become floats. Raises FhirsvcError(INVALID) with ``where`` = ``line:col``
    (both from 1, columns in characters); the message never repeats what was written.
    """
    if len(data) > limits.bytes:
        raise _refusal(f"is larger than {limits.bytes} bytes", f"{line}:{column}")
    body = data[len(_BOM) :] if data.startswith(_BOM) else data
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _scan(body, limits, line, column)
        raise _refusal("is not JSON", f"{line - 1 + error.lineno}:{error.colno}") from None
    if _suspicious(body, value, limits.depth):
        _scan(body, limits, line, column)
    return value


def _scan(body: bytes, limits: Limits, line: int, column: int) -> None:
    problem = scan.first_problem(body, limits.depth, line, column)
    if problem is not None:
        raise _refusal(problem.message, f"{problem.line}:{problem.column}")


def _suspicious(body: bytes, value: Any, depth: int) -> bool:
    """Return whether ``body`` may be wrong in a way orjson accepts; good input may look so too."""
    if b"\\u0000" in body:
        return True
    if not isinstance(value, dict | list):
        return False
    return _deeper_than(value, depth) or _may_repeat_names(body, orjson.dumps(value))


def _may_repeat_names(read: bytes, written: bytes) -> bool:
    if read == written:
        return False
    read, written = read.translate(None, _SPACE), written.translate(None, _SPACE)
    if read == written:
        return False
    # Every name ends in `":`. So may text inside a string (`\":`), but then on both sides, unless
    # an escape stands for an ASCII character, which is written plainly.
    return bool(_ASCII_ESCAPE.search(read)) or read.count(b'":') != written.count(b'":')


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def _refusal(message: str, where: str) -> FhirsvcError:
    return FhirsvcError(Category.INVALID, message, where)
