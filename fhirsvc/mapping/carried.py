"""What of a record each resource carries: as data, in words alone, or not at all and why.

The arithmetic behind every loss report: read from the mapping files, never from a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.mapping import derived
from fhirsvc.mapping.destinations import Destination, condition, destinations
from fhirsvc.mapping.library import Library
from fhirsvc.mapping.lines import Line, MappingFile
from fhirsvc.records import fields

AS_TEXT = "as readable text"
_IN_TEXT = "in the readable text"
# Names that a resource has beside the record's own id, by which others know it too.
_KNOWN_BY = "identifier"


@dataclass(frozen=True)
class Way:
    """One field on its way to one resource type.

    ``elements`` are those that hold it as data; without any it goes ``how``: in words, or one way.
    ``refers_to`` are the resource types it may lead to. A ``form`` field answers a question of a
    form of the house, which has no code that others know.
    """

    field: str
    elements: tuple[str, ...]
    how: str = ""
    refers_to: tuple[str, ...] = ()
    form: bool = False


@dataclass(frozen=True)
class Identity:
    """How one file names its resources: the system, its ``part``, and whether items have their own.

    The value is the record's id, with the item's key behind a ``/`` where it is ``keyed``.
    """

    system: str
    part: str | None
    keyed: bool


@dataclass(frozen=True)
class Makes:
    """What one record type puts into one resource type, and what its files leave out."""

    record: str
    resource: str
    ways: tuple[Way, ...]
    skipped: tuple[tuple[str, str], ...] = ()  # (field, reason)
    known_by: tuple[str, ...] = ()  # fields with an identifier that is not the record's id
    conditions: tuple[tuple[str, str], ...] = ()  # (list of the record or "", when a file applies)
    identities: tuple[Identity, ...] = ()


Fields = Mapping[str, Mapping[str, Makes]]


def carried(library: Library) -> dict[str, dict[str, Makes]]:
    """By record type and resource type, what goes where; forms as a record type of their own."""
    records = dict.fromkeys(file.record for file in library.files)
    found = {record: _of(library, record) for record in records}
    found["questionnaire"] = {"Questionnaire": Makes("questionnaire", "Questionnaire", ())}
    return found


def _of(library: Library, record: str) -> dict[str, Makes]:
    files = [file for file in library.files if file.record == record]
    made: dict[str, dict[str, list[Destination]]] = {file.resource: {} for file in files}
    resources = {file.file: file.resource for file in files}
    known = {**derived.known_fields(record), **library.site.fields.get(record, {})}
    for name, places in destinations(library, record).items():
        if name in known and known[name].kind == "object":
            continue
        for to in places:
            made[resources[to.file]].setdefault(name, []).append(to)
    as_data = {n for by in made.values() for n, to in by.items() if any(map(_is_data, to))}
    return {
        resource: Makes(
            record,
            resource,
            tuple(
                _way(record, name, places)
                for name, places in by.items()
                # What another resource carries as data is not lost by being words in this one.
                if name not in as_data or any(map(_is_data, places))
            ),
            tuple(_skipped(library, [f for f in files if f.resource == resource])),
            tuple(_known_by([f for f in files if f.resource == resource])),
            tuple(_conditions([f for f in files if f.resource == resource])),
            tuple(_identities(library, [f for f in files if f.resource == resource])),
        )
        for resource, by in made.items()
    }


def _is_data(to: Destination) -> bool:
    """What decides whether a constant is there is said by the constant; a list, by its items."""
    return to.one_way is None and to.how != "makes an entry of each"


def _way(record: str, name: str, places: list[Destination]) -> Way:
    is_derived = derived.is_derived(record, name)
    data = [to for to in places if _is_data(to) or is_derived]
    return Way(
        name,
        tuple(dict.fromkeys(to.element for to in data)),
        "" if data else _words(places),
        tuple(dict.fromkeys(to.refers_to for to in places if to.refers_to)),
        bool(data) and all(to.how.startswith("as the answer to ") for to in data),
    )


def _words(places: list[Destination]) -> str:
    """How a field goes that no line carries as data."""
    if any(to.how.startswith(_IN_TEXT) for to in places):
        return AS_TEXT
    reasons = [to.one_way for to in places if to.one_way]
    return f"one way: {reasons[0]}" if reasons else "by the entries it makes"


def _skipped(library: Library, files: list[MappingFile]) -> Iterator[tuple[str, str]]:
    for file in files:
        stated = {**fields(file.record), **library.site.fields.get(file.record, {})}
        for name, (reason, _) in file.skipped.items():
            below = [
                path
                for path, one in stated.items()
                if one.kind != "object" and _is_below(path.replace("[]", ""), name)
            ]
            yield from ((path, reason) for path in below or [name])


def _is_below(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def _known_by(files: list[MappingFile]) -> Iterator[str]:
    for file in files:
        for line in _lines(file.lines):
            if line.path[:1] == (_KNOWN_BY,) and line.transform == "identifier":
                yield from (name for name in line.source if name.lstrip("/") not in _own(file))


def _conditions(files: list[MappingFile]) -> Iterator[tuple[str, str]]:
    for file in files:
        said = condition(file.when)
        if said:
            yield file.each or "", said


def _identities(library: Library, files: list[MappingFile]) -> Iterator[Identity]:
    for file in files:
        for line in _lines(file.lines):
            named = line.path == (_KNOWN_BY,) and line.transform == "identifier"
            if named and line.source[0].lstrip("/") == "id":
                system = library.systems.url(str(line.options["system"])) or ""
                yield Identity(system, file.part, file.each is not None)


def _own(file: MappingFile) -> set[str]:
    return {"id", *filter(None, [file.key])}


def _lines(lines: tuple[Line, ...]) -> Iterator[Line]:
    for line in lines:
        yield line
        yield from _lines(line.children)


def present(record: Mapping[str, Any]) -> set[str]:
    """The names of the fields that a record has something in (``modalities[].kind``)."""
    return set(_present(record, ""))


def _present(node: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in node.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _present(value, f"{path}.")
        elif isinstance(value, list):
            if any(not isinstance(item, dict) for item in value):
                yield path
            for item in value:
                if isinstance(item, dict):
                    yield from _present(item, f"{path}[].")
        elif value is not None:
            yield path


def items(record: Mapping[str, Any], path: str) -> int:
    """How many items a list of the record has (``medication_support.medications``)."""
    node: Any = record
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return len(node) if isinstance(node, list) else 0
