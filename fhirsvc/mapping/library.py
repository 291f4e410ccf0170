"""All files of a mappings folder, read: systems, tables, instruments, forms, mapping files.

Takes texts by relative path (``care_plan/CarePlan.yaml``); reading the disk is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Form, Instrument
from fhirsvc.mapping import overlay
from fhirsvc.mapping.grammar import read
from fhirsvc.mapping.instrument_files import FOLDER, read_asked
from fhirsvc.mapping.lines import MappingFile
from fhirsvc.mapping.overlay import NO_SITE, Site
from fhirsvc.mapping.revealing import NOTHING, Revealing, read_revealing
from fhirsvc.mapping.source import Mark
from fhirsvc.mapping.tables import (
    Row,
    Systems,
    Table,
    read_sources,
    read_systems,
    read_table,
    sources_columns,
)

SYSTEMS, SOURCES = "codes/systems.yaml", "codes/sources.csv"


@dataclass(frozen=True)
class Library:
    """A mappings folder."""

    systems: Systems
    sources: dict[tuple[str, str], str]
    tables: dict[str, Table]
    instruments: dict[str, Instrument]
    forms: dict[str, Form]
    files: tuple[MappingFile, ...]
    site: Site = NO_SITE
    revealing: Revealing = NOTHING


def read_library(texts: Mapping[str, str]) -> tuple[Library, list[Finding]]:
    """Read every file; what cannot be read is a finding and the rest goes on.

    Names that begin with ``site/`` are those of a site's folder over the shipped one (``overlay``).
    """
    mine = overlay.of_site(texts)
    systems, findings = read_systems(texts.get(SYSTEMS, "{}"), SYSTEMS)
    systems, wrong = overlay.site_systems(mine, systems)
    findings += wrong
    if findings:  # every code of the folder would be a finding after these
        return Library(systems, {}, {}, {}, {}, ()), findings
    tables: dict[str, Table] = {}
    files: list[MappingFile] = []
    marks: dict[str, Mark] = {}
    for name, text in sorted(texts.items()):
        if not name.endswith(".yaml") or name == SYSTEMS or name.startswith(FOLDER):
            continue
        if name in mine:
            continue
        if name.startswith("codes/"):
            table, wrong = read_table(text, name, systems)
            if table is not None:
                wrong += _once(table.name, "table", table.mark, marks)
                tables[table.name] = table
        else:
            file, wrong = read(text, name)
            if file is not None:
                files.append(file)
        findings += wrong
    asked = read_asked({n: t for n, t in texts.items() if _is_asked(n)}, systems)
    findings += asked.findings
    tables |= _instrument_tables(asked.instruments, asked.marks)
    more, wrong = overlay.site_tables(mine, tables, systems)
    findings += wrong
    site, wrong = overlay.read_site(mine)
    findings += wrong
    extended, wrong = overlay.merged(files, site.overlays)
    findings += wrong
    sources: dict[tuple[str, str], str] = {}
    for name in (SOURCES, overlay.SOURCES):
        if name in texts:
            findings += sources_columns(texts[name], name)
            sources |= read_sources(texts[name])
    revealing, wrong = read_revealing(texts)
    findings += wrong
    found = tables | more
    return Library(
        systems, sources, found, asked.instruments, asked.forms, extended, site, revealing
    ), findings


def _is_asked(name: str) -> bool:
    return name.removeprefix(overlay.PREFIX).startswith(FOLDER) and name.endswith(".yaml")


def _once(name: str, what: str, mark: Mark, marks: dict[str, Mark]) -> list[Finding]:
    """A finding when another file of the folder has the same name for the same thing."""
    first = marks.setdefault(f"{what} {name}", mark)
    if first is mark:
        return []
    return [Finding("duplicate-name", f"{what} '{name}' is also in {first.file}", str(mark))]


def _instrument_tables(
    instruments: dict[str, Instrument], marks: dict[str, Mark]
) -> dict[str, Table]:
    """Tables that every instrument fills: its questionnaire and its total."""
    if not instruments:
        return {}
    where = {n: marks[f"instrument {n}"] for n in instruments}
    canonicals = {
        n: Row(where[n], i.canonical, sensitivity=i.sensitivity) for n, i in instruments.items()
    }
    totals = {
        n: Row(where[n], None, (i.total,), i.title, i.sensitivity) for n, i in instruments.items()
    }
    mark = next(iter(where.values()))
    return {
        "instrument-questionnaire": Table("instrument-questionnaire", mark, canonicals),
        "instrument-total": Table("instrument-total", mark, totals),
    }
