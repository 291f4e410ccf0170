"""``fhirsvc connect plan``: which form each resource takes at an EHR, and what that costs."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

import click
import orjson

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house import house
from fhirsvc.cli.house_texts import house_texts, site_option
from fhirsvc.cli.inputs import STDIN, opened
from fhirsvc.cli.output import counted, json_option, say_json
from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.client import Answer
from fhirsvc.ehr.ladder import Ladder
from fhirsvc.ehr.rung import RUNGS, Rung
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.carried import Fields, carried
from fhirsvc.mapping.forward import Mappings
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.store import connections
from fhirsvc.wiring import Wiring

Asked = tuple[Capabilities, frozenset[tuple[str, str]], Mapping[str, str]]
_COLOURS = {"native": "green", "equivalent": "cyan", "document": "yellow", "hold": "red"}
_HEAD = ("record", "resource", "rung", "via", "carried", "downgraded", "dropped")


@click.command()
@click.argument("name", required=False)
@click.option("--capability", metavar="FILE", help="A CapabilityStatement; - is standard input.")
@click.option("--rung", "rungs", multiple=True, metavar="RESOURCE=RUNG", help="Choose a rung.")
@click.option("--fields", "with_fields", is_flag=True, help="List what becomes of each field.")
@site_option
@json_option
@click.pass_context
def plan(
    ctx: click.Context,
    name: str | None,
    capability: str | None,
    rungs: tuple[str, ...],
    with_fields: bool,
    site: str | None,
    as_json: bool,
) -> None:
    """Say, before anything is sent, what an EHR will get and in which form.

    Give the NAME of a connection, or the EHR's CapabilityStatement as a file. A rung (native,
    equivalent, document or hold) is chosen for a resource (CarePlan=document) or for that of one
    type of record (episode/Condition=native). Exit 1 when deliveries would wait for what is held.
    """
    if (name is None) == (capability is None):
        raise click.UsageError("give the name of a connection, or --capability FILE")
    fields = carried(Mappings.load(house_texts(site=site)).library)
    chosen = _chosen(rungs, fields)
    known, refused, settings = _of_file(capability) if capability else _of_connection(name or "")
    ladder = Ladder.of(fields, known, refused, {**settings, **chosen})
    if as_json:
        say_json([rung.to_json() for rung in ladder.rungs])
    else:
        _say(ladder.rungs, with_fields)
    ctx.exit(FINDINGS if any(rung.blocks for rung in ladder.rungs) else 0)


def _chosen(given: Sequence[str], fields: Fields) -> dict[str, str]:
    """``CarePlan=document`` as a setting; a UsageError says what is not known."""
    names = {f"{record}/{one}" for record, made in fields.items() for one in made}
    names |= {one.partition("/")[2] for one in names}
    found: dict[str, str] = {}
    for text in given:
        key, _, rung = text.partition("=")
        if key not in names:
            raise click.UsageError(f"no mapping makes '{key}'{did_you_mean(key, names)}")
        if rung not in RUNGS:
            raise click.UsageError(f"'{rung}' is no rung; they are {', '.join(RUNGS)}")
        found[key] = rung
    return found


def _of_file(file: str) -> Asked:
    """A statement given as a file; UNSUPPORTED, with its place, where it is none."""
    where = "<stdin>" if file == STDIN else file
    with opened(file) as source:
        data = source.read()
    try:
        statement = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}"
        raise FhirsvcError(Category.UNSUPPORTED, "this is no JSON", place) from None
    kind = statement.get("resourceType") if isinstance(statement, dict) else None
    if kind != "CapabilityStatement":
        message = "this is no CapabilityStatement"
        raise FhirsvcError(Category.UNSUPPORTED, message, f"{where}: resourceType")
    return Capabilities.parse(statement), frozenset(), {}


def _of_connection(name: str) -> Asked:
    """What is known of a connection; of one that was not asked yet, what it answers now."""
    with house() as wiring:
        with wiring.database.read() as tx:
            found = connections.get(tx, name)
            refused = connections.refused(tx, found.id)
        if found.capability is not None:
            return Capabilities.from_json(found.capability), refused, found.rungs
        return _asked(wiring, found), refused, found.rungs


def _asked(wiring: Wiring, connection: connections.Connection) -> Capabilities:
    clients = wiring.clients()
    try:
        client = clients.of(connection)
        answer = client.request("GET", "metadata", correlation_id=f"plan-{uuid.uuid4().hex}")
    finally:
        clients.close()
    return Capabilities.parse(_statement(answer, connection.name))


def _statement(answer: Answer, name: str) -> object:
    where = f"connection {name}"
    if answer.status is None:
        raise FhirsvcError(Category.UNAVAILABLE, f"no answer ({answer.problem})", where)
    body = answer.body or {}
    if answer.status != 200 or body.get("resourceType") != "CapabilityStatement":
        message = f"answered {answer.status} without a CapabilityStatement"
        raise FhirsvcError(Category.UNAVAILABLE, message, where)
    return body


# ---- for people -------------------------------------------------------------------------------


def _say(rungs: Sequence[Rung], with_fields: bool) -> None:
    rows = [_row(rung) for rung in rungs]
    widths = [max(len(row[at]) for row in [_HEAD, *rows]) for at in range(len(_HEAD))]
    click.echo(click.style(_line(_HEAD, widths), bold=True))
    for rung, row in zip(rungs, rows, strict=True):
        line = _line(row, widths)
        at = widths[0] + widths[1] + 4
        end = at + widths[2]
        click.echo(line[:at] + click.style(line[at:end], fg=_COLOURS[rung.rung]) + line[end:])
        if with_fields:
            _say_fields(rung)
    counts = Counter(rung.rung for rung in rungs)
    said = ", ".join(f"{counts[rung]} {rung}" for rung in RUNGS if counts[rung])
    blocking = sum(rung.blocks for rung in rungs)
    tail = f"; deliveries wait for {counted(blocking, 'form')} on hold" if blocking else ""
    click.echo(f"{counted(len(rungs), 'form')}: {said}{tail}")


def _row(rung: Rung) -> tuple[str, ...]:
    counts = (len(rung.carried), len(rung.downgraded), len(rung.dropped))
    return (rung.record, rung.resource, rung.rung, rung.via, *map(str, counts))


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    texts = [cell.ljust(width) for cell, width in zip(row[:4], widths[:4], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(row[4:], widths[4:], strict=True)]
    return "  ".join([*texts, *numbers]).rstrip()


def _say_fields(rung: Rung) -> None:
    if rung.why:
        click.echo(f"    why: {rung.why}")
    for name in rung.carried:
        click.echo(f"    carried     {name}")
    for name, how in rung.downgraded:
        click.echo(f"    downgraded  {name}: {how}")
    for name, why in rung.dropped:
        click.echo(f"    dropped     {name}: {why}")
