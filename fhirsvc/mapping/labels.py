"""Sensitive fields carry their label: a line that reads one says so, itself or around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fhirsvc.errors import Finding
from fhirsvc.mapping.lines import Line
from fhirsvc.mapping.plan import Each, Group, Leaf, Node, Plan, sources
from fhirsvc.records import Field


def unlabelled(plan: Plan, known: Mapping[str, Field]) -> Iterator[Finding]:
    """Lines of a file that read a field with a label (``SUD``) and do not carry it.

    The label may stand on the line, on a group or list around it, or on the whole file.

    :param known: the fields of the file's record, by path.
    """
    for labels, leaf in _leaves(plan.root, _label(frozenset(), plan.file.sensitivity)):
        for source in sources(leaf):
            needed = known[source.name].sensitivity
            if needed is not None and needed not in labels:
                message = f"'{source.name}' is labelled {needed}; say 'sensitivity: {needed}'"
                yield Finding("unlabelled", message, str(leaf.line.mark))


def _leaves(node: Node, labels: frozenset[str]) -> Iterator[tuple[frozenset[str], Leaf]]:
    line: Line | None = node.line
    labels = _label(labels, line.sensitivity if line is not None else None)
    if isinstance(node, Leaf):
        yield labels, node
    elif isinstance(node, Each):
        yield from _leaves(node.node, labels)
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                yield from _leaves(child, labels)


def _label(labels: frozenset[str], more: str | None) -> frozenset[str]:
    return labels if more is None else labels | {more}
