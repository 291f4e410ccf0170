"""Local references: which ones a resource has, and what is written where one leads nowhere. Pure.

A local reference is ``ResourceType/local-id``. At an EHR where the target has no place it becomes a
logical one: type, business identifier and display, which R4 allows for every Reference.
https://hl7.org/fhir/R4/references.html#logical
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fhirsvc.ehr.phrases import words
from fhirsvc.mapping.carried import Fields, Identity

Resource = Mapping[str, Any]
Local = tuple[str, str]  # resource type, local id
_LOCAL = re.compile(r"([A-Z][A-Za-z]{1,39})/([A-Za-z0-9\-.]{1,64})")


def local(resource: Resource) -> Local:
    """What other resources call this one."""
    return str(resource["resourceType"]), str(resource["id"])


# Asked of every element: of a dict it is known at once.
_OBJECT = (dict, Mapping)
_LEAVES = frozenset({str, int, float, bool, type(None)})


def leads_to(reference: object) -> Local | None:
    """What a Reference names, where that is one of ours."""
    given = reference.get("reference") if isinstance(reference, _OBJECT) else None
    found = _LOCAL.fullmatch(given) if isinstance(given, str) else None
    return (found[1], found[2]) if found else None


def references(node: Any, path: str = "") -> Iterator[tuple[str, Local]]:
    """Every local reference inside, with the path of the element that holds it."""
    if isinstance(node, _OBJECT):
        found = leads_to(node)
        if found is not None:
            yield path, found
        for key, value in node.items():
            if isinstance(value, Mapping | list):
                yield from references(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list):
        for item in node:
            yield from references(item, path)


Change = Callable[[str, Local, Mapping[str, Any]], Mapping[str, Any]]


def rewritten(node: Any, change: Change, path: str = "") -> Any:
    """The same with each local Reference as ``change(path, target, reference)`` gives it.

    What has none to change is not copied.
    """
    if isinstance(node, list):
        items = [rewritten(item, change, path) for item in node]
        return items if any(new is not old for new, old in zip(items, node, strict=True)) else node
    if not isinstance(node, _OBJECT):
        return node
    target = leads_to(node) if "reference" in node else None
    if target is not None:
        return change(path, target, node)
    changed = {}
    for key, old in node.items():
        if type(old) in _LEAVES:
            continue
        new = rewritten(old, change, f"{path}.{key}" if path else key)
        if new is not old:
            changed[key] = new
    return {**node, **changed} if changed else node


def record_type(target: Local) -> str:
    """The record type that a local id begins with: ``care-plan.plan-1`` → ``care_plan``."""
    return target[1].partition(".")[0].replace("-", "_")


def called(target: Local) -> str:
    """A display for what nobody has words for: ``Care plan plan-01``."""
    kind, _, rest = target[1].partition(".")
    return f"{words(kind)} {rest}".strip() if rest else words(target[0])


def identifier_of(resource: Resource) -> dict[str, Any] | None:
    """The business identifier of a resource: its first."""
    listed = resource.get("identifier")
    first = listed[0] if isinstance(listed, list) and listed else listed
    return dict(first) if isinstance(first, Mapping) else None


def identifier_for(target: Local, fields: Fields, known: frozenset[str]) -> dict[str, Any] | None:
    """The business identifier of a target that is not at hand, read from its local id.

    Ids may contain dots, so a local id can be read in more than one way: ``known`` are the texts of
    the record that refers to it, among them the ids it refers by. None where that does not settle
    it, or where the local id is a digest.
    """
    makes = fields.get(record_type(target), {}).get(target[0])
    rest = target[1].partition(".")[2]
    if makes is None or not rest:
        return None
    read = [found for one in makes.identities for found in _readings(one, rest)]
    sure = [value for value, ids in read if set(ids) <= known]
    values = sure or ([read[0][0]] if len(read) == 1 else [])
    return {"system": values[0][0], "value": values[0][1]} if len(set(values)) == 1 else None


def _readings(identity: Identity, rest: str) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    """Every (system, value) that a local id can stand for, with the ids it is made of."""
    if not identity.keyed:
        tail = f".{identity.part}" if identity.part else ""
        if rest.endswith(tail):
            whole = rest.removesuffix(tail)
            yield (identity.system, whole), (whole,)
        return
    middle = f".{identity.part}." if identity.part else "."
    at = rest.find(middle)
    while at > 0:
        ids = rest[:at], rest[at + len(middle) :]
        if all(ids):
            yield (identity.system, "/".join(ids)), ids
        at = rest.find(middle, at + 1)


def texts(node: Any) -> Iterator[str]:
    """Every text inside."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, _OBJECT):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
