"""``fhirsvc map schema``: JSON Schemas of the files of a mappings folder, for editors."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from fhirsvc.cli.house_texts import house_texts
from fhirsvc.cli.output import json_option
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.forward import Mappings
from fhirsvc.mapping.map_schema import SCHEMAS


@click.command()
@click.argument("kind", type=click.Choice(list(SCHEMAS)), required=False)
@click.option("--to", metavar="DIR", help="Write them all there, <KIND>.json each.")
@json_option
def schema(kind: str | None, to: str | None, as_json: bool) -> None:
    """Print the JSON Schema of one kind of file, or write all of them into a folder.

    Editors with a YAML language server complete and check a file that begins with
    '# yaml-language-server: $schema=PATH'; see docs/editors.md.
    """
    if (kind is None) == (to is None):
        raise click.UsageError("name a KIND to print it, or --to DIR to write them all")
    library = Mappings.load(house_texts()).library
    if kind is not None:
        click.echo(orjson.dumps(SCHEMAS[kind](library), option=_indent(as_json)).decode())
        return
    folder = Path(str(to))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, made in SCHEMAS.items():
            text = orjson.dumps(made(library), option=_indent(as_json) | orjson.OPT_APPEND_NEWLINE)
            (folder / f"{name}.json").write_bytes(text)
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise FhirsvcError(Category.NOT_FOUND, message, str(folder)) from None


def _indent(as_json: bool) -> int:
    return 0 if as_json else orjson.OPT_INDENT_2
