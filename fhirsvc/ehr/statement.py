"""The few things of a CapabilityStatement that a connection test goes by. Pure.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class DeclaredType:
    """What a server says it does with one resource type."""

    interactions: tuple[str, ...] = ()
    conditional_create: bool = False
    conditional_update: bool = False
    versioning: str = ""

    @property
    def is_written(self) -> bool:
        """Whether clients may write it."""
        return "create" in self.interactions or "update" in self.interactions


@dataclass(frozen=True)
class Declared:
    """What a server says of itself; empty where it says nothing."""

    fhir: str = ""
    software: str = ""
    formats: tuple[str, ...] = ()
    types: Mapping[str, DeclaredType] = field(default_factory=dict)
    system: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """In short."""
        return {
            "fhir": self.fhir,
            "software": self.software,
            "formats": list(self.formats),
            "system": list(self.system),
            "resources": {name: list(it.interactions) for name, it in self.types.items()},
        }


def declared(statement: Mapping[str, Any]) -> Declared:
    """Read a CapabilityStatement, whatever is wrong with it."""
    software = statement.get("software")
    software = software if isinstance(software, dict) else {}
    rest = [one for one in _objects(statement.get("rest")) if one.get("mode") != "client"]
    named = f"{_text(software.get('name'))} {_text(software.get('version'))}".strip()
    return Declared(
        _text(statement.get("fhirVersion")),
        named,
        tuple(_text(one) for one in _items(statement.get("format"))),
        {
            _text(one.get("type")): DeclaredType(
                _codes(one.get("interaction")),
                one.get("conditionalCreate") is True,
                one.get("conditionalUpdate") is True,
                _text(one.get("versioning")),
            )
            for server in rest
            for one in _objects(server.get("resource"))
        },
        tuple(code for server in rest for code in _codes(server.get("interaction"))),
    )


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in _items(value) if isinstance(one, dict)]


def _codes(value: Any) -> tuple[str, ...]:
    return tuple(_text(one.get("code")) for one in _objects(value))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
