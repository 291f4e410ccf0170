"""YAML text to nodes that remember their line and column.

The schema is YAML 1.2's core, not PyYAML's default 1.1: ``no`` is a word and ``2026-01-01`` is
text, so a mapping file never changes meaning by looking like something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from fhirsvc.errors import Finding


@dataclass(frozen=True)
class Mark:
    """A place in a mapping file, counted from one."""

    file: str
    line: int
    col: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}"


@dataclass(frozen=True)
class Node:
    """A YAML value and where it stands: ``dict[str, Node]``, ``list[Node]`` or a scalar."""

    value: Any
    mark: Mark
    keys: dict[str, Mark] | None = None  # of a mapping: where each key stands

    def plain(self) -> Any:
        """The value without marks."""
        if isinstance(self.value, dict):
            return {k: v.plain() for k, v in self.value.items()}
        if isinstance(self.value, list):
            return [v.plain() for v in self.value]
        return self.value

    def at(self, key: str) -> Mark:
        """Where ``key`` stands, or the node itself."""
        return (self.keys or {}).get(key, self.mark)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own protocol


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


if yaml.__with_libyaml__:

    class _FastLoader(yaml.CSafeLoader):
        """The same by libyaml, in a tenth of the time."""

        yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

else:
    _FastLoader = _Loader  # type: ignore[misc,assignment]
# Characters of which libyaml lets more pass than PyYAML; what it refuses, PyYAML explains better.
_READ_SLOWLY = re.compile("[\t\r?!\x00\x7f\x85\u2028\u2029\ufeff]")


def parse(text: str, file: str) -> tuple[Node | None, list[Finding]]:
    """Parse one YAML document.

    :returns: the root node (None when there is none) and what is wrong, each ``file:line:col``.
    """
    findings: list[Finding] = []
    root = _read_fast(text)
    if root is not None:
        return _node(root, file, findings), findings
    try:
        loader = _Loader(text)  # looks at every character already
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        at = Mark(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return None, [Finding("yaml", "a character that YAML does not allow", str(at))]
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        return None, [_not_yaml(error, file)]
    finally:
        loader.dispose()
    if root is None:
        return None, [Finding("yaml", "the file is empty", f"{file}:1:1")]
    return _node(root, file, findings), findings


def _read_fast(text: str) -> yaml.Node | None:
    """The root node, where libyaml reads the text as PyYAML does; None where it may not."""
    if _READ_SLOWLY.search(text):
        return None
    loader = _FastLoader(text)
    try:
        root = loader.get_single_node()
    except yaml.YAMLError:
        return None
    finally:
        loader.dispose()
    return None if root is None or _lacks_a_value(root) else root


def _lacks_a_value(node: yaml.Node) -> bool:
    """Whether a value is absent: libyaml places it elsewhere than PyYAML."""
    if isinstance(node, yaml.MappingNode):
        return any(_lacks_a_value(key) or _lacks_a_value(one) for key, one in node.value)
    if isinstance(node, yaml.SequenceNode):
        return any(map(_lacks_a_value, node.value))
    return isinstance(node, yaml.ScalarNode) and not node.value and not node.style


def _not_yaml(error: yaml.MarkedYAMLError, file: str) -> Finding:
    """What the parser says; what never ends is placed where it begins."""
    problem = (error.problem or "not YAML").replace("\n", " ")
    begun, noticed = error.context_mark, error.problem_mark
    if begun is not None and "end of stream" in problem:
        return Finding("yaml", f"{error.context}: it never ends", str(_mark(begun, file)))
    if begun is not None and error.context and begun.line != (noticed or begun).line:
        problem = f"{problem}, {error.context} begun at line {begun.line + 1}"
    mark = noticed or begun
    return Finding("yaml", problem, str(_mark(mark, file) if mark else Mark(file, 1, 1)))


def _mark(mark: yaml.Mark, file: str) -> Mark:
    return Mark(file, mark.line + 1, mark.column + 1)


def _node(raw: Any, file: str, findings: list[Finding]) -> Node:
    mark = _mark(raw.start_mark, file)
    if isinstance(raw, yaml.MappingNode):
        return _mapping(raw, mark, file, findings)
    if isinstance(raw, yaml.SequenceNode):
        return Node([_node(item, file, findings) for item in raw.value], mark)
    return Node(_scalar(raw), mark)


def _mapping(raw: Any, mark: Mark, file: str, findings: list[Finding]) -> Node:
    values: dict[str, Node] = {}
    keys: dict[str, Mark] = {}
    for key, value in raw.value:
        at = _mark(key.start_mark, file)
        if not isinstance(key, yaml.ScalarNode):
            findings.append(Finding("yaml", "a key must be a word", str(at)))
            continue
        if key.value in values:
            message = f"'{key.value}' stands here twice; first at line {keys[key.value].line}"
            findings.append(Finding("duplicate-key", message, str(at)))
            continue
        values[key.value] = _node(value, file, findings)
        keys[key.value] = at
    return Node(values, mark, keys)


def _scalar(raw: Any) -> Any:
    kind = raw.tag.rpartition(":")[2]
    if kind == "int":
        return int(raw.value)
    if kind == "float":
        return float(raw.value)
    if kind == "bool":
        return bool(raw.value == "true")
    return None if kind == "null" else str(raw.value)


def walk(node: Node) -> Iterator[Node]:
    """Every node of the tree, outermost first."""
    yield node
    children = node.value.values() if isinstance(node.value, dict) else node.value
    if isinstance(node.value, dict | list):
        for child in children:
            yield from walk(child)
