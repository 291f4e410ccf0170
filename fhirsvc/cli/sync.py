"""``fhirsvc sync``: where deliveries stand, and what people do about them."""

from __future__ import annotations

import click

from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.cli.sync_pull import pull
from fhirsvc.cli.sync_show import replay, show
from fhirsvc.services.operate import Status
from fhirsvc.store.tables import STATES

UNSETTLED = ("held", "dead")


@click.group()
def sync() -> None:
    """Deliveries and readings: status, show, now, pull, retry, replay, pause, stop, resume."""


@sync.command()
@json_option
def status(as_json: bool) -> None:
    """Count deliveries by connection and state; list those that need somebody."""
    with house() as wiring:
        found = wiring.operator.status()
        stuck = wiring.operator.deliveries(states=UNSETTLED, limit=20)
    names = {one.connection.id: one.connection.name for one in found}
    for one in found:
        counts = {state: one.counts.get(state, 0) for state in STATES}
        if as_json:
            told = {"connection": one.connection.name, "state": one.connection.state, **counts}
            told |= {**one.waits, "failures": one.connection.failures}
            say_json({**told, "rests_s": round(one.rests_s, 1), "reading": one.reading})
        else:
            said = ", ".join(f"{number:,} {state}" for state, number in counts.items() if number)
            click.echo(f"{one.connection.name} ({one.connection.state}): {said or 'nothing'}")
            _say_trouble(one)
    if as_json:
        return
    for delivery in stuck:
        line = f"  {delivery.id} {delivery.state} {'/'.join(delivery.record)}"
        click.echo(f"{line} → {names[delivery.connection_id]}: {delivery.reason}")
    if not found:
        click.echo("no connections; add one with `fhirsvc connect add`")


@sync.command()
@click.argument("name")
@json_option
def now(name: str, as_json: bool) -> None:
    """Make all that waits for a connection due at once; the worker sends it."""
    with house() as wiring:
        made = wiring.operator.send_now(name)
    _say(as_json, {"connection": name, "due": made}, f"{name}: {made:,} due")


@sync.command()
@click.argument("name")
@json_option
def pause(name: str, as_json: bool) -> None:
    """Send nothing more to a connection."""
    with house() as wiring:
        wiring.operator.pause(name)
    _say(as_json, {"connection": name, "state": "paused"}, f"{name}: paused")


@sync.command()
@click.argument("name")
@json_option
def stop(name: str, as_json: bool) -> None:
    """Send nothing at all, not even the rest of what is being sent: the kill switch."""
    with house() as wiring:
        wiring.operator.stop(name)
    _say(as_json, {"connection": name, "state": "stopped"}, f"{name}: stopped")


@sync.command()
@click.argument("name")
@json_option
def resume(name: str, as_json: bool) -> None:
    """Send to a connection again."""
    with house() as wiring:
        wiring.operator.resume(name)
    _say(as_json, {"connection": name, "state": "active"}, f"{name}: active")


@sync.command()
@click.argument("delivery_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
@json_option
def retry(delivery_id: int, as_json: bool) -> None:
    """Send a held or dead delivery again."""
    with house() as wiring:
        wiring.operator.retry(delivery_id)
    _say(as_json, {"delivery": delivery_id, "state": "pending"}, f"delivery {delivery_id}: pending")


def _say_trouble(one: Status) -> None:
    """What a person should know of a connection beside its counts."""
    if one.connection.failures and one.rests_s:
        failed = one.connection.failures
        click.echo(f"  it failed {failed} times in a row; tried again in {one.rests_s:.0f} s")
    for name, where in (("conflicts", "conflicts list"), ("review", "review list")):
        if one.waits[name]:
            click.echo(f"  {one.waits[name]} to decide: fhirsvc {where}")
    for kind, reason in one.reading.items():
        click.echo(f"  {kind} was not read: {reason}")


sync.add_command(show)
sync.add_command(replay)
sync.add_command(pull)


def _say(as_json: bool, value: dict[str, object], text: str) -> None:
    if as_json:
        say_json(value)
    else:
        click.echo(text)
