"""JSON Schema 2020-12 of the record types, for editors and for those who send us records."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

from marshmallow import Schema

from fhirsvc.records.catalog import schema_for
from fhirsvc.records.shapes import Many, Object
from fhirsvc.records.words import TEXT_SCHEMA


def json_schema(type: str) -> dict[str, Any]:
    """Return the JSON Schema of record type ``type``; the caller may change it.

    It refuses what the checker refuses but for rules about several values at once (dates in
    order, keys that differ, totals, check digits), which JSON Schema cannot say.
    Raises FhirsvcError(NOT_FOUND) when there is no such type.
    """
    return copy.deepcopy(_json_schema(type))


@cache
def _json_schema(type: str) -> dict[str, Any]:
    schema = schema_for(type)
    defs: dict[str, Any] = {"text": TEXT_SCHEMA}
    body = _part(schema, defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:fhirsvc:record:{type}",
        "title": type,
        **body,
        "$defs": dict(sorted(defs.items())),
    }


def _part(schema: Schema, defs: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, field in schema.fields.items():
        inner: Any = field.inner if isinstance(field, Many) else field
        if isinstance(inner, Object) and inner.part.__name__ not in defs:
            defs[inner.part.__name__] = {}  # its place is taken before its parts look for theirs
            defs[inner.part.__name__] = _part(inner.schema, defs)
        described: Any = field
        properties[name] = {"description": field.metadata["doc"], **described.json()}
    required = [name for name, field in schema.fields.items() if field.required]
    return {
        "description": _summary(schema),
        "type": "object",
        "properties": properties,
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _summary(schema: Schema) -> str:
    return (type(schema).__doc__ or "").strip().splitlines()[0]
