"""What the files of a library may name while they are resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.mapping.lines import MappingFile
from fhirsvc.mapping.tables import Systems, Table
from fhirsvc.records import Field


@dataclass(frozen=True)
class Setting:
    """Everything a mapping file may name."""

    fields: Mapping[str, Mapping[str, Field]]  # record type → path → field
    tables: Mapping[str, Table]
    systems: Systems
    files: tuple[MappingFile, ...]
    forms: Mapping[str, Any]  # form name → fhir.instruments.Form
    instruments: Mapping[str, Any]  # instrument name → fhir.instruments.Instrument
    us_core: int

    def targets(self, record: str, resource: str) -> list[MappingFile]:
        """The files that make ``resource`` from ``record``."""
        return [f for f in self.files if (f.record, f.resource) == (record, resource)]
