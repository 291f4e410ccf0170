"""``fhirsvc map docs``: one page of the mappings that a clinician can review."""

from __future__ import annotations

from pathlib import Path

import click

from fhirsvc import __version__
from fhirsvc.cli.house_texts import house_texts
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.docs_page import page
from fhirsvc.mapping.forward import Mappings


@click.command()
@click.argument("folder", metavar="[DIR]", required=False)
@click.option("--to", default="-", metavar="FILE|-", help="Where it goes; standard output if not.")
def docs(folder: str | None, to: str) -> None:
    """Write one HTML page of a folder of mappings: every field, where it goes, and why not.

    It holds all it needs: no script, no style sheet or picture is loaded.
    """
    mappings = Mappings.load(house_texts(folder))
    text = page(mappings.library, __version__)
    if to == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(to).write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise FhirsvcError(Category.NOT_FOUND, message, to) from None
