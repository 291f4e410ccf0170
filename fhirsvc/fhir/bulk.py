"""Reading what starts a bulk export: its parameters, and what is left out where that is agreed to.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#query-parameters, and ``_until`` of the version
after it. What is not offered is refused, unless who asks prefers lenient handling and leaving it
out sends no more than the types that were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fhirsvc.errors import Category
from fhirsvc.fhir.compartment import PARAMETERS
from fhirsvc.fhir.search import Criterion, Search, SearchError, parse
from fhirsvc.fhir.search_dates import span
from fhirsvc.fhir.search_parameters import TYPES

Level = Literal["system", "patient", "group"]
FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
NDJSON = FORMATS[0]
_ONCE = ("_since", "_until", "_outputFormat")
_NAME = re.compile(r"[A-Za-z_][A-Za-z]{0,39}")
# Leaving this one out would send more people's data than were asked for.
_NEVER = ("patient",)


Parameters = tuple[tuple[str, str], ...]
Filter = tuple[str, Parameters]
# Takes the query of an address apart.
Query = Callable[[str], Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class KickOff:
    """What is asked for: types in their order (None: all that there are), and between when.

    ``since`` and ``until`` are epoch seconds. ``filters`` are searches (type and parameters): of a
    type that has any, what meets one of them.
    """

    types: tuple[str, ...] | None = None
    since: float | None = None
    until: float | None = None
    filters: tuple[Filter, ...] = ()


def offered(level: Level) -> tuple[str, ...]:
    """The types that can be exported: below the system those of a Patient's compartment."""
    return TYPES if level == "system" else tuple(one for one in TYPES if one in PARAMETERS)


def kick_off(
    level: Level, given: Sequence[tuple[str, str]], query: Query, *, is_lenient: bool
) -> KickOff:
    """Read the parameters of a kick-off; ``query`` reads those of a filter.

    :raises SearchError: naming the parameter that is unknown, not offered, or cannot be read.
    """
    types: list[str] | None = None
    moments: dict[str, float] = {}
    seen: set[str] = set()
    filters: list[Filter] = []
    for name, value in given:
        if name in _ONCE and name in seen:
            raise SearchError(Category.INVALID, "given more than once", name)
        seen.add(name)
        if name == "_type":
            types = [*(types or ()), *_types(level, value, is_lenient)]
        elif name in ("_since", "_until"):
            moments[name] = _moment(name, value)
        elif name == "_typeFilter":
            filters += _filters(level, value, query)
        elif name == "_outputFormat":
            # In an address a plus is a space.
            if value.replace(" ", "+") not in FORMATS and not is_lenient:
                raise SearchError(Category.UNSUPPORTED, "files are application/fhir+ndjson", name)
        elif name in _NEVER or not is_lenient:
            known = name if _NAME.fullmatch(name) else "(not a name)"
            raise SearchError(Category.UNSUPPORTED, "this parameter is not offered", known)
    if types == []:
        raise SearchError(Category.UNSUPPORTED, "none of these types is exported here", "_type")
    chosen = None if types is None else tuple(dict.fromkeys(types))
    if chosen is not None and any(type_ not in chosen for type_, _ in filters):
        raise SearchError(Category.INVALID, "a filter is of no type that is asked for", "_type")
    return KickOff(chosen, moments.get("_since"), moments.get("_until"), tuple(filters))


def criteria(resource_type: str, given: Parameters) -> tuple[Criterion, ...]:
    """What a filter asks for: words (tokens, references, uris), which one resource can be met by.

    :raises SearchError: it cannot be read, or asks for something else.
    """
    search = parse(resource_type, given)
    is_plain = search == Search(resource_type, search.criteria) and search.criteria
    if not is_plain or any(one.how != "word" for one in search.criteria):
        message = "a filter is of tokens, references or uris"
        raise SearchError(Category.UNSUPPORTED, message, "_typeFilter")
    return search.criteria


def _filters(level: Level, value: str, query: Query) -> list[Filter]:
    """Searches, by comma; a comma of their own is written ``%2C``.

    Also where handling is lenient one that is not offered is refused: more would come without it.
    """
    found = []
    for one in value.split(","):
        type_, mark, text = one.partition("?")
        if not mark or type_ not in offered(level):
            raise SearchError(Category.UNSUPPORTED, "expected Type?search", "_typeFilter")
        asked = tuple((name, wanted) for name, wanted in query(text))
        try:
            criteria(type_, asked)
        except SearchError as error:
            raise SearchError(error.category, error.message, "_typeFilter") from None
        found.append((type_, asked))
    return found


def parameters_of(body: object) -> list[tuple[str, str]]:
    """The parameters of a Parameters resource, as an address would give them.

    :raises SearchError: it is none, or has parts, resources or values that are no text.
    """
    if not isinstance(body, Mapping) or body.get("resourceType") != "Parameters":
        raise SearchError(Category.INVALID, "expected a Parameters resource")
    listed = body.get("parameter", [])
    if not isinstance(listed, list):
        raise SearchError(Category.INVALID, "expected a list", "Parameters.parameter")
    return [_parameter(one) for one in listed]


def _parameter(node: Any) -> tuple[str, str]:
    name = node.get("name") if isinstance(node, Mapping) else None
    if not isinstance(name, str):
        raise SearchError(Category.INVALID, "expected a name", "Parameters.parameter")
    values = [value for key, value in node.items() if key.startswith("value")]
    if len(values) == 1 and isinstance(values[0], str):
        return name, values[0]
    if name in _NEVER:
        return name, ""  # refused by its name
    known = name if _NAME.fullmatch(name) else "(not a name)"
    raise SearchError(Category.INVALID, "expected one value that is text", known)


def _types(level: Level, value: str, is_lenient: bool) -> list[str]:
    known = offered(level)
    found = [one.strip() for one in value.split(",")]
    if not is_lenient and any(one not in known for one in found):
        which = "is of a Patient's compartment" if level != "system" else "is served here"
        raise SearchError(Category.UNSUPPORTED, f"not every type {which}", "_type")
    return [one for one in found if one in known]


def _moment(name: str, value: str) -> float:
    found = span(value.replace(" ", "+"))
    if found is None:
        raise SearchError(Category.INVALID, "expected a moment", name)
    return found[0]
