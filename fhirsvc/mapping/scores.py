"""Which line an element belongs to: evidence for and against, never its position.

``score`` says how well an element fits a line: below zero it cannot be the line's, and the higher
the more speaks for it. An ``Element.id`` with the list's name decides; then identifiers, constants
and codes; then the type of a reference; a value of the right shape alone counts least.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirsvc.mapping.inverse import Inverse, Unread, Words, coding_key, same_unit
from fhirsvc.mapping.links import Aim, Links, local_ids, target_type
from fhirsvc.mapping.notes import Scope
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node, Slot, Test, fixed

NO = -1
_KEY, _SURE, CODED, _SHAPED = 1000, 60, 30, 1


class Scores:
    """Scores for the lines of one plan."""

    def __init__(
        self,
        inverses: Mapping[int, Inverse],
        aims: Mapping[int, Aim],
        also: Mapping[str, str],
        links: Links,
        contained: Mapping[str, Any],
    ) -> None:
        self.inverses = inverses
        self.aims = aims
        self.also = also
        self.links = links
        self.contained = contained

    def score(self, node: Node, value: Any, scopes: list[Scope], *, alone: bool) -> int:
        """How well ``value`` fits ``node``; ``alone`` where no other line claims the element."""
        if against(node.test, scopes):
            return NO
        if isinstance(node, Const):
            return _SURE if self.equal(node.value, value) else NO
        if isinstance(node, Each):
            return self.score(node.node, value, scopes, alone=alone)
        if isinstance(node, Group):
            return self.group(node, value, scopes, alone=alone)
        return self.leaf(node, value)

    def group(self, group: Group, value: Any, scopes: list[Scope], *, alone: bool) -> int:
        """A complex element: its constants must agree, its codes and keys speak for it."""
        if not isinstance(value, dict):
            return NO
        total, unkeyed = 0, False
        for slot in group.slots:
            raw = value.get(slot.element.name)
            if raw is None and _key_of(slot) is not None:
                unkeyed = True  # a line whose items have no key of their own comes first
            constant = all(fixed(n) for n in slot.nodes) and _key_of(slot) is None
            if raw is None:
                if constant and not alone and any(n.test is None for n in slot.nodes):
                    return NO
                continue
            found = self.slot(slot, raw, scopes)
            if found == NO and constant and not slot.element.many:
                return NO
            total += max(found, 0)
            key = _key_of(slot)
            if key is not None and isinstance(raw, str) and raw.startswith(key.arg):
                total += _KEY
                alone = True  # its key says whose it is, whatever else is missing
        return max(total - unkeyed, 0)

    def slot(self, slot: Slot, raw: Any, scopes: list[Scope]) -> int:
        """The best that any value of an element says for any of its lines."""
        values = raw if isinstance(raw, list) else [raw]
        alone = len(slot.nodes) == 1
        first = slot.nodes[0]
        if isinstance(first, Leaf) and first.op in ("answers", "form"):
            return 0
        return max(
            (self.score(n, v, scopes, alone=alone) for n in slot.nodes for v in values), default=NO
        )

    def leaf(self, leaf: Leaf, value: Any) -> int:
        """One value."""
        if leaf.op in ("table", "table_text"):
            return self.coded(leaf, value)
        if leaf.op == "copy":
            return _SHAPED if isinstance(value, str | int | float) else NO
        if leaf.op == "key":
            return 0
        if not isinstance(value, dict):
            return NO
        if leaf.op == "identifier":
            system = value.get("system")
            known = self.also.get(str(system), system) == leaf.arg["system"]
            return _SURE if known and isinstance(value.get("value"), str) else NO
        if leaf.op == "tag":
            return _SURE if value.get("system") == leaf.arg["system"] else NO
        if leaf.op == "reference":
            return self.reference(leaf, value)
        if leaf.op == "quantity":
            code = value.get("code")
            wants = leaf.arg.get("code")
            return NO if wants and code and not same_unit(code, wants) else _SHAPED
        return _SHAPED

    def coded(self, leaf: Leaf, value: Any) -> int:
        """A code, Coding or CodeableConcept by the line's table."""
        inverse = self.inverses[leaf.n]
        try:
            if isinstance(value, str):
                return CODED if inverse.code(value) else NO
            if not isinstance(value, dict):
                return NO
            codings = value.get("coding") if "coding" in value else [value]
            if isinstance(codings, list) and inverse.codings(codings):
                return CODED
        except Unread:
            return 0
        if inverse.text(value.get("text")):
            return CODED
        return _SHAPED if leaf.op == "table_text" and isinstance(value.get("text"), str) else NO

    def reference(self, leaf: Leaf, value: Mapping[str, Any]) -> int:
        """A reference by the type of its target, and by the local id if it is one."""
        if not {"reference", "identifier"} & value.keys():
            return NO
        aim = self.aims[leaf.n]
        kind = target_type(value, self.contained, self.links)
        if kind is not None and kind != aim.resource:
            return NO
        reference = value.get("reference")
        if isinstance(reference, str):
            relative = self.links.relative(reference)
            house = self.links.known.get(relative)
            if house is not None:
                return _SURE if (house.record, house.part) == (aim.record, aim.part) else NO
            if local_ids(relative, aim, (None,)) is not None:
                return _SURE
        return _SHAPED

    def equal(self, stated: Any, met: Any) -> bool:
        """Whether an element says what a constant states; it may say more."""
        if isinstance(stated, dict):
            if not isinstance(met, dict):
                return False
            if "code" in stated and "system" in stated:
                return coding_key(stated, self.also) == coding_key(met, self.also)
            named = [k for k in stated if k != "text"] or list(stated)
            return all(self.equal(stated[k], met.get(k)) for k in named)
        if isinstance(stated, list):
            items = met if isinstance(met, list) else []
            return all(any(self.equal(s, m) for m in items) for s in stated)
        if isinstance(stated, str) and isinstance(met, str):
            return self.also.get(met, met) == self.also.get(stated, stated)
        return bool(stated == met) and isinstance(stated, bool) == isinstance(met, bool)


def against(test: Test | None, scopes: list[Scope]) -> bool:
    """Whether what is already read rules out the condition of a line."""
    if test is None or not test.condition.values or test.source.depth >= len(scopes):
        return False  # what is asked of an item is known once the item is read
    known = scopes[test.source.depth].values.get(test.source.path)
    if known is None:
        return False
    if isinstance(known, Words):
        return not set(known.words) & set(test.condition.values)
    return known not in test.condition.values


def _key_of(slot: Slot) -> Leaf | None:
    node = slot.nodes[0]
    return node if isinstance(node, Leaf) and node.is_key else None
