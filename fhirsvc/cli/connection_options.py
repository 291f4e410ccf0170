"""The options by which commands describe a connection, and the connection they describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

import click
import orjson

from fhirsvc.ehr.keys import ALGORITHMS
from fhirsvc.ehr.options import CLIENT_AUTH, OPTIONS
from fhirsvc.store.connections import AUTHS, NewConnection

F = TypeVar("F", bound=Callable[..., Any])
_TLS = {"client_cert": "cert", "client_key": "key", "ca": "ca"}
_NO_SECRET = ("none", "smart")
_FILE = "file:PATH"

_DECLARED = (
    click.option("--auth", type=click.Choice(AUTHS), help="How we prove who we are."),
    click.option("--secret", metavar="env:NAME|file:PATH", help="Where the secret is."),
    click.option("--client-id", help="The id that the EHR registered us under."),
    click.option("--scope", help="The scopes to ask for, in one argument."),
    click.option("--token-url", help="Where tokens are; else as the EHR declares."),
    click.option("--client-auth", type=click.Choice(("", *CLIENT_AUTH)), help="Of oauth2."),
    click.option("--audience", help="The audience, where it is not the token URL."),
    click.option("--alg", type=click.Choice(("", *ALGORITHMS)), help="That smart signs with."),
    click.option("--key", metavar=_FILE, help="A key of its own, PEM or JWK, for smart."),
    click.option("--kid", help="The name of --key at the EHR."),
    click.option("--jku", help="The address of our key set, where the EHR asks for it."),
    click.option("--client-cert", metavar=_FILE, help="Our certificate, PEM."),
    click.option("--client-key", metavar=_FILE, help="Its key, where that is another file."),
    click.option("--ca", metavar=_FILE, help="The only authorities to trust, PEM."),
    click.option("--write-mode", type=click.Choice(("conditional", "create"))),
    click.option("--us-core", type=click.Choice(("6.1", "7", "8", "9"))),
    click.option("--rate", type=float, help="Requests a second; 20 if not said."),
    click.option("--burst", type=int, help="Requests at once; 20 if not said."),
    click.option("--index-lag", type=float, help="Seconds a search may be late; 2 if not said."),
    click.option("--concurrency", type=int, help="Deliveries at once; 4 if not said."),
    click.option("--inbound", metavar="JSON", help="How it is read: docs/two-way.md."),
    click.option("--rung", "rungs", multiple=True, metavar="RESOURCE=RUNG", help="Choose a rung."),
    click.option(
        "--system", "systems", multiple=True, metavar="OURS=THEIRS", help="Identifier systems."
    ),
)


def connection_options(command: F) -> F:
    """Give a command all of them; what is not said is None, and '' takes an option away."""
    for declare in reversed(_DECLARED):
        command = declare(command)
    return command


def described(before: NewConnection, given: Mapping[str, Any]) -> NewConnection:
    """The connection that options make of the one before, none of whose other values change.

    A change of auth drops the options and the secret that the new one does not have.
    """
    said = {name: value for name, value in given.items() if value is not None}
    if "us_core" in said:
        said["us_core"] = int(said["us_core"].partition(".")[0])
    if "index_lag" in said:
        said["index_lag_s"] = said.pop("index_lag")
    auth = said.get("auth", before.auth)
    kept = {
        name: value
        for name, value in before.options.items()
        if name == "systems" or auth in OPTIONS[name].auths
    }
    options = {**kept, **{name: said.pop(name) for name in OPTIONS if name in said}}
    systems = {**options.get("systems", {}), **_pairs("--system", said.pop("systems", ()))}
    options["systems"] = _without_empty(systems)
    said["rungs"] = _without_empty({**before.rungs, **_pairs("--rung", said.pop("rungs", ()))})
    if "inbound" in said:
        said["inbound"] = _inbound(said["inbound"])
    tls = {**before.tls, **{key: said.pop(name) for name, key in _TLS.items() if name in said}}
    if auth in _NO_SECRET and "secret" not in said:
        said["secret"] = ""
    values = {one.name: getattr(before, one.name) for one in fields(NewConnection)}
    told = {"options": _without_empty(options), "tls": _without_empty(tls)}
    return NewConnection(**{**values, **said, **told})


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """``NAME=VALUE``, several; NAME= takes one away."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option}: expected NAME=VALUE")
        found[name] = value
    return found


def _inbound(text: str) -> dict[str, Any]:
    try:
        given = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        raise click.UsageError("--inbound: expected a JSON object") from None
    if not isinstance(given, dict):
        raise click.UsageError("--inbound: expected a JSON object")
    return given


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}
