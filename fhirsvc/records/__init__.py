"""The internal side: ten record types, checked whole, unknown fields refused."""

from __future__ import annotations

from fhirsvc.records.catalog import TYPES, Field, fields, schema_for
from fhirsvc.records.checking import check
from fhirsvc.records.json_schema import json_schema

__all__ = ["TYPES", "Field", "check", "fields", "json_schema", "schema_for"]
