"""A site's own folder over the shipped mappings: fields, lines, code tables, one version pinned.

Its texts have names that begin with ``site/``. An overlay (``overlays/<record>/<Resource>.yaml``)
says which shipped file it extends and which version of it; what it changes is merged into that
file's lines and then proven like any other, every line with its place in the overlay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from marshmallow import Schema

from fhirsvc.errors import Finding
from fhirsvc.mapping.grammar import read_overlay
from fhirsvc.mapping.lines import Line, MappingFile, Overlay, did_you_mean
from fhirsvc.mapping.shape import TRUTH, WORD, Each, Keys, Named, fits
from fhirsvc.mapping.tables import (
    Systems,
    Table,
    proven,
    read_extension,
    read_systems,
    read_table,
)
from fhirsvc.records import Field
from fhirsvc.records.shapes import SENSITIVITIES
from fhirsvc.records.site import ENUM, KINDS, SITE, SiteField, site_fields, site_schema

PREFIX = "site/"
OVERLAYS, CODES = PREFIX + "overlays/", PREFIX + "codes/"
SYSTEMS, SOURCES = CODES + "systems.yaml", CODES + "sources.csv"
FIELD = Keys(
    "a field",
    {"kind": WORD, "doc": WORD},
    {"values": Each(WORD), "many": TRUTH, "sensitivity": WORD},
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_INHERENT = frozenset({"date", "labels"})  # transforms that cannot be read back


@dataclass(frozen=True)
class Site:
    """What a site adds: by record type, its fields by path and the schema that checks them."""

    fields: Mapping[str, Mapping[str, Field]] = field(default_factory=dict)
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    overlays: tuple[Overlay, ...] = ()


NO_SITE = Site()


def of_site(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of the site's folder among those of a library."""
    return {name: text for name, text in texts.items() if name.startswith(PREFIX)}


def read_site(texts: Mapping[str, str]) -> tuple[Site, list[Finding]]:
    """Read the overlays and the fields they declare."""
    overlays, findings = [], []
    for name, text in sorted(texts.items()):
        if name.startswith(OVERLAYS) and name.endswith(".yaml"):
            overlay, wrong = read_overlay(text, name)
            findings += wrong
            if overlay is not None:
                overlays.append(overlay)
    declared: dict[str, dict[str, SiteField]] = {}
    for overlay in overlays:
        record = overlay.extends.partition("/")[0]
        mine = declared.setdefault(record, {})
        for name, one in _fields(overlay, findings):
            if name in mine:
                message = f"'{name}' is declared by another overlay of {record} already"
                assert overlay.fields is not None  # noqa: S101 - it has just been read
                findings.append(Finding("duplicate-name", message, str(overlay.fields.at(name))))
            mine.setdefault(name, one)
    given = {record: fields for record, fields in declared.items() if fields}
    return Site(
        {record: site_fields(fields.values()) for record, fields in given.items()},
        {record: site_schema(fields.values()) for record, fields in given.items()},
        tuple(overlays),
    ), findings


def _fields(overlay: Overlay, findings: list[Finding]) -> Iterator[tuple[str, SiteField]]:
    node = overlay.fields
    if node is None or not fits(node, Named(FIELD), findings):
        return
    for name, child in node.value.items():
        plain, at = child.plain(), str(node.at(name))
        kind, values = str(plain["kind"]), tuple(map(str, plain.get("values", ())))
        label = plain.get("sensitivity")
        if not _NAME.fullmatch(name):
            message = "a field's name is small letters, digits and _"
            findings.append(Finding("grammar", message, at))
        elif kind not in (*KINDS, ENUM):
            known = (*KINDS, ENUM)
            hint = did_you_mean(kind, known) or f"; it is one of {', '.join(known)}"
            findings.append(Finding("unknown-kind", f"'{kind}' is no kind of field{hint}", at))
        elif (kind == ENUM) != bool(values):
            findings.append(Finding("grammar", "'values' go with kind enum, and only there", at))
        elif label is not None and label not in SENSITIVITIES:
            hint = did_you_mean(str(label), SENSITIVITIES)
            message = f"'{label}' is no 'sensitivity'{hint}"
            findings.append(Finding("unknown-sensitivity", message, str(child.at("sensitivity"))))
        else:
            many = bool(plain.get("many"))
            yield name, SiteField(name, kind, str(plain["doc"]), values, many, label)


# ---- lines ---------------------------------------------------------------------------------


def merged(
    files: Iterable[MappingFile], overlays: Iterable[Overlay]
) -> tuple[tuple[MappingFile, ...], list[Finding]]:
    """The files with what the overlays change in them."""
    known = {file.file.removesuffix(".yaml"): file for file in files}
    findings: list[Finding] = []
    seen: dict[str, Overlay] = {}
    for overlay in overlays:
        name = overlay.extends
        target = known.get(name)
        if target is None:
            message = f"there is no mapping '{name}'{did_you_mean(name, known)}"
            findings.append(Finding("unknown-mapping", message, str(overlay.at("extends"))))
            continue
        first = seen.setdefault(name, overlay)
        if first is not overlay:
            message = f"{first.file} extends the same mapping"
            findings.append(Finding("duplicate-name", message, str(overlay.at("extends"))))
            continue
        if overlay.version != target.version:
            message = f"written for version {overlay.version}; the shipped is {target.version}"
            findings.append(Finding("overlay-version", message, str(overlay.at("version"))))
        findings += _one_way(target, overlay)
        known[name] = _with(target, overlay)
    return tuple(known.values()), findings


def _with(target: MappingFile, overlay: Overlay) -> MappingFile:
    replaced = {line.path for line in overlay.lines}
    kept = [line for line in target.lines if line.path not in replaced]
    at = next((i for i, line in enumerate(target.lines) if line.path in replaced), len(kept))
    lines = (*kept[:at], *overlay.lines, *kept[at:], *overlay.also)
    read = {name for line in (*overlay.lines, *overlay.also) for name in _reads(line, "")}
    written = {_choice(line.path[0]) for line in (*overlay.lines, *overlay.also)}
    skipped = {name: why for name, why in target.skipped.items() if name not in read}
    absent = {
        path: why
        for path, why in target.absent.items()
        if _choice(re.split(r"[.\[(]", path)[0]) not in written
    }
    return replace(
        target,
        lines=lines,
        version=f"{target.version}+{SITE}",
        skipped={**skipped, **overlay.skipped},
        absent={**absent, **overlay.absent},
    )


def _choice(name: str) -> str:
    """``start`` of ``startDate``: what the types of one element have in common."""
    return re.sub(r"(?<=[a-z])[A-Z].*", "", name)


def _reads(line: Line, scope: str) -> Iterator[str]:
    """The fields that a line reads, by their names in ``skipped``."""
    names = [*line.source, *([line.text] if line.text else []), *([line.each] if line.each else [])]
    for name in names:
        top = name.startswith("/") or not scope
        yield name.removeprefix("/") if top else f"{scope}.{name}"
    below = line.each.removeprefix("/") if line.each else ""
    inner = f"{scope}.{below}" if scope and below else below or scope
    for child in line.children:
        yield from _reads(child, inner)


def _one_way(target: MappingFile, overlay: Overlay) -> list[Finding]:
    """Lines that can no longer be read back and do not say so."""
    before = {line.path for line in target.lines if line.one_way is None and line.kind != "value"}
    findings = []
    for line in overlay.lines:
        inherent = line.kind == "value" or line.transform in _INHERENT
        if line.path in before and inherent and line.one_way is None:
            message = f"'{'.'.join(line.path)}' was read back and is no longer; say 'one_way'"
            findings.append(Finding("one-way", message, str(line.mark)))
    return findings


# ---- codes ---------------------------------------------------------------------------------


def site_systems(texts: Mapping[str, str], shipped: Systems) -> tuple[Systems, list[Finding]]:
    """The code systems of both; a site's alias may not be one of ours."""
    if SYSTEMS not in texts:
        return shipped, []
    mine, findings = read_systems(texts[SYSTEMS], SYSTEMS)
    for alias in mine.urls.keys() & shipped.urls.keys():
        message = f"code system '{alias}' is shipped; give yours another name"
        findings.append(Finding("duplicate-name", message, f"{SYSTEMS}:1:1"))
    urls, also = {**mine.urls, **shipped.urls}, {**mine.also, **shipped.also}
    return Systems(urls, shipped.local | mine.local, also), findings


def site_tables(
    texts: Mapping[str, str], shipped: Mapping[str, Table], systems: Systems
) -> tuple[dict[str, Table], list[Finding]]:
    """The site's tables, and the shipped ones that it extends with rows of its own."""
    found: dict[str, Table] = {}
    findings: list[Finding] = []
    for name, text in sorted(texts.items()):
        if not name.startswith(CODES) or not name.endswith(".yaml") or name == SYSTEMS:
            continue
        if re.search(r"^extends\s*:", text, re.M):
            findings += _extended(text, name, {**shipped, **found}, systems, found)
            continue
        table, wrong = read_table(text, name, systems)
        findings += wrong
        if table is not None and table.name in {**shipped, **found}:
            message = f"table '{table.name}' is there already; say 'extends' to change its rows"
            findings.append(Finding("duplicate-name", message, str(table.mark)))
        elif table is not None:
            found[table.name] = table
    return found, findings


def _extended(
    text: str, name: str, known: Mapping[str, Table], systems: Systems, found: dict[str, Table]
) -> list[Finding]:
    rows, root, findings = read_extension(text, name, systems)
    if rows is None or root is None:
        return findings
    base = known.get(rows.name)
    if base is None:
        message = f"there is no table '{rows.name}'{did_you_mean(rows.name, known)}"
        return [*findings, Finding("unknown-table", message, str(root.at("extends")))]
    both = replace(base, rows={**base.rows, **rows.rows}, prefer={**base.prefer, **rows.prefer})
    found[rows.name] = both
    return findings + proven(both, root)
