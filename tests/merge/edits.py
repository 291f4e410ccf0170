"""What an EHR and its users do to a resource: edits drawn at random, each of a kind that is met."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from fhirsvc.fhir.definitions import Element
from fhirsvc.merge.values import elements

Body = dict[str, Any]
# What users of an EHR do, and what storing and serving do.
EDITS = ("change", "remove", "add_item")
NOISE = ("reorder", "drop_ids", "absolute", "decorate")
BASE = "https://ehr.example/fhir/"
STRANGE = "https://ehr.example/strange"
_WHOLE = frozenset({"code", "system", "reference", "value"})
_LEFT = frozenset(
    {"resourceType", "id", "meta", "text", "contained", "identifier", "linkId", "url"}
)


def places(node: Body, kind: str, path: str = "") -> Iterator[tuple[str, Element, Body]]:
    """Every element of a resource with the object that it is in; paths are without indexes."""
    for name, value in node.items():
        element = elements(kind).get(name)
        if element is None or name in _LEFT:
            continue
        at = f"{path}.{name}" if path else name
        yield at, element, node
        if not element.primitive and element.type != "Resource":
            for one in value if element.many else [value]:
                yield from places(one, element.type, at)


class Ehr:
    """Edits one resource in place, where ``rng`` says. ``other`` lends values that are legal."""

    def __init__(self, rng: random.Random, body: Body, other: Body) -> None:
        self.rng = rng
        self.body = body
        self.kind: str = body["resourceType"]
        self.lent: dict[str, list[Any]] = {}
        for path, element, inside in places(other, self.kind):
            self.lent.setdefault(path, []).append(inside[element.name])

    def found(self, *, many: bool | None = None) -> list[tuple[str, Element, Body]]:
        """Elements, of lists or of single values only."""
        here = list(places(self.body, self.kind))
        return [one for one in here if many is None or one[1].many == many]

    def change(self) -> None:
        """A value becomes another legal one: one that the same element has elsewhere.

        No list says one thing twice then: a record has one item of each key.
        """
        lending = [one for one in self.found(many=False) if one[0] in self.lent]
        if lending:
            path, element, inside = self.rng.choice(lending)
            before = inside[element.name]
            inside[element.name] = copy.deepcopy(self.rng.choice(self.lent[path]))
            if says_twice(self.body):
                inside[element.name] = before

    def remove(self) -> None:
        """An element that may be absent goes, or an item of a list; no extension is left empty."""
        optional = [one for one in self.found() if not one[1].required]
        optional = [one for one in optional if one[1].type != "Extension"]
        optional = [one for one in optional if not _is_core(one[1]) and "url" not in one[2]]
        if not optional:
            return
        _, element, inside = self.rng.choice(optional)
        items = inside[element.name]
        if element.many and len(items) > 1:
            items.pop(self.rng.randrange(len(items)))
        elif len(inside) > 1:
            del inside[element.name]

    def add_item(self) -> None:
        """A list gets an item that the same list has elsewhere, under no id of ours."""
        lending = [one for one in self.found(many=True) if one[0] in self.lent]
        # A coding beside is a translation (``decorate``); a question asked once has one answer.
        lending = [one for one in lending if not one[0].endswith((".coding", ".answer"))]
        if lending:
            path, element, inside = self.rng.choice(lending)
            item = copy.deepcopy(self.rng.choice(self.rng.choice(self.lent[path])))
            if item not in inside[element.name]:
                inside[element.name].append(_without_ids(item))

    def decorate(self) -> None:
        """An extension, a translation or a display that no line reads."""
        found = self.found()
        if not found:
            return
        _, element, inside = self.rng.choice(found)
        value = inside[element.name]
        one = self.rng.choice(value) if element.many else value
        if element.primitive:
            if not element.many:
                inside[f"_{element.name}"] = {"extension": [_strange()]}
        elif element.type == "CodeableConcept":
            one.setdefault("coding", []).append({"system": STRANGE, "code": "as-theirs"})
        elif element.type == "Reference":
            one["display"] = "as the EHR shows it"
        else:
            one.setdefault("extension", []).append(_strange())

    def reorder(self) -> None:
        """A list the other way round."""
        lists = self.found(many=True)
        if lists:
            _, element, inside = self.rng.choice(lists)
            inside[element.name].reverse()

    def drop_ids(self) -> None:
        """No element has an id any longer."""
        name = self.body["id"]
        for _, element, inside in list(places(self.body, self.kind)):
            inside[element.name] = _without_ids(inside[element.name])
        self.body["id"] = name

    def absolute(self) -> None:
        """References with the EHR's base."""
        for _, element, inside in self.found():
            if element.type == "Reference":
                for one in inside[element.name] if element.many else [inside[element.name]]:
                    literal = one.get("reference")
                    if isinstance(literal, str) and "://" not in literal:
                        one["reference"] = BASE + literal


def says_twice(node: Any) -> bool:
    """Whether two items of a list say the same, whatever their ids."""
    if isinstance(node, dict):
        return any(map(says_twice, node.values()))
    if not isinstance(node, list):
        return False
    bare = [_without_ids(one) for one in node]
    return any(one in bare[:i] for i, one in enumerate(bare)) or any(map(says_twice, node))


def _is_core(element: Element) -> bool:
    """Whether a code, reference, amount or number without this is none."""
    return element.type == "Coding" or (element.primitive and element.name in _WHOLE)


def without_ids(body: Body) -> Body:
    """A resource as an EHR stores it that keeps no Element.id."""
    found = _without_ids(body)
    found["id"] = body["id"]
    return found


def without(paths: tuple[str, ...]) -> Any:
    """An EHR that never keeps these elements (paths without indexes)."""

    def stores(body: Body) -> Body:
        found = copy.deepcopy(body)
        for path, element, inside in list(places(found, found["resourceType"])):
            if path in paths and not element.required:
                inside.pop(element.name, None)
        return pruned(found)

    return stores


def pruned(node: Any) -> Any:
    """Without the objects and lists that nothing is left in."""
    if isinstance(node, dict):
        kept = {name: pruned(value) for name, value in node.items()}
        return {name: value for name, value in kept.items() if value not in ({}, [], None)}
    return [x for x in map(pruned, node) if x != {}] if isinstance(node, list) else node


def _without_ids(node: Any) -> Any:
    if isinstance(node, dict):
        return {n: _without_ids(v) for n, v in node.items() if n != "id" or "resourceType" in node}
    return [_without_ids(one) for one in node] if isinstance(node, list) else node


def _strange() -> Body:
    return {"url": STRANGE, "valueString": "theirs"}
