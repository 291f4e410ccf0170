"""References on the way back: what of the house a reference names, in whatever form it comes.

An EHR writes references as it likes: relative, absolute, by version, ``urn:uuid`` of a Bundle
entry, ``#contained``, or by identifier alone. Only what is known is resolved: the links the caller
holds, identifiers of this house, and local ids in the form the mapping writes. A reference to
another server is never taken for one of this server that looks the same.
Source: https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.mapping.runtime import local_name

_VERSION = re.compile(r"/_history/[A-Za-z0-9.-]+$")
_TYPED = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}$")
_ID = re.compile(r"[A-Za-z0-9.-]{1,36}")  # of a record, or the key of an item
_RELATIVE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")


@dataclass(frozen=True)
class House:
    """What a resource at the other side is here: a record, or a part of one.

    ``ids`` is the record's id, and the item's key where the resource stands for an item of a list.
    """

    record: str
    ids: tuple[str, ...]
    part: str | None = None


@dataclass(frozen=True)
class Aim:
    """What a mapping line refers to."""

    resource: str  # "Condition"
    record: str  # "care_plan"
    part: str | None
    keyed: bool  # it names an item of the record

    @property
    def prefix(self) -> str:
        """How local ids of the record begin."""
        return self.record.replace("_", "-") + "."

    def local(self, ids: tuple[str, ...]) -> str:
        """The local reference to these ids, as the mapping writes it."""
        name = local_name([ids[0], *([self.part] if self.part else []), *ids[1:]])
        return f"{self.resource}/{self.prefix}{name}"


@dataclass(frozen=True)
class Links:
    """What is known of references while resources are read.

    :param known: reference (relative, absolute or ``urn:``) to what it is here.
    :param base: the other server's base URL, whose absolute references are relative ones.
    :param systems: ``(resource type, identifier system)`` to ``(record type, part)``.
    """

    known: Mapping[str, House] = field(default_factory=dict)
    base: str = ""
    systems: Mapping[tuple[str, str], tuple[str, str | None]] = field(default_factory=dict)

    def relative(self, reference: str) -> str:
        """A reference without its version, and relative where it is to ``base``."""
        plain = _VERSION.sub("", reference)
        base = self.base.rstrip("/") + "/"
        return plain[len(base) :] if self.base and plain.startswith(base) else plain

    def by_identifier(self, resource: str | None, identifier: Any) -> House | None:
        """What an identifier of this house names; ``resource`` None where its type is not told."""
        if not isinstance(identifier, dict):
            return None
        system, value = identifier.get("system"), identifier.get("value")
        if not isinstance(system, str) or not isinstance(value, str):
            return None
        if not all(map(_ID.fullmatch, value.split("/"))):
            return None
        for (kind, known), (record, part) in self.systems.items():
            if known == system and resource in (None, kind):
                return House(record, tuple(value.split("/")), part)
        return None

    def by_identifiers(self, resource: Mapping[str, Any]) -> House | None:
        """What a resource is here, by the first identifier or tag of this house that it has."""
        stated = resource.get("identifier")
        meta = resource.get("meta")
        tags = meta.get("tag") if isinstance(meta, dict) else None
        tagged = [
            {"system": tag.get("system"), "value": tag.get("code")}
            for tag in (tags if isinstance(tags, list) else ())
            if isinstance(tag, dict)
        ]
        for identifier in [*(stated if isinstance(stated, list) else [stated]), *tagged]:
            found = self.by_identifier(str(resource.get("resourceType")), identifier)
            if found is not None:
                return found
        return None


def target_type(value: Mapping[str, Any], contained: Mapping[str, Any], links: Links) -> str | None:
    """The resource type that a Reference names, if it can be told."""
    stated, reference = value.get("type"), value.get("reference")
    if isinstance(reference, str):
        if reference.startswith("#"):
            kind = contained.get(reference[1:], {}).get("resourceType")
            return kind if isinstance(kind, str) else None
        match = _TYPED.search(links.relative(reference))
        if match:
            return match[1]
    return stated if isinstance(stated, str) else None


def find(
    value: Mapping[str, Any],
    aim: Aim,
    contained: Mapping[str, Any],
    links: Links,
    hints: tuple[str | None, ...],
) -> tuple[str, ...] | None:
    """The ids that a Reference names, or None where it names nothing known.

    :param hints: ids that are already read of the same sources; they settle where a local id ends.
    """
    reference = value.get("reference")
    house: House | None = None
    if isinstance(reference, str) and reference.startswith("#"):
        house = links.by_identifiers(contained.get(reference[1:], {}))
    elif isinstance(reference, str):
        relative = links.relative(reference)
        house = links.known.get(relative) or links.known.get(reference)
        if house is None:
            ids = local_ids(relative, aim, hints)
            if ids is not None:
                return ids
    if house is None:
        house = links.by_identifier(None, value.get("identifier"))
    if house is None or (house.record, house.part) != (aim.record, aim.part):
        return None
    return house.ids if len(house.ids) == (2 if aim.keyed else 1) else None


def local_ids(reference: str, aim: Aim, hints: tuple[str | None, ...]) -> tuple[str, ...] | None:
    """The ids in a local reference, ``Condition/care-plan.plan-1.dx-2``.

    Ids may have dots of their own: where that leaves more than one reading, a hint decides.
    """
    match = _RELATIVE.fullmatch(reference)
    if match is None or match[1] != aim.resource or not match[2].startswith(aim.prefix):
        return None
    name = match[2][len(aim.prefix) :]
    if aim.keyed and all(hints) and aim.local(tuple(map(str, hints))) == reference:
        return tuple(map(str, hints))
    if not aim.keyed:
        if hints[0] and aim.local((hints[0],)) == reference:
            return (hints[0],)
        tail = f".{aim.part}" if aim.part else ""
        whole = name.removesuffix(tail)
        return (whole,) if name.endswith(tail) and _fits(whole) else None
    found = []
    middle = f".{aim.part}." if aim.part else "."
    at = name.find(middle)
    while at > 0:
        pair = (name[:at], name[at + len(middle) :])
        if all(map(_fits, pair)):
            found.append(pair)
        at = name.find(middle, at + 1)
    if len(found) > 1:
        found = [pair for pair in found if pair[0] == hints[0]] or found
    return found[0] if len(found) == 1 else None


def _fits(name: str) -> bool:
    return 0 < len(name) <= 36  # the longest id of the house
