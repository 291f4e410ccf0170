"""``fhirsvc validate``: FHIR resources in, one OperationOutcome each out."""

from __future__ import annotations

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.inputs import FORMATS, Reading, given
from fhirsvc.cli.output import counted, json_option, progress, say_json
from fhirsvc.fhir.outcome import outcome
from fhirsvc.fhir.validate import validate as validate_resource
from fhirsvc.records.reading import Format


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--input-format", type=click.Choice(FORMATS[:2]), help="Else by the file's ending.")
@json_option
@click.pass_context
def validate(
    ctx: click.Context, files: tuple[str, ...], input_format: Format | None, as_json: bool
) -> None:
    """Validate resources against base R4: structure, values, required bindings, invariants.

    Prints one OperationOutcome a line, for each line of an NDJSON file and each resource of a
    JSON file (one, or a list), in order; --json leaves out the count on standard error. Profiles
    are not checked.
    """
    total = wrong = 0
    with progress("validating") as advance:
        for one in given(files, Reading(input_format)):
            row = one.row
            findings = row.findings if row.record is None else validate_resource(row.record)
            total += 1
            wrong += any(finding.severity == "error" for finding in findings)
            say_json(outcome(findings))
            advance(1)
    if not as_json:
        click.echo(f"{counted(total, 'resource')}, {wrong:,} with errors", err=True)
    ctx.exit(FINDINGS if wrong else 0)
