"""Which lines, fields and code table rows some records exercise, seen in the traces they leave.

A line is exercised when it has written an element; the groups and lists around it are then too. A
field is when a record has it and a line reads it. A row of a code table is when its word was
written by a line; a word without a code (``~``) when a record says it where a line reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.mapping.derived import derive
from fhirsvc.mapping.forward import Mappings, setting
from fhirsvc.mapping.grammar import US_CORE
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node
from fhirsvc.mapping.resolve import resolve

Record = Mapping[str, Any]
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_CODES = "codes "  # how a trace begins the name of a table


@dataclass
class Exercised:
    """For each thing of one file, whether it was exercised: place or name → yes or no."""

    lines: dict[str, bool] = field(default_factory=dict)
    fields: dict[str, bool] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Return places of lines and names of fields that nothing exercised."""
        return [
            name for part in (self.lines, self.fields) for name, seen in part.items() if not seen
        ]


@dataclass
class Coverage:
    """What records exercise: by mapping file, and by code table its rows by word."""

    files: dict[str, Exercised]
    tables: dict[str, dict[str, bool]]

    def complete(self) -> bool:
        """Whether nothing is left out."""
        rows = (seen for table in self.tables.values() for seen in table.values())
        return all(rows) and not any(file.missing() for file in self.files.values())


def coverage(mappings: Mappings, records: Iterable[Record]) -> Coverage:
    """Run records through the traced form of the mappings and note what they touch.

    :param records: valid records; those of types without a mapping are passed over.
    :raises FhirsvcError: as ``Mappings.explain``.
    """
    found, asked = _asked(mappings)
    known = frozenset(mappings.records())
    for given in records:
        if given["type"] not in known:
            continue
        record = derive(given, mappings.library.instruments)
        _note_fields(record, asked, found)
        _note_silent(mappings, record, asked, found)
        for us_core in US_CORE:
            for traced in mappings.explain(record, us_core):
                for step in traced.trace:
                    _note(step.place, step.field, step.transform, record, asked, found)
    return found


def _note_fields(record: Record, asked: _Asked, found: Coverage) -> None:
    for file, names in asked.fields.items():
        if asked.record[file] == record["type"]:
            seen = found.files[file].fields
            for name in names:
                seen[name] = seen[name] or next(values(record, name), None) is not None


@dataclass
class _Asked:
    record: dict[str, str] = field(default_factory=dict)  # file → record type
    fields: dict[str, set[str]] = field(default_factory=dict)  # file → fields its lines read
    codes: dict[str, str] = field(default_factory=dict)  # place → table
    silent: set[tuple[str, str, str]] = field(default_factory=set)  # record type, field, table


def _asked(mappings: Mappings) -> tuple[Coverage, _Asked]:
    """Everything that can be exercised, none of it so far."""
    library, asked = mappings.library, _Asked()
    found = Coverage({}, {})
    for us_core in US_CORE:
        context = setting(library, us_core)
        for file in library.files:
            resolved = resolve(file, context)
            if resolved.plan is None:
                continue
            mine = found.files.setdefault(file.file, Exercised())
            asked.record[file.file] = file.record
            read = {n for n in resolved.used if context.fields[file.record][n].kind != "object"}
            asked.fields.setdefault(file.file, set()).update(read)
            mine.fields.update(dict.fromkeys(sorted(read), False))
            for node in _writers(resolved.plan.root):
                place = str(node.line.mark)
                mine.lines[place] = False
                table = library.tables.get(node.line.codes or "")
                if isinstance(node, Leaf) and table is not None:
                    asked.codes[place] = table.name
                    if any(not row.some for row in table.rows.values()):
                        asked.silent.add((file.record, node.sources[0].name, table.name))
                    found.tables.setdefault(table.name, dict.fromkeys(table.rows, False))
    return found, asked


def _writers(node: Node) -> Iterator[Leaf | Const]:
    """The nodes that write values; a trace names no others."""
    if isinstance(node, Leaf | Const):
        yield node
    elif isinstance(node, Each):
        yield from _writers(node.node)
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                yield from _writers(child)


def _note(
    place: str, path: str | None, how: str, record: Record, asked: _Asked, found: Coverage
) -> None:
    file = place.partition(":")[0]
    found.files[file].lines[place] = True
    table = asked.codes.get(place)
    if table is not None and path is not None and how.startswith((_CODES, "labels")):
        word = at(record, path)
        for one in word if isinstance(word, list) else [word]:
            found.tables[table][str(one)] = True


def _note_silent(mappings: Mappings, record: Record, asked: _Asked, found: Coverage) -> None:
    """Words that have no code leave no trace: they count where a record says them."""
    for type, name, table in asked.silent:
        if type == record["type"]:
            rows = mappings.library.tables[table].rows
            for word in values(record, name):
                if word in rows and not rows[word].some:
                    found.tables[table][word] = True


def values(record: Record, name: str) -> Iterator[Any]:
    """The values that a record has at a field name (``modalities[].kind``)."""
    found: list[Any] = [record]
    for step in name.split("."):
        key = step.removesuffix("[]")
        found = [item[key] for item in found if isinstance(item, dict) and key in item]
        if step.endswith("[]"):
            found = [item for items in found for item in items]
    for value in found:
        yield from value if isinstance(value, list) else [value]


def at(record: Record, path: str) -> Any:
    """The value at a JSON path (``$.modalities[2].kind``)."""
    value: Any = record
    for name, index in _STEP.findall(path):
        value = value[name] if name else value[int(index)]
    return value
