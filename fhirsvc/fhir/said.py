"""What one resource says that another does not, value by value: a look that trusts no merge. Pure.

Not told are what a version says of itself, the narrative, which is made anew, the display of a
coding, which is its code system's to say, and of a moment the time where its day is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Resource = dict[str, Any]
Leaf = tuple[str, str, Any]  # path without places in lists, type, value


def unsaid(written: Resource, served: Resource) -> list[str]:
    """The paths (``Task.code.text``) of values in ``written`` that are not in ``served``."""
    there = set(_leaves(_whole(served)))
    lost = [leaf for leaf in _leaves(_whole(written)) if leaf not in there]
    return list(dict.fromkeys(path for path, _, _ in _excused(lost, there)))


def _whole(resource: Resource) -> Resource:
    """The resource without id, narrative and version, under its type's name."""
    meta = resource.get("meta") or {}
    kept = {name: value for name, value in meta.items() if name in ("tag", "security", "profile")}
    body = {k: v for k, v in resource.items() if k not in ("id", "text", "meta", "resourceType")}
    return {str(resource["resourceType"]): {**body, "meta": kept}}


def _leaves(node: Any, path: str = "") -> Iterator[Leaf]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _leaves(value, f"{path}.{name}" if path else name)
    elif isinstance(node, list):
        for one in node:
            yield from _leaves(one, path)
    elif node is not None:
        is_number = isinstance(node, int | float) and not isinstance(node, bool)
        yield path, "number" if is_number else type(node).__name__, node


def _excused(lost: list[Leaf], there: set[Leaf]) -> Iterator[Leaf]:
    for path, kind, value in lost:
        parent, _, name = path.rpartition(".")
        if name == "display" and parent.lower().endswith("coding"):
            continue
        if kind == "str" and value[10:11] == "T" and (path, kind, value[:10]) in there:
            continue
        yield path, kind, value
