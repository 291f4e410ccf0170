"""``fhirsvc records``: check records, print JSON Schemas."""

from __future__ import annotations

from collections.abc import Mapping

import click
import orjson
from marshmallow import Schema

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.inputs import Given, Reading, given, reading_options, say_located
from fhirsvc.cli.output import counted, json_option, progress, say_json
from fhirsvc.errors import Finding
from fhirsvc.records import check as check_record
from fhirsvc.records import json_schema
from fhirsvc.records.reading import Format
from fhirsvc.records.site import SITE


@click.group()
def records() -> None:
    """Check records; JSON Schema of their types."""


@records.command()
@reading_options
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    files: tuple[str, ...],
    input_format: Format | None,
    record_type: str | None,
    as_json: bool,
) -> None:
    """Say what is wrong with records: file, line and JSON path of every fault.

    With --json, a line for each finding and a last one that counts.
    """
    total = wrong = 0
    with progress("checking") as advance:
        for one in given(files, Reading(input_format, record_type)):
            total += 1
            advance(1)
            findings = faults(one)
            wrong += bool(findings)
            for finding in findings:
                say_located(one, finding, as_json)
    if as_json:
        say_json({"records": total, "wrong": wrong})
    else:
        click.echo(f"{counted(total, 'record')}, {wrong:,} with faults", err=bool(wrong))
    ctx.exit(FINDINGS if wrong else 0)


def faults(one: Given) -> list[Finding]:
    """What is wrong with one record of a file, places as in the record or the file."""
    record = one.row.record
    if record is None:
        return list(one.row.findings)
    return check_record(record, _declared() if SITE in record else None)


def _declared() -> Mapping[str, Schema]:
    """The schemas of a site's fields; the settings are read only for records that have some."""
    from fhirsvc.cli.house_texts import site_schemas  # noqa: PLC0415 - slow to import

    return site_schemas()


@records.command()
@click.argument("record_type", metavar="TYPE")
@json_option
def schema(record_type: str, as_json: bool) -> None:
    """Print the JSON Schema of a record type (with --json, on one line)."""
    found = json_schema(record_type)
    indent = 0 if as_json else orjson.OPT_INDENT_2
    click.echo(orjson.dumps(found, option=indent).decode())
