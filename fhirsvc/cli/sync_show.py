"""``fhirsvc sync show`` and ``replay``: what a delivery sent, what was answered, and once more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.errors import FhirsvcError
from fhirsvc.services.operate import Sent
from fhirsvc.services.references import local_of, references, resolve
from fhirsvc.services.replay import Difference, differences
from fhirsvc.store import links, records
from fhirsvc.wiring import Wiring

_ID = click.argument("delivery_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))


@click.command()
@_ID
@json_option
def show(delivery_id: int, as_json: bool) -> None:
    """Show a delivery: its history, its attempts with what the EHR answered, its loss report.

    An EHR's OperationOutcome can quote what was sent: treat it as you treat the record.
    """
    with house() as wiring:
        sent = wiring.operator.sent(delivery_id)
        history = wiring.operator.history(delivery_id)
    if as_json:
        events = [vars(one) for one in history]
        say_json({**_delivery(sent), "history": events, "attempts": list(_attempts(sent))})
        return
    one = sent.delivery
    name = f"{one.record_type}/{one.record_id} version {one.version}"
    click.echo(f"{one.id} {one.state}: {name} → {sent.connection.name}")
    for event in history:
        why = f"  {event.reason}" if event.reason else ""
        click.echo(f"  {_time(event.at)} {event.from_state or 'new'} → {event.to_state}{why}")
    for tried in _attempts(sent):
        status = tried["status"] or "no answer"
        click.echo(f"  {tried['method']} {tried['resource']}: {tried['outcome']} ({status})")
        for issue in _issues(tried["response"]):
            click.echo(f"      {issue}")
    for rung in orjson.loads(one.report or "[]"):
        click.echo(f"  {rung['resource']}: {rung['rung']} ({rung['via']})")
        for lost in rung["dropped"]:
            click.echo(f"      without {lost['field']}: {lost['why']}")


@click.command()
@_ID
@click.option("--as-ran", is_flag=True, help="Send what was sent, whatever mappings say by now.")
@click.option("--dry-run", is_flag=True, help="Only say what would differ.")
@click.option("--values", is_flag=True, help="Print the values that differ, not only where.")
@json_option
def replay(delivery_id: int, as_ran: bool, dry_run: bool, values: bool, as_json: bool) -> None:
    """Send a delivery once more, and say how what it sent differs from what it would send now."""
    with house() as wiring:
        sent = wiring.operator.sent(delivery_id)
        differing = list(_differing(wiring, sent))
        if not dry_run:
            wiring.operator.replay(delivery_id, as_ran=as_ran)
    changes = [_change(name, one, values) for name, one in differing]
    if as_json:
        state = sent.delivery.state if dry_run else "pending"
        say_json({"delivery": delivery_id, "state": state, "as_ran": as_ran, "differs": changes})
        return
    for change in changes:
        said = f": {change['then']} → {change['now']}" if values else ""
        click.echo(f"  {change['resource']}{change['path']}{said}")
    if not changes:
        click.echo("  what it sent is what it would send now")
    if not dry_run:
        click.echo(f"delivery {delivery_id}: pending{', as it ran' if as_ran else ''}")


def _differing(wiring: Wiring, sent: Sent) -> Iterator[tuple[str, Difference]]:
    """Where what was sent differs from what the mappings make of the same version now."""
    with wiring.database.read() as tx:
        version = records.version(tx, sent.delivery.record, sent.delivery.version)
    try:
        mapped = wiring.mapper.forward(orjson.loads(version.body), sent.connection.us_core)
    except FhirsvcError:
        mapped = []
    now = {local_of(one): one for one in mapped}
    wanted = {local for one in mapped for local in references(one)}
    with wiring.database.read() as tx:
        found = links.of(tx, sent.connection.id, wanted)
    remote = {
        local: f"{found[local].remote_type}/{found[local].remote_id}"
        if local in found and found[local].remote_id
        else "/".join(local)
        for local in wanted
    }
    for one in sent.dispatches:
        local = sent.links[one.link_id].local
        made = resolve(now[local], remote) if local in now else {}
        then = {name: value for name, value in one.body.items() if name != "id"}
        current = {name: value for name, value in made.items() if name != "id"}
        for difference in differences(then, current):
            yield "/".join(local), difference


def _change(name: str, one: Difference, values: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"resource": name, "path": one.path}
    return {**said, "then": one.then, "now": one.now} if values else said


def _delivery(sent: Sent) -> dict[str, Any]:
    one = vars(sent.delivery)
    report = orjson.loads(sent.delivery.report or "[]")
    return {**one, "connection": sent.connection.name, "report": report}


def _attempts(sent: Sent) -> Iterator[dict[str, Any]]:
    for one in sent.attempts:
        link = sent.links.get(one.link_id)
        name = "/".join(link.local) if link else ""
        yield {**vars(one), "resource": name, "response": _json(one.response)}


def _json(text: str | None) -> object:
    try:
        return None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError:
        return None  # it was cut off


def _issues(outcome: object) -> Iterator[str]:
    listed = outcome.get("issue") if isinstance(outcome, dict) else None
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict):
            where = ", ".join(one.get("expression") or one.get("location") or [])
            said = one.get("diagnostics") or (one.get("details") or {}).get("text") or ""
            yield " ".join(filter(None, (str(one.get("code", "")), where, str(said))))


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="seconds")
