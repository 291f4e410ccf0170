"""What to look for in records of one type: the fields that can reveal something. Settled once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.mapping.library import Library
from fhirsvc.mapping.lines import Line
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node, Plan, sources
from fhirsvc.mapping.tables import Table
from fhirsvc.records import Field, fields
from fhirsvc.records.shapes import SENSITIVITIES

Found = dict[str, set[str]]  # JSON path → labels
_TABLED = ("table", "table_text", "labels")


@dataclass
class Spot:
    """One field: what it carries itself and what its values reveal about all beside it."""

    own: str | None = None  # a label of the schema
    truth: bool = False  # a labelled boolean: true reveals
    words: dict[str, str] = field(default_factory=dict)  # house word or code → label
    refers: bool = False  # to an organization
    below: dict[str, Spot] = field(default_factory=dict)


@dataclass(frozen=True)
class Coded:
    """A code that comes as it is, and how its system is said: always the same, or by a word."""

    part: tuple[str, ...]  # where both stand: ("diagnoses",)
    code: str
    system: str | None  # URL
    system_field: str = ""
    systems: Mapping[str, str] = field(default_factory=dict, hash=False)  # house word → URL


@dataclass
class Watched:
    """What is looked for in one record type; ``lines``: the places of labelled lines and files."""

    spots: dict[str, Spot]
    coded: tuple[Coded, ...]
    lines: dict[str, frozenset[str]]
    library: Library

    def find(
        self,
        record: Mapping[str, Any],
        organizations: Mapping[str, frozenset[str]],
        scopes: Found,
        own: Found,
    ) -> None:
        """Add what a record reveals: to ``scopes`` about all at a path, to ``own`` of a field."""
        stated = record.get("sensitivity")
        if isinstance(stated, list) and stated:
            scopes.setdefault("$", set()).update(one for one in stated if one in SENSITIVITIES)
        _walk(record, self.spots, "$", _Found(organizations, scopes, own))
        for one in self.coded:
            for path, part in _parts(record, one.part, "$"):
                label = self._label(one, part)
                if label is not None:
                    scopes.setdefault(path, set()).add(label)

    def _label(self, one: Coded, part: Mapping[str, Any]) -> str | None:
        code = part.get(one.code)
        system = one.system or one.systems.get(str(part.get(one.system_field)))
        if not isinstance(code, str) or system is None:
            return None
        return self.library.revealing.label(system, code)


@dataclass(frozen=True)
class _Found:
    organizations: Mapping[str, frozenset[str]]
    scopes: Found
    own: Found

    def scope(self, path: str, labels: Iterable[str]) -> None:
        for label in labels:
            self.scopes.setdefault(path, set()).add(label)


def _walk(part: Mapping[str, Any], spots: Mapping[str, Spot], path: str, found: _Found) -> None:
    for name, spot in spots.items():
        value = part.get(name)
        if value is None or value == []:
            continue
        if spot.own is not None:
            found.own.setdefault(f"{path}.{name}", set()).add(spot.own)
        if spot.words or spot.refers or spot.truth:
            found.scope(path, _beside(spot, value, found.organizations))
        if not spot.below:
            continue
        if isinstance(value, dict):
            _walk(value, spot.below, f"{path}.{name}", found)
        for at, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, dict):
                _walk(item, spot.below, f"{path}.{name}[{at}]", found)


def _beside(
    spot: Spot, value: object, organizations: Mapping[str, frozenset[str]]
) -> Iterator[str]:
    """The labels that a value gives to all that stands beside it."""
    if spot.truth and value is True and spot.own is not None:
        yield spot.own
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, str):
            if one in spot.words:
                yield spot.words[one]
            if spot.refers:
                yield from organizations.get(one, ())


def _parts(
    part: Mapping[str, Any], steps: tuple[str, ...], path: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not steps:
        yield path, part
        return
    value = part.get(steps[0])
    if isinstance(value, dict):
        yield from _parts(value, steps[1:], f"{path}.{steps[0]}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            if isinstance(item, dict):
                yield from _parts(item, steps[1:], f"{path}.{steps[0]}[{at}]")


# ---- what to look for -------------------------------------------------------------------------


def watched(record_type: str, plans: Iterable[Plan], library: Library) -> Watched:
    """What to look for in records of a type, by their schema, tables and mapping files."""
    plans = tuple(plans)
    words: dict[str, dict[str, str]] = {}
    coded: dict[Coded, None] = {}
    lines: dict[str, frozenset[str]] = {}
    for plan in plans:
        if plan.file.sensitivity is not None:
            lines[str(plan.file.mark)] = frozenset({plan.file.sensitivity})
        _read(plan.root, frozenset(), library, words, coded, lines)
    known = {**fields(record_type), **library.site.fields.get(record_type, {})}
    labelled = [t for t in library.tables.values() if any(r.sensitivity for r in t.rows.values())]
    spots: dict[str, Spot] = {}
    read = {one.name.replace("[]", "") for plan in plans for one in sources(plan.root)}
    read |= {name for plan in plans for name in narrated(plan)}
    for name, one in known.items():
        labels = {**_alike(one, labelled), **words.get(name, {})}
        found = _spot(one, labels, goes_out=name.replace("[]", "") in read)
        if found is not None:
            _put(spots, name.replace("[]", "").split("."), found)
    return Watched(spots, tuple(coded), lines, library)


def _spot(one: Field, words: dict[str, str], *, goes_out: bool) -> Spot | None:
    truth = one.kind == "boolean" and one.sensitivity is not None
    refers = one.refers_to == "organization"
    own = one.sensitivity if goes_out or truth else None  # what no line reads is in no resource
    if own is None and not words and not refers:
        return None
    return Spot(own, truth, words, refers)


def narrated(plan: Plan) -> tuple[str, ...]:
    """The fields that the readable text of a plan's resource says, without the ``[]`` of lists."""
    found = []
    for slot in plan.root.slots:
        for node in slot.nodes:
            if isinstance(node, Leaf) and node.op == "narrative":
                for _, source, inner, _ in node.arg:
                    found.append(".".join((source.name, *(inner or ()))).replace("[]", ""))
    return tuple(found)


def _put(spots: dict[str, Spot], steps: list[str], spot: Spot) -> None:
    for step in steps[:-1]:
        spots = spots.setdefault(step, Spot()).below
    spot.below = spots[steps[-1]].below if steps[-1] in spots else {}
    spots[steps[-1]] = spot


def _alike(one: Field, tables: Iterable[Table]) -> dict[str, str]:
    """The labels of a field's words by the tables that have them all.

    A form asks in house words and names no table: who lives in sober housing reveals the same
    there as where a table codes it.
    """
    found: dict[str, str] = {}
    for table in tables if len(one.values) > 1 else ():
        if set(one.values) <= table.rows.keys():
            found |= {w: s for w in one.values if (s := table.rows[w].sensitivity) is not None}
    return found


def _read(
    node: Node,
    above: frozenset[str | None],
    library: Library,
    words: dict[str, dict[str, str]],
    coded: dict[Coded, None],
    lines: dict[str, frozenset[str]],
) -> None:
    line: Line | None = node.line
    labels = above | {line.sensitivity} - {None} if line is not None else above
    if line is not None and labels:
        lines[str(line.mark)] = frozenset(str(one) for one in labels)
    if isinstance(node, Leaf):
        table = library.tables.get(node.line.codes or "")
        if node.op in _TABLED and table is not None:
            rows = {w: s for w, r in table.rows.items() if (s := r.sensitivity) is not None}
            words.setdefault(node.sources[0].name, {}).update(rows)
    elif isinstance(node, Each):
        _read(node.node, labels, library, words, coded, lines)
    elif isinstance(node, Group):
        if node.type == "Coding":
            _coding(node, library, words, coded)
        for slot in node.slots:
            for child in slot.nodes:
                _read(child, labels, library, words, coded, lines)


def _coding(
    group: Group, library: Library, words: dict[str, dict[str, str]], coded: dict[Coded, None]
) -> None:
    """A Coding put together of a code and its system: a code of the record, or of a plain table."""
    slots = {slot.element.name: slot.nodes[0] for slot in group.slots}
    code, system = slots.get("code"), slots.get("system")
    if not isinstance(code, Leaf):
        return
    *part, name = code.sources[0].name.replace("[]", "").split(".")
    if isinstance(system, Const) and code.op == "table":
        for word, plain in code.arg.items():
            label = library.revealing.label(str(system.value), str(plain))
            if label is not None:
                words.setdefault(code.sources[0].name, {})[word] = label
    elif isinstance(system, Const) and code.op == "copy":
        coded[Coded(tuple(part), name, str(system.value))] = None
    elif isinstance(system, Leaf) and code.op == "copy" and system.op == "table":
        *beside, said = system.sources[0].name.replace("[]", "").split(".")
        if beside == part:
            coded[Coded(tuple(part), name, None, said, system.arg)] = None
