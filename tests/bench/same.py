"""Whether the mapping by hand does the work of the compiled one: same resources, same refusals.

Each record is mapped as it is; then every kind of field of the demo clinic is given every value of
``ODD``, or taken away, and both must make the same of it or both refuse it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fhirsvc.errors import FhirsvcError
from fhirsvc.mapping.forward import Mappings

Record = dict[str, Any]
Path = tuple[str | int, ...]
Make = Callable[[Record], list[Record]]
_GONE = object()
ODD = (
    _GONE,
    [{}],
    "\x07",
    3.5,
    -1,
    10**12,
    True,
    "no such word",
    "2026-13-40",
    "2026-02",
    "x" * 40,
    "a&<b",
)
_MISFITS = (KeyError, TypeError, ValueError, AttributeError)


def assert_same(mappings: Mappings, makers: Sequence[Make], records: Sequence[Record]) -> None:
    """Every maker makes what ``forward`` makes."""
    for record in records:
        wanted = mappings.forward(record)
        for make in makers:
            assert make(record) == wanted, f"{record['type']} {record['id']} differs by hand"


def assert_same_refusals(mappings: Mappings, make: Make, records: Sequence[Record]) -> int:
    """What ``forward`` refuses, ``make`` refuses; how many odd records were tried."""
    seen: set[tuple[str, Path]] = set()
    tried = 0
    for record in records:
        for path in _places(record):
            kind = (record["type"], tuple(0 if isinstance(s, int) else s for s in path))
            if kind in seen:
                continue
            seen.add(kind)
            for value in ODD:
                odd, tried = _with(record, path, value), tried + 1
                assert _by_map(mappings, odd) == _by(make, odd), f"{kind} by hand: {value!r:.20}"
    return tried


def _by_map(mappings: Mappings, record: Record) -> list[Record] | None:
    try:
        return mappings.forward(record)
    except FhirsvcError:
        return None


def _by(make: Make, record: Record) -> list[Record] | None:
    try:
        return make(record)
    except _MISFITS:
        return None


def _places(node: object, path: Path = ()) -> Iterator[Path]:
    items = node.items() if isinstance(node, dict) else ()
    items = enumerate(node) if isinstance(node, list) else items
    for step, child in items:
        if step != "type":
            yield from _places(child, (*path, step))
    if path:
        yield path


def _with(record: Record, path: Path, value: object) -> Record:
    made = copy.deepcopy(record)
    node: Any = made
    for step in path[:-1]:
        node = node[step]
    if value is _GONE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return made
