"""Fields that a site adds to a record type: declared, checked, and kept apart under ``site``.

A record carries them as ``"site": {"bed_number": "4B"}``, so that no later field of ours can take
their names. They are single values or lists of them, of the same kinds as our own fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from fhirsvc.records.catalog import Field
from fhirsvc.records.kinds import (
    Boolean,
    Code,
    Date,
    DateTime,
    Decimal,
    Enum,
    Integer,
    Kind,
    String,
    Text,
)
from fhirsvc.records.shapes import Many, Part

SITE = "site"  # the name under which a record carries them
KINDS: dict[str, Callable[[str], Kind]] = {
    "boolean": Boolean,
    "code": Code,
    "date": Date,
    "datetime": DateTime,
    "decimal": Decimal,
    "integer": Integer,
    "string": String,
    "text": Text,
}
ENUM = "enum"  # the kind that also says its values


@dataclass(frozen=True)
class SiteField:
    """One declared field; ``values`` are those of an enum."""

    name: str
    kind: str
    doc: str
    values: tuple[str, ...] = ()
    many: bool = False
    sensitivity: str | None = None


def site_schema(given: Iterable[SiteField]) -> Schema:
    """Return the schema of the object that carries the fields; unknown ones are refused in it."""
    made = type("Site", (Part,), {one.name: _declared(one) for one in given})
    schema: Schema = made()
    return schema


def site_fields(given: Iterable[SiteField]) -> dict[str, Field]:
    """Return the fields by path (``site.bed_number``), the object itself first."""
    found = {SITE: Field(SITE, "object", False, False, (), None, "Fields of the site", None)}
    for one in given:
        path = f"{SITE}.{one.name}"
        found[path] = Field(
            path, one.kind, one.many, False, one.values, None, one.doc, one.sensitivity
        )
    return found


def _declared(one: SiteField) -> Any:
    kind = Enum(one.values, one.doc) if one.kind == ENUM else KINDS[one.kind](one.doc)
    return Many(kind, one.doc) if one.many else kind


def split(record: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return a record without its site's fields, and those."""
    return {name: value for name, value in record.items() if name != SITE}, record[SITE]
