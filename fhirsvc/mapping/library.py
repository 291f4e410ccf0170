"""All files of a mappings folder, read: systems, tables, instruments, forms, mapping files.

Takes texts by relative path (``care_plan/CarePlan.yaml``); reading the disk is the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Form, Instrument, Item, Option, Question
from fhirsvc.mapping.grammar import read
from fhirsvc.mapping.lines import MappingFile, did_you_mean
from fhirsvc.mapping.shape import TRUTH, WHOLE, WORD, Each, Keys, fits
from fhirsvc.mapping.source import Mark, Node, parse
from fhirsvc.mapping.tables import (
    Row,
    Systems,
    Table,
    read_sources,
    read_systems,
    read_table,
    sources_columns,
)
from fhirsvc.records.instruments import SEVERITIES

INSTRUMENT_BASE = "urn:fhirsvc:Questionnaire:"
SYSTEMS, SOURCES = "codes/systems.yaml", "codes/sources.csv"
_HEAD = {"version": WORD, "title": WORD}
_CODE = Keys("a code", {"code": WORD}, {"system": WORD, "display": WORD})
_INSTRUMENT = Keys(
    "an instrument",
    {"instrument": WORD, **_HEAD, "panel": _CODE, "range": Each(WHOLE, 2)},
    {
        "total": _CODE,
        "bands": Each(Keys("a band", {"from": WHOLE, "is": WORD})),
        "copyright": WORD,
        "answers": Each(Keys("an answer", {"value": WHOLE, **_CODE.needed}, _CODE.also)),
        "items": Each(
            Keys(
                "an item",
                {"n": WORD, "text": WORD},
                {**_CODE.needed, **_CODE.also, "scored": TRUTH},
            )
        ),
    },
)
_ASKS: dict[str, Any] = {"linkId": WORD, "text": WORD}
_QUESTION_ALSO: dict[str, Any] = {"type": WORD, "from": WORD, "each": WORD}
_QUESTION = Keys("a question", _ASKS, _QUESTION_ALSO)
_QUESTION_ALSO["items"] = Each(_QUESTION)  # questions below a question
_FORM = Keys("a form", {"form": WORD, **_HEAD, "items": Each(_QUESTION)})
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
    systems, findings = read_systems(texts.get(SYSTEMS, "{}"), SYSTEMS)
    if findings:  # every code of the folder would be a finding after these
        return Library(systems, {}, {}, {}, {}, ()), findings
    tables: dict[str, Table] = {}
    instruments: dict[str, Instrument] = {}
    forms: dict[str, Form] = {}
    files: list[MappingFile] = []
    marks: dict[str, Mark] = {}
    for name, text in sorted(texts.items()):
        if not name.endswith(".yaml") or name == SYSTEMS:
            continue
        if name.startswith("codes/"):
            table, wrong = read_table(text, name, systems)
            if table is not None:
                wrong += _once(table.name, "table", table.mark, marks)
                tables[table.name] = table
        elif name.startswith("instruments/"):
            wrong = _read_asked(text, name, systems, instruments, forms, marks)
        else:
            file, wrong = read(text, name)
            if file is not None:
                files.append(file)
        findings += wrong
    tables |= _instrument_tables(instruments, marks)
    stated = texts.get(SOURCES, "system,code,level\n")
    findings += sources_columns(stated, SOURCES)
    sources = read_sources(stated)
    return Library(systems, sources, tables, instruments, forms, tuple(files)), findings


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
    canonicals = {n: Row(where[n], i.canonical) for n, i in instruments.items()}
    totals = {n: Row(where[n], None, (i.total,), i.title) for n, i in instruments.items()}
    mark = next(iter(where.values()))
    return {
        "instrument-questionnaire": Table("instrument-questionnaire", mark, canonicals),
        "instrument-total": Table("instrument-total", mark, totals),
    }


def _read_asked(
    text: str,
    file: str,
    systems: Systems,
    instruments: dict[str, Instrument],
    forms: dict[str, Form],
    marks: dict[str, Mark],
) -> list[Finding]:
    root, findings = parse(text, file)
    if root is None:
        return findings
    if not isinstance(root.value, dict) or not ({"instrument", "form"} & set(root.value)):
        message = "a file here starts with 'instrument' or 'form'"
        return [*findings, Finding("grammar", message, f"{file}:1:1")]
    what, shape = ("form", _FORM) if "form" in root.value else ("instrument", _INSTRUMENT)
    if not fits(root, shape, findings):
        return findings
    findings += _once(str(root.value[what].value), what, root.mark, marks)
    if what == "form":
        form = _form(root, findings)
        forms[form.name] = form
    else:
        instrument = _instrument(root, systems, findings)
        instruments[instrument.name] = instrument
        _sound(instrument, root, findings)
    return findings


def _sound(instrument: Instrument, root: Node, findings: list[Finding]) -> None:
    """What can be wrong with an instrument although each of its parts is well formed."""
    raw = root.value

    def wrong(message: str, node: Node) -> None:
        findings.append(Finding("instrument", message, str(node.mark)))

    low, high = instrument.low, instrument.high
    if low >= high:
        wrong("the range rises from the lowest total to the highest", raw["range"])
    bounds = [bound for bound, _ in instrument.bands]
    for i, bound in enumerate(bounds):
        if not low <= bound <= high or (i and bound <= bounds[i - 1]):
            wrong("bands rise, and each begins within the range", _list(raw, "bands")[i])
    for band in _list(raw, "bands"):
        word = str(band.value["is"].value)
        if word not in SEVERITIES:
            message = f"records have no band '{word}'{did_you_mean(word, SEVERITIES)}"
            findings.append(Finding("unknown-band", message, str(band.at("is"))))
    for key, of, name in (("answers", "value", "answer"), ("items", "n", "item")):
        seen: set[str] = set()
        for node in _list(raw, key):
            word = str(node.value[of].value)
            if word in seen:
                wrong(f"{name} '{word}' is here twice", node)
            seen.add(word)
    scored = [item for item in instrument.items if item.scored]
    if scored and not scored[0].options:
        wrong("items without 'answers' cannot be scored", raw["items"])
    elif scored and high != len(scored) * max(o.value for o in scored[0].options):
        wrong("the highest total is not what the highest answers add up to", raw["range"])


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


def _instrument(root: Node, systems: Systems, findings: list[Finding]) -> Instrument:
    raw = root.value
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
    seen: set[str] = set()  # linkIds are unique in a whole Questionnaire
    return Form(
        name=name,
        version=str(raw["version"].value),
        title=str(raw["title"].value),
        url=INSTRUMENT_BASE + name,
        questions=tuple(_question(node, findings, seen) for node in _list(raw, "items")),
    )


def _question(node: Node, findings: list[Finding], seen: set[str]) -> Question:
    raw: dict[str, Node] = node.value
    link = str(raw["linkId"].value)
    if link in seen:
        message = f"linkId '{link}' is here twice"
        findings.append(Finding("duplicate-key", message, str(raw["linkId"].mark)))
    seen.add(link)
    kind = str(raw["type"].value) if "type" in raw else "group" if "items" in raw else "text"
    if kind not in _QUESTION_TYPES:
        hint = did_you_mean(kind, _QUESTION_TYPES) or f"; it is one of {', '.join(_QUESTION_TYPES)}"
        message = f"no question type '{kind}'{hint}"
        findings.append(Finding("unknown-type", message, str(raw["type"].mark)))
        kind = "group"  # what answers it cannot be asked of an unknown type
    if not {"from", "each", "items"} & set(raw):
        message = "a question has 'from', 'each' or 'items': something answers it"
        findings.append(Finding("line-kind", message, str(node.mark)))
    return Question(
        linkId=link,
        text=str(raw["text"].value),
        type=kind,
        source=str(raw["from"].value) if "from" in raw else None,
        each=str(raw["each"].value) if "each" in raw else None,
        mark=node.mark,
        questions=tuple(_question(n, findings, seen) for n in _list(raw, "items")),
    )
