"""What of a resource can be searched for: words under their parameter's name, and spans of time.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from fhirsvc.fhir.search_dates import spans
from fhirsvc.fhir.search_parameters import Kind, indexed

Word = tuple[str, str, str]  # name, value, system
Date = tuple[str, float, float]  # name, low, high
LONGEST = 200  # characters of a value that are kept


def values(resource: Mapping[str, Any]) -> tuple[set[Word], set[Date]]:
    """All that is kept of a resource, each once.

    A token's system is empty where it has none; a reference's value is ``Type/id``; a string's
    value is folded, and its system the text as it is written.
    """
    words: set[Word] = set()
    dates: set[Date] = set()
    for name, kind, paths in _plan(resource["resourceType"]):
        for path in paths:
            node = resource.get(path[0])
            if node is None:
                continue
            for found in _at(node, path, 1):
                if kind == "date":
                    dates.update((name, *one) for one in spans(found))
                else:
                    words.update((name, *one) for one in _KINDS[kind](found))
    return words, dates


def folded(text: str) -> str:
    """A string as it is compared: without case, accents and marks."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in apart if not unicodedata.combining(one))


@cache
def _plan(resource_type: str) -> list[tuple[str, Kind, tuple[tuple[str, ...], ...]]]:
    return [(one.index[0], one.kind, one.paths) for one in indexed(resource_type)]


def _at(node: Any, path: tuple[str, ...], depth: int) -> Iterator[Any]:
    if type(node) is list:
        for item in node:
            yield from _at(item, path, depth)
    elif depth == len(path):
        yield node
    elif type(node) is dict and (inner := node.get(path[depth])) is not None:
        yield from _at(inner, path, depth + 1)


def _token(node: Any) -> Iterator[tuple[str, str]]:
    """A code, a boolean, a Coding, a CodeableConcept or an Identifier."""
    if type(node) is str:
        yield node[:LONGEST], ""
    elif type(node) is bool:
        yield "true" if node else "false", ""
    elif type(node) is dict:
        if "coding" in node:
            for coding in node["coding"]:
                yield from _token(coding)
            return
        code = node.get("code") or node.get("value")
        if isinstance(code, str):
            yield code[:LONGEST], str(node.get("system", ""))[:LONGEST]


def _reference(node: Any) -> Iterator[tuple[str, str]]:
    reference = node.get("reference") if isinstance(node, Mapping) else None
    if isinstance(reference, str):
        yield reference[:LONGEST], ""


def _string(node: Any) -> Iterator[tuple[str, str]]:
    if type(node) is str:
        yield folded(node)[:LONGEST], node[:LONGEST]


def _uri(node: Any) -> Iterator[tuple[str, str]]:
    """A canonical is found with its version and without."""
    if type(node) is str:
        yield node[:LONGEST], ""
        if "|" in node:
            yield node.partition("|")[0][:LONGEST], ""


Find = Callable[[Any], Iterator[tuple[str, str]]]
_KINDS: Mapping[Kind, Find] = {
    "token": _token,
    "reference": _reference,
    "string": _string,
    "uri": _uri,
}
