"""A record and its resources side by side: printed line by line, each with where it came from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from fhirsvc.mapping.explained import Traced
from fhirsvc.records import TYPES, fields

WITHHELD = "(kept with the record, shown nowhere)"
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")


@dataclass
class Line:
    """One line of a record's JSON; ``uses`` are anchors of the elements made of it."""

    anchor: str
    depth: int
    name: str  # of the field, '' for list items and closing brackets
    text: str
    uses: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Element:
    """One element of a resource; ``line`` is the anchor of the record's line, '' for constants."""

    anchor: str
    path: str
    value: str
    field: str
    line: str
    place: str
    version: str
    transform: str


@dataclass(frozen=True)
class Shown:
    """One resource: its elements with their origin, and its JSON."""

    anchor: str
    type: str
    id: str
    elements: tuple[Element, ...]
    json: str


def side_by_side(
    record: Mapping[str, Any], traced: Sequence[Traced]
) -> tuple[list[Line], list[Shown]]:
    """Print a record as lines and its resources as elements, each pointing at the other."""
    lines = dict(_lines(_shareable(record)))
    shown = [_shown(n, one, lines) for n, one in enumerate(traced, start=1)]
    return list(lines.values()), shown


def _shareable(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record without the words of its psychotherapy notes: they are for their author only."""
    if record.get("type") not in TYPES:
        return dict(record)
    known = fields(str(record["type"]))
    closed = {name for name, one in known.items() if one.sensitivity == "PSYTHPN"}
    return {name: WITHHELD if name in closed else value for name, value in record.items()}


def _lines(record: dict[str, Any]) -> Iterator[tuple[str, Line]]:
    for number, (path, depth, name, text) in enumerate(_printed("$", "", record, 0, "")):
        yield path, Line(f"f{number}", depth, name, text)


def _printed(
    path: str, name: str, value: Any, depth: int, comma: str
) -> Iterator[tuple[str, int, str, str]]:
    """Path, depth, name and text of each line; a closing bracket's path ends in ``)``."""
    if not isinstance(value, dict | list) or not value:
        yield path, depth, name, _text(value) + comma
        return
    is_object = isinstance(value, dict)
    yield path, depth, name, "{" if is_object else "["
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for at, (key, item) in enumerate(items, start=1):
        below = f"{path}.{key}" if is_object else f"{path}[{key}]"
        follows = "," if at < len(items) else ""
        yield from _printed(below, str(key) if is_object else "", item, depth + 1, follows)
    yield f"{path})", depth, "", ("}" if is_object else "]") + comma


def _shown(number: int, one: Traced, lines: Mapping[str, Line]) -> Shown:
    kind, id = str(one.resource["resourceType"]), str(one.resource["id"])
    elements = []
    for at, step in enumerate(one.trace, start=1):
        anchor = f"e{number}-{at}"
        line = lines.get(step.field or "")
        if line is not None:
            line.uses.append(anchor)
        elements.append(
            Element(
                anchor,
                step.element.partition(".")[2],
                said(_at(one.resource, step.element)),
                step.field or "",
                line.anchor if line is not None else "",
                step.place,
                step.version,
                step.transform,
            )
        )
    printed = orjson.dumps(one.resource, option=orjson.OPT_INDENT_2).decode()
    return Shown(f"r{number}", kind, id, tuple(elements), printed)


def _at(resource: Any, element: str) -> Any:
    """The value at ``Patient.name[0].family``; None when there is none."""
    value = resource
    for name, index in _STEP.findall(element.partition(".")[2]):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def said(value: Any) -> str:
    """A value as a person reads it: codes as ``code display``, references and quantities short."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return _text(value)
    if "value" in value:
        unit = value.get("unit", value.get("code", ""))
        return f"{value.get('system', '') if not unit else ''} {value['value']} {unit}".strip()
    if "coding" in value:
        return "; ".join(map(said, value["coding"]))
    if "div" in value:
        return f"a narrative of {len(str(value['div'])):,} characters"
    if "code" in value:
        return f"{value['code']} {value.get('display', '')}".strip()
    return str(value.get("reference") or value.get("text") or _text(value))


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
