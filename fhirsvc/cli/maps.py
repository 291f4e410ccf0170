"""``fhirsvc map``: run the mappings over records, and prove the mappings themselves."""

from __future__ import annotations

from collections import Counter

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house_texts import house_texts, site_option
from fhirsvc.cli.inputs import Reading, given, reading_options, total
from fhirsvc.cli.map_back import back
from fhirsvc.cli.map_check import check
from fhirsvc.cli.map_concept_maps import concept_maps
from fhirsvc.cli.map_coverage import coverage_command
from fhirsvc.cli.map_docs import docs
from fhirsvc.cli.map_schema import schema
from fhirsvc.cli.map_where import where
from fhirsvc.cli.mapping_output import BundleSink, FilesSink, LinesSink, Sink
from fhirsvc.cli.mapping_run import Chunk, Job, mapped, scores_of
from fhirsvc.cli.output import (
    counted,
    finding_json,
    json_option,
    progress,
    say_finding,
    say_json,
)
from fhirsvc.records.reading import Format

US_CORE = {"6.1": 6, "7": 7, "8": 8, "9": 9}


@click.group("map")
def maps() -> None:
    """Run and check the mappings to FHIR."""


@maps.command()
@reading_options
@click.option("--to", default="-", metavar="DIR|-", help="Where it goes; standard output if not.")
@click.option(
    "--format",
    "form",
    type=click.Choice(("ndjson", "bundle")),
    default="ndjson",
    help="ndjson: a resource a line, in DIR a file per resource type. bundle: one transaction "
    "Bundle of everything; each entry is a PUT, so posting it twice changes nothing.",
)
@click.option("--us-core", type=click.Choice(list(US_CORE)), default="8", show_default=True)
@click.option("--trace", is_flag=True, help="Lines {resource, trace}: the origin of each element.")
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option(
    "--achievement-from-scores",
    is_flag=True,
    help="How each goal is going follows from its targets and the client's scores in FILES, which "
    "are read twice. Without it, or where no score says anything, it is as stated.",
)
@site_option
@json_option
@click.pass_context
def run(
    ctx: click.Context,
    files: tuple[str, ...],
    input_format: Format | None,
    record_type: str | None,
    to: str,
    form: str,
    us_core: str,
    trace: bool,
    jobs: int,
    achievement_from_scores: bool,
    site: str | None,
    as_json: bool,
) -> None:
    """Map records to FHIR resources.

    A bad record is reported on standard error, with file, line and JSON path, and passed over. A
    score that is not what the answers count is a warning there, and goes out as it was stated.
    With --json those reports and a last line that counts are JSON, on standard error too.
    """
    if trace and form == "bundle":
        raise click.UsageError("--trace goes with --format ndjson")
    if achievement_from_scores and "-" in files:
        raise click.UsageError("--achievement-from-scores reads files twice; '-' cannot be")
    reading = Reading(input_format, record_type)
    scores = scores_of(given(files, reading)) if achievement_from_scores else None
    job = Job(house_texts(site=site), US_CORE[us_core], trace, scores)
    records = wrong = 0
    unmapped: Counter[str] = Counter()
    rows = given(files, reading)
    with progress("mapping", lambda: total(files, reading)) as advance, _sink(to, form) as sink:
        for chunk in mapped(rows, job, jobs):
            sink.write(chunk.lines)
            records += chunk.records
            refused = [one for one in chunk.findings if one.finding.severity == "error"]
            wrong += len({(one.file, one.line) for one in refused})
            unmapped += chunk.unmapped
            _say_chunk(chunk, as_json)
            advance(chunk.records)
    if as_json:
        counts = {"records": records, "wrong": wrong, "resources": sink.resources}
        say_json({**counts, "unmapped": dict(unmapped)}, err=True)
    else:
        for name, number in sorted(unmapped.items()):
            click.echo(f"no mapping makes FHIR of {name} records: {number:,} left out", err=True)
        made = f"{counted(records, 'record')} to {counted(sink.resources, 'resource')}"
        click.echo(f"{made}, {wrong:,} passed over", err=True)
    ctx.exit(FINDINGS if wrong else 0)


def _say_chunk(chunk: Chunk, as_json: bool) -> None:
    for one in chunk.findings:
        if as_json:
            say_json(finding_json(one.finding, file=one.file, line=one.line), err=True)
        else:
            say_finding(one.located, err=True)


def _sink(to: str, form: str) -> Sink:
    if form == "bundle":
        return BundleSink(to)
    return LinesSink() if to == "-" else FilesSink(to)


for _command in (back, check, concept_maps, coverage_command, docs, schema, where):
    maps.add_command(_command)
