"""``fhirsvc map concept-maps``: the code tables as FHIR ConceptMaps."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from fhirsvc import __version__
from fhirsvc.cli.house_texts import house_texts
from fhirsvc.cli.output import counted
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.concept_map import concept_maps as of_tables
from fhirsvc.mapping.forward import Mappings


@click.command("concept-maps")
@click.argument("folder", metavar="[DIR]", required=False)
@click.option("--to", default="-", metavar="DIR|-", help="A file each; NDJSON on standard output.")
def concept_maps(folder: str | None, to: str) -> None:
    """Write each code table of a folder of mappings as an R4 ConceptMap, house word to code."""
    mappings = Mappings.load(house_texts(folder))
    made = of_tables(mappings.library, __version__)
    if to == "-":
        for one in made:
            click.echo(orjson.dumps(one).decode())
        return
    try:
        Path(to).mkdir(parents=True, exist_ok=True)
        for one in made:
            path = Path(to) / f"ConceptMap-{one['id']}.json"
            path.write_bytes(
                orjson.dumps(one, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            )
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise FhirsvcError(Category.NOT_FOUND, message, to) from None
    click.echo(f"{counted(len(made), 'ConceptMap')} in {to}", err=True)
