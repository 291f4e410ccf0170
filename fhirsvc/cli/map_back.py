"""``fhirsvc map back``: FHIR resources in, records out, by the same mapping files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house_texts import house_texts, site_schemas
from fhirsvc.cli.inputs import FORMATS, Given, Reading, given, say_located
from fhirsvc.cli.output import (
    counted,
    finding_json,
    json_option,
    progress,
    say_finding,
    say_json,
)
from fhirsvc.errors import Finding
from fhirsvc.mapping.back import Back
from fhirsvc.mapping.entries import Located
from fhirsvc.mapping.forward import Mappings
from fhirsvc.records import check
from fhirsvc.records.reading import Format

Key = tuple[str, str]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--onto",
    multiple=True,
    metavar="RECORDS",
    help="Records that the resources are put onto: what FHIR does not carry of them survives.",
)
@click.option("--base", default="", metavar="URL", help="The server they come from.")
@click.option("--input-format", type=click.Choice(FORMATS[:2]), help="Else by the file's ending.")
@json_option
@click.pass_context
def back(
    ctx: click.Context,
    files: tuple[str, ...],
    onto: tuple[str, ...],
    base: str,
    input_format: Format | None,
    as_json: bool,
) -> None:
    """Read FHIR resources (NDJSON, JSON, Bundles) into records, one a line.

    Resources of one record are read together. What is not understood is told on standard error
    with its element, and left as it was; elements that no line reads are told as information.
    """
    mappings = Mappings.load(house_texts())
    records, wrong = _records(onto)
    resources: list[Any] = []
    places: dict[str, Given] = {}
    with progress("reading") as advance:
        for one in given(files, Reading(input_format)):
            if one.row.record is None:
                wrong += [(one, finding) for finding in one.row.findings]
                continue
            resource = one.row.record
            resources.append(resource)
            places.setdefault(f"{resource.get('resourceType')}/{resource.get('id')}", one)
            advance(1)
    returned = Back.of(mappings.library).records(resources, records, base=base)
    for record in returned.records:
        say_json(record)
    for one, finding in wrong:
        say_located(one, finding, as_json, err=True)
    told = [*returned.findings, *_faults(returned.records)]
    failed = bool(wrong)
    for located in told:
        failed |= located.finding.severity != "information"
        place = places.get(located.about)
        finding = replace(located.finding, where=f"{located.about}: {located.finding.where}")
        if place is not None:
            say_located(place, finding, as_json, err=True)
        elif as_json:
            say_json(finding_json(finding), err=True)
        else:
            say_finding(finding, err=True)
    counts = {"resources": len(resources), "records": len(returned.records)}
    if as_json:
        say_json({**counts, "findings": len(told) + len(wrong)}, err=True)
    else:
        made = counted(len(returned.records), "record")
        click.echo(f"{counted(len(resources), 'resource')} to {made}", err=True)
    ctx.exit(FINDINGS if failed else 0)


def _records(files: Iterable[str]) -> tuple[dict[Key, dict[str, Any]], list[tuple[Given, Finding]]]:
    """The records of files by type and id, and what is wrong with those that are none."""
    found: dict[Key, dict[str, Any]] = {}
    wrong: list[tuple[Given, Finding]] = []
    for one in given(tuple(files)):
        record = one.row.record
        findings = one.row.findings if record is None else check(record, site_schemas())
        if record is None or findings:
            wrong += [(one, finding) for finding in findings]
        else:
            found[str(record["type"]), str(record["id"])] = record
    return found, wrong


def _faults(records: Iterable[dict[str, Any]]) -> list[Located]:
    """What keeps each record from being a whole one."""
    return [
        Located(f"{record['type']} {record['id']}", finding)
        for record in records
        for finding in check(record, site_schemas())
    ]
