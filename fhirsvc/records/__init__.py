"""The internal side: ten record types, checked whole, unknown fields refused."""

from __future__ import annotations

from fhirsvc.records.catalog import TYPES, Field, fields, schema_for

__all__ = ["TYPES", "Field", "fields", "schema_for"]
