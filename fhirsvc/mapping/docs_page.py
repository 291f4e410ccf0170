"""One HTML page of a mappings folder that a clinician can review: no script, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fhirsvc.mapping.coverage import HOUSEKEEPING
from fhirsvc.mapping.derived import known_fields
from fhirsvc.mapping.destinations import Destination, destinations, stated, words
from fhirsvc.mapping.docs_style import STYLE
from fhirsvc.mapping.library import Library
from fhirsvc.mapping.lines import MappingFile
from fhirsvc.mapping.tables import Row, Table
from fhirsvc.records import TYPES, Field, schema_for

OWNERS = {"us": "the program", "ehr": "the EHR", "both": "both"}
SYSTEMS = {"sct": "SNOMED CT", "loinc": "LOINC", "icd10cm": "ICD-10-CM", "hcpcs": "HCPCS"}
# https://terminology.hl7.org/CodeSystem-v3-ActCode.html, ActInformationSensitivityPolicy
SENSITIVITY = {
    "SUD": "substance use",
    "ETH": "substance abuse",
    "ETHUD": "alcohol use disorder",
    "OPIOIDUD": "opioid use disorder",
    "BH": "behavioral health",
    "MH": "mental health",
    "PSY": "psychiatry",
    "PSYTHPN": "psychotherapy notes",
    "HIV": "HIV",
    "SDV": "violence by a partner",
}


def page(library: Library, version: str) -> str:
    """Return the page.

    :param version: of the program, for the foot of the page.
    """
    records = [t for t in TYPES if any(f.record == t for f in library.files)]
    parts = "".join(_record(library, record) for record in records)
    codes = "".join(_table(library.tables[name], library) for name in sorted(library.tables))
    links = "".join(f'<li><a href="#{r}">{_title(r)}</a></li>' for r in records)
    links += '<li><a href="#codes">Code tables</a></li>'
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Where our records go</title><style>{STYLE}</style></head><body>"
        '<a class="skip" href="#main">To the content</a>'
        f"<header><h1>Where our records go</h1>{_INTRODUCTION}"
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>'
        f'</header><main id="main">{parts}<section id="codes" aria-labelledby="h-codes">'
        f'<h2 id="h-codes">Code tables</h2><p>What each word of ours becomes.</p>{codes}</section>'
        f"</main><footer><p>fhirsvc {escape(version)}; made by <code>fhirsvc map docs</code> from "
        f"{len(library.files)} mapping files.</p></footer></body></html>\n"
    )


_INTRODUCTION = (
    "<p>Every field of every record the program keeps: where it goes when the record is sent to an "
    "electronic health record, in which words and codes, who may change it there, and what does "
    "not go out and why. <strong>Owner</strong> says whose change counts where both sides change "
    "something.</p>"
)


def _title(record: str) -> str:
    return escape(words(record).capitalize())


def _record(library: Library, record: str) -> str:
    files = [f for f in library.files if f.record == record]
    to = destinations(library, record)
    skipped = {name: why for f in files for name, (why, _) in f.skipped.items()}
    rows = "".join(
        _field(field, to.get(name, []), _why(name, skipped))
        for name, field in {**known_fields(record), **library.site.fields.get(record, {})}.items()
        if name not in HOUSEKEEPING
    )
    becomes = ", ".join(sorted({words(f.resource).capitalize() for f in files}))
    about = (type(schema_for(record)).__doc__ or "").partition(":")[0].strip()
    return (
        f'<section id="{record}" aria-labelledby="h-{record}"><h2 id="h-{record}">{_title(record)}'
        f"</h2><p>{escape(about)}. Becomes in FHIR: {escape(becomes)}.</p>"
        '<div class="wide"><table><caption>Fields</caption><thead><tr><th scope="col">Field</th>'
        '<th scope="col">Where it goes</th><th scope="col">Owner</th>'
        f'<th scope="col">Sensitivity</th></tr></thead><tbody>{rows}</tbody></table></div>'
        f"{''.join(_file(library, file) for file in files)}</section>"
    )


def _why(name: str, skipped: Mapping[str, str]) -> str | None:
    plain = name.replace("[]", "")
    found = (why for s, why in skipped.items() if plain == s or plain.startswith(f"{s}."))
    return next(found, None)


def _field(field: Field, to: list[Destination], why: str | None) -> str:
    part = field.kind == "object"
    if part and not to and why is None:
        depth = field.path.count(".")
        return (
            f'<tr class="part"><th scope="row" colspan="4" style="--d:{depth}">'
            f"{escape(field.doc)} <code>{escape(field.path)}</code></th></tr>"
        )
    if to:
        where = f"<ul>{''.join(f'<li>{_to(one)}</li>' for one in to)}</ul>"
    elif why is not None:
        where = f'<p class="no"><strong>Does not go out:</strong> {escape(why)}.</p>'
    else:
        where = "<p>—</p>"
    owners = {OWNERS.get(one.owner or "", "") for one in to} - {""}
    labels = {one.sensitivity for one in to} | {field.sensitivity}
    return (
        f'<tr><th scope="row" style="--d:{field.path.count(".")}">{escape(field.doc)} '
        f"<code>{escape(field.path)}</code></th>"
        f'<td data-label="Where it goes">{where}</td>'
        f"{_cell('Owner', owners)}"
        f"{_cell('Sensitivity', {_label(one) for one in labels if one})}</tr>"
    )


def _cell(label: str, said: set[str]) -> str:
    empty = "" if said else ' class="none"'
    shown = escape(", ".join(sorted(said))) or "—"
    return f'<td data-label="{label}"{empty}>{shown}</td>'


def _label(code: str) -> str:
    return f"{SENSITIVITY.get(code, code)} ({code})"


def _to(one: Destination) -> str:
    table = ""
    if one.codes:
        name = escape(words(one.codes).replace("-", " "))
        table = f' by the table <a href="#t-{one.codes}">{name}</a>'
    said = escape(one.how) + table + (f", {escape(one.when)}" if one.when else "")
    back = f' <em class="way">One way: {escape(one.one_way)}.</em>' if one.one_way else ""
    return f'<span class="el">{_element(one.element)}</span> {said}.{back}'


def _element(path: str) -> str:
    """``CarePlan.activity.detail`` as a trail of words; what it is called is in its title."""
    trail = " > ".join(words(step) for step in path.split("."))
    return f'<span title="{escape(path)}">{escape(trail.capitalize())}</span>'


def _file(library: Library, file: MappingFile) -> str:
    items = [
        f"<li>{_element(one.element)}: {escape(_value(one.value))}"
        + (f", {escape(one.when)}" if one.when else "")
        + "</li>"
        for one in stated(library, file)
    ]
    absent = [
        f"<li>{_element(f'{file.resource}.{path}')} is left out: {escape(why)}.</li>"
        for path, (why, _) in file.absent.items()
    ]
    found = ""
    if items:
        found += f"<p>Every one says:</p><ul>{''.join(items)}</ul>"
    if absent:
        found += f"<p>US Core asks for these, and we have none:</p><ul>{''.join(absent)}</ul>"
    if not found:
        return ""
    name = words(file.resource) + (f" ({words(file.part)})" if file.part else "")
    return f"<h3>{escape(name.capitalize())}</h3>{found}"


def _value(value: Any) -> str:
    """A constant in words: the display of a coding, else what stands for it."""
    if isinstance(value, dict):
        if "coding" in value:
            return ", ".join(_value(coding) for coding in value["coding"])
        shown = value.get("display") or value.get("text") or value.get("code")
        return str(shown) if shown else ", ".join(f"{k}: {_value(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_value(item) for item in value)
    return (
        {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    )


def _table(table: Table, library: Library) -> str:
    named = {url: alias for alias, url in library.systems.urls.items()}
    title = escape(words(table.name).replace("-", " ").capitalize())
    rows = "".join(_row(word, row, named) for word, row in table.rows.items())
    return (
        f'<details id="t-{table.name}"><summary>{title}'
        f" <span>{len(table.rows)} words</span></summary>"
        f'<div class="wide"><table><caption>{title}</caption><thead>'
        '<tr><th scope="col">Our word</th><th scope="col">Becomes</th><th scope="col">Code</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _row(word: str, row: Row, named: Mapping[str, str]) -> str:
    shown = " and ".join(_displays(row)) or "no code: nothing is written"
    codes = ", ".join(f"{_system(c['system'], named)} {c['code']}" for c in row.codings)
    label = f' <em class="way">{escape(_label(row.sensitivity))}</em>' if row.sensitivity else ""
    return (
        f'<tr><th scope="row">{escape(words(word))} <code>{escape(word)}</code></th>'
        f'<td data-label="Becomes">{escape(shown)}{label}</td>'
        f'<td data-label="Code">{escape(codes or row.code or "—")}</td></tr>'
    )


def _system(url: str, named: Mapping[str, str]) -> str:
    alias = named.get(url, url)
    return SYSTEMS.get(alias, alias)


def _displays(row: Row) -> Iterator[str]:
    if row.code is not None:
        yield words(row.code.replace("-", " "))
    if row.text:
        yield row.text
    for coding in row.codings:
        if coding.get("display") and coding["display"] != row.text:
            yield coding["display"]
