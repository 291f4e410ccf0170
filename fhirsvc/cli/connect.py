"""``fhirsvc connect``: add, list and test connections to EHRs."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

import click

from fhirsvc.cli.connect_plan import plan
from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.ehr.client import Answer
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.connections import Connection, NewConnection
from fhirsvc.wiring import Clients

SHOWN = ("name", "base_url", "auth", "write_mode", "us_core", "rate", "concurrency", "state")


@click.group()
def connect() -> None:
    """EHR connections: add, list, test, plan."""


connect.add_command(plan)


@connect.command()
@click.argument("name")
@click.option("--url", required=True, help="The FHIR base URL.")
@click.option("--auth", type=click.Choice(("none", "basic", "bearer")), default="none")
@click.option("--secret", default="", metavar="env:NAME|file:PATH", help="Where the secret is.")
@click.option("--write-mode", type=click.Choice(("conditional", "create")), default="conditional")
@click.option("--us-core", type=click.Choice(("6.1", "7", "8", "9")), default="8")
@click.option("--rate", type=float, default=20.0, show_default=True, help="Requests a second.")
@click.option("--burst", type=int, default=20, show_default=True)
@click.option("--index-lag", type=float, default=2.0, show_default=True, help="Seconds.")
@click.option("--concurrency", type=int, default=4, show_default=True)
@json_option
def add(name: str, url: str, us_core: str, index_lag: float, as_json: bool, **rest: Any) -> None:
    """Add a connection, and queue every record to it.

    conditional: update by business identifier; create: search, create, remember the id.
    """
    new = NewConnection(
        name, url, us_core=int(us_core.partition(".")[0]), index_lag_s=index_lag, **rest
    )
    with house() as wiring:
        made = wiring.operator.add_connection(new)
        counts = {one.connection.id: one.counts for one in wiring.operator.status()}[made.id]
    if as_json:
        say_json({**asdict(made), "deliveries": counts})
    else:
        click.echo(f"{made.name}: {made.base_url}, {sum(counts.values()):,} deliveries queued")


@connect.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the connections."""
    with house() as wiring:
        found = wiring.operator.connections()
    for one in found:
        if as_json:
            say_json(asdict(one))
        else:
            click.echo("  ".join(f"{getattr(one, name)}" for name in SHOWN))
    if not found and not as_json:
        click.echo("no connections; add one with `fhirsvc connect add`")


@connect.command()
@click.argument("name")
@json_option
def test(name: str, as_json: bool) -> None:
    """Ask an EHR for its CapabilityStatement; exit 3 when it does not answer with one."""
    with house() as wiring:
        found = {one.name: one for one in wiring.operator.connections()}
        if name not in found:
            raise FhirsvcError(Category.NOT_FOUND, "no such connection", f"connection {name}")
        clients = Clients(wiring.settings)
        try:
            client = clients.of(found[name])
            answer = client.request("GET", "metadata", correlation_id=f"test-{uuid.uuid4().hex}")
        finally:
            clients.close()
    said = _capability(found[name], answer)
    if as_json:
        say_json(said)
    else:
        click.echo(f"{name}: FHIR {said['fhir']}, {said['software'] or 'unnamed software'}")
        for resource, codes in said["resources"].items():
            click.echo(f"  {resource}: {', '.join(codes) or 'nothing'}")


def _capability(connection: Connection, answer: Answer) -> dict[str, Any]:
    """What a CapabilityStatement says of this connection; an error when there is none."""
    where = f"connection {connection.name}"
    if answer.status is None:
        raise FhirsvcError(Category.UNAVAILABLE, f"no answer ({answer.problem})", where)
    body = answer.body or {}
    if answer.status != 200 or body.get("resourceType") != "CapabilityStatement":
        message = f"answered {answer.status} without a CapabilityStatement"
        raise FhirsvcError(Category.UNAVAILABLE, message, where)
    server: dict[str, Any] = next(
        (one for one in body.get("rest", []) if one.get("mode") == "server"), {}
    )
    return {
        "name": connection.name,
        "fhir": str(body.get("fhirVersion", "")),
        "software": str((body.get("software") or {}).get("name", "")),
        "resources": {
            str(one.get("type")): [str(i.get("code")) for i in one.get("interaction", [])]
            for one in server.get("resource", [])
        },
    }
