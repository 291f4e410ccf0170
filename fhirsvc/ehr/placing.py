"""Where the references of one record's resources lead at one EHR, and what things are called. Pure.

Where the target has no place at this EHR a reference becomes a logical one: identifier and display.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fhirsvc.ehr.context import Context
from fhirsvc.ehr.document import document_id
from fhirsvc.ehr.ladder import Ladder
from fhirsvc.ehr.local import (
    Local,
    Resource,
    called,
    identifier_for,
    identifier_of,
    leads_to,
    local,
    record_type,
    rewritten,
    texts,
)
from fhirsvc.ehr.narrative import display_of, kind_of
from fhirsvc.ehr.rung import Rung

# Elements that may lead to any resource, and so to a document.
_ANY = frozenset({"Provenance.target", "Communication.about"})


@dataclass(frozen=True)
class Placing:
    """The resources of one record as one EHR is to see them."""

    record: Mapping[str, Any]
    resources: Sequence[Resource]
    ladder: Ladder
    context: Context

    @cached_property
    def rungs(self) -> dict[Local, Rung]:
        """The rung of each resource, by the ladder alone."""
        kind = str(self.record["type"])
        return {local(r): self.ladder.rung(kind, str(r["resourceType"])) for r in self.resources}

    def sent(self, resource: Resource, beside: Collection[Local] = ()) -> dict[str, Any]:
        """A resource as it is sent, itself where nothing of it has to change.

        ``beside`` are others, not mapped, that are sent with it.
        """
        kind = str(resource["resourceType"])

        def change(path: str, target: Local, reference: Resource) -> Resource:
            if target in beside or self.has_place(target):
                return reference
            if f"{kind}.{path}" in _ANY and self._is_filed(target):
                return {**reference, "reference": f"DocumentReference/{document_id(self.record)}"}
            return self.logical(reference, target)

        found: dict[str, Any] = rewritten(resource, change)
        given = found.get("identifier")
        if not self.context.systems or not given:
            return found
        listed = [self.translated(one) for one in (given if isinstance(given, list) else [given])]
        return {**found, "identifier": listed if isinstance(given, list) else listed[0]}

    def has_place(self, target: Local) -> bool:
        """Whether a reference can lead there: what is about a person waits for that person."""
        kind = target[0]
        if target in self.context.absent:
            return False
        rung = self.rungs.get(target)
        record = record_type(target)
        if rung is None and record not in self.ladder.fields:
            return True  # none of the mappings': a document, a message
        if rung is None and kind == "Patient":
            rung = self.ladder.rung(record, kind)
        if rung is not None:
            return rung.way in ("native", "match") or (kind == "Patient" and rung.way == "hold")
        return self.ladder.has_place(record, kind)

    def _is_filed(self, target: Local) -> bool:
        """Whether it is in a document that keeps its id from version to version."""
        rung = self.rungs.get(target)
        return (
            rung is not None
            and rung.way == "document"
            and self.ladder.can("DocumentReference", "update")
        )

    def logical(self, reference: Resource, target: Local) -> dict[str, Any]:
        """A reference by type, identifier and display."""
        found: dict[str, Any] = {key: v for key, v in reference.items() if key != "reference"}
        own = self._by_local.get(target)
        identifier = identifier_of(own) if own is not None else None
        identifier = identifier or identifier_for(target, self.ladder.fields, self._texts)
        found["type"] = target[0]
        if identifier:
            found["identifier"] = self.translated(identifier)
        found["display"] = reference.get("display") or self._called(target) or called(target)
        return found

    def outside(self, reference: Resource) -> Resource:
        """A reference as it stands in a document: nothing outside of it can be reached."""
        target = leads_to(reference)
        return self.logical(reference, target) if target is not None else reference

    def translated(self, identifier: Mapping[str, Any]) -> dict[str, Any]:
        """An identifier under the name that this EHR has for its system."""
        system = identifier.get("system")
        known = self.context.systems.get(str(system), system)
        return {**identifier, **({"system": known} if known else {})}

    def named(self, reference: Resource) -> str:
        """What a reference leads to, in words."""
        target = leads_to(reference)
        if target is None:
            return str(reference.get("display") or reference.get("reference") or "")
        return str(reference.get("display") or self._called(target) or called(target))

    def _called(self, target: Local) -> str:
        own = self._by_local.get(target)
        if own is not None:
            return display_of(own) or kind_of(own)
        return self.context.display(target)

    @cached_property
    def _by_local(self) -> dict[Local, Resource]:
        return {local(one): one for one in self.resources}

    @cached_property
    def _texts(self) -> frozenset[str]:
        return frozenset(texts(self.record))
