"""What mapping a record as it is would write, line by line, without writing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhirsvc.mapping import paths
from fhirsvc.mapping.inverse import ONE_WAY, Inverse
from fhirsvc.mapping.plan import Asked, Const, Each, Leaf, Node, Test, fixed

Record = dict[str, Any]


class Would:
    """Asks the lines of one plan. ``records`` is the record and the list items down to the line."""

    def __init__(self, inverses: Mapping[int, Inverse]) -> None:
        self.inverses = inverses

    def applies(self, leaf: Leaf, records: list[Record]) -> bool:
        """Whether a line has what it needs, one-way lines included."""
        values = [paths.at(records[s.depth], s.path) for s in leaf.sources]
        return holds(leaf.test, records) and all(v is not None and v != [] for v in values)

    def visible(self, node: Node, records: list[Record]) -> bool:
        """Whether mapping the record as it is would write a node."""
        if not holds(node.test, records):
            return False
        if isinstance(node, Const):
            return True
        if isinstance(node, Leaf):
            return self.leaf_visible(node, records)
        if isinstance(node, Each):
            items = paths.at(records[node.source.depth], node.source.path)
            items = items if isinstance(items, list) else []
            return any(self.item_visible(node, [*records, item]) for item in items)
        if node.line is not None and node.line.mandatory:
            return True
        moving = [n for s in node.slots for n in s.nodes if not fixed(n)]
        return any(self.visible(n, records) for n in moving)

    def item_visible(self, each: Each, records: list[Record]) -> bool:
        """Whether an item of a list would be written; ``records`` ends with it."""
        return holds(each.test, records) and self.visible(each.node, records)

    def leaf_visible(self, leaf: Leaf, records: list[Record]) -> bool:
        """Whether a value of the record would be written."""
        if leaf.line.one_way or leaf.op in ONE_WAY or leaf.is_key:
            return False
        if leaf.op == "form":
            return answered(leaf.arg, records)
        values = [paths.at(records[s.depth], s.path) for s in leaf.sources]
        if any(v is None or v == [] for v in values):
            return False
        if leaf.n in self.inverses:
            has_text = leaf.text is not None and paths.at(records[leaf.text.depth], leaf.text.path)
            word = values[0] if isinstance(values[0], str) else ""
            return bool(leaf.arg.get(word)) or bool(has_text)
        return True

    def makes(self, leaf: Leaf, value: Any, records: list[Record]) -> bool:
        """Whether a line would write just this value."""
        if leaf.op not in ("copy", "text", "table"):
            return False
        source = leaf.sources[0]
        has = paths.at(records[source.depth], source.path)
        if leaf.op == "copy":
            return bool(has == value)
        if leaf.op == "text":
            return bool(value == {"text": has})
        return isinstance(has, str) and leaf.arg.get(has) == value


def answered(asked: Iterable[Asked], records: list[Record]) -> bool:
    """Whether a record answers any of these questions."""
    for one in asked:
        if one.question.type == "group" and (one.source is None or not one.question.each):
            if answered(one.inner, records):
                return True
            continue
        if one.source is None:
            continue
        value = paths.at(records[one.source.depth], one.source.path)
        if value is None or value == []:
            continue
        if one.question.type != "group":
            return True
        if any(answered(one.inner, [*records, item]) for item in value):
            return True
    return False


def holds(test: Test | None, records: list[Record]) -> bool:
    """Whether a condition holds for a record."""
    if test is None or test.source.depth >= len(records):
        return True  # asked of each item, when the items are gone through
    value = paths.at(records[test.source.depth], test.source.path)
    there = value is not None and value != []
    if test.condition.present is not None:
        return there == test.condition.present
    return value in test.condition.values
