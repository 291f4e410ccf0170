"""Files that commands read: NDJSON, JSON and CSV by their ending, ``-`` for standard input."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, TypeVar

import click

from fhirsvc.cli.output import finding_json, say_finding, say_json
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.records.reading import Format, Row, format_of, read

F = TypeVar("F", bound=Callable[..., Any])
STDIN = "-"
FORMATS = ("ndjson", "json", "csv")
_POSITION = re.compile(r"\d+:\d+")


@dataclass(frozen=True)
class Given:
    """One record of a file; ``file`` is ``<stdin>`` for standard input."""

    file: str
    row: Row

    def locate(self, finding: Finding) -> Finding:
        """The finding with file and line in front of its place."""
        if _POSITION.fullmatch(finding.where):
            return replace(finding, where=f"{self.file}:{finding.where}")
        return replace(finding, where=f"{self.file}:{self.row.line}: {finding.where}")


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
            for row in read(source, format, type=reading.type):
                yield Given(name, row)


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
        say_json(finding_json(finding, file=one.file, line=one.row.line), err=err)
    else:
        say_finding(one.locate(finding), err=err)
