"""``fhirsvc clients``: partners' clients, that come to ``/fhir`` with an access token."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

import click

from fhirsvc.cli.house import house
from fhirsvc.cli.output import counted, json_option, say_json
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import DEFAULT, parse
from fhirsvc.services.partners import KeysError
from fhirsvc.store.partners import Partner


@click.group()
def clients() -> None:
    """Partners' clients: add, list, revoke."""


@clients.command()
@click.argument("name")
@click.option("--jwks", type=click.File("rb"), help="Its public keys: a JWK set; - for stdin.")
@click.option("--jwks-url", help="Where it publishes them.")
@click.option("--scope", required=True, help='What it may ask for: "system/CarePlan.rs …".')
@json_option
def add(name: str, jwks: BinaryIO | None, jwks_url: str | None, scope: str, as_json: bool) -> None:
    """Register a client. NAME is its client id; one that was revoked may be registered anew."""
    keys = None if jwks is None else _read(jwks)
    with house() as wiring:
        try:
            made = wiring.partners.register(name, scope, jwks=keys, jwks_url=jwks_url)
        except KeysError as error:
            file = "" if jwks is None else f"{jwks.name}: "
            raise KeysError([replace(o, where=file + o.where) for o in error.findings]) from None
    if as_json:
        say_json(_shown(made))
    else:
        click.echo(_line(made))


@clients.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the clients, those that were revoked too."""
    with house() as wiring:
        found = wiring.partners.everyone()
    for one in found:
        if as_json:
            say_json(_shown(one))
        else:
            click.echo(_line(one))
    if not found and not as_json:
        click.echo("no clients; add one with `fhirsvc clients add`")


@clients.command()
@click.argument("name")
@json_option
def revoke(name: str, as_json: bool) -> None:
    """End a client and the access tokens it holds, at once and for every process."""
    with house() as wiring:
        ended = wiring.partners.revoke(name)
    if as_json:
        say_json({"name": name, "state": "revoked", "tokens_ended": ended})
    else:
        click.echo(f"{name}: revoked, {counted(ended, 'token')} ended")


def _read(file: BinaryIO) -> dict[str, Any]:
    try:
        found = parse(file.read(DEFAULT.bytes + 1), DEFAULT)
    except FhirsvcError as error:
        where = f"{file.name}:{error.where}"
        raise FhirsvcError(error.category, error.message, where) from None
    if not isinstance(found, dict):
        raise FhirsvcError(Category.INVALID, "expected a JWK set", file.name)
    return found


def _shown(one: Partner) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": _state(one),
        "scope": one.scope,
        "keys": "inline" if one.jwks_url is None else one.jwks_url,
        "registered_at": _at(one.registered_at),
        "revoked_at": None if one.revoked_at is None else _at(one.revoked_at),
    }


def _line(one: Partner) -> str:
    keys = "keys inline" if one.jwks_url is None else one.jwks_url
    return f"{one.name}  {_state(one)}  {keys}  {one.scope}"


def _state(one: Partner) -> str:
    return "active" if one.revoked_at is None else "revoked"


def _at(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
