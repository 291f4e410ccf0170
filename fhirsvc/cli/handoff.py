"""``fhirsvc handoff``: what goes along with a client who is discharged."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.ehr import narrative_pdf
from fhirsvc.ehr.narrative_html import html
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.handoff.document import Document

FORMS = (".json", ".html", ".pdf")


@click.group()
def handoff() -> None:
    """The aftercare handoff: build."""


@handoff.command()
@click.argument("episode", metavar="EPISODE")
@click.option(
    "--to",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A .json (the document Bundle), .html or .pdf; the Bundle on standard output if not.",
)
@json_option
def build(episode: str, to: Path | None, as_json: bool) -> None:
    """Make the document of an episode's aftercare plan.

    Records and fields that speak of substance use stay out; the document says so.
    """
    if to is not None and to.suffix not in FORMS:
        raise click.UsageError(f"--to ends in one of: {', '.join(FORMS)}")
    with house() as wiring:
        made = wiring.hand_off().build(episode)
    if to is None:
        click.echo(orjson.dumps(made.bundle, option=orjson.OPT_INDENT_2))
        return
    to.write_bytes(_printed(made, to.suffix))
    entries = len(made.bundle["entry"])
    if as_json:
        say_json({"episode": episode, "file": str(to), "resources": entries})
    else:
        click.echo(f"{to}: {entries} resources")


def _printed(made: Document, suffix: str) -> bytes:
    if suffix == ".html":
        return html(made.page).encode()
    if suffix == ".pdf":
        if not narrative_pdf.AVAILABLE:
            message = "PDFs need more: pip install 'fhirsvc[pdf]'"
            raise FhirsvcError(Category.UNSUPPORTED, message, "--to")
        return narrative_pdf.pdf(made.page, made.bundle["timestamp"])
    return orjson.dumps(made.bundle)
