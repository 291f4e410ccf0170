"""``fhirsvc codes``: check digits and sources of every code the mappings use."""

from __future__ import annotations

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house_texts import house_texts
from fhirsvc.cli.output import json_option, say_findings
from fhirsvc.mapping.codes import lint as lint_codes


@click.group()
def codes() -> None:
    """Check the codes that the mappings use."""


@codes.command()
@click.argument("folder", metavar="[DIR]", required=False)
@json_option
@click.pass_context
def lint(ctx: click.Context, folder: str | None, as_json: bool) -> None:
    """Check digits, and that every standard code was read in a source (level A or B)."""
    texts = house_texts(folder)
    failed = say_findings(lint_codes(texts), as_json, "every code has a source; digits fit")
    ctx.exit(FINDINGS if failed else 0)
