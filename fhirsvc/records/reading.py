"""Reading records from files: NDJSON, JSON and CSV, one row at a time.

A row that cannot be read becomes a finding and never stops the rest. Rows are read, not checked:
give ``record`` to ``fhirsvc.records.check``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import DEFAULT, Limits
from fhirsvc.records import reading_csv, reading_json
from fhirsvc.records.rows import BOM, SPACE, Row, json_row

Format = Literal["ndjson", "json", "csv"]
Source = bytes | Iterable[bytes | str]

_ENDINGS: dict[str, Format] = {"ndjson": "ndjson", "jsonl": "ndjson", "json": "json", "csv": "csv"}

__all__ = ["Format", "Row", "Source", "format_of", "read"]


def format_of(filename: str) -> Format:
    """Return the format a file's name promises.

    Raises FhirsvcError(UNSUPPORTED) for any ending but .ndjson, .jsonl, .json and .csv.
    """
    found = _ENDINGS.get(filename.rpartition(".")[2].lower())
    if found is None:
        endings = ", ".join(f".{ending}" for ending in _ENDINGS)
        raise FhirsvcError(Category.UNSUPPORTED, f"expected a file name ending in: {endings}")
    return found


def read(
    source: Source, format: Format, *, type: str | None = None, limits: Limits = DEFAULT
) -> Iterator[Row]:
    """Yield the records of ``source``: a whole file as bytes, or its lines as bytes or text.

    ``type`` names the record type of a CSV file that has no ``type`` column. ``limits`` hold for
    each record. NDJSON and CSV are read as lines arrive; JSON is taken whole.
    Raises FhirsvcError(UNSUPPORTED) when there is no such format, NOT_FOUND when no such type.
    """
    if format == "ndjson":
        return _ndjson(_lines(source), limits)
    if format == "csv":
        return reading_csv.rows(_lines(source), type, limits)
    if format == "json":
        return reading_json.rows(b"".join(_lines(source)), limits)
    raise FhirsvcError(Category.UNSUPPORTED, "expected one of the formats: ndjson, json, csv")


def _ndjson(lines: Iterable[bytes], limits: Limits) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if line.strip(SPACE) not in (b"", BOM):
            yield json_row(line.rstrip(SPACE), limits, number)


def _lines(source: Source) -> Iterator[bytes]:
    """Yield lines with their ends; only a line feed ends one (JSON text may hold U+2028)."""
    if isinstance(source, bytes):
        start = 0
        while start < len(source):
            end = source.find(b"\n", start) + 1 or len(source)
            yield source[start:end]
            start = end
        return
    for line in source:
        # A text reader marks bytes it could not read as half surrogates; they stay unreadable.
        yield line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
