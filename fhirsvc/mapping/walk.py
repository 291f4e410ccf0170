"""The elements of a resource gone through, each to the line that it fits best."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from fhirsvc.fhir.definitions import definition
from fhirsvc.mapping.inverse import ONE_WAY, Inverse, Unread, coding_key
from fhirsvc.mapping.links import Aim
from fhirsvc.mapping.notes import Address, Notes, Reading, Scope, Tie
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node, Slot, Test
from fhirsvc.mapping.read_items import Items
from fhirsvc.mapping.scores import CODED, NO, Scores

_SERVERS = frozenset({"versionId", "lastUpdated", "source", "profile", "security"})
_ENVELOPE = frozenset({"resourceType", "id", "meta", "implicitRules", "contained", "text"})


class Walk(Items):
    """One reading; ``Items`` reads what has no elements of its own."""

    def __init__(
        self,
        inverses: Mapping[int, Inverse],
        aims: Mapping[int, Aim],
        reading: Reading,
        notes: Notes,
    ) -> None:
        super().__init__(inverses, aims, reading, notes)
        also = notes.known.also
        self.scores = Scores(inverses, aims, also, notes.known.links, notes.contained)

    def group(
        self,
        group: Group,
        value: Mapping[str, Any],
        at: str,
        address: Address,
        scopes: list[Scope],
        *,
        top: bool = False,
    ) -> None:
        """The elements of a complex element; those with conditions last, as they ask the others."""
        self.reading.places[address] = value  # type: ignore[assignment]
        seen = {"resourceType", "id"} | (_ENVELOPE if top else set())
        if group.type == "Meta":
            seen |= _SERVERS
        later = []
        for slot in group.slots:
            name = slot.element.name
            raw = value.get(name)
            if raw is None and slot.element.choice:
                name, raw = self.stand_in(group, slot, value, seen)
            if raw is None:
                continue
            seen.add(name)
            if any(n.test is not None and n.test.condition.values for n in slot.nodes):
                later.append((slot, raw, name))
            else:
                self.slot(slot, raw, f"{at}.{name}", address, scopes)
        for slot, raw, name in later:
            self.slot(slot, raw, f"{at}.{name}", address, scopes)
        if top and "text" in value and not any(s.element.name == "text" for s in group.slots):
            seen.add("text")  # narrative is generated from what the elements say
        for name, raw in value.items():
            if name not in seen:
                self.notes.leave(address, name, raw, f"{at}.{name}")

    def stand_in(
        self, group: Group, slot: Slot, value: Mapping[str, Any], seen: set[str]
    ) -> tuple[str, Any]:
        """Another type of the same choice, where its value says the same."""
        element, node = slot.element, slot.nodes[0]
        own = {s.element.name for s in group.slots} | seen
        for other in definition(group.type).choices().get(element.choice or "", ()):
            raw = value.get(other.name)
            if raw is None or other.name in own or not isinstance(node, Leaf):
                continue
            with contextlib.suppress(Unread):  # then it is left over, and told
                return other.name, self.adapted(node, other.type, raw)
        return element.name, None

    def slot(self, slot: Slot, raw: Any, at: str, address: Address, scopes: list[Scope]) -> None:
        """One element, with all its values."""
        only = slot.nodes[0] if len(slot.nodes) == 1 else None
        if isinstance(only, Leaf) and only.op in ("answers", "form"):
            items = raw if isinstance(raw, list) else [raw]
            self.items_of(only, items, at, address, scopes)
            return
        if slot.element.many:
            self.many(slot, raw if isinstance(raw, list) else [raw], at, address, scopes)
            return
        if isinstance(raw, list):
            if len(raw) != 1:
                self.notes.find("cardinality", "one value is wanted here", at)
                return
            raw = raw[0]
        node = self.choose(slot, raw, scopes)
        if isinstance(node, Tie):
            scopes[-1].ties.append(Tie(node.nodes, raw, at))
            self.reading.carried += 1
            return
        if node is None:
            for one in slot.nodes:  # what is there and not understood takes nothing away
                scopes[-1].hits[one.n] = raw
            if any(isinstance(n, Const) for n in slot.nodes):
                self.notes.find("constant", "the mapping writes another constant here", at)
            else:
                self.notes.find("not-understood", "no line can read this value", at)
            return
        self.node(node, raw, at, address, scopes, slot)

    def choose(self, slot: Slot, value: Any, scopes: list[Scope]) -> Node | Tie | None:
        """The line of a single element that its value fits best; equals are for the record."""
        alone = len(slot.nodes) == 1
        if alone and isinstance(slot.nodes[0], Leaf):  # its own reader says what is wrong with it
            return slot.nodes[0]
        ranked = [
            (self.scores.score(n, value, scopes, alone=alone), -i, n)
            for i, n in enumerate(slot.nodes)
        ]
        best = max(ranked, key=lambda entry: entry[:2])
        if best[0] <= NO:
            return None
        equal = [n for score, _, n in ranked if score == best[0]]
        copies = tuple(n for n in equal if isinstance(n, Leaf) and n.op == "copy")
        return Tie(copies, value, "") if 1 < len(copies) == len(equal) else best[2]

    def many(
        self, slot: Slot, items: list[Any], at: str, address: Address, scopes: list[Scope]
    ) -> None:
        """The items of a repeating element, each by the line that it fits best."""
        name, alone = slot.element.name, len(slot.nodes) == 1
        for each in slot.nodes:
            if isinstance(each, Each):
                scopes[each.source.depth].hits.setdefault(each.n, True)
        ranked = sorted(
            (
                (-score, i, j)
                for i, value in enumerate(items)
                for j, node in enumerate(slot.nodes)
                if (score := self.scores.score(node, value, scopes, alone=alone)) > NO
            ),
        )
        taken: dict[int, Node] = {}
        used: set[int] = set()
        open_items = self.equal_lists(slot, ranked, scopes)
        for _, i, j in ranked:
            node = slot.nodes[j]
            if i in taken or i in open_items or (j in used and not isinstance(node, Each)):
                continue
            taken[i] = node
            used.add(j)
        for i, value in enumerate(items):
            place = f"{at}[{i}]"
            if i in taken:
                self.node(taken[i], value, place, address, scopes, slot)
            elif i in open_items:
                self.notes.find("ambiguous", "more than one list may have this item", place)
                self.notes.leave(address, name, value, place, item=True)
            elif alone and isinstance(slot.nodes[0], Leaf) and not used:
                self.node(slot.nodes[0], value, place, address, scopes, slot)
                used.add(0)
            else:
                self.notes.leave(address, name, value, place, item=True)

    def equal_lists(
        self, slot: Slot, ranked: list[tuple[int, int, int]], scopes: list[Scope]
    ) -> set[int]:
        """Items that two lists of the record could have; neither loses its own by it.

        What only has the right shape does not decide between two lists: a code or a key must.
        """
        best: dict[int, list[tuple[int, Node]]] = {}
        for score, i, j in ranked:
            tier = -score // CODED
            if i not in best or best[i][0][0] == tier:
                best.setdefault(i, []).append((tier, slot.nodes[j]))
        found = set()
        for i, fitting in best.items():
            lists = [node for _, node in fitting if isinstance(node, Each)]
            if len(fitting) == len(lists) and len({each.source.name for each in lists}) > 1:
                found.add(i)
                for each in lists:
                    scopes[each.source.depth].partial.add(each.source.path)
        return found

    def node(
        self, node: Node, value: Any, at: str, address: Address, scopes: list[Scope], slot: Slot
    ) -> None:
        """One line and the value that it is to read."""
        self.matched(node.test, scopes)
        if isinstance(node, Const):
            scopes[-1].hits[node.n] = value
            self.reading.carried += 1
            return
        step = (slot.element.name, node.n, None)
        if isinstance(node, Group):
            if isinstance(value, dict):
                self.group(node, value, at, (*address, step), scopes)
            else:
                self.notes.find("type", f"expected a {node.type}", at)
        elif isinstance(node, Each):
            self.each(node, value, at, address, scopes, slot)
        elif node.op != "labels" and (node.line.one_way or node.op in ONE_WAY):
            scopes[-1].hits[node.n] = value
        else:
            scopes[-1].hits[node.n] = value
            self.reading.carried += self.leaf(node, value, at, (*address, step), scopes)

    def each(
        self, each: Each, value: Any, at: str, address: Address, scopes: list[Scope], slot: Slot
    ) -> None:
        """One item of a list of the record."""
        item, key = Scope(), each.line.key
        below = [*scopes, item]
        if each.test is not None and each.test.source.depth == each.depth:
            self.matched(each.test, below)
        if isinstance(each.node, Leaf):
            step = (slot.element.name, each.node.n, self.item_key(each.node, value, below))
            if not self.leaf(each.node, value, at, (*address, step), below):
                scopes[each.source.depth].partial.add(each.source.path)
                return
            item.hits[each.node.n] = value
            self.reading.carried += 1
        elif isinstance(each.node, Group) and isinstance(value, dict):
            name = self.key_of(each.node, value)
            step = (slot.element.name, each.node.n, name or f"?{at}")
            self.group(each.node, value, at, (*address, step), below)
        else:
            self.notes.find("type", f"expected a {slot.element.type}", at)
            return
        if not (item.values or item.items or item.loose):
            self.notes.leave(address, slot.element.name, value, at, item=True)
            return
        owner = scopes[each.source.depth]
        if () in item.values:
            owner.values.setdefault(each.source.path, []).append(item.values[()])
        elif key is not None and key != ".":
            keep(owner, each.source.path, key, item)

    def item_key(self, leaf: Leaf, value: Any, scopes: list[Scope]) -> str:
        """What tells an item that is one value: whom it refers to, or all that it says."""
        if leaf.op == "reference" and isinstance(value, dict):
            return self.referred(leaf, value, scopes) or str(value.get("reference"))
        coding = value.get("coding") if isinstance(value, dict) else None
        first = coding[0] if isinstance(coding, list) and coding else value
        return str(coding_key(first, self.notes.known.also) or value)

    @staticmethod
    def key_of(group: Group, value: Mapping[str, Any]) -> str | None:
        """The Element.id of an item, if it is one of ours or of the other side."""
        name = value.get("id")
        return name if isinstance(name, str) else None

    def matched(self, test: Test | None, scopes: list[Scope]) -> None:
        """What follows from a condition once its line, or the file, has matched.

        Of several values one follows only where "not there" is among them: no other was left open.
        """
        values = test.condition.values if test is not None else ()
        here = test is not None and test.source.depth < len(scopes)
        if test is not None and here and (len(values) == 1 or None in values):
            self.notes.weakly(scopes, test.source, values)


def keep(scope: Scope, path: tuple[str, ...], key: str | None, item: Scope) -> None:
    """Put an item of a list where its key says, or among those without one."""
    name = item.values.get((key,)) if key else None
    if name is None:
        scope.loose.setdefault(path, []).append(item)
        return
    items = scope.list_at(path)
    if name in items:  # the same item twice: what the second one says, too
        items[name].values.update(item.values)
    else:
        items[name] = item
