"""``fhirsvc referral``: where referrals stand, who owes what, and one move at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, cast

import click

from fhirsvc.cli.house import house
from fhirsvc.cli.output import counted, json_option, say_json
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.referral.acting import By
from fhirsvc.referral.clocks import Clock
from fhirsvc.referral.dialects import DIALECTS
from fhirsvc.referral.states import ACTIONS, ACTORS, CLOSED, MOVES, STATES, Action, Actor
from fhirsvc.services.refer import Referral

_Command = Callable[..., None]


def _today_option(command: _Command) -> _Command:
    return click.option(
        "--today",
        type=click.DateTime(["%Y-%m-%d"]),
        metavar="DATE",
        help="Judge as of this day (YYYY-MM-DD); of this machine's calendar if not.",
    )(command)


def _dialect_option(command: _Command) -> _Command:
    return click.option(
        "--dialect",
        type=click.Choice(list(DIALECTS)),
        default="house",
        help="What the partner speaks; the house's own table if not given.",
    )(command)


@click.group()
def referral() -> None:
    """Referrals: where each stands, what is overdue, who may do what."""


@referral.command("list")
@click.option("--overdue", is_flag=True, help="Those that somebody is late with alone.")
@click.option("--all", "with_closed", is_flag=True, help="Those that are closed as well.")
@click.option("--status", type=click.Choice(STATES), help="Those that stand there.")
@_today_option
@json_option
def list_(
    overdue: bool, with_closed: bool, status: str | None, today: datetime | None, as_json: bool
) -> None:
    """List open referrals, the longest overdue first, with what is owed next and by whom."""
    day = today.date() if today else date.today()
    with house() as wiring:
        found = [
            one
            for one in wiring.referrals.all(day)
            if (one.record["status"] == status if status else with_closed or _is_open(one))
            and (one.overdue_days or not overdue)
        ]
    found.sort(key=lambda one: (-one.overdue_days, one.record["id"]))
    for one in found:
        if as_json:
            say_json(_brief(one))
        else:
            _say_brief(one)
    if not as_json:
        late = sum(one.overdue_days > 0 for one in found)
        click.echo(f"{counted(len(found), 'referral')}, {late} overdue" if found else "none")


@referral.command()
@click.argument("id")
@_today_option
@_dialect_option
@json_option
def show(id: str, today: datetime | None, dialect: str, as_json: bool) -> None:
    """Show one: where it stands, how that came about, what is owed, who may do what."""
    with house() as wiring:
        found = wiring.referrals.get(id, today.date() if today else date.today())
    may = {actor: DIALECTS[dialect].moves(found.record, actor) for actor in ACTORS}
    if as_json:
        say_json({**_brief(found), "may": may, "record": found.record})
        return
    record = found.record
    click.echo(f"{id}  {record['kind']}  {record['status']}  (version {found.version})")
    for step in record.get("history", ()):
        _say_step(step)
    for clock in found.clocks:
        click.echo(f"  {_clock(clock)}")
    for actor in ACTORS:
        click.echo(f"  the {actor} may: {', '.join(may[actor]) or 'do nothing with it'}")


@referral.command("act")
@click.argument("id")
@click.argument("action", type=click.Choice(ACTIONS), metavar="ACTION")
@click.option("--as", "actor", type=click.Choice(ACTORS), help="On whose side; its own if not.")
@click.option("--reason", help="Why; some moves need one.")
@click.option("--visit", metavar="MOMENT", help="When the visit starts, with its offset.")
@click.option("--minutes", type=int, help="How long the visit takes.")
@click.option("--visit-id", help="Which visit is meant; else the next one.")
@click.option("--result", help="What came of it, e.g. service_started.")
@click.option("--said", help="What came of it, in words.")
@click.option("--by", metavar="STAFF", help="Id of the staff member who does it.")
@click.option("--by-text", metavar="NAME", help="Who did it, when not on our staff.")
@click.option("--version", type=click.IntRange(1), help="The version you saw; refused if changed.")
@_dialect_option
@json_option
def act_(
    id: str,
    action: str,
    actor: str | None,
    reason: str | None,
    visit: str | None,
    minutes: int | None,
    visit_id: str | None,
    result: str | None,
    said: str | None,
    by: str | None,
    by_text: str | None,
    version: int | None,
    dialect: str,
    as_json: bool,
) -> None:
    """Make a move: send, accept, decline, schedule … and queue what follows for delivery."""
    move = MOVES[cast("Action", action)]
    side = cast("Actor", actor) if actor else next(one for one in ACTORS if one in move.by)
    appointment = _given(appointment_id=visit_id, start_at=visit, minutes=minutes)
    try:
        with house() as wiring:
            made = wiring.referrals.act(
                id,
                move.action,
                side,
                by=By(staff_id=by, text=by_text, via="cli"),
                reason=reason,
                appointment=appointment,
                outcome=_given(result=result, text=said),
                dialect=DIALECTS[dialect],
                expected=version,
            )
    except FhirsvcError as error:
        if error.category is Category.FORBIDDEN:  # the other side is only an option away
            raise click.UsageError(error.message) from error
        raise
    if as_json:
        say_json(_brief(made))
    else:
        click.echo(f"referral {id}: {made.record['status']} (version {made.version})")


@referral.command()
@click.argument("id")
@click.argument("new_id")
@json_option
def renew(id: str, new_id: str, as_json: bool) -> None:
    """Ask anew for what a closed one asked: a draft NEW_ID that replaces it."""
    with house() as wiring:
        made = wiring.referrals.renew(id, new_id)
    if as_json:
        say_json(_brief(made))
    else:
        click.echo(f"referral {new_id}: draft, replaces {id}")


def _given(**values: Any) -> dict[str, Any] | None:
    """What was given; None when nothing was."""
    return {name: value for name, value in values.items() if value is not None} or None


def _is_open(one: Referral) -> bool:
    return one.record["status"] not in CLOSED


def _brief(one: Referral) -> dict[str, Any]:
    return {
        "id": one.record["id"],
        "kind": one.record["kind"],
        "status": one.record["status"],
        "version": one.version,
        "overdue_days": one.overdue_days,
        "clocks": [
            {
                "what": clock.what,
                "since": clock.since,
                "due": clock.due,
                "overdue_days": clock.overdue_days,
                "turn": clock.turn,
            }
            for clock in one.clocks
        ],
    }


def _say_brief(one: Referral) -> None:
    next_one = f"  {_clock(one.clocks[0])}" if one.clocks else ""
    click.echo(f"{one.record['id']}  {one.record['kind']}  {one.record['status']}{next_one}")


def _clock(clock: Clock) -> str:
    late = f", {counted(clock.overdue_days, 'day')} over" if clock.overdue_days else ""
    return f"{clock.what} by {clock.due}{late} ({clock.turn})"


def _say_step(step: dict[str, Any]) -> None:
    who = step.get("by_id") or step.get("by_organization_id") or step.get("by_text") or "not said"
    what = f"{step['action']} → {step['status']}" if "action" in step else step["status"]
    implied = ", implied" if step.get("implied") else ""
    why = f": {step['reason']}" if "reason" in step else ""
    click.echo(f"  {step['at']}  {what} ({who}{implied}){why}")
