"""``fhirsvc map coverage``: which lines, fields and code table rows some records exercise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
import orjson

from fhirsvc import shipped
from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house_texts import house_texts
from fhirsvc.cli.inputs import given, say_located
from fhirsvc.cli.output import json_option, progress, say_json
from fhirsvc.cli.records import faults
from fhirsvc.mapping.exercised import Coverage, coverage
from fhirsvc.mapping.forward import Mappings

Seen = Mapping[str, bool]


@click.command("coverage")
@click.argument("files", nargs=-1, metavar="[FILE...]")
@json_option
@click.pass_context
def coverage_command(ctx: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Say which lines, fields and code table rows records exercise (the demo's if none are named).

    With --json, a line for each mapping file and each code table. Exit code 1 when something is
    exercised by no record.
    """
    mappings = Mappings.load(house_texts())
    wrong = [0]
    with progress("mapping") as advance:
        found = coverage(mappings, _records(files, advance, wrong, as_json))
    (_say_json if as_json else _say)(found)
    ctx.exit(0 if found.complete() and not wrong[0] else FINDINGS)


def _records(
    files: tuple[str, ...], advance: Any, wrong: list[int], as_json: bool
) -> Iterator[dict[str, Any]]:
    if not files:
        for text in shipped.demo().values():
            yield from map(orjson.loads, text.splitlines())
    for one in given(files):
        advance(1)
        findings = faults(one)
        wrong[0] += len(findings)
        for finding in findings:
            say_located(one, finding, as_json, err=True)
        if not findings and one.row.record is not None:
            yield one.row.record


def _say(found: Coverage) -> None:
    for name, file in found.files.items():
        click.echo(f"{name}: {_part(file.lines, 'lines')}, {_part(file.fields, 'fields')}")
        for missing in file.missing():
            place = ":" in missing
            click.echo(f"  {missing}: {'no record makes it write' if place else 'in no record'}")
    for name, rows in found.tables.items():
        click.echo(f"codes {name}: {_part(rows, 'rows')}")
        for word in _missing(rows):
            click.echo(f"  {word}: in no record")
    lines = _all({name: file.lines for name, file in found.files.items()})
    fields = _all({name: file.fields for name, file in found.files.items()})
    words = _part(_all(found.tables), "rows")
    said = f"{_part(lines, 'lines')}, {_part(fields, 'fields')}, {words}"
    click.echo(f"all: {said}")


def _all(parts: Mapping[str, Seen]) -> dict[tuple[str, str], bool]:
    return {(part, name): yes for part, seen in parts.items() for name, yes in seen.items()}


def _say_json(found: Coverage) -> None:
    for name, file in found.files.items():
        say_json({"file": name, "lines": _json(file.lines), "fields": _json(file.fields)})
    for name, rows in found.tables.items():
        say_json({"table": name, "rows": _json(rows)})


def _json(seen: Seen) -> dict[str, Any]:
    return {"of": len(seen), "exercised": sum(seen.values()), "missing": _missing(seen)}


def _part(seen: Mapping[Any, bool], what: str) -> str:
    return f"{sum(seen.values()):,} of {len(seen):,} {what}"


def _missing(seen: Seen) -> list[str]:
    return [name for name, yes in seen.items() if not yes]
