"""Reading a CSV file: one record per row, dotted headers, cells typed by the schema.

A header is a path into the record: ``name.family``, ``modalities[0].kind``, ``name.given[1]``. An
empty cell is a field left out. Cells become numbers or truth values where the schema asks and the
cell is one; any other cell stays text, for the checker to refuse.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.guard import Limits
from fhirsvc.records.catalog import TYPES, Field, fields, schema_for
from fhirsvc.records.rows import BOM, Row, broken
from fhirsvc.records.shapes import LIST_MAX
from fhirsvc.records.suggest import did_you_mean

_HEADER = re.compile(r"[A-Za-z_]\w*(?:\[\d{1,4}\])?(?:\.[A-Za-z_]\w*(?:\[\d{1,4}\])?)*", re.ASCII)
_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class _Column:
    """Where a column's cells go: (name, index in the list or None) from the record's top."""

    steps: tuple[tuple[str, int | None], ...]
    kind: str


class _HeaderError(Exception):
    """Why a header is not a path into the record."""


def rows(lines: Iterator[bytes], type: str | None, limits: Limits) -> Iterator[Row]:
    """Yield one row per CSV row; when the header is wrong, one row that says how, and no more."""
    if type is not None:
        schema_for(type)  # no such type is the caller's error, said before anything is read
    return _rows(_Reader(lines, limits), type)


def _rows(reader: _Reader, type: str | None) -> Iterator[Row]:
    header: list[str] = []
    columns: list[_Column] | None = None
    for line, cells, problem in reader.rows():
        if problem or (header and len(cells) != len(header)):
            fault = problem or f"has {len(cells)} cells; the header has {len(header)}"
            yield broken(line, fault, f"{line}:1")
            if header:
                continue
            return
        if not header:
            header = [cell.strip() for cell in cells]
            continue
        named = cells[header.index("type")].strip() if "type" in header else type
        if named not in TYPES or (type or named) != named:
            yield broken(line, _type_fault(named, type), f"{line}:1")
            continue
        if columns is None:
            type = named
            columns, findings = _columns(header, type)
            if findings:
                yield Row(1, None, findings)
                return
        yield Row(line, _record(columns, cells, named))
    if not header:
        yield broken(1, "is empty", "1:1")


def _type_fault(named: str | None, type: str | None) -> str:
    if named is None:
        return "the file needs a column 'type', or its type named beside it"
    if named in TYPES:
        return f"all rows of the file must be of one type; expected '{type}'"
    return f"expected one of the types: {', '.join(TYPES)}{did_you_mean(named, TYPES)}"


def _columns(header: list[str], type: str) -> tuple[list[_Column], list[Finding]]:
    columns: list[_Column] = []
    findings: list[Finding] = []
    for number, name in enumerate(header, start=1):
        try:
            if name in header[: number - 1]:
                raise _HeaderError("the same header stands before")
            columns.append(_column(name, fields(type)))
        except _HeaderError as error:
            findings.append(Finding("header", f"column {number}: {error}", "1:1"))
    return columns, findings


def _column(header: str, known: dict[str, Field]) -> _Column:
    if not _HEADER.fullmatch(header):
        raise _HeaderError("expected a path such as name.family or modalities[0].kind")
    steps = [(m[1], int(m[2]) if m[2] else None) for m in _STEP.finditer(header)]
    prefix, field = "", None
    for name, index in steps:
        if field is not None and field.kind != "object":
            raise _HeaderError(f"{field.path} has no fields inside")
        field = known.get(prefix + name)
        if field is None:
            depth = prefix.count(".")
            here = [p for p in known if p.startswith(prefix) and p.count(".") == depth]
            raise _HeaderError(f"unknown field{did_you_mean(prefix + name, here)}")
        _check_index(field, index)
        prefix = f"{field.path}[]." if field.many else f"{field.path}."
    if field is None or field.kind == "object":
        raise _HeaderError("holds fields; write one column for each of them")
    return _Column(tuple(steps), field.kind)


def _check_index(field: Field, index: int | None) -> None:
    if field.many and index is None:
        raise _HeaderError(f"{field.path} is a list; write {field.path}[0]")
    if index is not None and not field.many:
        raise _HeaderError(f"{field.path} is no list")
    if index is not None and index >= LIST_MAX:
        raise _HeaderError(f"{field.path} may have at most {LIST_MAX} items")


def _record(columns: list[_Column], cells: list[str], type: str) -> dict[str, Any]:
    tree: dict[Any, Any] = {"type": type}
    for column, cell in zip(columns, cells, strict=True):
        if not cell.strip():
            continue
        keys = [key for step in column.steps for key in step if key is not None]
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = _value(cell, column.kind)
    record: dict[str, Any] = _lists(tree)
    return record


def _lists(node: Any) -> Any:
    """Return the tree with its lists as lists: so far they are objects with numbers for names."""
    if not isinstance(node, dict):
        return node
    if any(isinstance(key, int) for key in node):
        return [_lists(node[key]) for key in sorted(node)]
    return {key: _lists(value) for key, value in node.items()}


def _value(cell: str, kind: str) -> Any:
    if kind in ("text", "string"):
        return cell
    word = cell.strip()
    if kind == "integer" and _INTEGER.fullmatch(word):
        return int(word)
    if kind == "decimal" and _DECIMAL.fullmatch(word):
        return float(word) if "." in word else int(word)
    return _TRUTH.get(word.lower(), word) if kind == "boolean" else word


class _Reader:
    """CSV rows with the line each starts on, and the reason where one cannot be read."""

    def __init__(self, lines: Iterator[bytes], limits: Limits) -> None:
        self.lines, self.limits = lines, limits
        self.number = 0  # lines taken so far
        self.size = 0  # bytes of the row being read
        self.not_text: str | None = None

    def rows(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield line, cells and problem; cells are empty when there is a problem."""
        reader = csv.reader(self._text(), strict=True)
        while True:
            line, self.size, self.not_text = self.number + 1, 0, None
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield (
                    line,
                    [],
                    f"a quote is not closed or out of place (read to line {self.number})",
                )
                continue
            if self.not_text or self.size > self.limits.bytes:
                yield line, [], self.not_text or f"is larger than {self.limits.bytes} bytes"
            elif cells:
                yield line, cells, ""

    def _text(self) -> Iterator[str]:
        for line in self.lines:
            data = line.removeprefix(BOM) if self.number == 0 else line
            self.number += 1
            self.size += len(data)
            try:
                yield data.decode("utf-8")
            except UnicodeDecodeError as error:
                column = len(data[: error.start].decode("utf-8")) + 1
                self.not_text = f"is not UTF-8 at {self.number}:{column}"
                yield data.decode("utf-8", "replace")
