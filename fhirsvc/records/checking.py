"""Checking one record: every fault found, each with its JSON path and what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from marshmallow import Schema
from marshmallow.exceptions import SCHEMA

from fhirsvc.errors import Finding
from fhirsvc.records.catalog import TYPES, schema_for
from fhirsvc.records.kinds import Enum, Said
from fhirsvc.records.shapes import Many, Object
from fhirsvc.records.site import SITE, split
from fhirsvc.records.suggest import did_you_mean

FINDINGS_MAX = 100
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")


def check(record: object, site: Mapping[str, Schema] | None = None) -> list[Finding]:
    """Return what is wrong with ``record``, a parsed JSON value; an empty list when nothing is.

    :param site: by record type, the schema of the fields that a site adds (``site_schema``).

    ``where`` is a JSON path such as ``$.modalities[2].kind``. After FINDINGS_MAX faults one last
    finding says that more follow. Messages say what was expected and
    never repeat a value of the record.
    """
    if not isinstance(record, dict):
        return [Finding("type", "expected an object", "$")]
    name = record.get("type")
    if "type" not in record:
        return [Finding("required", f"is required; one of: {', '.join(TYPES)}", "$.type")]
    if not isinstance(name, str) or name not in TYPES:
        near = did_you_mean(name, TYPES) if isinstance(name, str) else ""
        return [Finding("value", f"expected one of: {', '.join(TYPES)}{near}", "$.type")]
    schema = schema_for(name)
    added = (site or {}).get(name) if SITE in record else None
    rest, extra = split(record) if added is not None else (record, None)
    faults = _found(schema.validate(rest), schema, "$", rest)
    if added is not None:
        faults = chain(faults, _site(added, extra))
    found = list(islice(faults, FINDINGS_MAX + 1))
    if len(found) > FINDINGS_MAX:
        found[-1] = Finding("more", f"more faults follow the first {FINDINGS_MAX}", "$")
    return found


def _site(schema: Schema, extra: object) -> Iterator[Finding]:
    if not isinstance(extra, dict):
        yield Finding("type", "expected an object", f"$.{SITE}")
        return
    yield from _found(schema.validate(extra), schema, f"$.{SITE}", extra)


def _found(errors: Any, shape: Any, path: str, value: Any) -> Iterator[Finding]:
    """Walk marshmallow's errors beside schema and value; ``shape`` is a schema, a field or None.

    Lazy, because looking for what was meant is slow and a hostile record has many faults.
    """
    if isinstance(errors, list):
        yield from (_finding(said, path, shape, value) for said in errors)
        return
    for key in _in_order(errors, shape):
        below = errors[key]
        if key == SCHEMA:
            yield from _found(below, None, path, value)
        elif isinstance(key, int):
            inner = shape.inner if isinstance(shape, Many) else shape
            yield from _found(below, _schema_of(inner), f"{path}[{key}]", value[key])
        elif isinstance(shape, Schema) and key not in shape.fields:
            near = did_you_mean(str(key), shape.fields)
            yield Finding("unknown", f"unknown field{near}", f"{path}.{_shown(key)}")
        else:
            field = shape.fields[key] if isinstance(shape, Schema) else None
            there = value.get(key) if isinstance(value, dict) else None
            yield from _found(below, _schema_of(field), f"{path}.{key}", there)


def _in_order(errors: Mapping[Any, Any], shape: Any) -> list[Any]:
    """Return the keys as the schema has them, unknown ones after them by name."""
    known = list(shape.fields) if isinstance(shape, Schema) else []
    place = {name: at for at, name in enumerate(known)}
    numbers = sorted(key for key in errors if isinstance(key, int))
    names = [key for key in errors if not isinstance(key, int)]
    return numbers + sorted(names, key=lambda name: (place.get(name, len(known)), str(name)))


def _schema_of(field: Any) -> Any:
    return field.schema if isinstance(field, Object) else field


def _finding(said: Any, path: str, shape: Any, value: Any) -> Finding:
    rule = said.rule if isinstance(said, Said) else "type"
    near = (
        did_you_mean(value, shape.values)
        if isinstance(shape, Enum) and isinstance(value, str) and value not in shape.values
        else ""
    )
    return Finding(rule, f"{said}{near}", path)


def _shown(name: object) -> str:
    """Return a field's name for a path; a name no schema could have may itself be a value."""
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "*"
