"""``fhirsvc accounts``: who may sign in to the pages, and which systems may use the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TextIO

import click

from fhirsvc.cli.house import house
from fhirsvc.cli.output import counted, json_option, say_json
from fhirsvc.services.accounts import LONGEST, ROLES
from fhirsvc.store.accounts import Account

_password_option = click.option(
    "--password-file",
    type=click.File("r"),
    metavar="FILE",
    help="The password, on its first line (- for standard input); asked for if not.",
)


@click.group()
def accounts() -> None:
    """People who sign in to the pages, and systems that use /api/v1.

    Until there is an account nobody has to sign in; from the first one on everybody has to.
    """


@accounts.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice(list(ROLES)))
@_password_option
@json_option
def add(name: str, role: str, password_file: TextIO | None, as_json: bool) -> None:
    """Add an account. A system has no password: `fhirsvc accounts token NAME` gives it a token."""
    given = _password(password_file) if "pages" in ROLES[role] else ""
    with house() as wiring:
        made = wiring.accounts().add(name, role, given)
    _say(made, as_json)


@accounts.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the accounts, those that are disabled too."""
    with house() as wiring:
        found = wiring.accounts().everyone()
    for one in found:
        _say(one, as_json)
    if not found and not as_json:
        click.echo("no accounts: nobody has to sign in")


@accounts.command()
@click.argument("name")
@_password_option
@json_option
def password(name: str, password_file: TextIO | None, as_json: bool) -> None:
    """Give an account another password, and end its sessions."""
    given = _password(password_file)
    with house() as wiring:
        ended = wiring.accounts().set_password(name, given)
    if as_json:
        say_json({"name": name, "sessions_ended": ended})
    else:
        click.echo(f"{name}: another password, {counted(ended, 'session')} ended")


@accounts.command()
@click.argument("name")
@json_option
def token(name: str, as_json: bool) -> None:
    """Make a token for /api/v1. It is shown once; send it as `Authorization: Bearer TOKEN`."""
    with house() as wiring:
        made = wiring.accounts().token(name)
    if as_json:
        say_json({"name": name, "token": made})
    else:
        click.echo(made)


@accounts.command()
@click.argument("name")
@json_option
def disable(name: str, as_json: bool) -> None:
    """Let nobody in by an account any more; its sessions and tokens end at once."""
    with house() as wiring:
        ended = wiring.accounts().disable(name)
    if as_json:
        say_json({"name": name, "state": "disabled", "ended": ended})
    else:
        click.echo(f"{name}: disabled, {counted(ended, 'session')} ended")


def _password(file: TextIO | None) -> str:
    if file is None:
        asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return asked
    return file.readline(LONGEST + 2).rstrip("\r\n")


def _say(one: Account, as_json: bool) -> None:
    state = "active" if one.disabled_at is None else "disabled"
    if not as_json:
        click.echo(f"{one.name}  {one.role}  {state}")
        return
    told: dict[str, Any] = {"name": one.name, "role": one.role, "state": state}
    created = datetime.fromtimestamp(one.created_at, UTC).isoformat(timespec="seconds")
    say_json({**told, "created_at": created})
