"""JSON Schema of the lines of a mapping file, with the fields of one record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhirsvc.mapping import grammar
from fhirsvc.records.shapes import SENSITIVITIES

Schema = dict[str, Any]
_NAME = r"^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)*$"
WORD: Schema = {"type": ["string", "number"]}
# What a word of a line may be; absent here: any word.
_CLOSED: dict[str, tuple[str, ...]] = {
    "as": grammar.TRANSFORMS,
    "owner": grammar.OWNERS,
    "sensitivity": SENSITIVITIES,
}
SAYS = {
    "each": "A list of the record: one entry for each of its items",
    "key": "The field by which the items of the list are met",
    "part": "Tells apart a second resource made of the same record",
    "from": "The field, or several where the transform takes them",
    "as": "The transform",
    "codes": "The code table, codes/<name>.yaml",
    "to": "What a reference leads to, record/Resource",
    "text": "The field whose words go along with the code",
    "when": "Only then",
    "owner": "Who may change it",
    "sensitivity": "A label",
    "one_way": "Why it cannot be read back",
    "mandatory": "Kept for its constants alone",
    "skipped": "Fields that do not go out, each with its reason",
    "absent": "Elements that US Core asks for and no line writes, each with its reason",
    "version": "Named in every trace",
    "extends": "The shipped file that this one changes",
    "also": "Lines beside the shipped ones, where the element repeats",
    "fields": "Fields that records carry under 'site'",
}


def line_schemas(record: str, known: Iterable[str]) -> dict[str, Schema]:
    """The definitions of lines for one record: its fields, and lines of each kind."""
    lines = [_line(record, kind) for kind in grammar.KINDS]
    named = [kind for kind in grammar.KINDS if kind not in ("from", "elements")]
    cases = [
        {"if": {"required": [kind]}, "then": lines[grammar.KINDS.index(kind)]} for kind in named
    ]
    rest = {"not": {"anyOf": [{"required": [kind]} for kind in named]}}
    cases += [
        {"if": {**rest, "required": [kind]}, "then": lines[grammar.KINDS.index(kind)]}
        for kind in ("from", "elements")
    ]
    line = {
        "type": "object",
        "anyOf": [{"required": [kind]} for kind in grammar.KINDS],
        "allOf": cases,
        "not": {"required": ["from", "elements"]},
    }
    several = {"type": "array", "minItems": 1, "items": ref(record, "line")}
    return {
        f"{record}.field": {"enum": _paths(known)},
        f"{record}.row": {"enum": _rows(known)},
        f"{record}.when": _when(record),
        f"{record}.line": line,
        f"{record}.elements": {
            "type": "object",
            "propertyNames": {"pattern": _NAME},
            "additionalProperties": {"anyOf": [ref(record, "line"), several]},
        },
    }


def _line(record: str, kind: str) -> Schema:
    properties = {key: _key(record, key) for key in grammar._LINE_KEYS[kind]}
    found: Schema = {"properties": properties, "additionalProperties": False}
    if kind == "value":
        properties["text"] = {"type": "string"}
    if kind == "each":
        found["anyOf"] = [{"required": ["elements", "key"]}, {"required": ["from"]}]
        found["dependencies"] = {"elements": ["key"]}
    if kind in ("from", "each"):
        named = {"properties": {"as": {"const": "identifier"}}, "required": ["as"]}
        found |= {"if": named, "then": {"required": ["system"]}}
    return found


def _key(record: str, key: str) -> Schema:
    """What may stand under one key of a line."""
    field = ref(record, "field")
    special: dict[str, Schema] = {
        "value": {"type": ["string", "number", "boolean", "object"]},
        "from": {"anyOf": [field, {"type": "array", "minItems": 1, "items": field}]},
        "each": field,
        "key": field,
        "text": field,
        "elements": ref(record, "elements"),
        "when": ref(record, "when"),
        "mandatory": {"type": "boolean"},
        "narrative": {"type": "object", "additionalProperties": ref(record, "row")},
        "type": {
            "type": "object",
            "properties": {"system": WORD, "code": WORD, "display": WORD},
            "additionalProperties": False,
        },
        "to": {"type": "string", "pattern": "^[a-z_]+/[A-Z][A-Za-z]+$"},
        "one_way": {"type": "string", "minLength": 1},
    }
    found = special.get(key) or ({"enum": list(_CLOSED[key])} if key in _CLOSED else WORD)
    return {"description": SAYS[key], "allOf": [found]} if key in SAYS else found


def _paths(known: Iterable[str]) -> list[str]:
    """Every way to name a field: from the record's top, from within each list, the item itself."""
    found = {"."}
    for path in known:
        found.add(f"/{path}")
        parts = path.split("[].")
        found.update("[].".join(parts[at:]) for at in range(len(parts)))
    return sorted(one for one in found if "[]" not in one)


def _rows(known: Iterable[str]) -> list[str]:
    """What a row of the readable text may name: a field, a list, or a field of its items."""
    found = {"."}
    for path in known:
        parts = path.split("[].")
        for at in range(len(parts)):
            found.update({"[].".join(parts[at:]), "[].".join(parts[at:]) + "[]"})
    return sorted(one for one in found if one.count("[]") <= 1)


def _when(record: str) -> Schema:
    by_field = [{"required": [key]} for key in ("is", "in", "present")]
    versions = "|".join(map(str, grammar.US_CORE))
    return {
        "type": "object",
        "properties": {
            "field": ref(record, "field"),
            "is": {"type": ["string", "number", "boolean"]},
            "in": {"type": "array", "minItems": 1},
            "present": {"type": "boolean"},
            "us_core": {"type": "string", "pattern": rf"^(<|>=|=)({versions})$"},
        },
        "additionalProperties": False,
        "anyOf": [{"required": ["field"], "oneOf": by_field}, {"required": ["us_core"]}],
        "dependencies": {
            **{key: ["field"] for key in ("is", "in", "present")},
            "field": {"oneOf": by_field},
        },
    }


def ref(record: str, what: str) -> Schema:
    """A reference to what ``line_schemas`` defines for a record (``line``, ``field``, …)."""
    return {"$ref": f"#/definitions/{record}.{what}"}
