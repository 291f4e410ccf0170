"""``fhirsvc keys``: the keys that EHRs know us by; see :mod:`fhirsvc.ehr.keys` for their life."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.output import finding_json, json_option, say_finding, say_json
from fhirsvc.ehr.keys import (
    ALGORITHMS,
    PUBLISH_S,
    ClientKey,
    KeyFolder,
    retired,
    scheduled,
    state,
)
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.settings import load


@click.group()
def keys() -> None:
    """The keys that EHRs know us by: new, list, retire."""


@keys.command()
@click.option("--alg", type=click.Choice(ALGORITHMS), default="RS384", show_default=True)
@click.option(
    "--delay",
    type=click.IntRange(0, 30 * 86_400),
    default=int(PUBLISH_S),
    show_default=True,
    help="Seconds it is published before it signs, where another signs till then.",
)
@json_option
def new(alg: str, delay: int, as_json: bool) -> None:
    """Make a key. It is published at once; the first of its kind signs at once, too."""
    from fhirsvc.ehr.assertion import new_key  # noqa: PLC0415 - slow to import, only needed here

    folder = _folder()
    made = scheduled(new_key(alg, time.time()), folder.read()[0], delay)
    folder.write(made)
    if as_json:
        say_json(_shown(made, folder.read()[0]))
    else:
        ripe = made.signs_from <= time.time()
        click.echo(f"{made.kid}: {alg}, signs {'now' if ripe else f'from {_at(made.signs_from)}'}")


@keys.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List the keys: signing, waiting, spare, retired, withdrawn; exit 1 for files that are none.

    All but withdrawn ones are published at /.well-known/jwks.json.
    """
    found, findings = _folder().read()
    for one in sorted(found, key=lambda one: (one.created_at, one.kid)):
        shown = _shown(one, found)
        if as_json:
            say_json(shown)
        else:
            since = shown["retired_at"] or shown["signs_from"]
            click.echo(f"{one.kid}  {one.alg}  {shown['state']}  {since}")
    for finding in findings:
        if as_json:
            say_json(finding_json(finding))
        else:
            say_finding(finding)
    if not found and not findings and not as_json:
        click.echo("no keys; make one with `fhirsvc keys new`")
    ctx.exit(FINDINGS if findings else 0)


@keys.command()
@click.argument("kid")
@click.option("--at-once", is_flag=True, help="It leaked: publish it no more, whatever follows.")
@json_option
def retire(kid: str, at_once: bool, as_json: bool) -> None:
    """Let a key sign no more; it stays published for a day. KID may be the beginning of one.

    Its private half is destroyed.
    """
    folder, now = _folder(), time.time()
    found = folder.read()[0]
    key = _one(found, kid)
    others = [one for one in found if one.alg == key.alg and one != key and one.private is not None]
    if not at_once and not any(one.signs_from <= now for one in others):
        ready = min((one.signs_from for one in others), default=None)
        message = (
            f"the next {key.alg} key signs from {_at(ready)}: retire this one then"
            if ready
            else f"no other {key.alg} key signs: `fhirsvc keys new` first"
        )
        raise FhirsvcError(Category.CONFLICT, f"{message} (or --at-once)", f"key {key.kid}")
    gone = retired(key, now, at_once=at_once)
    folder.write(gone)
    if as_json:
        say_json(_shown(gone, folder.read()[0]))
    else:
        click.echo(f"{gone.kid}: {state(gone, [gone], now)}")


def _folder() -> KeyFolder:
    return KeyFolder(Path(load().keys))


def _one(found: list[ClientKey], kid: str) -> ClientKey:
    """The one key that signs and whose name begins so."""
    able = [one for one in found if one.kid.startswith(kid) and one.private is not None]
    if len(able) != 1:
        message = "no such key" if not able else f"{len(able)} keys begin so"
        raise FhirsvcError(Category.NOT_FOUND, message, "KID")
    return able[0]


def _shown(key: ClientKey, found: list[ClientKey]) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "alg": key.alg,
        "state": state(key, found, time.time()),
        "created_at": _at(key.created_at),
        "signs_from": _at(key.signs_from),
        "retired_at": None if key.retired_at is None else _at(key.retired_at),
    }


def _at(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
