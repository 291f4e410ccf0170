"""All files of a mappings folder, read: systems, tables, instruments, forms, mapping files.

Takes texts by relative path (``care_plan/CarePlan.yaml``); reading the disk is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Form, Instrument, Item, Option, Question
from fhirsvc.mapping.grammar import MappingFile, did_you_mean, read
from fhirsvc.mapping.source import Node, parse
from fhirsvc.mapping.tables import Row, Systems, Table, read_sources, read_systems, read_table

INSTRUMENT_BASE = "urn:fhirsvc:Questionnaire:"
_QUESTION_KEYS = ("linkId", "text", "type", "from", "each", "items")
_QUESTION_TYPES = ("group", "string", "text", "integer", "decimal", "boolean", "date", "dateTime")


@dataclass(frozen=True)
class Library:
    """A mappings folder."""

    systems: Systems
    sources: dict[tuple[str, str], str]
    tables: dict[str, Table]
    instruments: dict[str, Instrument]
    forms: dict[str, Form]
    files: tuple[MappingFile, ...]


def read_library(texts: Mapping[str, str]) -> tuple[Library, list[Finding]]:
    """Read every file; what cannot be read is a finding and the rest goes on."""
    findings: list[Finding] = []
    systems, wrong = read_systems(texts.get("codes/systems.yaml", "{}"), "codes/systems.yaml")
    findings += wrong
    tables: dict[str, Table] = {}
    instruments: dict[str, Instrument] = {}
    forms: dict[str, Form] = {}
    files: list[MappingFile] = []
    for name, text in sorted(texts.items()):
        if not name.endswith(".yaml") or name == "codes/systems.yaml":
            continue
        if name.startswith("codes/"):
            table, wrong = read_table(text, name, systems)
            if table is not None:
                tables[table.name] = table
        elif name.startswith("instruments/"):
            wrong = _read_asked(text, name, systems, instruments, forms)
        else:
            file, wrong = read(text, name)
            if file is not None:
                files.append(file)
        findings += wrong
    tables |= _instrument_tables(instruments)
    sources = read_sources(texts.get("codes/sources.csv", "system,code,level\n"))
    return Library(systems, sources, tables, instruments, forms, tuple(files)), findings


def _instrument_tables(instruments: dict[str, Instrument]) -> dict[str, Table]:
    """Tables that every instrument fills: its questionnaire, its panel, its total."""
    if not instruments:
        return {}
    mark = parse("{}", "instruments/")[0]
    assert mark is not None  # noqa: S101 - a constant text

    def table(name: str, rows: dict[str, Row]) -> Table:
        return Table(name, mark.mark, rows)

    each = instruments.items()
    return {
        "instrument-questionnaire": table(
            "instrument-questionnaire", {n: Row(mark.mark, i.canonical) for n, i in each}
        ),
        "instrument-total": table(
            "instrument-total", {n: Row(mark.mark, None, (i.total,), i.title) for n, i in each}
        ),
    }


def _read_asked(
    text: str,
    file: str,
    systems: Systems,
    instruments: dict[str, Instrument],
    forms: dict[str, Form],
) -> list[Finding]:
    root, findings = parse(text, file)
    if root is None:
        return findings
    if not isinstance(root.value, dict) or not ({"instrument", "form"} & set(root.value)):
        message = "a file here starts with 'instrument' or 'form'"
        return [*findings, Finding("grammar", message, f"{file}:1:1")]
    missing = [k for k in ("version", "title") if k not in root.value]
    if missing:
        message = f"'{missing[0]}' is missing"
        return [*findings, Finding("missing-key", message, str(root.mark))]
    if "form" in root.value:
        form = _form(root, findings)
        forms[form.name] = form
    else:
        instrument = _instrument(root, systems, findings)
        if instrument is not None:
            instruments[instrument.name] = instrument
    return findings


def _coding(node: Node, systems: Systems, findings: list[Finding]) -> dict[str, str]:
    raw = node.plain()
    url = systems.url(str(raw.get("system", "loinc")))
    if url is None:
        hint = did_you_mean(str(raw.get("system")), systems.urls)
        findings.append(Finding("unknown-system", f"no such code system{hint}", str(node.mark)))
    found = {"system": url or "", "code": str(raw.get("code", ""))}
    if "display" in raw:
        found["display"] = str(raw["display"])
    return found


def _instrument(root: Node, systems: Systems, findings: list[Finding]) -> Instrument | None:
    raw = root.value
    for key in ("panel", "range"):
        if key not in raw:
            findings.append(Finding("missing-key", f"'{key}' is missing", str(root.mark)))
            return None
    name = str(raw["instrument"].value)
    options = tuple(
        Option(int(node.value["value"].value), _coding(node, systems, findings))
        for node in (raw["answers"].value if "answers" in raw else [])
    )
    items = []
    for node in raw["items"].value if "items" in raw else []:
        given = node.plain()
        coded = "code" in given
        link = f"/{given['code']}" if coded else str(given["n"])
        coding = _coding(node, systems, findings) if coded else None
        scored = bool(given.get("scored", True))
        items.append(Item(str(given["n"]), link, str(given["text"]), coding, options, scored))
    low, high = (int(n.value) for n in raw["range"].value)
    bands = [(int(b["from"]), str(b["is"])) for b in (n.plain() for n in _list(raw, "bands"))]
    panel = _coding(raw["panel"], systems, findings)
    return Instrument(
        name=name,
        version=str(raw["version"].value),
        title=str(raw["title"].value),
        url=INSTRUMENT_BASE + name,
        panel=panel,
        total=_coding(raw["total"], systems, findings) if "total" in raw else panel,
        low=low,
        high=high,
        bands=tuple(bands),
        items=tuple(items),
        copyright=str(raw["copyright"].value) if "copyright" in raw else "",
    )


def _list(raw: dict[str, Node], key: str) -> list[Node]:
    return list(raw[key].value) if key in raw else []


def _form(root: Node, findings: list[Finding]) -> Form:
    raw = root.value
    name = str(raw["form"].value)
    return Form(
        name=name,
        version=str(raw["version"].value),
        title=str(raw["title"].value),
        url=INSTRUMENT_BASE + name,
        questions=tuple(_question(node, findings) for node in _list(raw, "items")),
    )


def _question(node: Node, findings: list[Finding]) -> Question:
    raw: dict[str, Any] = node.value if isinstance(node.value, dict) else {}
    for key in raw:
        if key not in _QUESTION_KEYS:
            message = f"a question has no '{key}'{did_you_mean(key, _QUESTION_KEYS)}"
            findings.append(Finding("unknown-key", message, str(node.at(key))))
    for key in ("linkId", "text"):
        if key not in raw:
            findings.append(Finding("missing-key", f"'{key}' is missing", str(node.mark)))
    kind = str(raw["type"].value) if "type" in raw else "group" if "items" in raw else "text"
    if kind not in _QUESTION_TYPES:
        hint = did_you_mean(kind, _QUESTION_TYPES)
        findings.append(Finding("unknown-type", f"no question type '{kind}'{hint}", str(node.mark)))
    return Question(
        linkId=str(raw["linkId"].value) if "linkId" in raw else "",
        text=str(raw["text"].value) if "text" in raw else "",
        type=kind,
        source=str(raw["from"].value) if "from" in raw else None,
        each=str(raw["each"].value) if "each" in raw else None,
        mark=node.mark,
        questions=tuple(_question(n, findings) for n in _list(raw, "items")),
    )
