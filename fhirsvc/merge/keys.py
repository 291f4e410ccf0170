"""What tells an item of a list from the others, by its type, for meeting and for naming it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import orjson

from fhirsvc.fhir.definitions import Element
from fhirsvc.merge.owners import Place
from fhirsvc.merge.values import ATOMIC, Object, Sameness, coding_key, elements

Key = tuple[Any, ...]
_NAME = re.compile(r"[A-Za-z0-9._/:#-]{1,120}")  # what may stand in a path
REFERS = ("Reference", "CodeableConcept", "Coding", "Identifier")
_MOST_FACTS = 200  # of one item: likeness needs no more


def told(element: Element, item: Any) -> str | None:
    """What lines tell items of a list apart by: the url of an extension, a system."""
    name = {"Extension": "url", "Identifier": "system", "Coding": "system"}.get(element.type)
    value = item.get(name) if name is not None and isinstance(item, dict) else None
    return value if isinstance(value, str) else None


class Keys:
    """Keys of items, best first; items of one list that share a key are the same thing."""

    def __init__(self, same: Sameness) -> None:
        self.same = same

    def of(self, kind: str, item: Any) -> tuple[Key | None, ...]:
        """What an item is known by: everything together, then whom it refers to, then its codes."""
        if not isinstance(item, dict):
            plain = repr(item) if isinstance(item, list) else item
            return (("is", type(item).__name__, plain),)
        if kind == "HumanName" and isinstance(item.get("text"), str):
            return self.atom(kind, item), ("whole", str(item.get("use")), _plain(item["text"]))
        if kind in ATOMIC or kind == "CodeableConcept":
            return (self.atom(kind, item),)
        if isinstance(item.get("linkId"), str):
            return (("item", item["linkId"]),)
        found = list(self._anchors(kind, item))
        refers = tuple(key for key in found if key[1] == "Reference")
        codes = tuple(key for key in found if key[1] != "Reference")
        return tuple(found) or None, refers or None, codes or None

    def _anchors(self, kind: str, item: Object, around: tuple[str, ...] = ()) -> Iterator[Key]:
        """``(path, type, key)`` of the codes and references of an item, also one level down."""
        known = elements(kind)
        for name, value in sorted(item.items()):
            element = known.get(name)
            if element is None or element.many or not isinstance(value, dict):
                continue
            if element.type in REFERS:
                key = self.atom(element.type, value)
                if key is not None:
                    yield (*around, name), element.type, key
            elif not around and element.type not in ATOMIC:
                yield from self._anchors(element.type, value, (name,))

    def atom(self, kind: str, item: Object) -> Key | None:
        """The key of a value that is one thing; None where it says nothing."""
        if kind == "Reference":
            return self.same.referred(item)
        if kind == "Coding":
            return coding_key(item)
        if kind == "CodeableConcept":
            return self._concept(item)
        if kind == "Resource":
            return (str(item.get("resourceType")), str(item.get("id")))
        names = {
            "Identifier": ("system", "value"),
            "ContactPoint": ("system", "value"),
            "Annotation": ("text",),
            "HumanName": ("family", "given", "text"),
        }.get(kind)
        if names is None:
            names = tuple(sorted(set(item) - {"id", "extension"}))
        values = [item.get(name) for name in names]
        if all(value is None for value in values):
            return None
        return (kind, *(_plain(value) for value in values))

    def _concept(self, item: Object) -> Key | None:
        stated = item.get("coding")
        codings = stated if isinstance(stated, list) else ()
        keys = sorted({key for c in codings if (key := coding_key(c)) is not None}, key=repr)
        if keys:
            return ("coded", *keys)
        text = item.get("text")
        return ("words", _plain(text)) if isinstance(text, str) else None

    def sort_of(self, kind: str, item: Any, place: Place) -> Key | None:
        """What kind of thing an item is, whatever it says: where there is one of each kind."""
        if not isinstance(item, dict):
            return None
        if kind not in ATOMIC and kind != "CodeableConcept":
            return kind, *self.constants(kind, item, place)
        if kind == "CodeableConcept":
            stated = item.get("coding")
            codings = stated if isinstance(stated, list) else ()
            systems = {str(c.get("system")) for c in codings if isinstance(c, dict)}
            return ("coded", *sorted(systems)) if systems else ("words",)
        if kind == "Reference":
            key = self.same.referred(item)
            literal = key is not None and key[0] == "to"
            return ("to", key[1].partition("/")[0]) if literal and key else ("told",)
        names = {
            "Identifier": ("system",),
            "Coding": ("system",),
            "ContactPoint": ("system", "use"),
            "HumanName": ("use",),
            "Address": ("use", "type"),
        }.get(kind)
        if names is not None:
            return (kind, *(str(item.get(name, "")) for name in names))
        return (kind,)

    def constants(self, kind: str, item: Object, place: Place) -> list[Key]:
        """The codes of an item that lines write whatever the record says: they tell what it is."""
        coded = [a for a in self._anchors(kind, item) if a[1] != "Reference"]
        return [key for steps, _, key in coded if _at(place, steps).is_constant]

    def facts(self, item: Any) -> frozenset[int]:
        """Every value of an item with its path, as hashes: what two items have in common."""
        found: set[int] = set()
        stack = [((), item)]
        while stack and len(found) < _MOST_FACTS:
            path, node = stack.pop()
            if isinstance(node, dict):
                for name, value in node.items():
                    if name == "reference" and isinstance(value, str):
                        found.add(hash((path, self.same.target(value))))
                    elif name != "id":
                        stack.append(((*path, name), value))  # type: ignore[arg-type]
            elif isinstance(node, list):
                stack += [(path, one) for one in node]
            else:
                found.add(hash((path, node)))
        return frozenset(found)

    def bare(self, item: Any) -> bytes | None:
        """All that an item says, without Element.ids and in no order of names."""
        try:
            return orjson.dumps(self._bare(item), option=orjson.OPT_SORT_KEYS)
        except (TypeError, ValueError):
            return None  # half a surrogate pair, or nesting beyond what is written

    def _bare(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {
                name: self.same.target(value)
                if name == "reference" and isinstance(value, str)
                else self._bare(value)
                for name, value in node.items()
                if name != "id" or "resourceType" in node
            }
        return [self._bare(one) for one in node] if isinstance(node, list) else node

    def name(self, kind: str, item: Any, place: Place) -> str:
        """What an item is called in a path: its id, or codes, systems and digests, never its words.

        Where there is one item of each sort, an item keeps its name when its value changes.
        """
        stated = {"Extension": "url"}.get(kind, "linkId")
        for name in ("id", stated):
            if isinstance(item, dict) and isinstance(item.get(name), str):
                return _safe(item[name])
        atom = kind in ATOMIC or kind == "CodeableConcept" or not isinstance(item, dict)
        if not atom:
            coded = [a[2] for a in self._anchors(kind, item) if a[1] != "Reference"]
            if place.items is None:
                coded = self.constants(kind, item, place)
            if coded:
                return _safe(str(_last(coded[0])))
        if place.items is None and (sort := self.sort_of(kind, item, place)) is not None:
            said = [str(part).rstrip("/").rpartition("/")[2] for part in sort[1:] if part]
            return "/".join(map(_safe, said)) or str(sort[0])
        key = next((key for key in self.of(kind, item) if key is not None), ("?",))
        if kind == "Reference" and key[0] == "to":
            return _safe(str(key[1]).rpartition("/")[2])
        if key[0] == "coded" or kind == "Coding":
            return _safe(str(_last(key)))
        return _digest(key)


def _last(key: Any) -> Any:
    """The code in the key of a concept, coding or identifier."""
    while isinstance(key, tuple):
        key = key[-1]
    return key


def _at(place: Place, steps: tuple[str, ...]) -> Place:
    for step in steps:
        place = place.below(step)
    return place


def _safe(name: str) -> str:
    """A name as it is where it may be an id or a code, else its digest."""
    return name if _NAME.fullmatch(name) else _digest(name)


def _digest(key: Any) -> str:
    return hashlib.sha256(repr(key).encode("utf-8", "replace")).hexdigest()[:12]


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return tuple(map(_plain, value))
    return (
        tuple(sorted((k, repr(v)) for k, v in value.items())) if isinstance(value, dict) else value
    )
