"""``fhirsvc serve`` and ``fhirsvc worker``: the processes that stay.

What only some of them need is imported where they begin: it takes most of the time of a start, and
nothing is delivered or answered meanwhile.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import click
import structlog
from granian.constants import Interfaces
from granian.server import Server

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.output import json_option, say_json
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.logs import configure_logs
from fhirsvc.settings import Settings, load
from fhirsvc.store.database import Database

if TYPE_CHECKING:
    from flask import Flask

# Between the end of a worker that did not last and the next start: twice as long each time.
AGAIN_S = 0.2
LOOK_S = 0.05  # between two looks whether it still runs
LONGEST_AGAIN_S = 5.0
LASTING_S = 5.0
log = structlog.get_logger("fhirsvc.serve")


@click.command()
@click.option("--until-idle", is_flag=True, help="End when nothing is left to send.")
@click.option("--with-input", is_flag=True, hidden=True, help="End when standard input does.")
@json_option
@click.pass_context
def worker(ctx: click.Context, until_idle: bool, with_input: bool, as_json: bool) -> None:
    """Send what is due until told to stop (SIGTERM, Ctrl-C)."""
    with _starting():
        from fhirsvc.cli.house import house  # noqa: PLC0415 - only who delivers needs it
        from fhirsvc.worker import run_worker, stop_on_signals  # noqa: PLC0415 - the same

    with house() as wiring, stop_on_signals() as stop:
        if wiring.mappings is not None:
            with _starting():
                wiring.mappings()  # a mistake in them is told before anything is sent
        patience_s = 0.0
        if with_input:
            # The one beside a server that was killed may still end what it had in hand.
            patience_s = wiring.settings.stop_s
            threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
        done = run_worker(wiring, until_idle=until_idle, stop=stop, patience_s=patience_s)
    if as_json:
        say_json({"idle": done})
    ctx.exit(0 if done or not until_idle else FINDINGS)


def _stop_at_end_of_input(stop: threading.Event) -> None:
    # Not sys.stdin: its lock, held by a thread that still reads, is fatal when the process ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--threads", type=click.IntRange(1, 256), default=8, show_default=True)
@click.option("--no-delivery", is_flag=True, help="HTTP only; `fhirsvc worker` runs elsewhere.")
@json_option
def serve(host: str, port: int, threads: int, no_delivery: bool, as_json: bool) -> None:
    """Serve the console and the API, and deliver, until told to stop (SIGTERM, Ctrl-C).

    Nobody has to sign in until there is an account: `fhirsvc accounts add`. Passwords and tokens
    travel in the clear here: another host than this one belongs behind something that speaks TLS.
    """
    _check_free(host, port)
    settings = load()
    _prepare(settings)
    url = f"http://{host}:{port}/"
    if as_json:
        say_json({"url": url})
    else:
        click.echo(f"serving {url}")
    # A fork would copy this process with the locks of its threads.
    multiprocessing.set_start_method("spawn", force=True)
    server = Server(
        "fhirsvc.app:from_settings",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=threads,
        websockets=False,
        workers_kill_timeout=int(settings.stop_s) or 1,
        log_enabled=False,
        respawn_failed_workers=True,
    )
    with _no_worker() if no_delivery else _worker_beside():
        server.serve(target_loader=partial(_application, host), wrap_loader=False)


def _prepare(settings: Settings) -> None:
    """Have the schema there before the first request."""
    configure_logs(settings.log_level)
    database = Database(settings.database_url)
    try:
        database.prepare()
    finally:
        database.dispose()


def _application(host: str) -> Flask:
    """The application in a process that answers, which ends when the one that started it does.

    Else it would go on alone, without delivery, on a port that no new server could have.
    """
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    with _starting():
        from fhirsvc.app import LOOPBACK, from_settings  # noqa: PLC0415 - only who answers needs it

        return from_settings(LOOPBACK if host in LOOPBACK else None)


@contextmanager
def _starting() -> Iterator[None]:
    """Have no garbage looked for meanwhile, and never in what was made: it stays until the end.

    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    # Whoever has no answer yet asks again; whatever was answered is on disk.
    os._exit(1)


def _check_free(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on before anything is started."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        message = f"cannot listen: {error.strerror}"
        raise FhirsvcError(Category.UNAVAILABLE, message, f"{host}:{port}") from None


@contextmanager
def _no_worker() -> Iterator[None]:
    yield


@contextmanager
def _worker_beside() -> Iterator[None]:
    """Deliver in a process beside this one, started again when it ends by itself."""
    stop = threading.Event()
    keeper = threading.Thread(target=_keep_worker, args=(stop,))
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()


def _keep_worker(stop: threading.Event) -> None:
    rest = AGAIN_S
    while not stop.is_set():
        began = time.monotonic()
        # Its input is a pipe of ours: it ends when this process does, however that ends.
        process = subprocess.Popen(
            [sys.executable, "-m", "fhirsvc.cli", "worker", "--with-input"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which then ends it
        )
        with process:
            while process.poll() is None and not stop.wait(LOOK_S):
                pass
            process.terminate()
        if not stop.is_set():
            log.error("worker_ended", code=process.returncode)
            if time.monotonic() - began >= LASTING_S:
                rest = AGAIN_S
                continue
            stop.wait(rest)
            rest = min(2 * rest, LONGEST_AGAIN_S)
