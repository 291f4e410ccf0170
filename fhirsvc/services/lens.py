"""The mappings as both directions of sync need them: owners, houses, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.definitions import definition
from fhirsvc.mapping.back import Back, Returned
from fhirsvc.mapping.forward import Mappings
from fhirsvc.mapping.links import House, Links
from fhirsvc.mapping.owners import PathOwners, for_resource, owners
from fhirsvc.merge import Owners
from fhirsvc.services.ports import Record, Resource

# Where a type has one identifier, which is ours: that of whoever made the resource.
OTHER_IDENTIFIER = "urn:fhirsvc:StructureDefinition:other-identifier"


@dataclass(frozen=True)
class Read:
    """A record as a resource says it is, and what of that was not understood."""

    record: dict[str, Any] | None
    findings: tuple[Finding, ...]


class Lens:
    """The way back and the owners of a library's mappings, made once per US Core version."""

    def __init__(self, mappings: Callable[[], Mappings]) -> None:
        self._mappings = mappings
        self._backs: dict[int, Back] = {}
        self._paths: dict[int, Mapping[str, PathOwners]] = {}
        self._owners: dict[tuple[int, str], Owners] = {}

    def owners(self, resource: Resource, us_core: int) -> Owners:
        """Who owns which element of one of our resources."""
        if us_core not in self._paths:
            self._paths[us_core] = owners(self._mappings().library, us_core)
        found = for_resource(self._paths[us_core], self._back(us_core), dict(resource))
        if found is None:
            return Owners({})
        key = (us_core, found.file)
        if key not in self._owners:
            self._owners[key] = Owners(found.lines, found.constants, found.lists, found.deep)
        return self._owners[key]

    def types(self, us_core: int) -> frozenset[str]:
        """The resource types that are read into records."""
        return frozenset(one.plan.file.resource for one in self._back(us_core).readers)

    def reads(self, resource: Resource, us_core: int) -> bool:
        """Whether a mapping reads a resource; what only follows from a record is not read."""
        return self._back(us_core).reads(dict(resource))

    def of_identifier(
        self, resource_type: str, system: str, value: str, us_core: int
    ) -> House | None:
        """What a business identifier names in this house."""
        links = Links(systems=self._back(us_core).systems)
        return links.by_identifier(resource_type, {"system": system, "value": value})

    def house(self, resource: Resource, us_core: int) -> House | None:
        """What a resource is here, by the identifiers of this house that it carries."""
        return Links(systems=self._back(us_core).systems).by_identifiers(resource)

    def back(
        self,
        resource: Resource,
        record: Record | None,
        known: Mapping[str, House],
        *,
        base: str,
        us_core: int,
    ) -> Read:
        """A resource read into a record: onto ``record``, or as a new one.

        :param known: what the references of the EHR (``Patient/77``) are here.
        :param base: the EHR's base URL.
        """
        onto = {} if record is None else {(record["type"], record["id"]): dict(record)}
        returned = self._back(us_core).records([dict(resource)], onto, known, base)
        mine = [
            one
            for one in returned.records
            if record is None or (one["type"], one["id"]) == (record["type"], record["id"])
        ]
        findings = tuple(located.finding for located in returned.findings)
        return Read(mine[0] if len(mine) == 1 else None, findings)

    def read(
        self,
        resources: Sequence[dict[str, Any]],
        onto: Mapping[tuple[str, str], Record],
        known: Mapping[str, House],
        us_core: int,
    ) -> Returned:
        """Resources with references of this house, read together onto the records they are of."""
        there = {key: dict(record) for key, record in onto.items()}
        return self._back(us_core).records(list(resources), there, known)

    def named(self, resource: Resource, us_core: int) -> dict[str, Any]:
        """A new resource with an identifier of this house made of its id, before its own.

        Where a type has one identifier only, another's is put into an extension beside it. One
        that is a part of something is left as it is: what it is part of says who it is.
        """
        found = dict(resource)
        system = self._back(us_core).system_of(found)
        if system is None:
            return found
        ours = {"system": system, "value": str(resource["id"])}
        stated = resource.get("identifier")
        if definition(str(resource["resourceType"])).elements["identifier"].many:
            return {**found, "identifier": [ours, *(stated or ())]}
        if stated is not None:
            other = {"url": OTHER_IDENTIFIER, "valueIdentifier": stated}
            found["extension"] = [*found.get("extension", ()), other]
        return {**found, "identifier": ours}

    def onto(self, made: dict[str, Any], held: dict[str, Any], us_core: int) -> dict[str, Any]:
        """What mapping made, with all that ``held`` has and no line reads."""
        return self._back(us_core).onto_existing(made, held)

    def _back(self, us_core: int) -> Back:
        if us_core not in self._backs:
            self._backs[us_core] = Back.of(self._mappings().library, us_core)
        return self._backs[us_core]
