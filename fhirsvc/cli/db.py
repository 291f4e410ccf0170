"""``fhirsvc db``: bring the schema up to date, or say whether it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from fhirsvc.cli.output import json_option, say_json
from fhirsvc.settings import load
from fhirsvc.store.database import Database


@click.group()
def db() -> None:
    """The database: upgrade, check."""


@db.command()
@json_option
def upgrade(as_json: bool) -> None:
    """Bring the schema to the newest revision; does nothing when it is there."""
    with _database() as database:
        before = database.revision()
        database.upgrade()
        after = database.revision()
    _say(as_json, before, after, "already at" if before == after else "now at")


@db.command()
@json_option
def check(as_json: bool) -> None:
    """Say whether the schema is at the newest revision (exit 1 when it is not)."""
    with _database() as database:
        database.check()
        now = database.revision()
    _say(as_json, now, now, "at")


@contextmanager
def _database() -> Iterator[Database]:
    database = Database(load().database_url)
    try:
        yield database
    finally:
        database.dispose()


def _say(as_json: bool, before: str | None, after: str | None, said: str) -> None:
    if as_json:
        say_json({"before": before, "revision": after})
    else:
        click.echo(f"schema {said} {after}")
