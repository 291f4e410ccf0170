"""What a mapping file means once every name in it is resolved: the tree that code is made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhirsvc.fhir.definitions import Element
from fhirsvc.fhir.instruments import Question
from fhirsvc.mapping.lines import Condition, Line, MappingFile


@dataclass(frozen=True)
class Source:
    """A field of the record as seen from where the line stands."""

    depth: int  # 0: the record itself; 1, 2 …: the item of that enclosing list
    path: tuple[str, ...]  # () is the item itself
    name: str  # "modalities[].kind"
    kind: str
    always: bool  # it is there wherever the line runs
    required: bool = False  # and wherever its scope exists: the schema says so


@dataclass(frozen=True)
class Test:
    """A condition with its field resolved."""

    condition: Condition
    source: Source


@dataclass(frozen=True)
class Asked:
    """A question of a form and the field that answers it."""

    question: Question
    source: Source | None  # None for a group that only gathers
    depth: int  # of the scope its inner questions stand in
    values: tuple[str, ...]  # of an enum
    inner: tuple[Asked, ...]
    key: Source | None = None  # of the list's items, where each gets a group of its own


@dataclass(frozen=True)
class Leaf:
    """A value taken from the record. ``op`` names how; ``arg`` is what that needs."""

    line: Line
    n: int  # index of the line in its plan, for traces and faults
    element: Element
    sources: tuple[Source, ...]
    op: str
    arg: Any = None
    text: Source | None = None
    test: Test | None = None

    @property
    def is_key(self) -> bool:
        """Whether it is the key of a list item, which alone makes no element."""
        return self.op == "key"

    @property
    def always(self) -> bool:
        """Whether the value is there in every valid record."""
        partial = self.op in ("answers", "form")  # nothing answered makes nothing
        partial = partial or (self.op == "table" and None in self.arg.values())
        return self.test is None and not partial and all(s.always for s in self.sources)


@dataclass(frozen=True)
class Const:
    """A value that the file states."""

    line: Line
    n: int
    element: Element
    value: Any
    test: Test | None = None

    @property
    def always(self) -> bool:
        """Whether no condition stands before it."""
        return self.test is None


@dataclass(frozen=True)
class Slot:
    """One element of a group and what fills it; several nodes only where the element repeats."""

    element: Element
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Group:
    """A complex element. It exists when one of its values from the record does."""

    line: Line | None
    n: int
    type: str
    slots: tuple[Slot, ...]
    test: Test | None = None

    @property
    def constant(self) -> bool:
        """Whether nothing in it comes from the record."""
        return all(
            isinstance(n, Const) or (isinstance(n, Group) and n.constant)
            for s in self.slots
            for n in s.nodes
        )

    @property
    def always(self) -> bool:
        """Whether every valid record makes it."""
        if self.test is not None:
            return False
        if self.line is not None and self.line.mandatory:
            return True
        if self.constant:
            return all(n.always for s in self.slots for n in s.nodes)
        return any(n.always and not fixed(n) for s in self.slots for n in s.nodes)


@dataclass(frozen=True)
class Each:
    """A list of the record and the node made from each of its items."""

    line: Line
    n: int
    source: Source
    depth: int
    node: Node
    test: Test | None = None
    always: bool = False  # an empty list makes nothing


Node = Leaf | Const | Group | Each


def fixed(node: Node) -> bool:
    """Whether a node makes no element by itself: constants, and the key of a list item."""
    if isinstance(node, Group):
        return node.constant
    return isinstance(node, Const) or (isinstance(node, Leaf) and node.is_key)


def carries(node: Node, key: Source) -> bool:
    """Whether an element below a list item says the item's key, whatever the record."""
    if isinstance(node, Leaf):
        own = (key.depth, key.path) in [(s.depth, s.path) for s in node.sources]
        return own and node.test is None and node.op in ("copy", "identifier", "reference")
    if isinstance(node, Group):
        return node.test is None and any(carries(n, key) for s in node.slots for n in s.nodes)
    return False


def sources(node: Node) -> Iterator[Source]:
    """Every field that a node reads, conditions included."""
    test = node.test
    if test is not None:
        yield test.source
    if isinstance(node, Leaf):
        yield from node.sources
        if node.text is not None:
            yield node.text
        if node.op == "narrative":
            yield from (row[1] for row in node.arg)
        if node.op == "form":
            yield from sources_of(node.arg)
    elif isinstance(node, Each):
        yield node.source
        yield from sources(node.node)
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                yield from sources(child)


def sources_of(questions: Sequence[Asked]) -> Iterator[Source]:
    """Every field that questions read."""
    for asked in questions:
        if asked.source is not None:
            yield asked.source
        if asked.key is not None:
            yield asked.key
        yield from sources_of(asked.inner)


def constant_of(node: Node) -> Any:
    """The JSON of a node in which nothing comes from the record."""
    if isinstance(node, Const):
        return node.value
    assert isinstance(node, Group)  # noqa: S101 - callers ask only for fixed nodes
    return {
        slot.element.name: (
            [constant_of(n) for n in slot.nodes]
            if slot.element.many
            else constant_of(slot.nodes[0])
        )
        for slot in _settled_slots(node)
    }


def _settled_slots(group: Group) -> tuple[Slot, ...]:
    """The slots of a constant group whose constants carry no condition."""
    return tuple(s for s in group.slots if all(n.always for n in s.nodes))


@dataclass(frozen=True)
class Plan:
    """A mapping file resolved for one US Core version."""

    file: MappingFile
    root: Group
    lines: tuple[Line, ...]
    each: Source | None
    test: Test | None
    id_prefix: str
