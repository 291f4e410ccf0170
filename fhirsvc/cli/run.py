"""``fhirsvc worker``: delivery only."""

from __future__ import annotations

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.worker import run_worker, stop_on_signals


@click.command()
@click.option("--until-idle", is_flag=True, help="End when nothing is left to send.")
@json_option
@click.pass_context
def worker(ctx: click.Context, until_idle: bool, as_json: bool) -> None:
    """Send what is due until told to stop (SIGTERM, Ctrl-C)."""
    with house() as wiring, stop_on_signals() as stop:
        done = run_worker(wiring, until_idle=until_idle, stop=stop)
    if as_json:
        say_json({"idle": done})
    ctx.exit(0 if done or not until_idle else FINDINGS)
