"""Resources without what is withheld, still valid FHIR and whole among themselves.

What is mandatory where it stands takes what is around it along, up to the resource. A reference to
what is withheld goes too, and takes what needs it along, until nothing refers to what is not there.
Where anything of a resource is withheld, its readable text is: it may say the same in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.consent.request import Resource
from fhirsvc.fhir.definitions import Definition, definition
from fhirsvc.fhir.validate import validate

_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")
_GONE: Any = object()
Tree = dict[str | int, Any]


class _LostError(LookupError):
    """A path that leads nowhere: what is at it cannot be taken out."""


@dataclass
class Redacted:
    """``resources`` by reference as they may go; what went with what was withheld, and why.

    ``whole`` are the references of resources that do not go at all. ``beside`` are paths that were
    not asked for: ``reference`` (to what is withheld), ``mandatory`` (it needs what is withheld) or
    ``narrative``.
    """

    resources: dict[str, Resource] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    beside: list[tuple[str, str, str]] = field(default_factory=list)


def redact(
    resources: Mapping[str, Resource],
    paths: Mapping[str, Iterable[str]],
    elsewhere: frozenset[str] = frozenset(),
) -> Redacted:
    """Take elements out.

    :param resources: by reference (``Goal/g-1``).
    :param paths: reference → FHIR paths to take out; a path that is the type is the whole.
    :param elsewhere: references of other resources that are withheld.
    """
    return _Redaction(resources, paths, elsewhere).run()


class _Redaction:
    """Goes round until nothing refers to what is not there."""

    def __init__(
        self,
        resources: Mapping[str, Resource],
        paths: Mapping[str, Iterable[str]],
        elsewhere: frozenset[str],
    ) -> None:
        self.given = resources
        self.away = set(elsewhere)
        self.gone = {ref: set(paths.get(ref, ())) for ref in resources}
        self.targets: dict[str, tuple[tuple[str, str], ...]] = {}  # read once, asked in each round
        self.done = Redacted()

    def run(self) -> Redacted:
        done = self.done
        for ref, resource in self.given.items():
            if resource["resourceType"] in self.gone[ref]:
                done.whole.add(ref)
                self.away.add(ref)
            else:
                done.resources[ref] = resource
        todo = {ref for ref in done.resources if self.gone[ref]}
        while todo or self.away:
            todo |= {ref for ref in done.resources if self._refers(ref)}
            if not todo:
                break
            for ref in sorted(todo & done.resources.keys()):
                self._cut(ref)
            todo = set()
        for ref, made in done.resources.items():
            path = f"{made['resourceType']}.text"
            is_cut = made is not self.given[ref] and "text" in self.given[ref]
            if is_cut and path not in self.gone[ref]:
                done.beside.append((ref, path, "narrative"))
        return done

    def _refers(self, ref: str) -> bool:
        """Whether a resource refers to what is away, at a place not taken out yet; now it is."""
        resource, gone = self.given[ref], self.gone[ref]
        if ref not in self.targets:
            self.targets[ref] = tuple(_references(resource, str(resource["resourceType"])))
        found = [
            path
            for path, target in self.targets[ref]
            if path not in gone and (target in self.away or _is_cut(target, resource, gone))
        ]
        gone.update(found)
        self.done.beside += [(ref, path, "reference") for path in found]
        return bool(found)

    def _cut(self, ref: str) -> None:
        made = _cut(self.given[ref], self.gone[ref])
        if made is not None:
            self.done.resources[ref] = made
            return
        self.done.beside.append((ref, str(self.given[ref]["resourceType"]), "mandatory"))
        del self.done.resources[ref]
        self.done.whole.add(ref)
        self.away.add(ref)


def _cut(resource: Resource, gone: set[str]) -> Resource | None:
    """The resource without paths; None where it cannot do without, or would not be valid."""
    kind = str(resource["resourceType"])
    tree: Tree = {"text": None} if "text" in resource else {}
    for path in gone:
        node = tree
        *around, last = _steps(path, kind)
        for step in around:
            below = node.setdefault(step, {})
            if below is None:
                break
            node = below
        else:
            node[last] = None
    try:
        made = _without(resource, kind, tree)
    except (_LostError, LookupError):
        return None
    if made is _GONE or any(f.severity == "error" for f in validate(made)):
        return None
    found: Resource = made
    return found


def _steps(path: str, kind: str) -> list[str | int]:
    rest = path[len(kind) :] if path.startswith(kind) else ""
    found: list[str | int] = []
    end = 0
    for match in _STEP.finditer(rest):
        if match.start() != end:
            break
        found.append(match[1] if match[1] is not None else int(match[2]))
        end = match.end()
    return found if found and end == len(rest) else ["?"]  # leads nowhere


def _without(value: Any, kind: str, tree: Tree) -> Any:
    """An object without what the tree ends in (None); ``_GONE`` where nothing sound is left."""
    if not isinstance(value, dict):
        raise _LostError
    kind = str(value.get("resourceType", kind))
    shape = definition(kind)
    made = dict(value)
    for name, below in tree.items():
        if name not in made:
            raise _LostError
        element = shape.elements.get(str(name))
        inner = element.type if element is not None else ""
        left = _GONE if below is None else _one_or_list(made, str(name), inner, below)
        if left is _GONE:
            del made[str(name)]
            made.pop(f"_{name}", None)
        else:
            made[str(name)] = left
    return made if _is_sound(shape, value, made) else _GONE


def _one_or_list(made: dict[str, Any], name: str, kind: str, tree: Tree) -> Any:
    value = made[name]
    if not isinstance(value, list):
        return _without(value, kind, tree)
    if any(not isinstance(at, int) or at >= len(value) for at in tree):
        raise _LostError
    kept, stay = [], []
    for at, item in enumerate(value):
        below = tree.get(at, item)
        left = item if at not in tree else _GONE if below is None else _without(item, kind, below)
        if left is not _GONE:
            kept.append(left)
            stay.append(at)
    beside = made.get(f"_{name}")
    if isinstance(beside, list):  # the extensions of primitives are matched by their place
        made[f"_{name}"] = [beside[at] for at in stay if at < len(beside)]
    return kept or _GONE


def _is_sound(shape: Definition, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether what was there and is mandatory is there still, and anything is left at all."""
    lost = before.keys() - after.keys()
    if not after.keys() - {"id", "resourceType"}:
        return False
    if shape.name == "Extension" and not after.keys() - {"id", "url"}:
        return False
    for name in lost:
        element = shape.elements.get(name)
        if element is not None and (element.required or element.choice_required):
            return False
    return True


def _references(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Path and target of every literal reference inside: ``Goal/g-1``, ``#med``."""
    if isinstance(node, dict):
        literal = node.get("reference")
        if isinstance(literal, str):
            yield path, _target(literal)
        for name, value in node.items():
            if isinstance(value, dict | list):
                yield from _references(value, f"{path}.{name}")
    elif isinstance(node, list):
        for at, item in enumerate(node):
            if isinstance(item, dict | list):
                yield from _references(item, f"{path}[{at}]")


def _target(literal: str) -> str:
    if literal.startswith("#"):
        return literal
    return "/".join(literal.partition("/_history/")[0].rsplit("/", 2)[-2:])


def _is_cut(target: str, resource: Resource, gone: set[str]) -> bool:
    """Whether a reference is to a contained resource that was taken out."""
    if not target.startswith("#"):
        return False
    contained: Sequence[Any] = resource.get("contained") or ()
    kind = resource["resourceType"]
    return any(
        f"#{one.get('id')}" == target and (f"{kind}.contained[{at}]" in gone)
        for at, one in enumerate(contained)
        if isinstance(one, dict)
    )
