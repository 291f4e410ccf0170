"""Resources to records, by the files that made them: the way back of every mapping.

``Back`` holds one reader per mapping file. A batch of resources is read, gathered by the record
each belongs to, and put onto that record if there is one. What cannot be understood is a finding
at its element beside a partial record; nothing is guessed and nothing raises for what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.mapping.derived import is_derived
from fhirsvc.mapping.entries import Located, as_id, entries, follows, name_of, told
from fhirsvc.mapping.forward import setting
from fhirsvc.mapping.graft import graft
from fhirsvc.mapping.inverse import ONE_WAY
from fhirsvc.mapping.library import Library
from fhirsvc.mapping.links import House, Links
from fhirsvc.mapping.notes import Known, Reading
from fhirsvc.mapping.onto import Onto, base_of
from fhirsvc.mapping.plan import Leaf, Plan
from fhirsvc.mapping.quick import Quick
from fhirsvc.mapping.reader import Reader, identity, leaves
from fhirsvc.mapping.resolve import resolve
from fhirsvc.mapping.tables import Systems, Table
from fhirsvc.records import Field

Record = dict[str, Any]
Key = tuple[str, str]  # record type and id


@dataclass
class Returned:
    """What came back."""

    records: list[Record] = field(default_factory=list)
    findings: list[Located] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


class Back:
    """The way back of a library's mappings.

    :param plans: every file's plan, for one US Core version.
    :param fields: the fields of each record type.
    :param forms: the URLs of the Questionnaires that the library makes: files, not records.
    """

    def __init__(
        self,
        plans: Iterable[Plan],
        tables: Mapping[str, Table],
        systems: Systems,
        fields: Mapping[str, Mapping[str, Field]],
        forms: frozenset[str] = frozenset(),
    ) -> None:
        self.fields = fields
        self.forms = forms  # URLs of the Questionnaires that this house makes
        self.also = systems.also
        self.readers = [Reader(plan, tables, systems.also) for plan in plans]
        self._inverses = {id(r.plan): r.inverses for r in self.readers}
        self.systems = dict(i for r in self.readers if (i := identity(r.plan)) is not None)

    @cached_property
    def quick(self) -> Quick:
        """The fast forms, made when first asked for."""
        return Quick(
            [r for r in self.readers if not _derived(r)],
            [r for r in self.readers if _derived(r)],
            self.fields,
        )

    @classmethod
    def of(cls, library: Library, us_core: int = 8) -> Back:
        """The way back of a proven library."""
        context = setting(library, us_core)
        plans = [resolve(file, context).plan for file in library.files]
        found = [plan for plan in plans if plan is not None]
        forms = frozenset(
            [i.url for i in library.instruments.values()] + [f.url for f in library.forms.values()]
        )
        return cls(found, library.tables, library.systems, context.fields, forms)

    def system_of(self, resource: dict[str, Any]) -> str | None:
        """The identifier system of a new resource; None where it has one, or is a part."""
        known = Known(Links(systems=self.systems), self.also)
        reader = self.reader(resource, known)
        is_new = reader and _alone(reader) and not reader.house(resource, known)
        named = identity(reader.plan) if reader and is_new else None
        return named[0][1] if named else None

    def one_way(self, resource: str) -> frozenset[str]:
        """``file:line:col`` of the lines of a resource that are not read back."""
        return frozenset(
            str(leaf.line.mark)
            for one in self.readers
            if one.plan.file.resource == resource
            for leaf in leaves(one.plan.root)
            if leaf.line.one_way or leaf.op in ONE_WAY or _pointer(leaf)
        )

    def reads(self, resource: dict[str, Any]) -> bool:
        """Whether a mapping reads a resource; those that follow from a record are not read."""
        reader = self.reader(resource, Known(Links(systems=self.systems), self.also))
        return reader is not None and not _derived(reader)

    def onto_existing(
        self,
        made: Record,
        existing: Record,
        known: Mapping[str, House] | None = None,
        base: str = "",
    ) -> Record:
        """What mapping made, with all that the EHR's resource has and no line reads.

        :param known: what references of the EHR are here, as for ``records``.
        """
        whole = Known(Links(dict(known or {}), base, self.systems), self.also)
        reader = self.reader(made, whole)
        return made if reader is None else graft(reader, made, existing, whole)

    def records(
        self,
        resources: Iterable[Any],
        onto: Mapping[Key, Record] | None = None,
        known: Mapping[str, House] | None = None,
        base: str = "",
    ) -> Returned:
        """Read resources into records.

        :param resources: FHIR resources; a Bundle is its entries.
        :param onto: the records they are put onto, by type and id.
        :param known: what references and resources (``Type/id``) of the other side are here.
        :param base: base URL of the server they come from.
        :returns: a record for each that any resource spoke of, the findings, the readings.
        """
        returned, given = Returned(), list(resources)
        if not onto and not base and (done := self.quick.read(given, known or {})).whole:
            returned.records += done.records.values()
            returned.findings += [follows(one) for one in done.passed]
            return returned
        flat, names = entries(given, returned.findings)
        strange = list(returned.findings)
        if onto or base:
            return self.by_readers(flat, names, onto or {}, dict(known or {}), base, returned)
        done = self.quick.read(flat, known or {})
        wanted = {id(one) for one in done.left} if done.records else None
        houses = done.houses()
        links = dict(known or {})
        found = self.by_readers(flat, names, {}, links, "", returned, wanted, houses)
        read = {(record["type"], record["id"]) for record in found.records}
        if not read.isdisjoint(done.records):  # one without an identifier is part of one of them
            again = Returned(findings=strange)
            return self.by_readers(flat, names, {}, dict(known or {}), "", again)
        found.records[:0] = done.records.values()
        found.findings += [follows(one) for one in done.passed if wanted is not None]
        return found

    def by_readers(
        self,
        flat: list[Record],
        names: list[tuple[str, Record]],
        onto: Mapping[Key, Record],
        links: dict[str, House],
        base: str,
        returned: Returned,
        wanted: set[int] | None = None,
        houses: dict[int, House] | None = None,
    ) -> Returned:
        """Read resources by the readers, which take what they find.

        :param wanted: by ``id()``, those that are to be read; all, if None.
        :param houses: by ``id()``, what resources are known to be here.
        """
        for name, house in self.links(names, links, base, dict(houses or {})):
            links.setdefault(name, house)
        known = Known(Links(links, base, self.systems), self.also)
        gathered: dict[Key, list[Reading]] = {}
        for resource in flat:
            if wanted is not None and id(resource) not in wanted:
                continue
            reader = self.reader(resource, known)
            if reader is None and resource.get("url") in self.forms:
                returned.findings.append(follows(resource))
            elif reader is None:
                message = f"no mapping reads this {resource.get('resourceType')}"
                returned.findings.append(told(name_of(resource), "not-mapped", message, resource))
            elif _derived(reader):
                returned.findings.append(follows(resource))
            else:
                reading = self.reading(reader, resource, known, onto, returned)
                gathered.setdefault(self.key(reading, reader, returned), []).append(reading)
        for key, readings in gathered.items():
            returned.records.append(self.put(key, readings, onto.get(key), known, returned))
        return returned

    def reading(
        self,
        reader: Reader,
        resource: Record,
        known: Known,
        onto: Mapping[Key, Record],
        returned: Returned,
    ) -> Reading:
        """One resource, read."""
        house, kind = reader.house(resource, known), reader.plan.file.record
        record = onto.get((kind, house.ids[0])) if house else None
        reading = reader.read(resource, known, house, record)
        returned.readings.append(reading)
        returned.findings += [Located(name_of(resource), f) for f in reading.findings]
        return reading

    def links(
        self,
        names: list[tuple[str, Record]],
        links: dict[str, House],
        base: str,
        houses: dict[int, House | None],
    ) -> Iterator[tuple[str, House]]:
        """What the resources that are read are called by references, and what each is here."""
        known = Known(Links(links, base, self.systems), self.also)
        for name, one in names:
            if id(one) not in houses:
                houses[id(one)] = self.house(one, known)
            house = houses[id(one)]
            if house is not None:
                yield name, house

    def house(self, resource: dict[str, Any], known: Known) -> House | None:
        """What a resource is here; one that is new is known by the id it has at the other side."""
        reader = self.reader(resource, known)
        if reader is None:
            return None
        found = reader.house(resource, known)
        if found is not None:
            return found
        name = resource.get("id")
        is_named = isinstance(name, str) and _alone(reader)  # others are, by what they join
        return House(reader.plan.file.record, (as_id(name),)) if is_named else None

    def reader(self, resource: dict[str, Any], known: Known) -> Reader | None:
        """The reader of a resource: by who it is, or else by what its constants and codes say."""
        kind = resource.get("resourceType")
        readers = [r for r in self.readers if r.plan.file.resource == kind]
        for one in readers:
            house = one.house(resource, known)
            if house is not None:
                return one
        ranked = [(one.fit(resource, known), -i, one) for i, one in enumerate(readers)]
        best = max(ranked, key=lambda entry: entry[:2], default=None)
        if best is None or best[0] < 0 or (len(readers) > 1 and best[0] == 0):
            return None
        return best[2]

    def key(self, reading: Reading, reader: Reader, returned: Returned) -> Key:
        """The record that a resource is of, or is part of."""
        file = reader.plan.file
        stated = reading.root.values.get(("id",))
        if not isinstance(stated, str):
            stated = as_id(reading.resource.get("id") or reading.resource)
            message = "no identifier of this house: the record's id is the resource's"
            place = f"{file.resource}.identifier"
            finding = Finding("identity", message, place, "information")
            returned.findings.append(Located(name_of(reading.resource), finding))
            reading.root.values["id",] = stated
        return file.record, stated

    def put(
        self,
        key: Key,
        readings: list[Reading],
        record: Record | None,
        known: Known,
        returned: Returned,
    ) -> Record:
        """Put what was read of one record onto it."""
        work = Onto(self.fields[key[0]], base_of(record, *key), known)
        inverses = [self._inverses[id(reading.plan)] for reading in readings]
        work.put(readings, inverses, new=record is None)
        about = f"{key[0]} {key[1]}"
        returned.findings += [Located(about, f) for f in work.findings]
        return work.record


def _alone(reader: Reader) -> bool:
    return reader.plan.each is None and reader.plan.file.part is None


def _derived(reader: Reader) -> bool:
    return is_derived(reader.plan.file.record, reader.plan.file.each or "")


def _pointer(leaf: Leaf) -> bool:
    """Whether a line only says that another resource of the same record exists."""
    present = leaf.test is not None and leaf.test.condition.present is True
    return present and leaf.op == "reference" and all(s.required for s in leaf.sources)
