"""The way back for what mappings write: generated code per plan, and who each resource is.

A resource that the code does not expect is left, with all others of its record, to the reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fhirsvc.mapping.emit_take import NoFastFormError, Taker, told
from fhirsvc.mapping.links import Aim, House
from fhirsvc.mapping.reader import Reader, identity, leaves
from fhirsvc.mapping.runtime import house_id_ok
from fhirsvc.mapping.take import MISFITS, Unusual, settle
from fhirsvc.records import Field

Record = dict[str, Any]
Key = tuple[str, str]


@dataclass
class Entry:
    """A plan's fast form, and how its resources are known."""

    record: str
    keyed: bool
    aim: Aim
    take: Callable[..., None] | None  # None: what follows from a record is not read

    @cached_property
    def start(self) -> str:
        """How local ids of its resources begin."""
        return self.aim.prefix

    @cached_property
    def end(self) -> str:
        """What follows the record's id in them."""
        return f".{self.aim.part}" if self.aim.part else ""

    def is_house(self, resource: Record, ids: tuple[str, ...], known: Mapping[str, House]) -> bool:
        """Whether a resource is known as what its identifier says; long names are digests."""
        name = f"{resource['resourceType']}/{resource['id']}"
        if name == self.aim.local(ids):
            return True
        return known.get(name) == House(self.record, ids, self.aim.part)


@dataclass
class Done:
    """What the fast forms did: records, resources left, resources not read, and who each is."""

    records: dict[Key, Record]
    left: list[Record]
    passed: list[Record]
    of: list[tuple[Key, Record, Entry, list[str]]]

    @property
    def whole(self) -> bool:
        """Whether nothing is left to the readers."""
        return not self.left

    def houses(self) -> dict[int, House]:
        """What each resource that says so is here, by ``id()``."""
        return {
            id(resource): House(entry.record, tuple(ids), entry.aim.part)
            for _, resource, entry, ids in self.of
        }


class Quick:
    """The fast forms of a library's plans."""

    def __init__(
        self,
        readers: Iterable[Reader],
        derived: Iterable[Reader],
        fields: Mapping[str, Mapping[str, Field]],
    ) -> None:
        by_record: dict[str, list[Reader]] = {}
        for reader in readers:
            by_record.setdefault(reader.plan.file.record, []).append(reader)
        self.entries: dict[str, dict[str, Entry]] = {}
        for record, group in by_record.items():
            count = told([reader.plan for reader in group])
            lists = frozenset(f.path for f in fields[record].values() if f.many)
            coded = frozenset(
                leaf.sources[0].name
                for reader in group
                for leaf in leaves(reader.plan.root)
                if leaf.n in reader.inverses
            )
            for reader in group:
                plan = reader.plan
                known = identity(plan)
                if known is None:
                    continue
                try:
                    take = Taker(plan, reader.inverses, reader.aims, count, coded, lists).function()
                except NoFastFormError:
                    continue
                entry = Entry(record, plan.each is not None, reader.aim, take)
                self.entries.setdefault(plan.file.resource, {})[known[0][1]] = entry

        for reader in derived:
            known = identity(reader.plan)
            if known is not None:
                entry = Entry(reader.plan.file.record, True, reader.aim, None)
                self.entries.setdefault(reader.plan.file.resource, {})[known[0][1]] = entry

    def read(self, resources: list[Record], known: Mapping[str, House]) -> Done:
        """The records that are read whole, and what is left to the readers."""
        found: dict[Key, Record] = {}
        late: dict[Key, list[Any]] = {}
        of: list[tuple[Key, Record, Entry, list[str]]] = []
        left: list[Record] = []
        passed: list[Record] = []
        unusual: set[Key] = set()
        for resource in resources:
            try:
                entry, value = _who(resource, self.entries[resource["resourceType"]])
                ids = value.split("/", 1) if entry.keyed else [value.partition("/")[0]]
                if len(ids) != 1 + entry.keyed or not all(map(house_id_ok, ids)):
                    raise Unusual
            except MISFITS:
                left.append(resource)
                continue
            if entry.take is None:
                passed.append(resource)
                continue
            key = (entry.record, ids[0])
            of.append((key, resource, entry, ids))
            if key not in found:
                found[key] = {"type": entry.record, "id": ids[0]}
                late[key] = []
            try:
                local = entry.start + ids[0] + entry.end + (f".{ids[1]}" if entry.keyed else "")
                if local != resource["id"] and not entry.is_house(resource, tuple(ids), known):
                    unusual.add(key)
                elif key not in unusual:
                    entry.take(resource, found[key], late[key], known)
            except MISFITS:
                unusual.add(key)
        for key, later in late.items():
            try:
                settle(later, found[key])
            except MISFITS:
                unusual.add(key)
        if unusual:
            left += [one[1] for one in of if one[0] in unusual]
            found = {key: record for key, record in found.items() if key not in unusual}
        return Done(found, left, passed, of)


def _who(resource: Record, kinds: Mapping[str, Entry]) -> tuple[Entry, str]:
    """The entry of a resource, and the ids that its identifier, or else a tag, says."""
    identifier = resource.get("identifier")
    if identifier is not None:
        if identifier.__class__ is list:
            identifier = identifier[0]
        return kinds[identifier["system"]], identifier["value"]
    for tag in resource["meta"]["tag"]:
        entry = kinds.get(tag["system"])
        if entry is not None:
            return entry, tag["code"]
    raise Unusual
