"""Resources broken on purpose: what a careless or hostile sender does to good ones."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

_ODD: tuple[Any, ...] = (
    None,
    "",
    " ",
    "\t\n",
    "a\x00b",
    "\x0b",
    "nonsense",
    "2026-02-30",
    "2026-13",
    "0000-01-01",
    "2026-01-01T25:00:00Z",
    "2026-01-01T10:00:00",
    "a b",
    " a",
    "ABC!",
    "x" * 70,
    0,
    -1,
    1.5,
    2**31,
    True,
    False,
    "true",
    "1",
    [],
    {},
    [None],
    [[]],
    [{}],
    {"resourceType": "Patient"},
    {"resourceType": "Nothing"},
    {"reference": 5},
    {"extension": []},
    "<div>x</div>",
    "urn:oid:9",
)
_NAMES = (
    "bogus",
    "_status",
    "_id",
    "status",
    "resourceType",
    "extension",
    "modifierExtension",
    "contained",
    "text",
    "meta",
    "valueString",
    "valueInteger",
    "reference",
    "fhir_comments",
    "identifier",
    "code",
    "period",
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(node, dict | list):
        children = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in list(children):
            yield from _places(child, (*path, key))


def mutate(resource: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A copy with one to three changes."""
    changed = copy.deepcopy(resource)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = [p for p in _places(changed) if p]
        path = rng.choice(places)
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        _change(parent, path[-1], rng)
    return changed


def _change(parent: Any, key: Any, rng: random.Random) -> None:
    kind = rng.randrange(7)
    value = parent[key]
    if kind == 0:
        del parent[key]
    elif kind == 1:
        parent[key] = [value]
    elif kind == 2 and isinstance(value, list) and value:
        parent[key] = value[0]
    elif kind == 3 and isinstance(parent, dict):
        parent[rng.choice(_NAMES)] = copy.deepcopy(rng.choice(_ODD))
    elif kind == 4 and isinstance(parent, dict):
        parent[key + rng.choice(("x", "Quantity", "[x]"))] = parent.pop(key)
    elif kind == 5 and isinstance(value, str):
        parent[key] = value + rng.choice(("\x01", "\n", " ", "é", "\ud800", "!"))
    else:
        parent[key] = copy.deepcopy(rng.choice(_ODD))
