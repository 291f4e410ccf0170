"""``fhirsvc instrument``: the instruments of a mappings folder, and new ones by Questionnaire."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import click

from fhirsvc import shipped
from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house_texts import house_texts, site_option
from fhirsvc.cli.inputs import STDIN, opened
from fhirsvc.cli.output import counted, finding_json, json_option, say_finding, say_json
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.guard import parse
from fhirsvc.fhir.instruments import Instrument
from fhirsvc.mapping.forward import check
from fhirsvc.mapping.from_questionnaire import Written, written
from fhirsvc.mapping.library import SOURCES as SHIPPED_SOURCES
from fhirsvc.mapping.library import read_library
from fhirsvc.mapping.overlay import PREFIX, SOURCES
from fhirsvc.mapping.tables import read_sources
from fhirsvc.settings import load


@click.group()
def instrument() -> None:
    """Standardized instruments: what there is, and more."""


@instrument.command("list")
@click.argument("folder", metavar="[DIR]", required=False)
@site_option
@json_option
def list_command(folder: str | None, site: str | None, as_json: bool) -> None:
    """List the instruments of a mappings folder (the one in force if none is named)."""
    library, _ = read_library(house_texts(folder, site))
    for one in library.instruments.values():
        if as_json:
            say_json(_described(one))
        else:
            items = counted(len(one.items), "item") if one.items else "total alone"
            total = "a risk" if one.scoring == "rules" else f"{one.low} to {one.high}"
            alerts = f", {counted(len(one.alerts), 'alert')}" if one.alerts else ""
            click.echo(f"{one.name} {one.version}: {one.title} ({items}, {total}{alerts})")


def _described(one: Instrument) -> dict[str, Any]:
    return {
        "instrument": one.name,
        "version": one.version,
        "title": one.title,
        "canonical": one.canonical,
        "scoring": one.scoring,
        "range": None if one.scoring == "rules" else [one.low, one.high],
        "items": len(one.items),
        "bands": [word for _, word in one.bands] or [rule.word for rule in one.rules],
        "alerts": [alert.key for alert in one.alerts],
        "change": [threshold.points for threshold in one.change],
    }


@instrument.command()
@click.argument("file", metavar="FILE")
@click.option("--to", metavar="DIR", help="The site's folder; the setting 'site' if not given.")
@click.option("--name", default="", metavar="NAME", help="Its name in records, e.g. phq-15.")
@click.option("--replace", is_flag=True, help="Write over an instrument of this name.")
@json_option
@click.pass_context
def add(
    ctx: click.Context, file: str, to: str | None, name: str, replace: bool, as_json: bool
) -> None:
    """Take a FHIR Questionnaire with LOINC codes and ordinal values as an instrument.

    It is written to instruments/NAME.yaml of the site's folder once `map check` finds nothing in
    it, and its codes to codes/sources.csv there. So its wording stays with the clinic whose it is.
    Bands, alerts and thresholds are no part of a Questionnaire; add them by hand.
    """
    settings = load()
    folder = _folder(to or settings.site)
    source = "<stdin>" if file == STDIN else file
    made = written(_read(file, source), name)
    texts = shipped.mappings(settings.mappings, str(folder) if folder.is_dir() else "")
    where = f"{PREFIX}instruments/{made.name}.yaml"
    findings = list(made.findings)
    if not made.failed:
        findings += _taken(texts, made.name, where, replace)
    new = {}
    if not any(one.severity == "error" for one in findings):
        new = {where: made.text(_said(source, made)), SOURCES: _sources(texts, made)}
        findings += _proven(texts, texts | new)
    for one in findings:
        _say(one, source, as_json)
    if any(one.severity == "error" for one in findings):
        ctx.exit(FINDINGS)
    _write(folder, new)
    library, _ = read_library(texts | new)
    described = {
        **_described(library.instruments[made.name]),
        "file": str(folder / where.removeprefix(PREFIX)),
    }
    if as_json:
        say_json(described)
    else:
        total = "{} to {}".format(*described["range"])
        items = counted(described["items"], "item")
        click.echo(f"{described['file']}: {made.name}, {items}, total {total}")


def _folder(named: str) -> Path:
    """The site's folder; the mappings that ship are nobody's to write to."""
    if not named:
        raise click.UsageError("name the site's folder with --to, or set FHIRSVC_SITE")
    folder = Path(named)
    if folder.resolve() == (Path(shipped.__file__).parent / "mappings").resolve():
        raise click.UsageError("the mappings that ship are not written to; name another folder")
    if folder.exists() and not folder.is_dir():
        raise click.UsageError(f"{named} is no folder")
    return folder


def _read(file: str, source: str) -> object:
    with opened(file) as data:
        text = data.read()
    try:
        return parse(text)
    except FhirsvcError as error:
        raise FhirsvcError(error.category, error.message, f"{source}:{error.where}") from None


def _taken(texts: dict[str, str], name: str, where: str, replace: bool) -> list[Finding]:
    """Whether the name can be used."""
    if not name:
        message = "nothing in it can be a name; give one with --name"
        return [Finding("questionnaire", message, "Questionnaire.id")]
    if where in texts and not replace:
        message = f"{where} is there already; --replace writes over it, --name gives another name"
        return [Finding("duplicate-name", message, "Questionnaire.id")]
    return []


def _said(source: str, made: Written) -> str:
    """What it was read from, in words that may stand in a file: its URL, else the file's name."""
    return str(made.content.get("derivedFrom") or Path(source).name)


def _sources(texts: dict[str, str], made: Written) -> str:
    """The site's sources.csv with the codes it lacks, read in a file of third parties (B)."""
    text = texts.get(SOURCES, "system,code,level,source\n")
    known = {*read_sources(texts.get(SHIPPED_SOURCES, "")), *read_sources(text)}
    columns = next(csv.reader(io.StringIO(text)))
    more = io.StringIO()
    writer = csv.writer(more, lineterminator="\n")
    for system, code in sorted(made.codes - known):
        stated = {"system": system, "code": code, "level": "B", "source": _said("", made)}
        writer.writerow([stated.get(column, "") for column in columns])
    return f"{text.rstrip()}\n{more.getvalue()}"


def _proven(before: dict[str, str], after: dict[str, str]) -> list[Finding]:
    """What ``map check`` finds that it did not find before."""
    found = []
    for texts in (before, after):
        library, findings = read_library(texts)
        found.append([*findings, *check(library)])
    return [one for one in found[1] if one not in found[0]]


def _say(one: Finding, source: str, as_json: bool) -> None:
    place = one.where if one.where.startswith(PREFIX) else f"{source}: {one.where}"
    located = Finding(one.rule, one.message, place, one.severity)
    if as_json:
        say_json(finding_json(located), err=True)
    else:
        say_finding(located, err=True)


def _write(folder: Path, new: dict[str, str]) -> None:
    try:
        for name, text in new.items():
            path = folder / name.removeprefix(PREFIX)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise FhirsvcError(Category.NOT_FOUND, message, str(folder)) from None
