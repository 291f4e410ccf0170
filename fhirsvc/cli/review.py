"""``fhirsvc review``: what came from EHRs and waits for a person."""

from __future__ import annotations

import click

from fhirsvc.cli.conflicts import user
from fhirsvc.cli.house import house
from fhirsvc.cli.output import counted, json_option, say_json
from fhirsvc.services.receive import Taken
from fhirsvc.services.review import Reviewer
from fhirsvc.wiring import Wiring

_ID = click.argument("item_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))
_BY = click.option("--by", default="", help="Who decides; the user of this computer by default.")


@click.group()
def review() -> None:
    """What came and waits for a person: list, again, link, send, dismiss."""


@review.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List what waits, and why."""
    with house() as wiring:
        found = _reviewer(wiring).items()
        names = {one.id: one.name for one in wiring.operator.connections()}
    for one in found:
        record = "/".join(one.record) if one.record else ""
        said = {
            "id": one.id,
            "connection": names[one.connection_id],
            "resource": f"{one.resource_type}/{one.remote_id}",
            "record": record,
            "reason": one.reason,
            "received_at": one.received_at,
        }
        if as_json:
            say_json(said)
        else:
            whose = f" ({record})" if record else ""
            click.echo(f"{one.id} {said['connection']} {said['resource']}{whose}: {one.reason}")
    if not as_json:
        click.echo(counted(len(found), "item") if found else "nothing waits")


@review.command()
@_ID
@_BY
@json_option
def again(item_id: int, by: str, as_json: bool) -> None:
    """Take it in now; what is new of a linked client becomes a record."""
    with house() as wiring:
        taken = _reviewer(wiring).again(item_id, by or user())
    _say(item_id, taken, as_json)


@review.command()
@_ID
@click.argument("record", metavar="TYPE/ID")
@_BY
@json_option
def link(item_id: int, record: str, by: str, as_json: bool) -> None:
    """Say which record it is."""
    kind, _, record_id = record.partition("/")
    with house() as wiring:
        taken = _reviewer(wiring).link(item_id, (kind, record_id), by or user())
    _say(item_id, taken, as_json)


@review.command()
@_ID
@_BY
@json_option
def send(item_id: int, by: str, as_json: bool) -> None:
    """Make what has gone at the EHR anew there."""
    with house() as wiring:
        _reviewer(wiring).send_again(item_id, by or user())
    _say(item_id, Taken("passed", "made anew at the EHR"), as_json)


@review.command()
@_ID
@click.option("--reason", default="", help="Why; it is kept.")
@_BY
@json_option
def dismiss(item_id: int, reason: str, by: str, as_json: bool) -> None:
    """Leave it: it is not wanted here."""
    with house() as wiring:
        _reviewer(wiring).dismiss(item_id, by or user(), reason)
    _say(item_id, Taken("passed", reason or "dismissed"), as_json)


def _reviewer(wiring: Wiring) -> Reviewer:
    return wiring.reviewer(wiring.clients())


def _say(item_id: int, taken: Taken, as_json: bool) -> None:
    record = "/".join(taken.record) if taken.record else ""
    said = {"id": item_id, "state": taken.state, "reason": taken.reason, "record": record}
    if as_json:
        say_json({**said, "version": taken.version})
    else:
        whose = f" {record}" if record else ""
        click.echo(f"{item_id} {taken.state}{whose}{': ' if taken.reason else ''}{taken.reason}")
