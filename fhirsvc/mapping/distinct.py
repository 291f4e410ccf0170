"""Whether the lines of one repeating element can be told apart when it is read back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node


def indistinct(nodes: Sequence[Node]) -> Iterator[tuple[Node, Node]]:
    """Pairs of lines of which an item could be either's, by all that it says.

    An item is known by a constant or a code in it, the system of an identifier, what it refers to,
    or the key of a list. One line without any of these takes what no other line claims; two cannot.
    """
    silent = [node for node in nodes if _read(node) and not any(_tells(node))]
    yield from pairwise(silent)


def _read(node: Node) -> bool:
    """Whether a line is read back at all."""
    if isinstance(node, Leaf):
        return not node.line.one_way
    if isinstance(node, Group):
        return any(_read(n) for s in node.slots for n in s.nodes if not isinstance(n, Const))
    return not isinstance(node, Const)


def _tells(node: Node) -> Iterator[Any]:
    """What says that an item is this line's."""
    if isinstance(node, Const):
        yield node.value
    elif isinstance(node, Leaf):
        if node.is_key or node.op in ("identifier", "reference", "table", "table_text", "tag"):
            yield node.op
    elif isinstance(node, Each):
        yield from _tells(node.node)
    else:
        for slot in node.slots:
            for child in slot.nodes:
                yield from _tells(child)
