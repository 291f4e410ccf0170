"""References between resources: what needs what, in which order, and under which remote ids. Pure.

A local reference is ``ResourceType/local-id``; fragments, URLs and logical references are not ours.
https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhirsvc.ehr.local import Local, leads_to, rewritten
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.ports import Resource


def local_of(resource: Resource) -> Local:
    """What other resources call this one; INVALID when it has no type or no local id."""
    named = resource.get("resourceType"), resource.get("id")
    found = leads_to({"reference": "/".join(filter(None, named))})
    if found is None:
        raise FhirsvcError(Category.INVALID, "a mapped resource has no local id")
    return found


def identifier_of(resource: Resource) -> tuple[str, str]:
    """The business identifier, (system, value): the first one a resource has.

    ``identifier`` is a list but for QuestionnaireResponse, Bundle and Composition. R4 Provenance
    has none and is told by a tag (``fhirsvc.ehr.search.identity``).
    """
    if resource.get("resourceType") == "Provenance":
        return _tag_of(resource)
    listed = resource.get("identifier")
    first = listed[0] if isinstance(listed, list) and listed else listed
    if not isinstance(first, dict) or not first.get("system") or not first.get("value"):
        where = str(resource.get("resourceType"))
        raise FhirsvcError(
            Category.INVALID, "no business identifier with system and value", f"{where}.identifier"
        )
    return str(first["system"]), str(first["value"])


def _tag_of(resource: Resource) -> tuple[str, str]:
    tags = (resource.get("meta") or {}).get("tag") or [{}]
    first = tags[0]
    if not first.get("system") or not first.get("code"):
        raise FhirsvcError(Category.INVALID, "no tag that names it", "Provenance.meta.tag")
    return str(first["system"]), str(first["code"])


_HOLDS = (dict, list)  # what may have a reference inside


def references(node: Any) -> set[Local]:
    """Every local reference inside."""
    found: set[Local] = set()
    left = [node]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            if "reference" in node and (target := leads_to(node)) is not None:
                found.add(target)
            left += [one for one in node.values() if isinstance(one, _HOLDS)]
        elif isinstance(node, list):
            left += [one for one in node if isinstance(one, _HOLDS)]
    return found


def resolve(node: Any, remote: Mapping[Local, str]) -> Any:
    """The same with references to ``remote`` ids; what has none in it is not copied.

    ``remote`` gives ``ResourceType/remote-id`` for each local; a missing one is a KeyError.
    """
    return rewritten(node, lambda _, target, one: {**one, "reference": remote[target]})


def in_order(resources: Sequence[Resource]) -> list[Resource]:
    """The resources of one record, each after those it refers to; otherwise as given.

    INVALID when two have the same local id, or when they refer to each other in a circle.
    """
    waiting = {local_of(resource): resource for resource in resources}
    if len(waiting) != len(resources):
        raise FhirsvcError(Category.INVALID, "two mapped resources have the same local id")
    needs = {
        local: references(resource) & waiting.keys() - {local}
        for local, resource in waiting.items()
    }
    ordered: list[Resource] = []
    while waiting:
        ready = [local for local in waiting if not needs[local] & waiting.keys()]
        if not ready:
            names = ", ".join(sorted(f"{kind}/{name}" for kind, name in waiting))
            raise FhirsvcError(Category.INVALID, f"these refer to each other in a circle: {names}")
        ordered += [waiting.pop(local) for local in ready]
    return ordered


def possible_records(local_id: str) -> list[tuple[str, str]]:
    """The records that a local id can belong to: ``care-plan.cp.1.dx`` may be ``cp.1`` or ``cp``.

    A record id may contain dots, and so may what a mapping appends to it.
    """
    kind, _, rest = local_id.partition(".")
    parts = rest.split(".")
    record_type = kind.replace("-", "_")
    return [(record_type, ".".join(parts[:end])) for end in range(1, len(parts) + 1) if parts[0]]
