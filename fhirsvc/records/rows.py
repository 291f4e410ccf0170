"""A row: one record of a file, or why it could not be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fhirsvc.errors import FhirsvcError, Finding
from fhirsvc.fhir.guard import Limits, parse

SPACE = b" \t\r\n"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Row:
    """One record of a file.

    ``line`` is where it starts, from 1. ``record`` is None when it could not be read, and then
    ``findings`` says why, with ``where`` = ``line:col``.
    """

    line: int
    record: dict[str, Any] | None
    findings: list[Finding] = field(default_factory=list)


def broken(line: int, message: str, where: str) -> Row:
    """Return the row of something that could not be read."""
    return Row(line, None, [Finding("unreadable", message, where)])


def json_row(data: bytes, limits: Limits, line: int, column: int = 1) -> Row:
    """Return the row of one JSON text that starts at ``line`` and ``column`` of its file."""
    try:
        value = parse(data, limits, line=line, column=column)
    except FhirsvcError as error:
        return broken(line, error.message, error.where)
    if not isinstance(value, dict):
        return broken(line, "expected an object", f"{line}:{column}")
    return Row(line, value)
