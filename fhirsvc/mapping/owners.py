"""Who owns which element of the resources that a library makes: what a merge asks of the mapping.

``owners`` gives plain data, one entry a mapping file; ``fhirsvc.merge.Owners`` is made of it. A
line's owner is its own, or that of the group around it. Without one a constant and a one-way line
are ours, and any other line is of both sides. The line that says who a record is, is ours as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fhirsvc.mapping.back import Back
from fhirsvc.mapping.forward import setting
from fhirsvc.mapping.inverse import ONE_WAY
from fhirsvc.mapping.library import Library
from fhirsvc.mapping.links import Links
from fhirsvc.mapping.notes import Known
from fhirsvc.mapping.ops import LIST_OPS
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node, Plan
from fhirsvc.mapping.resolve import resolve

Owner = Literal["us", "ehr", "both"]
Path = tuple[str, ...]
# Items that lines know apart from others of their list, by what says it.
_TOLD = {"Extension": "url", "Identifier": "system", "Coding": "system"}


@dataclass(frozen=True)
class PathOwners:
    """The owners of one file's resource, by path: element names without indexes.

    A step of an extension has its url behind a colon, one of an identifier or tag its system, where
    the file states it.
    """

    file: str  # "care_plan/CarePlan.yaml"
    record: str
    resource: str
    lines: Mapping[Path, Owner]
    constants: Mapping[Path, Owner]
    lists: Mapping[Path, Owner]  # filled from a list of the record: who may add and remove items
    deep: frozenset[Path]  # lines that write all that is below


def owners(library: Library, us_core: int = 8) -> Mapping[str, PathOwners]:
    """Mapping file to the owners of what it makes."""
    context = setting(library, us_core)
    plans = [resolve(file, context).plan for file in library.files]
    return {plan.file.file: _owners(plan) for plan in plans if plan is not None}


def for_resource(
    known: Mapping[str, PathOwners], back: Back, resource: dict[str, Any]
) -> PathOwners | None:
    """The owners of a resource, by the file that makes it; None where no file does."""
    reader = back.reader(resource, Known(Links(systems=back.systems), back.also))
    return None if reader is None else known.get(reader.plan.file.file)


@dataclass(frozen=True)
class _Said:
    """One line's word on one path."""

    path: Path
    owner: Owner
    kind: Literal["line", "constant", "list", "deep"]


def _owners(plan: Plan) -> PathOwners:
    gathered: dict[str, dict[Path, Owner]] = {"line": {}, "constant": {}, "list": {}}
    deep = set()
    for one in _walk(plan.root, (), None, one_way=False):
        if one.kind == "deep":
            deep.add(one.path)
            continue
        into = gathered[one.kind]
        before = into.get(one.path)
        into[one.path] = one.owner if before in (None, one.owner) else "both"
    file = plan.file
    return PathOwners(
        file=file.file,
        record=file.record,
        resource=file.resource,
        lines=gathered["line"],
        constants=gathered["constant"],
        lists=gathered["list"],
        deep=frozenset(deep),
    )


def _walk(node: Node, path: Path, owner: str | None, *, one_way: bool) -> Iterator[_Said]:
    """What a node says of the elements at and below ``path``."""
    line = node.line
    if line is not None:
        owner = line.owner or owner
        one_way = one_way or bool(line.one_way)
    if isinstance(node, Const):
        yield _Said(path, _owner(owner) or "us", "constant")
    elif isinstance(node, Each):
        inner = list(_walk(node.node, path, owner, one_way=one_way))
        yield _Said(path, _owner(owner) or _of_items(inner, one_way=one_way), "list")
        yield from inner
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                step = slot.element.name
                # Only items of a list are told apart, and the codes of a concept are one thing.
                if slot.element.many and node.type != "CodeableConcept":
                    step = _step(step, slot.element.type, child)
                yield from _walk(child, (*path, step), owner, one_way=one_way)
    elif not node.is_key:
        yield from _leaf(node, path, _owner(owner), one_way=one_way)


def _leaf(leaf: Leaf, path: Path, owner: Owner | None, *, one_way: bool) -> Iterator[_Said]:
    ours = one_way or leaf.op in ONE_WAY or _identifies(leaf)
    found = owner or ("us" if ours else "both")
    yield _Said(path, found, "line")
    if leaf.op in LIST_OPS:
        yield _Said(path, found, "list")
        yield _Said(path, found, "deep")
    elif leaf.element.type == "CodeableConcept":
        if leaf.op in ("table", "table_text"):
            yield _Said((*path, "coding"), found, "line")
        if leaf.op in ("text", "table_text"):
            yield _Said((*path, "text"), found, "line")


def _identifies(leaf: Leaf) -> bool:
    """Whether a line says whose record, or which item of it, a resource is."""
    return leaf.op in ("identifier", "tag") and leaf.sources[0].name == "id"


def _of_items(said: list[_Said], *, one_way: bool) -> Owner:
    """The owner of a list whose own line names none: its items', where they agree."""
    found = {one.owner for one in said if one.kind == "line"}
    if one_way or (not found and said):
        return "us"
    return next(iter(found)) if len(found) == 1 else "both"


def _step(name: str, kind: str, node: Node) -> str:
    """The step of a node in a path, with what tells its items apart where the file states that."""
    told = _TOLD.get(kind)
    value = _stated(node, told) if told is not None else None
    return name if value is None else f"{name}:{value}"


def _stated(node: Node, name: str) -> str | None:
    """The value that a node always writes into one of its elements."""
    if isinstance(node, Each):
        return _stated(node.node, name)
    found: Any = None
    if isinstance(node, Const):
        found = node.value.get(name) if isinstance(node.value, dict) else None
    elif isinstance(node, Leaf):
        found = node.arg.get(name) if node.op in ("identifier", "tag") else None
    else:
        for slot in node.slots:
            only = slot.nodes[0]
            if slot.element.name == name and len(slot.nodes) == 1 and isinstance(only, Const):
                found = only.value
    return found if isinstance(found, str) else None


def _owner(said: str | None) -> Owner | None:
    """An owner as the grammar has let it through."""
    known: dict[str | None, Owner] = {"us": "us", "ehr": "ehr", "both": "both"}
    return known.get(said)
