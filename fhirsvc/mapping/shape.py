"""What a file of ``codes/`` or ``instruments/`` must look like, asked before it is read.

A shape says which keys a node has, which of them it must have and what stands under each, so that
the readers need not ask again and a slip gets a finding with its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fhirsvc.errors import Finding
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.mapping.source import Node


@dataclass(frozen=True)
class Scalar:
    """One value: any word or number, or a whole number, or true and false."""

    kind: Literal["word", "whole number", "true or false"]

    def takes(self, value: object) -> bool:
        """Whether the value is of this kind."""
        if self.kind == "true or false":
            return isinstance(value, bool)
        if self.kind == "whole number":
            return isinstance(value, int) and not isinstance(value, bool)
        return isinstance(value, str | int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Keys:
    """A set of known keys; ``what`` names it in a finding ("a question")."""

    what: str
    needed: Mapping[str, Shape]
    also: Mapping[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True)
class Each:
    """A list; ``length`` where only one will do."""

    item: Shape
    length: int | None = None


@dataclass(frozen=True)
class Named:
    """A set of any keys; None stands for any value, for a reader that asks by itself."""

    item: Shape | None = None


Shape = Scalar | Keys | Each | Named
WORD = Scalar("word")
WHOLE = Scalar("whole number")
TRUTH = Scalar("true or false")


def fits(node: Node, shape: Shape, findings: list[Finding]) -> bool:
    """Whether a node can be read as ``shape``. An unknown key is a finding and can be read past."""
    if isinstance(shape, Scalar):
        return shape.takes(node.value) or _wrong(node, f"a {shape.kind}", findings)
    if isinstance(shape, Each):
        if not isinstance(node.value, list):
            return _wrong(node, "a list", findings)
        if shape.length not in (None, len(node.value)):
            return _wrong(node, f"a list of {shape.length}", findings)
        return _all(node.value, shape.item, findings)
    if not isinstance(node.value, dict):
        return _wrong(node, shape.what if isinstance(shape, Keys) else "a set of keys", findings)
    if isinstance(shape, Named):
        return shape.item is None or _all(node.value.values(), shape.item, findings)
    return _keys(node, shape, findings)


def _all(nodes: Iterable[Node], shape: Shape, findings: list[Finding]) -> bool:
    answers = [fits(node, shape, findings) for node in nodes]  # each is asked: each has findings
    return all(answers)


def _keys(node: Node, shape: Keys, findings: list[Finding]) -> bool:
    known = {**shape.needed, **shape.also}
    good = True
    for key, child in node.value.items():
        if key in known:
            good &= fits(child, known[key], findings)
            continue
        message = f"{shape.what} has no '{key}'{did_you_mean(key, known)}"
        findings.append(Finding("unknown-key", message, str(node.at(key))))
    for key in shape.needed:
        if key not in node.value:
            good = False
            findings.append(Finding("missing-key", f"'{key}' is missing", str(node.mark)))
    return good


def _wrong(node: Node, expected: str, findings: list[Finding]) -> bool:
    findings.append(Finding("grammar", f"{expected} is expected here", str(node.mark)))
    return False
