"""``fhirsvc map where``: from a field to its elements, and from an element to its fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from fhirsvc.cli.house_texts import house_texts, site_option
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.destinations import Destination, destinations
from fhirsvc.mapping.forward import Mappings
from fhirsvc.mapping.lines import did_you_mean

Found = tuple[str, Destination]


@click.command()
@click.argument("name")
@site_option
@json_option
def where(name: str, site: str | None, as_json: bool) -> None:
    """Say where a field goes, or what an element is made of: line, version and transform.

    NAME is a record type and field (care_plan.modalities.kind) or a resource and element
    (CarePlan.activity.detail.code); of either the beginning will do.
    """
    mappings = Mappings.load(house_texts(site=site))
    library = mappings.library
    versions = {file.file: file.version for file in library.files}
    known = [(record, *one) for record in mappings.records() for one in _all(mappings, record)]
    wanted = name.replace("[]", "")
    found = [
        (f"{record}.{field}", to)
        for record, field, to in known
        if _begins(f"{record}.{field}".replace("[]", ""), wanted) or _begins(to.element, wanted)
    ]
    if not found:
        names = {f"{record}.{field}".replace("[]", "") for record, field, _ in known}
        hint = did_you_mean(wanted, names | {to.element for *_, to in known})
        raise FhirsvcError(Category.NOT_FOUND, f"no field and no element is called so{hint}", name)
    for field, to in found:
        if as_json:
            say_json({"field": field, "version": versions[to.file], **asdict(to)})
        else:
            line = f"[{to.place}, version {versions[to.file]}]"
            click.echo(f"{field} -> {to.element}: {_how(to)}  {line}")


def _all(mappings: Mappings, record: str) -> Iterator[Found]:
    for field, to in destinations(mappings.library, record).items():
        yield from ((field, one) for one in to)


def _begins(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")


def _how(to: Destination) -> str:
    table = f" by {to.codes}" if to.codes else ""
    return f"{to.how}{table}" + (f", {to.when}" if to.when else "")
