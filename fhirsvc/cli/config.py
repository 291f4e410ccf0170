"""``fhirsvc config``: the settings in force and where each is from."""

from __future__ import annotations

import click
import sqlalchemy as sa

from fhirsvc.cli.output import json_option, say_json
from fhirsvc.settings import CONFIG_FILE, Settings, load


@click.group()
def config() -> None:
    """The settings in force."""


@config.command()
@json_option
def show(as_json: bool) -> None:
    """Print every setting, its value and what it means; passwords are hidden."""
    settings = load()
    values = {name: _shown(name, getattr(settings, name)) for name in Settings.model_fields}
    if as_json:
        say_json(values)
        return
    click.echo(f"# {CONFIG_FILE}, or FHIRSVC_NAME in the environment")
    for name, value in values.items():
        said = click.style(f"# {Settings.model_fields[name].description}", dim=True)
        click.echo(f"{name} = {_toml(value)}  {said}")


def _shown(name: str, value: object) -> object:
    if name.endswith("_url") and value:
        return sa.make_url(str(value)).render_as_string(hide_password=True)
    return value


def _toml(value: object) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
