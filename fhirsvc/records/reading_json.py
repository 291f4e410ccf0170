"""Reading a JSON file: one record, or a list whose elements are read each on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhirsvc.fhir.guard import Limits
from fhirsvc.records.rows import BOM, SPACE, Row, broken, json_row

# A string, whole or to the end when it is not closed, or a sign that shapes lists and objects.
_SHAPE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|[\[\]{},]', re.DOTALL)


def rows(data: bytes, limits: Limits) -> Iterator[Row]:
    """Yield the record in ``data``, or one row for each element of the list in it."""
    body = data.removeprefix(BOM)
    start = len(body) - len(body.lstrip(SPACE))
    if body[start : start + 1] == b"[":
        yield from _elements(body, start, limits)
    else:
        line, column = _Cursor(body).to(start)
        yield json_row(body[start:].rstrip(SPACE), limits, line, column)


def _elements(body: bytes, start: int, limits: Limits) -> Iterator[Row]:
    cursor, row, end = _Cursor(body), None, start
    for begin, end in _spans(body, start):
        text = body[begin:end].strip(SPACE)
        line, column = cursor.to(end - len(body[begin:end].lstrip(SPACE)))
        if text:
            row = json_row(text, limits, line, column)
            yield row
        elif body[end : end + 1] == b",":
            yield broken(line, "expected a JSON value", f"{line}:{column}")
        elif row is not None and body[end : end + 1]:
            yield broken(line, "a comma stands before the end", f"{line}:{column}")
    if row is None or row.record is not None:
        yield from _ending(body, end, cursor)


def _spans(body: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each element of the list that opens at ``start``.

    The last span ends where the list closes, or at the end of ``body`` when it does not. What is
    inside an element need not be sound: brackets are counted, not matched.
    """
    depth, begin = 0, start + 1
    for sign in _SHAPE.finditer(body, start):
        mark = sign.group()
        if mark in (b"[", b"{"):
            depth += 1
        elif mark in (b"]", b"}"):
            depth -= 1
            if depth == 0:
                yield begin, sign.start()
                return
        elif mark == b"," and depth == 1:
            yield begin, sign.start()
            begin = sign.end()
    yield begin, len(body)


def _ending(body: bytes, end: int, cursor: _Cursor) -> Iterator[Row]:
    """Yield what is wrong with how the list ends, if anything."""
    if body[end : end + 1] != b"]":
        message = "expected ',' or ']'" if end < len(body) else "the list is not closed"
        line, column = cursor.to(end)
        yield broken(line, message, f"{line}:{column}")
        return
    rest = body[end + 1 :].lstrip(SPACE)
    if rest:
        line, column = cursor.to(len(body) - len(rest))
        yield broken(line, "more follows after the end of the value", f"{line}:{column}")


class _Cursor:
    """Line and column, from 1, of positions that only move forward."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.line, self.column = data, 0, 1, 1

    def to(self, at: int) -> tuple[int, int]:
        """Return line and column of position ``at``; columns count characters."""
        newlines = self.data.count(b"\n", self.at, at)
        from_ = self.data.rfind(b"\n", self.at, at) + 1 if newlines else self.at
        characters = len(self.data[from_:at].decode("utf-8", "replace"))
        self.column = characters + (1 if newlines else self.column)
        self.line += newlines
        self.at = at
        return self.line, self.column
