"""A plan without what a record of a given shape cannot fill.

Records of a clinic have few shapes (which fields are there), and most fields of a type are absent
in any one of them. For a shape that comes up often the code is made again from the pruned plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhirsvc.mapping.plan import Asked, Const, Each, Group, Leaf, Node, Plan, Slot, Source, Test


def prune(plan: Plan, names: frozenset[str]) -> Plan | None:
    """The plan for records that have just these fields; None when it makes nothing of them."""
    if plan.each is not None and _absent(plan.each, names):
        return None
    kept, test = _test(plan.test, names)
    if not kept:
        return None
    return replace(plan, root=replace(plan.root, slots=_slots(plan.root, names)), test=test)


def _absent(source: Source | None, names: frozenset[str]) -> bool:
    return (
        source is not None
        and source.depth == 0
        and bool(source.path)
        and (source.path[0] not in names)
    )


def _test(test: Test | None, names: frozenset[str]) -> tuple[bool, Test | None]:
    """Whether what stands behind a condition can still apply, and the condition that is left."""
    if test is None or not _absent(test.source, names):
        return True, test
    return test.condition.present is False, None


def _slots(group: Group, names: frozenset[str]) -> tuple[Slot, ...]:
    found = []
    for slot in group.slots:
        nodes = tuple(n for n in (_node(node, names) for node in slot.nodes) if n is not None)
        if nodes:
            found.append(Slot(slot.element, nodes))
    return tuple(found)


def _node(node: Node, names: frozenset[str]) -> Node | None:
    kept, test = _test(node.test, names)
    if not kept:
        return None
    if isinstance(node, Const):
        return replace(node, test=test)
    if isinstance(node, Each):
        inner = None if _absent(node.source, names) else _node(node.node, names)
        return None if inner is None else replace(node, test=test, node=inner)
    if isinstance(node, Group):
        left = replace(node, test=test, slots=_slots(node, names))
        alone = left.constant and not node.constant  # constants do not make a group by themselves
        mandatory = node.line is not None and node.line.mandatory
        return left if left.slots and (mandatory or not alone) else None
    return _leaf(replace(node, test=test), names)


def _leaf(leaf: Leaf, names: frozenset[str]) -> Leaf | None:
    if any(_absent(source, names) for source in leaf.sources):
        return None
    if leaf.op == "narrative":
        return replace(leaf, arg=[row for row in leaf.arg if not _absent(row[1], names)])
    if leaf.op == "form":
        return replace(leaf, arg=_asked(leaf.arg, names))
    if _absent(leaf.text, names):
        return replace(leaf, text=None, op="table" if leaf.op == "table_text" else leaf.op)
    return leaf


def _asked(asked: Sequence[Asked], names: frozenset[str]) -> list[Asked]:
    return [
        replace(one, inner=tuple(_asked(one.inner, names)))
        for one in asked
        if not _absent(one.source, names)
    ]
