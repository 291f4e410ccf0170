"""What a group of lines must hold by its shape: mandatory elements, choices, invariants.

Called once for each complex element as its lines are resolved (``resolve.Resolver.group``).
"""

from __future__ import annotations

from collections.abc import Sequence

from fhirsvc.fhir.definitions import Definition
from fhirsvc.mapping.constants import Report
from fhirsvc.mapping.plan import Group, Node, Slot, Test, fixed
from fhirsvc.mapping.source import Mark


def exclusive(nodes: Sequence[Node]) -> bool:
    """Whether at most one of the nodes can apply to a record."""
    tests = [getattr(node, "test", None) for node in nodes]
    return all(_disjoint(a, b) for i, a in enumerate(tests) for b in tests[i + 1 :])


def _disjoint(a: Test | None, b: Test | None) -> bool:
    if a is None or b is None or a.source.name != b.source.name:
        return False
    one, two = a.condition, b.condition
    if one.present is not None and two.present is not None:
        return one.present != two.present
    if one.values and two.values:
        return not set(one.values) & set(two.values)
    return one.present is False or two.present is False


def _complete(nodes: Sequence[Node]) -> bool:
    """Whether one of the nodes always applies, alone or as present and absent together."""
    if any(node.always for node in nodes):
        return True
    known = {
        (t.source.name, t.condition.present)
        for node in nodes
        if (t := getattr(node, "test", None)) is not None and t.condition.present is not None
    }
    return any((name, not present) in known for name, present in known)


def check_group(
    shape: Definition,
    group: Group,
    where: str,
    mark: Mark,
    tried: frozenset[str],
    report: Report,
) -> None:
    """Mandatory elements, choices and the invariants that a mapping can break by its shape.

    :param tried: elements that have lines; where one has no slot, its own finding says why.
    """
    slots = {slot.element.name: slot for slot in group.slots}
    moving = [s for s in group.slots if not all(fixed(n) for n in s.nodes)]
    for name, members in shape.choices().items():
        present = [slots[m.name] for m in members if m.name in slots]
        if len(present) > 1 and not exclusive([n for s in present for n in s.nodes]):
            report(
                "choice",
                f"{where}.{name}[x] is written as more than one type",
                _place(present[-1], mark),
            )
        if not present and members[0].choice_required and not tried & {m.name for m in members}:
            report("required", f"{where}.{name}[x] is mandatory", mark)
    for element in shape.elements.values():
        if not element.required:
            continue
        slot = slots.get(element.name)
        if slot is None and element.name in tried:
            continue
        if slot is None:
            report("required", f"{where}.{element.name} is mandatory and no line writes it", mark)
        elif not _complete(slot.nodes) and moving != [slot]:
            message = f"{where}.{element.name} is mandatory; its field may be missing in a record"
            report("required", message, _place(slot, mark))
    if shape.name == "CarePlanActivity" and {"reference", "detail"} <= slots.keys():
        report("invariant", f"{where} has reference or detail, not both (cpl-3)", mark)
    detailed = any(name.startswith("detail") for name in slots)
    if shape.name == "GoalTarget" and detailed and "measure" not in slots:
        report("invariant", f"{where}.measure is needed with detail (gol-1)", mark)


def _place(slot: Slot, otherwise: Mark) -> Mark:
    """Where the first line of a slot stands; a dotted path's group has none of its own."""
    node: Node = slot.nodes[0]
    while isinstance(node, Group) and node.line is None and node.slots:
        node = node.slots[0].nodes[0]
    return node.line.mark if node.line is not None else otherwise
