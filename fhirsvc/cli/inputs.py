"""Files that commands read: NDJSON, JSON and CSV by their ending, ``-`` for standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from fhirsvc.cli.output import finding_json, say_finding, say_json
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.guard import DEFAULT
from fhirsvc.records.reading import Format, format_of, read
from fhirsvc.records.rows import BOM, SPACE, Row, json_row

F = TypeVar("F", bound=Callable[..., Any])
STDIN = "-"
FORMATS = ("ndjson", "json", "csv")
_BLOCK = 1 << 20  # bytes
_POSITION = re.compile(r"\d+:\d+")


@dataclass(frozen=True)
class Given:
    """One record of a file; ``file`` is ``<stdin>`` for standard input.

    A line of NDJSON is read when ``row`` is first asked for, by whichever process asks.
    """

    file: str
    line: int
    unread: bytes | Row

    @cached_property
    def row(self) -> Row:
        """The record, or why it could not be read."""
        if isinstance(self.unread, Row):
            return self.unread
        return json_row(self.unread, DEFAULT, self.line)

    def locate(self, finding: Finding) -> Finding:
        """The finding with file and line in front of its place."""
        if _POSITION.fullmatch(finding.where):
            return replace(finding, where=f"{self.file}:{finding.where}")
        return replace(finding, where=f"{self.file}:{self.line}: {finding.where}")


@dataclass(frozen=True)
class Reading:
    """How to read: ``format`` None goes by each file's ending; ``type`` is that of CSV rows."""

    format: Format | None = None
    type: str | None = None


def reading_options(command: F) -> F:
    """Give a command FILE… and the options that say how files are read."""
    for decorate in (
        click.option("--type", "record_type", metavar="TYPE", help="Record type of CSV rows."),
        click.option(
            "--input-format",
            type=click.Choice(FORMATS),
            help="Of all files; else by each one's ending, and NDJSON on standard input.",
        ),
        click.argument("files", nargs=-1, required=True, metavar="FILE..."),
    ):
        command = decorate(command)
    return command


def given(files: Sequence[str], reading: Reading = Reading()) -> Iterator[Given]:
    """Yield the records of files, one at a time.

    :raises FhirsvcError: NOT_FOUND for a file that cannot be read, UNSUPPORTED for its ending.
    """
    for file in files:
        format = reading.format or _format_of(file)
        with opened(file) as source:
            name = "<stdin>" if file == STDIN else file
            if format == "ndjson":
                for line, text in numbered(source):
                    yield Given(name, line, text)
            else:
                for row in read(source, format, type=reading.type):
                    yield Given(name, row.line, row)


def total(files: Sequence[str], reading: Reading = Reading()) -> int | None:
    """How many records NDJSON files hold, by their lines; None where that cannot be seen before."""
    found = 0
    for file in files:
        if not Path(file).is_file() or (reading.format or _format_of(file)) != "ndjson":
            return None  # standard input, a pipe, or records that are no lines
        with opened(file) as source:
            for block in iter(lambda: source.read(_BLOCK), b""):
                found += block.count(b"\n")
    return found


def numbered(source: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of NDJSON that are not blank, with their number, without the white space behind."""
    for number, line in enumerate(source, start=1):
        if line.strip(SPACE) not in (b"", BOM):
            yield number, line.rstrip(SPACE)


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """Open a file's bytes, or standard input; NOT_FOUND says why it cannot be read."""
    if file == STDIN:
        yield sys.stdin.buffer
        return
    try:
        with open(file, "rb") as source:
            yield source
    except OSError as error:
        if error.filename != file and not isinstance(error, IsADirectoryError):
            raise
        message = f"cannot be read: {error.strerror}"
        raise FhirsvcError(Category.NOT_FOUND, message, file) from None


def _format_of(file: str) -> Format:
    if file == STDIN:
        return "ndjson"
    try:
        return format_of(file)
    except FhirsvcError as error:
        raise FhirsvcError(error.category, error.message, file) from None


def say_located(one: Given, finding: Finding, as_json: bool, *, err: bool = False) -> None:
    """Print a finding about one record of a file, with file and line."""
    if as_json:
        say_json(finding_json(finding, file=one.file, line=one.line), err=err)
    else:
        say_finding(one.locate(finding), err=err)
