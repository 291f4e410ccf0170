"""``fhirsvc map check``: prove the mappings before anything runs."""

from __future__ import annotations

from dataclasses import replace

import click

from fhirsvc import __version__, shipped
from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house_texts import site_option
from fhirsvc.cli.output import counted, json_option, say_findings, say_json
from fhirsvc.errors import Finding
from fhirsvc.mapping.codes import lint
from fhirsvc.mapping.forward import check as check_library
from fhirsvc.mapping.library import read_library
from fhirsvc.mapping.overlay import PREFIX
from fhirsvc.mapping.rules import RULES
from fhirsvc.mapping.sarif import sarif
from fhirsvc.settings import load


@click.command()
@click.argument("folder", metavar="[DIR]", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "sarif")),
    default="text",
    help="sarif: one SARIF 2.1.0 log, for code review and editors.",
)
@site_option
@json_option
@click.pass_context
def check(
    ctx: click.Context, folder: str | None, form: str, site: str | None, as_json: bool
) -> None:
    """Prove a folder of mappings (the shipped one if none is named) before anything runs.

    Codes are proven as by ``codes lint``. What each rule holds is in docs/mapping-rules.md.
    """
    where, mine = folder or load().mappings, site if site is not None else load().site
    texts = shipped.mappings(where, mine)
    library, findings = read_library(texts)
    told = dict.fromkeys([*findings, *check_library(library), *lint(texts)])
    findings = [_placed(finding, mine) for finding in told]
    if form == "sarif":
        say_json(sarif(findings, RULES, where, __version__, mine))
        failed = any(finding.severity == "error" for finding in findings)
    else:
        fine = f"{counted(len(library.files), 'mapping')}: no faults"
        failed = say_findings(findings, as_json or form == "json", fine)
    ctx.exit(FINDINGS if failed else 0)


def _placed(finding: Finding, site: str) -> Finding:
    """A finding in the site's folder, under the name by which the caller knows that folder."""
    if not site or not finding.where.startswith(PREFIX):
        return finding
    return replace(finding, where=f"{site.rstrip('/')}/{finding.where.removeprefix(PREFIX)}")
