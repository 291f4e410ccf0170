"""``fhirsvc sync pull``: read an EHR now, and say what came."""

from __future__ import annotations

import click

from fhirsvc.cli import OTHER_SIDE
from fhirsvc.cli.house import house
from fhirsvc.cli.output import counted, json_option, say_json
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.reading import Pulled
from fhirsvc.store import connections, cursors


@click.command()
@click.argument("name")
@click.option("--compare", is_flag=True, help="Compare all that is linked, not only what changed.")
@json_option
@click.pass_context
def pull(ctx: click.Context, name: str, compare: bool, as_json: bool) -> None:
    """Read what changed at an EHR, now; exit 3 when it could not be read to the end."""
    found: list[Pulled] = []
    with house() as wiring:
        clients = wiring.clients()
        puller = wiring.puller(clients)
        if puller is None:
            raise FhirsvcError(Category.UNSUPPORTED, "nothing is taken in here")
        try:
            puller.prepare()
            with wiring.database.write() as tx:
                connection = connections.get(tx, name)
                if not cursors.hurry(tx, connection.id, wiring.clock(), compare=compare):
                    message = "it is not read; see --poll of `fhirsvc connect set`"
                    raise FhirsvcError(Category.UNSUPPORTED, message, f"connection {name}")
            puller.again(connection.id)
            while (one := puller.next(connection.id)) is not None:
                found.append(one)
        finally:
            clients.close()
    for one in found:
        _say(one, as_json)
    ctx.exit(0 if all(one.is_whole for one in found) else OTHER_SIDE)


def _say(one: Pulled, as_json: bool) -> None:
    if as_json:
        say_json(
            {"resource": one.resource_type, "seen": one.seen, "reason": one.reason} | one.states
        )
        return
    said = ", ".join(f"{number:,} {state}" for state, number in sorted(one.states.items()))
    end = "" if one.is_whole else f"; not read to the end: {one.reason}"
    click.echo(
        f"{one.resource_type}: {counted(one.seen, 'resource')}{': ' if said else ''}{said}{end}"
    )
