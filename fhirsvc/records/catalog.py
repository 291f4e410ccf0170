"""The ten types, and for each what fields it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from marshmallow import Schema

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.records.aftercare_plan import AftercarePlan
from fhirsvc.records.assessment import Assessment
from fhirsvc.records.care_plan import CarePlan
from fhirsvc.records.client import Client
from fhirsvc.records.consent import Consent
from fhirsvc.records.episode import Episode
from fhirsvc.records.goal import Goal
from fhirsvc.records.kinds import Kind
from fhirsvc.records.organization import Organization
from fhirsvc.records.referral import Referral
from fhirsvc.records.shapes import Many, Object, Record
from fhirsvc.records.staff import Staff
from fhirsvc.records.suggest import did_you_mean

_SCHEMAS: dict[str, type[Record]] = {
    schema.type_name: schema
    for schema in (
        Client,
        Staff,
        Organization,
        Episode,
        Assessment,
        CarePlan,
        Goal,
        Referral,
        AftercarePlan,
        Consent,
    )
}
TYPES: tuple[str, ...] = tuple(_SCHEMAS)


@dataclass(frozen=True)
class Field:
    """What a record type says about one field.

    ``path`` runs from the record's top with ``[]`` for each list passed through, so
    ``modalities`` is the list (kind ``object``, ``many``) and ``modalities[].kind`` a field of its
    items. ``required`` means: inside its own part. ``kind`` is one of string, text, integer,
    decimal, boolean, date, datetime, id, code, enum, object. ``key`` names the key field of a
    list of objects. ``sensitivity`` is the v3-ActCode the field or a part around it carries.
    """

    path: str
    kind: str
    many: bool
    required: bool
    values: tuple[str, ...]
    refers_to: str | None
    doc: str
    sensitivity: str | None
    key: str | None = None


@cache
def schema_for(type: str) -> Schema:
    """Return the marshmallow schema of record type ``type``.

    Raises FhirsvcError(NOT_FOUND) when there is no such type.
    """
    if type not in _SCHEMAS:
        message = f"no such record type; expected one of: {', '.join(TYPES)}"
        raise FhirsvcError(Category.NOT_FOUND, message + did_you_mean(type, TYPES))
    return _SCHEMAS[type]()


@cache
def fields(type: str) -> dict[str, Field]:
    """Return every field of record type ``type`` by path, in the schema's order.

    Raises FhirsvcError(NOT_FOUND) when there is no such type.
    """
    return {field.path: field for field in _walk(schema_for(type), "", None)}


def _walk(schema: Schema, prefix: str, sensitivity: str | None) -> Iterator[Field]:
    for name, declared in schema.fields.items():
        many = isinstance(declared, Many)
        inner = cast("Kind | Object", declared.inner if isinstance(declared, Many) else declared)
        meta: dict[str, Any] = dict(declared.metadata)
        label = meta["sensitivity"] or sensitivity
        yield Field(
            path=prefix + name,
            kind=inner.kind,
            many=many,
            required=declared.required,
            values=inner.values,
            refers_to=inner.refers_to,
            doc=meta["doc"],
            sensitivity=label,
            key=declared.key if isinstance(declared, Many) else None,
        )
        if isinstance(inner, Object):
            below = f"{prefix}{name}{'[]' if many else ''}."
            yield from _walk(inner.schema, below, label)
