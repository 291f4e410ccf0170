"""What resources say, for laws that must not ask the merge itself: values with their paths."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from edits import STRANGE

from fhirsvc.merge.owners import Place

Body = dict[str, Any]
Fact = tuple[str, str]  # path without indexes, and the value as JSON
_SHOWN = {"display", "id", "system"}  # an object of these alone says what it displays


def facts(node: Any, path: str = "") -> Iterator[Fact]:
    """Every value with its path; no ids, no places in lists, references in one form."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield f"{path}.reference", "/".join(value.rsplit("/", 2)[-2:])
            elif name != "id" and (name != "display" or node.keys() <= _SHOWN):
                yield from facts(value, f"{path}.{name}")
    elif isinstance(node, list):
        for one in node:
            yield from facts(one, path)
    else:
        yield path, json.dumps(node)


def count(body: Any) -> Counter[Fact]:
    """The facts of a value; a resource's narrative is none."""
    if isinstance(body, dict) and "resourceType" in body:
        body = {name: value for name, value in body.items() if name != "text"}
    return Counter(facts(body))


def spoken_of(steps: Iterable[Any], *names: str) -> set[str]:
    """Every value that steps or conflicts speak of in these fields."""
    return {value for one in steps for name in names for _, value in facts(getattr(one, name))}


class Readable:
    """The EHR's body as it can be read without knowing what both sides agreed on.

    It gets the ids that ours has. What the EHR has beside ours in a list of which each line writes
    one item is left out: which of the two a line reads is not told by the body.

    :param removed: paths of lists from which this house removed an item.
    """

    def __init__(self, removed: set[str]) -> None:
        self.removed = removed

    def body(self, theirs: Any, ours: Any, place: Place, path: str) -> Any:
        """One object."""
        if not isinstance(theirs, dict) or not isinstance(ours, dict):
            return copy.deepcopy(theirs)
        found: Body = {}
        for name, value in theirs.items():
            mine, at = ours.get(name), f"{path}.{name}"
            if isinstance(value, list):
                items = self.items(value, mine, place, name, at)
                if items:
                    found[name] = items
            else:
                found[name] = self.body(value, mine, place.below(name), at)
        return {**found, "id": ours["id"]} if "id" in ours else found

    def items(self, theirs: list[Any], ours: Any, place: Place, name: str, path: str) -> list[Any]:
        """One list."""
        below = place.below(name)
        closed = below.items is None and name != "extension"
        if not isinstance(ours, list):
            own = closed and (below.within == "us" or path in self.removed)
            return [] if own else copy.deepcopy(theirs)
        left, found = list(theirs), []
        for one in ours:
            best = min(left, key=lambda x: _apart(x, one), default=None)
            if best is not None and count(best) & count(one):
                left.remove(best)
                told = one.get("url") if isinstance(one, dict) else None
                found.append(self.body(best, one, place.below(name, told), path))
        if len(found) < len(ours) and left:  # the one that has another value
            found.append(copy.deepcopy(left.pop(0)))
        if closed:
            return found or copy.deepcopy(theirs)
        urls = {one.get("url") for one in found if isinstance(one, dict)} - {None}
        return found + [x for x in left if not isinstance(x, dict) or x.get("url") not in urls]


def _apart(a: Any, b: Any) -> tuple[int, int]:
    """How far the EHR's item is from one of ours; what it hung onto it does not count."""
    hung = {json.dumps(x) for x in (STRANGE, "theirs", "as-theirs")}
    one, two = Counter(f for f in facts(a) if f[1] not in hung), count(b)
    return -(one & two).total(), (one - two).total()
