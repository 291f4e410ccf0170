"""``fhirsvc connect test``: a conformance run, printed."""

from __future__ import annotations

import time
import uuid

import click

from fhirsvc.cli import FINDINGS, OTHER_SIDE
from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.ehr.probe import Report, probe
from fhirsvc.ehr.probe_run import Check, Subject
from fhirsvc.store.connections import Connection
from fhirsvc.wiring import LateMappings, Wiring

COLOURS = {"pass": "green", "warn": "yellow", "fail": "red", "skip": "cyan"}


@click.command()
@click.argument("name")
@click.option("--write", is_flag=True, help="Also make, change and delete a Basic resource there.")
@json_option
@click.pass_context
def test(ctx: click.Context, name: str, write: bool, as_json: bool) -> None:
    """Check an EHR as deliveries will meet it: each check with a verdict and advice.

    Exit 0 when all passed or warned, 1 when one failed, 3 when nobody answered. The
    CapabilityStatement is kept with the connection.
    """
    with house() as wiring:
        connection = wiring.operator.connection(name)
        report = _run(wiring, connection, write)
        if report.statement:
            wiring.operator.keep_capability(connection, report.statement)
    if as_json:
        say_json({"connection": name, "base_url": connection.base_url, **report.to_json()})
    else:
        for check in report.checks:
            _say(check)
        counts = [one.verdict for one in report.checks]
        told = ", ".join(f"{counts.count(one)} {one}" for one in COLOURS if one in counts)
        click.echo(f"{name}: {report.verdict} ({told})")
    if not report.is_reached:
        ctx.exit(OTHER_SIDE)
    ctx.exit(FINDINGS if report.verdict == "fail" else 0)


def _run(wiring: Wiring, connection: Connection, write: bool) -> Report:
    subject = Subject(
        connection.auth,
        connection.options,
        connection.write_mode,
        connection.index_lag_s,
        connection.rate,
        LateMappings(wiring.settings.mappings, wiring.settings.site).resource_types(),
        write,
    )
    clients = wiring.clients()
    try:
        return probe(
            clients.of(connection),
            subject,
            now=time.time,
            clock=time.monotonic,
            sleep=time.sleep,
            new_id=lambda: str(uuid.uuid4()),
        )
    finally:
        clients.close()


def _say(check: Check) -> None:
    """``pass  Patient: search  GET Patient?_count 200 12 ms``, and advice where there is some."""
    verdict = click.style(check.verdict, fg=COLOURS[check.verdict])
    told = check.request and f"  {check.request}"
    if check.status is not None:
        told += f" → {check.status}"
    if check.ms is not None:
        told += f", {check.ms:.0f} ms"
    click.echo(f"{verdict}  {check.title}{told}")
    if check.advice:
        click.echo(f"      {check.advice}")
