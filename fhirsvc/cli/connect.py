"""``fhirsvc connect``: add, change, list, test and plan connections to EHRs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from fhirsvc.cli.connect_plan import plan
from fhirsvc.cli.connect_test import test
from fhirsvc.cli.connection_options import connection_options, described
from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.store.connections import Connection, NewConnection

SHOWN = ("name", "base_url", "auth", "write_mode", "us_core", "rate", "concurrency", "state")


@click.group()
def connect() -> None:
    """EHR connections: add, change, list, test, plan."""


@connect.command()
@click.argument("name")
@click.option("--url", required=True, help="The FHIR base URL.")
@connection_options
@json_option
def add(name: str, url: str, as_json: bool, **given: Any) -> None:
    """Add a connection, and queue every record to it.

    Auth none needs nothing, basic and bearer a --secret, oauth2 a --client-id and a --secret,
    smart a --client-id, a --scope and a key (`fhirsvc keys new`). Write mode conditional: update
    by business identifier; create: search, create, remember the id.
    """
    new = described(NewConnection(name, url), given)
    with house() as wiring:
        made = wiring.operator.add_connection(new)
        counts = {one.connection.id: one.counts for one in wiring.operator.status()}[made.id]
    if as_json:
        say_json({**_shown(made), "deliveries": counts})
    else:
        click.echo(f"{made.name}: {made.base_url}, {sum(counts.values()):,} deliveries queued")


@connect.command("set")
@click.argument("name")
@click.option("--url", "base_url", help="The FHIR base URL.")
@connection_options
@json_option
def set_(name: str, as_json: bool, **given: Any) -> None:
    """Change a connection; what is not said stays, '' takes an option away.

    It counts from the next request on, without a restart.
    """
    with house() as wiring:
        made = wiring.operator.change_connection(name, lambda before: described(before, given))
    if as_json:
        say_json(_shown(made))
    else:
        click.echo(_line(made))


@connect.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the connections; secrets by the place they are kept at."""
    with house() as wiring:
        found = wiring.operator.connections()
    for one in found:
        if as_json:
            say_json(_shown(one))
        else:
            click.echo(_line(one))
    if not found and not as_json:
        click.echo("no connections; add one with `fhirsvc connect add`")


connect.add_command(plan)
connect.add_command(test)


@connect.command()
@click.argument("name")
@click.argument("record", metavar="TYPE/ID")
@click.argument("resource", metavar="RESOURCE/ID")
@json_option
def link(name: str, record: str, resource: str, as_json: bool) -> None:
    """Say which resource of an EHR a record is, and bring the two together.

    For clients whom the EHR knows by no number of ours: `client/c-1 Patient/77`.
    """
    kind, _, record_id = record.partition("/")
    remote, _, remote_id = resource.partition("/")
    with house() as wiring:
        connection = wiring.operator.connection(name)
        clients = wiring.clients()
        try:
            reviewer = wiring.reviewer(clients)
            taken = reviewer.join(connection, (kind, record_id), remote, remote_id)
        finally:
            clients.close()
    if as_json:
        say_json({"record": record, "resource": resource, "state": taken.state})
    else:
        click.echo(f"{record} is {resource} at {name}")


def _shown(one: Connection) -> dict[str, Any]:
    """All but the CapabilityStatement, which is long."""
    return {name: value for name, value in asdict(one).items() if name != "capability"}


def _line(one: Connection) -> str:
    told = [f"{getattr(one, name)}" for name in SHOWN]
    told += [f"{name}={value}" for name, value in {**one.options, **one.tls}.items()]
    return "  ".join(told)
