"""Every kind of value a record field may hold."""

from __future__ import annotations

from fhirsvc.records.amounts import Boolean, Decimal, Integer
from fhirsvc.records.kind import Kind, Said, reject
from fhirsvc.records.moments import Date, DateTime
from fhirsvc.records.words import (
    Code,
    Email,
    Enum,
    Id,
    Key,
    Language,
    Npi,
    Phone,
    Ref,
    String,
    Text,
)

__all__ = [
    "Boolean",
    "Code",
    "Date",
    "DateTime",
    "Decimal",
    "Email",
    "Enum",
    "Id",
    "Integer",
    "Key",
    "Kind",
    "Language",
    "Npi",
    "Phone",
    "Ref",
    "Said",
    "String",
    "Text",
    "reject",
]
