"""``fhirsvc conflicts``: elements that both sides changed, and what is decided about them."""

from __future__ import annotations

import getpass
from typing import Any

import click
import orjson

from fhirsvc.api.operating import conflict_json
from fhirsvc.cli.house import house
from fhirsvc.cli.output import counted, json_option, say_json
from fhirsvc.store.conflicts import Conflict, Resolution, Side


@click.group()
def conflicts() -> None:
    """What both sides changed: list it, decide it."""


@conflicts.command("list")
@click.option("--all", "with_settled", is_flag=True, help="Those that are settled as well.")
@json_option
def list_(with_settled: bool, as_json: bool) -> None:
    """List conflicts with both values, and who wrote each when."""
    states = ("open", "decided", "settled") if with_settled else ("open", "decided")
    with house() as wiring:
        found = wiring.operator.conflicts(states)
        names = {one.id: one.name for one in wiring.operator.connections()}
    for one in found:
        if as_json:
            say_json(conflict_json(one, names[one.connection_id]))
        else:
            _say(one, names[one.connection_id])
    if not as_json:
        click.echo(counted(len(found), "conflict") if found else "no conflicts")


@conflicts.command()
@click.argument("conflict_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@click.option("--take", required=True, metavar="ours|theirs|VALUE", help="VALUE is JSON or a text.")
@click.option("--by", default="", help="Who decides; the user of this computer by default.")
@json_option
def resolve(conflict_id: int, take: str, by: str, as_json: bool) -> None:
    """Decide a conflict; both sides are brought to it by the next delivery."""
    resolution: Resolution = take if take in ("ours", "theirs") else {"value": _value(take)}
    with house() as wiring:
        found = wiring.operator.resolve(conflict_id, resolution, by or user())
    if as_json:
        say_json({"conflict": found.id, "path": found.clash.path, "take": resolution})
    else:
        click.echo(f"conflict {found.id} at {found.clash.path}: decided")


def user() -> str:
    """Who uses this computer."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _value(text: str) -> Any:
    """A JSON value, or the text itself where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _say(one: Conflict, connection: str) -> None:
    where = f"{one.record_type}/{one.record_id} at {connection}"
    click.echo(f"{one.id} {one.state} {one.clash.path} ({where})")
    click.echo(f"    before  {_shown(one.clash.base)}")
    for name, side in (("ours", one.clash.ours), ("theirs", one.clash.theirs)):
        click.echo(f"    {name:<7} {_shown(side.value)}  {_who(side)}")


def _who(side: Side) -> str:
    return f"(version {side.version}, {side.by})" if side.by else f"(version {side.version})"


def _shown(value: Any) -> str:
    return "not there" if value is None else orjson.dumps(value).decode()
