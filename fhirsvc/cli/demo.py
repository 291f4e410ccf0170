"""``fhirsvc demo``: the whole story on made-up records, against a simulated EHR."""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from werkzeug.serving import WSGIRequestHandler, make_server

from fhirsvc.app import create_app
from fhirsvc.cli import FINDINGS, demo_story
from fhirsvc.cli.demo_story import SimulatedEhr, Told
from fhirsvc.cli.demo_summary import show
from fhirsvc.cli.house import house
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.settings import Settings, load
from fhirsvc.wiring import LateMappings, Wiring
from fhirsvc.worker import stop_on_signals

Stage = Callable[[str, int], Callable[[int], None]]  # (label, total) → tell how much is done


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--once", is_flag=True, help="Print the summary and exit, without the console page.")
@click.option("--db", type=click.Path(dir_okay=False), help="Keep the database here (a new file).")
@json_option
@click.pass_context
def demo(ctx: click.Context, port: int, once: bool, db: str | None, as_json: bool) -> None:
    """Load a small clinic's year, deliver it to an EHR that misbehaves, show where it all went.

    With --json, the summary is one line and nothing else is on standard output.
    """
    with (
        _database_file(db) as path,
        stop_on_signals() as stop,
        demo_story.simulated_ehr() as ehr,
        house(_settings(path)) as wiring,
    ):
        told = _run(wiring, ehr, stop)
        if stop.is_set():
            ctx.exit(130)
        if as_json:
            say_json(told.counts())
        else:
            show(told, Console())
        if not once:
            _serve(wiring, port, stop)
    ctx.exit(0 if told.is_good else FINDINGS)


@contextmanager
def _database_file(given: str | None) -> Iterator[Path]:
    if given is not None:
        if Path(given).exists():
            raise click.UsageError(f"--db: {given} is there already; the demo wants a new file")
        yield Path(given).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="fhirsvc-demo-") as folder:
        yield Path(folder) / "demo.sqlite"


def _settings(path: Path) -> Settings:
    # Quick to notice what is due; a real EHR is not asked twenty times a second.
    return load(
        database_url=f"sqlite:///{path}",
        engine_url="",
        mappings="",
        site="",
        log_level="error",
        sweep_s=0.05,
    )


def _run(wiring: Wiring, ehr: SimulatedEhr, stop: threading.Event) -> Told:
    """The story up to its end, with a bar for each stage on a terminal."""
    started = time.monotonic()
    with _stages() as stage:
        seen = stage("prove the mappings", 1)
        assert isinstance(wiring.mapper, LateMappings)  # noqa: S101 - house() gives one
        wiring.mapper.mappings.records()
        seen(1)
        demo_story.connect(wiring, ehr.url)
        total = demo_story.size()
        demo_story.load(wiring, stage("check and store", total))
        demo_story.deliver(wiring, stop, stage("deliver", total))
    return demo_story.tell(wiring, ehr, started)


@contextmanager
def _stages() -> Iterator[Stage]:
    if not sys.stderr.isatty():
        yield lambda _label, _total: lambda _done: None
        return
    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def stage(label: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(label, total=total)
            return lambda done: bars.update(task, completed=done)

        yield stage


def _serve(wiring: Wiring, port: int, stop: threading.Event) -> None:
    """Show the console page until Ctrl-C, on another port when this one is taken."""
    mapper = wiring.mapper
    assert isinstance(mapper, LateMappings)  # noqa: S101 - house() gives one
    app = create_app(wiring, lambda: mapper.mappings)
    with socket.socket() as probe:
        is_free = not port or probe.connect_ex(("127.0.0.1", port)) != 0
    if not is_free:
        click.echo(f"port {port} is taken by another program; another one is chosen", err=True)
    chosen = port if is_free else 0
    server = make_server("127.0.0.1", chosen, app, threaded=True, request_handler=_Quiet)
    click.echo(f"Look around: http://127.0.0.1:{server.port}/   (Ctrl-C ends the demo)", err=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    stop.wait()
    server.shutdown()
    serving.join()
    server.server_close()


class _Quiet(WSGIRequestHandler):
    """Logs no addresses: they can hold what somebody searched for."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Keep quiet."""
