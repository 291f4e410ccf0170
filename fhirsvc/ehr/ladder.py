"""Which form each resource takes at one EHR, and what that costs, before anything is sent. Pure.

Four rungs, best first: native (the resource itself), equivalent (another that it takes, or its own
one that we find), document (a DocumentReference to read, with the FHIR beside it), hold. The
connection's settings come before everything; then what was refused, then what was stated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.equivalents import AS_DOCUMENT, DIRECTORY, Alternative, alternatives
from fhirsvc.ehr.losses import filled
from fhirsvc.ehr.rung import RUNGS, Later, Rung, RungName
from fhirsvc.mapping.carried import Fields

EVERY = "*"  # as an interaction that was refused: the whole type
_DOCUMENT = Alternative(
    "document", ("DocumentReference", "create"), "DocumentReference", {}, AS_DOCUMENT
)
_STAYS = frozenset({"Provenance", "Communication", "AuditEvent"})  # what happened does not change


@dataclass(frozen=True)
class Ladder:
    """The rungs of one EHR for everything that the mappings make."""

    fields: Fields
    capabilities: Capabilities
    refused: frozenset[tuple[str, str]] = frozenset()
    chosen: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        fields: Fields,
        capabilities: Capabilities,
        refused: Collection[tuple[str, str]] = (),
        chosen: Mapping[str, str] | None = None,
    ) -> Ladder:
        """``fields`` as :func:`fhirsvc.mapping.carried.carried` gives them.

        ``refused`` has (resource, interaction) pairs, ``chosen`` a rung by resource or by
        ``record/Resource``; words that name no rung choose nothing.
        """
        return cls(fields, capabilities, frozenset(refused), dict(chosen or {}))

    @cached_property
    def rungs(self) -> tuple[Rung, ...]:
        """Every rung, in the order of the mappings."""
        return tuple(
            self.rung(record, one) for record in self.fields for one in self.fields[record]
        )

    def rung(self, record: str, resource: str) -> Rung:
        """The rung of what one record type makes of one resource type."""
        key = (record, resource)
        if key not in self._known:
            self._known[key] = filled(self, self.decided(record, resource))
        return self._known[key]

    def for_change(self, record: str, resource: str) -> Rung:
        """The rung of a later version of what the EHR took once and lets nobody change."""
        first = self.rung(record, resource)
        said = f"the EHR took this {resource} and lets nobody change it"
        if first.later == "document":
            changed = replace(self._as(_DOCUMENT, record, resource), why=f"{said}; a document does")
            return filled(self, changed)
        is_news = first.later == "hold"
        why = f"{said}; the first version stays"
        return filled(self, Rung(record, resource, "hold", "hold", "kept here", why, is_news))

    def has_place(self, record: str | None, resource: str) -> bool:
        """Whether a reference can lead to it at this EHR; ``record`` None: of whatever record."""
        records = [record] if record is not None and record in self.fields else list(self.fields)
        made = [one for one in records if resource in self.fields[one]]
        return any(self.decided(one, resource).way in ("native", "match") for one in made)

    @property
    def documents(self) -> bool:
        """Whether a DocumentReference can be filed."""
        return self.can("DocumentReference", "create")

    def can(self, resource: str, interaction: str) -> bool:
        """What is stated (of an EHR not known yet: everything), less what was refused."""
        gone = {(resource, interaction), (resource, EVERY)} & self.refused
        return not gone and self.capabilities.can(resource, interaction)

    @cached_property
    def _known(self) -> dict[tuple[str, str], Rung]:
        return {}

    @cached_property
    def _bare(self) -> dict[tuple[str, str], Rung]:
        return {}

    # ---- which rung ---------------------------------------------------------------------------

    def decided(self, record: str, resource: str) -> Rung:
        """The rung without its fields."""
        key = (record, resource)
        if key not in self._bare:
            choice = self._choice(record, resource)
            if choice is None:
                self._bare[key] = self._by_rule(record, resource)
            else:
                self._bare[key] = self._by_choice(record, resource, choice)
        return self._bare[key]

    def _choice(self, record: str, resource: str) -> str | None:
        choice = self.chosen.get(f"{record}/{resource}") or self.chosen.get(resource)
        return choice if choice in RUNGS else None

    def _by_choice(self, record: str, resource: str, choice: str) -> Rung:
        said = "chosen in the connection's settings"
        if choice == "hold":
            return Rung(record, resource, "hold", "hold", "kept here", said, blocks=True)
        if choice == "native":
            known = self._native(record, resource)
            if known is not None:
                return replace(known, why=said)
            why = f"{said}, although {self._lacks(resource)}"
            return Rung(record, resource, "native", "native", f"PUT {resource} by identifier", why)
        ways = [_DOCUMENT] if choice == "document" else list(self._equivalents(record, resource))
        for way in ways:
            if self._works(way, record, resource):
                return replace(self._as(way, record, resource), why=said)
        why = f"{said}, but the EHR takes no {choice}"
        return Rung(record, resource, "hold", "hold", "kept here", why, blocks=True)

    def _equivalents(self, record: str, resource: str) -> Iterator[Alternative]:
        for way in alternatives(record, resource):
            if way.way not in ("document", "aside"):
                yield way

    def _by_rule(self, record: str, resource: str) -> Rung:
        native = self._native(record, resource)
        if native is not None:
            return native
        lacks = self._lacks(resource)
        for way in alternatives(record, resource):
            if self._works(way, record, resource):
                why = f"{lacks}; {way.why}" if way.why else lacks
                return replace(self._as(way, record, resource), why=why)
        why = f"{lacks}, and nothing that stands in for it is taken"
        return Rung(record, resource, "hold", "hold", "kept here", why, blocks=True)

    def _as(self, way: Alternative, record: str, resource: str) -> Rung:
        rung: RungName = "equivalent"
        if way.way in ("document", "aside"):
            rung = "document" if way.way == "document" else "hold"
        via = way.via.format(resource=resource)
        if way.way == "observations" and self.documents:
            via += ", DocumentReference for the rest"
        return Rung(record, resource, rung, way.way, via)

    def _native(self, record: str, resource: str) -> Rung | None:
        """Written as itself: what is there must be made, and should follow the record."""
        stated = self.capabilities.of(resource)
        create, update = self.can(resource, "create"), self.can(resource, "update")
        by = "tag" if resource == "Provenance" else "identifier"
        via = ""
        later: Later = "update"
        if update and (stated.conditional_update or not self.capabilities.is_known):
            via = f"PUT {resource} by {by}"
        elif update and create:
            via = f"POST {resource}, then PUT by its id"
        elif update and stated.update_create:
            via = f"PUT {resource} under an id of ours"
        elif create and resource not in DIRECTORY:
            via, later = f"POST {resource}", self._later(resource)
        return self._written(record, resource, via, later) if via else None

    def _written(self, record: str, resource: str, via: str, later: Later) -> Rung:
        why = "" if self.capabilities.is_known else "nothing is known of this EHR yet"
        if later != "update":
            then = {"document": "go as a document", "stays": "are none", "hold": "are held"}[later]
            why = f"it can be created and not changed; later versions {then}"
        found = Rung(record, resource, "native", "native", via, why)
        return replace(found, later=later)

    def _later(self, resource: str) -> Later:
        if resource in _STAYS:
            return "stays"
        return "document" if self.documents else "hold"

    def _lacks(self, resource: str) -> str:
        """Why it is not written as itself, in a few words."""
        refused = sorted(what for kind, what in self.refused if kind == resource)
        if EVERY in refused:
            return f"{resource} was refused here"
        if refused:
            return f"{' and '.join(refused)} of {resource} was refused here"
        listed = sorted(self.capabilities.of(resource).interactions)
        if not listed:
            return f"the statement names no interaction of {resource}"
        if resource in DIRECTORY and "create" in listed:
            return (
                f"the statement lists {', '.join(listed)} of {resource}, and one that can be made "
                "and not corrected would be a second one of the same"
            )
        return f"the statement lists only {', '.join(listed)} of {resource}"

    def _works(self, way: Alternative, record: str, resource: str) -> bool:
        if way.way == "match":
            makes = self.fields.get(record, {}).get(resource)
            searched = self.can(resource, "search-type") and self.capabilities.finds(resource)
            return searched and bool(makes and makes.known_by)
        if way.way == "response":
            return self._is_native(record, "QuestionnaireResponse")
        if way.way == "task":
            return self._is_native(record, "Task")
        if way.way == "request":
            return self._is_native(record, "ServiceRequest", follows=True)
        return not way.needs[0] or self.can(*way.needs)

    def _is_native(self, record: str, resource: str, *, follows: bool = False) -> bool:
        """Whether another resource of the record is; with ``follows``, in every version."""
        if resource not in self.fields.get(record, {}):
            return False
        choice = self._choice(record, resource)
        if choice is not None:
            return choice == "native"
        other = self._native(record, resource)
        return other is not None and (not follows or other.later == "update")
