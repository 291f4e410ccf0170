"""Code tables and code systems: house words to codes, each code with a source, and back.

A table is a file ``codes/<name>.yaml``. A row gives a plain code (for elements of type ``code``)
or one coding or several; ``prefer`` names the house word to read back where rows share a target.
``codes/systems.yaml`` names the code systems, ``codes/sources.csv`` says where each code was read.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.mapping.shape import TRUTH, WORD, Each, Keys, Named, fits
from fhirsvc.mapping.source import Mark, Node, parse
from fhirsvc.records.shapes import SENSITIVITIES

_SOURCE_COLUMNS = ("system", "code", "level")
_CODING = {"system": WORD, "code": WORD}
_ROW = Keys(
    "a row",
    {},
    {
        **_CODING,
        "display": WORD,
        "codings": Each(Keys("a coding", _CODING, {"display": WORD})),
        "text": WORD,
        "sensitivity": WORD,
    },
)
_TABLE = Keys("a table", {"table": WORD, "rows": Named()}, {"prefer": Named(WORD)})
_EXTENSION = Keys("rows of a table", {"extends": WORD, "rows": Named()}, {"prefer": Named(WORD)})
_SYSTEM = Keys("a code system", {"url": WORD}, {"local": TRUTH, "also": Each(WORD)})


@dataclass(frozen=True)
class Row:
    """One house word: the plain code, or codings with their text."""

    mark: Mark
    code: str | None
    codings: tuple[dict[str, str], ...] = ()
    text: str | None = None
    sensitivity: str | None = None

    @property
    def some(self) -> bool:
        """Whether the word has a code at all; ``~`` says that it has none."""
        return self.code is not None or bool(self.codings) or bool(self.text)

    def coding(self) -> dict[str, str]:
        """The first coding."""
        return self.codings[0]

    def concept(self) -> dict[str, Any]:
        """The row as a CodeableConcept."""
        found: dict[str, Any] = {"coding": list(self.codings)} if self.codings else {}
        if self.text:
            found["text"] = self.text
        return found


@dataclass(frozen=True)
class Table:
    """A code table."""

    name: str
    mark: Mark
    rows: dict[str, Row]
    prefer: dict[str, str] = field(default_factory=dict)

    def shape(self) -> str:
        """``code`` or ``coding``: what its rows give."""
        return "coding" if any(row.codings or row.text for row in self.rows.values()) else "code"

    def back(self) -> dict[object, str]:
        """The inverse, code or ``(system, code)`` to house word, by the declared preference."""
        found: dict[object, str] = {}
        for word, row in self.rows.items():
            for target in _targets(row) if row.some else []:
                if target not in found or self.prefer.get(_name(target)) == word:
                    found[target] = word
        return found


@dataclass(frozen=True)
class Systems:
    """Code systems by alias. A local one belongs to this project and needs no source.

    ``also`` are other URLs under which a system is met: read as the first, never written.
    """

    urls: dict[str, str]
    local: frozenset[str]
    also: dict[str, str] = field(default_factory=dict)  # other URL → the URL of the alias

    def url(self, alias: str) -> str | None:
        """The URL of an alias; a URL stands for itself."""
        return alias if ":" in alias else self.urls.get(alias)


def read_systems(text: str, file: str) -> tuple[Systems, list[Finding]]:
    """Read ``systems.yaml``: ``alias: url`` or ``alias: {url: …, local: true}``."""
    root, findings = parse(text, file)
    urls, local, also = {}, set(), {}
    if root is None or not fits(root, Named(), findings):
        return Systems({}, frozenset()), findings
    for alias, node in root.value.items():
        if not fits(node, _SYSTEM if isinstance(node.value, dict) else WORD, findings):
            continue
        row = node.value if isinstance(node.value, dict) else {"url": node}
        urls[alias] = str(row["url"].value)
        if "local" in row and row["local"].value:
            local.add(urls[alias])
        for other in row["also"].plain() if "also" in row else []:
            also[str(other)] = urls[alias]
    return Systems(urls, frozenset(local), also), findings


def read_sources(text: str) -> dict[tuple[str, str], str]:
    """Read ``sources.csv``: ``(system URL, code)`` to level, A or B.

    Level A was read in an HL7 or VSAC file, B in third-party files only. A file without its
    columns has no rows; ``sources_columns`` is what says so.
    """
    rows = csv.DictReader(io.StringIO(text))
    if not set(_SOURCE_COLUMNS) <= set(rows.fieldnames or ()):
        return {}
    return {(row["system"], row["code"]): row["level"] for row in rows}


def sources_columns(text: str, file: str) -> list[Finding]:
    """The columns that a ``sources.csv`` lacks."""
    header = csv.DictReader(io.StringIO(text)).fieldnames or ()
    return [
        Finding("missing-key", f"column '{name}' is missing", f"{file}:1:1")
        for name in _SOURCE_COLUMNS
        if name not in header
    ]


def read_table(text: str, file: str, systems: Systems) -> tuple[Table | None, list[Finding]]:
    """Read one code table; findings are ``file:line:col``."""
    root, findings = parse(text, file)
    if root is None or not fits(root, _TABLE, findings):
        return None, findings
    table = _table(root, "table", systems, findings)
    findings += proven(table, root)
    return table, findings


def read_extension(
    text: str, file: str, systems: Systems
) -> tuple[Table | None, Node | None, list[Finding]]:
    """Read rows that extend a table: ``extends`` names it, the table returned has only the rows."""
    root, findings = parse(text, file)
    if root is None or not fits(root, _EXTENSION, findings):
        return None, None, findings
    return _table(root, "extends", systems, findings), root, findings


def _table(root: Node, key: str, systems: Systems, findings: list[Finding]) -> Table:
    rows = {}
    for word, node in root.value["rows"].value.items():
        row = _row(word, node, root.value["rows"].at(word), systems, findings)
        if row is not None:
            rows[word] = row
    prefer = root.value["prefer"].plain() if "prefer" in root.value else {}
    return Table(str(root.value[key].value), root.mark, rows, prefer)


def proven(table: Table, root: Node) -> list[Finding]:
    """What is wrong with a table as a whole; ``root`` is the file that says what it prefers."""
    findings: list[Finding] = []
    rows = table.rows
    kinds = {"plain" if row.code is not None else "coded" for row in rows.values() if row.some}
    if len(kinds) > 1:
        strange = next(row for row in rows.values() if row.code is not None)
        message = "a table has plain codes or coded rows, not both"
        findings.append(Finding("grammar", message, str(strange.mark)))
    findings.extend(_collapses(table))
    shared = {_name(target) for row in rows.values() if row.some for target in _targets(row)}
    for name in table.prefer:
        if name not in shared and "prefer" in root.value and name in root.value["prefer"].value:
            message = f"no row has '{name}'{did_you_mean(name, shared)}"
            findings.append(Finding("inverse", message, str(root.value["prefer"].at(name))))
    return findings


def _row(
    word: str, node: Node, mark: Mark, systems: Systems, findings: list[Finding]
) -> Row | None:
    if node.value is None:
        return Row(mark, None)
    if not fits(node, _ROW if isinstance(node.value, dict) else WORD, findings):
        return None
    if not isinstance(node.value, dict):
        return Row(mark, code=str(node.value))
    plain = node.plain()
    label = plain.get("sensitivity")
    if label is not None and label not in SENSITIVITIES:
        hint = did_you_mean(label, SENSITIVITIES) or f"; it is one of {', '.join(SENSITIVITIES)}"
        message = f"'{label}' is no 'sensitivity'{hint}"
        findings.append(Finding("unknown-sensitivity", message, str(node.at("sensitivity"))))
    stated = plain.get("codings") or ([plain] if "code" in plain else [])
    codings = []
    for coding in stated:
        url = systems.url(str(coding.get("system", "")))
        if url is None:
            hint = did_you_mean(str(coding.get("system", "")), systems.urls)
            message = f"'{word}' names no known code system{hint}"
            findings.append(Finding("unknown-system", message, str(mark)))
            return None
        found = {"system": url, "code": str(coding["code"])}
        if "display" in coding:
            found["display"] = str(coding["display"])
        codings.append(found)
    if not codings and not plain.get("text"):
        findings.append(Finding("grammar", f"'{word}' gives neither code nor text", str(mark)))
        return None
    return Row(mark, None, tuple(codings), plain.get("text"), label)


def _targets(row: Row) -> list[object]:
    if row.code is not None:
        return [row.code]
    return [(c["system"], c["code"]) for c in row.codings] or [row.text]


def _name(target: object) -> str:
    return target[1] if isinstance(target, tuple) else str(target)


def _collapses(table: Table) -> list[Finding]:
    """A table that does not invert must say which house word comes back."""
    words: dict[object, list[str]] = {}
    for word, row in table.rows.items():
        if not row.some:
            continue
        words.setdefault(_targets(row)[0], []).append(word)
    findings = []
    for target, sharing in words.items():
        preferred = table.prefer.get(_name(target))
        if len(sharing) > 1 and preferred not in sharing:
            names = ", ".join(sharing)
            message = f"{names} share '{_name(target)}'; 'prefer' must name one of them"
            findings.append(Finding("inverse", message, str(table.rows[sharing[1]].mark)))
    return findings
