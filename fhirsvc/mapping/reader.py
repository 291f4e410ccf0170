"""A resource read by a plan: every line as a lens looked through from the other side.

Reading is by evidence: each line says what its element tells of the record's fields, and what two
elements tell of one field must agree. Elements no line reads are left over, and told. The caller
(``onto``) puts the evidence onto a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhirsvc.mapping.inverse import Inverse, instrument_of
from fhirsvc.mapping.links import Aim, House, local_ids
from fhirsvc.mapping.notes import Known, Notes, Reading, Scope
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node, Plan, Slot
from fhirsvc.mapping.scores import NO, Scores
from fhirsvc.mapping.tables import Table
from fhirsvc.mapping.walk import Walk, keep

_ENVELOPE = frozenset({"resourceType", "id", "meta", "implicitRules", "contained", "text"})


class Reader:
    """Reads resources by one plan."""

    def __init__(self, plan: Plan, tables: Mapping[str, Table], also: Mapping[str, str]) -> None:
        self.plan = plan
        self.also = dict(also)
        self.inverses: dict[int, Inverse] = {}
        self.aims: dict[int, Aim] = {}
        for leaf in leaves(plan.root):
            if leaf.op in ("table", "table_text"):
                table = tables.get(leaf.line.codes or "")
                self.inverses[leaf.n] = Inverse(leaf.arg, table, self.also)
            elif leaf.op == "reference":
                record = str(leaf.line.options["to"]).partition("/")[0]
                resource, _, part = leaf.arg
                aim = Aim(resource.rstrip("/"), record, part, len(leaf.sources) > 1)
                self.aims[leaf.n] = aim
        self.aim = Aim(plan.file.resource, plan.file.record, plan.file.part, plan.each is not None)

    def house(self, resource: Mapping[str, Any], known: Known) -> House | None:
        """Which record (and item) a resource is, by link, identifier or local id."""
        links, file = known.links, self.plan.file
        name = f"{resource.get('resourceType')}/{resource.get('id')}"
        found = links.known.get(name) or links.by_identifiers(resource)
        if found is None:
            ids = local_ids(name, self.aim, (None,))
            found = House(file.record, ids, file.part) if ids else None
        if found is None or (found.record, found.part) != (file.record, file.part):
            return None
        if self.plan.each is None:
            return House(found.record, found.ids[:1], found.part)
        return found if len(found.ids) == 2 else None

    def fit(self, resource: dict[str, Any], known: Known) -> int:
        """How well a resource fits this plan, by constants and codes; below zero it does not."""
        reading = Reading(self.plan, resource, Scope(), None)
        notes = Notes(reading, known)
        scores = Scores(self.inverses, self.aims, self.also, known.links, notes.contained)
        scopes = [Scope() for _ in range(2)]
        total = 0
        told = self.instrument(resource)
        for slot in self.plan.root.slots:
            raw = resource.get(slot.element.name)
            if told and slot.element.name == "questionnaire":
                total += 1  # its items say which instrument it answers, whatever it is called
                continue
            if raw is None or slot.element.name in ("identifier", "subject"):
                continue
            coded = slot.element.name in ("code", "questionnaire", "category")
            found = scores.slot(slot, raw, scopes)
            if found == NO and coded and not slot.element.many and _telling(slot):
                return NO
            total += max(found, 0) if coded else 0
        return total

    def instrument(self, resource: Mapping[str, Any]) -> bool:
        """Whether a response's items are those of an instrument."""
        answers = [leaf for leaf in leaves(self.plan.root) if leaf.op == "answers"]
        return bool(answers) and instrument_of(answers[0], resource.get("item")) is not None

    def read(
        self,
        resource: dict[str, Any],
        known: Known,
        house: House | None,
        record: Mapping[str, Any] | None,
    ) -> Reading:
        """Read one resource: ``house`` says what it is here, ``record`` what it is put onto."""
        root = Scope()
        reading = Reading(self.plan, resource, root, house)
        scopes = [root]
        if house is not None:
            root.values["id",] = house.ids[0]
        if self.plan.each is not None:
            item = Scope()
            scopes.append(item)
            key = house.ids[1] if house is not None else None
            if key is not None and self.plan.file.key:
                item.values[self.plan.file.key,] = key
        walk = Walk(self.inverses, self.aims, reading, Notes(reading, known, record))
        walk.matched(self.plan.test, scopes)
        walk.group(self.plan.root, resource, self.plan.file.resource, (), scopes, top=True)
        if self.plan.each is not None:
            keep(root, self.plan.each.path, self.plan.file.key, scopes[1])
        return reading


def leaves(node: Node) -> Iterator[Leaf]:
    """Every leaf below a node."""
    if isinstance(node, Leaf):
        yield node
    elif isinstance(node, Each):
        yield from leaves(node.node)
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                yield from leaves(child)


def _telling(slot: Slot) -> bool:
    """Whether a slot's lines say what the resource is about: constants, or a table's codes."""
    return all(
        isinstance(n, Const) or (isinstance(n, Leaf) and n.op == "table") for n in slot.nodes
    )


def identity(plan: Plan) -> tuple[tuple[str, str], tuple[str, str | None]] | None:
    """``((resource, identifier system), (record, part))`` of the identifier that says who it is."""
    file = plan.file
    wants = 1 if plan.each is None else 2
    for slot in plan.root.slots:
        if slot.element.name not in ("identifier", "meta"):
            continue
        for leaf in (leaf for node in slot.nodes for leaf in leaves(node)):
            if leaf.op not in ("identifier", "tag") or leaf.sources[0].name != "id":
                continue
            if len(leaf.sources) == wants or plan.each is None:
                return (file.resource, leaf.arg["system"]), (file.record, file.part)
    return None
