"""Which invariants a group can break, so that only those are asked for each record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from fhirsvc.fhir.invariants import INVARIANTS, Invariant
from fhirsvc.mapping.groups import exclusive
from fhirsvc.mapping.plan import Const, Group, Leaf, Slot, fixed

_MOST = 12  # optional elements for which every combination is tried


def open_rules(group: Group, *, filled: bool = False) -> list[Invariant]:
    """The invariants of a group's type that its lines do not already hold.

    :param filled: the group exists only where something of the record is in it.
    """
    moving = {s.element.name for s in group.slots if not all(fixed(n) for n in s.nodes)}
    names = frozenset(slot.element.name for slot in group.slots)
    sure = frozenset(s.element.name for s in group.slots if any(n.always for n in s.nodes))
    found = []
    for rule in INVARIANTS.get(group.type, ()):
        touched = any(name.startswith(rule.touches) for name in names)
        if not rule.needs <= names or not touched or _settled(group, rule):
            continue
        if rule.static and len(names - sure) <= _MOST:
            bad = (s for s in _subsets(sure, names) if rule.needs <= s and not _holds(rule, s))
            if not any(_reachable(group, s) for s in bad if not filled or moving & s):
                continue
        found.append(rule)
    return found


def _settled(group: Group, rule: Invariant) -> bool:
    """Whether all that the rule looks at are constants that satisfy it."""
    needed = [s for s in group.slots if s.element.name in rule.needs]
    constants = {s.element.name: s.nodes[0].value for s in needed if isinstance(s.nodes[0], Const)}
    return bool(needed) and len(constants) == len(rule.needs) and rule.ok(constants)


def _subsets(sure: frozenset[str], names: frozenset[str]) -> Iterator[frozenset[str]]:
    optional = sorted(names - sure)
    for size in range(0 if sure else 1, len(optional) + 1):
        for chosen in combinations(optional, size):
            yield sure | frozenset(chosen)


def _holds(rule: Invariant, names: frozenset[str]) -> bool:
    return rule.ok(dict.fromkeys(names))


def _reachable(group: Group, names: frozenset[str]) -> bool:
    """Whether a record can fill just these elements.

    Exclusive conditions rule some sets out; so does a constant that is missing although the field
    on which it depends is there.
    """
    there = [slot for slot in group.slots if slot.element.name in names]
    if any(_apart(a, b) for i, a in enumerate(there) for b in there[i + 1 :]):
        return False
    read = {name for slot in there for name in _present(slot)}
    missing = [slot for slot in group.slots if slot.element.name not in names]
    return not any(_follows(slot, read) for slot in missing)


def _present(slot: Slot) -> set[str]:
    """The fields that must be there when a slot with one line is filled."""
    if len(slot.nodes) != 1:
        return set()
    node = slot.nodes[0]
    found = {s.name for s in node.sources} if isinstance(node, Leaf) else set()
    if node.test is not None and node.test.condition.present is not False:
        found.add(node.test.source.name)
    return found


def _follows(slot: Slot, read: set[str]) -> bool:
    """Whether a constant is bound to be there once these fields are."""
    return any(
        isinstance(n, Const)
        and n.test is not None
        and n.test.condition.present is True
        and n.test.source.name in read
        for n in slot.nodes
    )


def _apart(a: Slot, b: Slot) -> bool:
    """Whether two slots exclude each other: one wants a field that the other wants absent."""
    absent = [
        {n.test.source.name for n in s.nodes if n.test and n.test.condition.present is False}
        for s in (a, b)
    ]
    if len(a.nodes) == len(b.nodes) == 1 and (_present(a) & absent[1] or _present(b) & absent[0]):
        return True
    return all(exclusive([x, y]) for x in a.nodes for y in b.nodes)
