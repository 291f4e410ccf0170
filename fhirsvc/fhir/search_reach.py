"""Which other types a search reaches into: whoever asks needs the right to search those as well.

A search reaches a type when resources of that type come along (``_include``, ``_revinclude``), or
decide what is found (a chain, ``_has``). A reference alone does not: ``patient=Patient/1`` is
compared with what the searched resource itself says, and tells nothing of the patient.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from fhirsvc.fhir.search_parameters import TYPES, parameters, targets


def reached(resource_type: str, given: Sequence[tuple[str, str]]) -> frozenset[str]:
    """The types that a search of one reaches into.

    What names no type that is served reaches nothing: such a search is refused when it is read.
    ``*`` in the result stands for all types, where it cannot be told.
    """
    found: set[str] = set()
    for name, value in given:
        plain = name.partition(":")[0]
        if plain in ("_include", "_revinclude"):
            found |= _included(value, is_reverse=plain == "_revinclude")
        elif plain == "_has":
            found |= _had(name)
        elif "." in name:
            found |= _chained(resource_type, name)
    return frozenset(found & {*TYPES, "*"})


def _included(value: str, *, is_reverse: bool) -> set[str]:
    """``Type:parameter`` or ``Type:parameter:Target``; a reverse one brings its source along."""
    if value == "*":
        return {"*"}
    source, _, rest = value.partition(":")
    name, _, target = rest.partition(":")
    if is_reverse:
        return {source}
    return {target} if target else set(_leads(source, name))


def _had(name: str) -> set[str]:
    """``_has:Type:reference:parameter``, where the parameter may be another ``_has``."""
    parts = name.split(":")
    return {one for before, one in pairwise(parts) if before == "_has"}


def _chained(resource_type: str, name: str) -> set[str]:
    """``reference.parameter`` or ``reference:Type.parameter``, each link of the chain."""
    found: set[str] = set()
    types: Iterable[str] = (resource_type,)
    for link in name.split(".")[:-1]:
        parameter, _, target = link.partition(":")
        types = [target] if target else [one for t in types for one in _leads(t, parameter)]
        found.update(types)
    return found


def _leads(source: str, name: str) -> tuple[str, ...]:
    """The served types that a reference parameter may lead to."""
    parameter = parameters(source).get(name)
    if parameter is None or parameter.kind != "reference":
        return ()
    wanted = targets(source, parameter)
    return tuple(one for one in wanted if one in TYPES) if wanted else TYPES
