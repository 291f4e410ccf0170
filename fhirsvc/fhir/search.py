"""Reading a search: parameters with modifiers and prefixes become criteria; the rest is refused.

https://hl7.org/fhir/R4/search.html. What is not offered (chains, ``_has``, ``_filter``, ``ap``) is
an error that names the parameter, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search_dates import span
from fhirsvc.fhir.search_parameters import TYPES, Parameter, parameters, targets
from fhirsvc.fhir.search_values import LONGEST, folded

COUNT = 50  # resources on a page where nobody says
MOST = 1000  # the most on one
MOST_VALUES = 200  # in one parameter, by comma
MOST_PARAMETERS = 50
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
# Modifiers by kind, beside `missing` that all have, and a type's name that references have.
MODIFIERS = {"token": ("not",), "string": ("exact", "contains")}
How = Literal["word", "starts", "exact", "contains", "date", "missing"]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,60}")
_REFERENCE = re.compile(r"(?:([A-Z][A-Za-z]{1,39})/)?([A-Za-z0-9\-.]{1,64})")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


class SearchError(FhirsvcError):
    """A search that is not one, or not one that is offered; ``where`` names the parameter."""


@dataclass(frozen=True)
class Criterion:
    """One parameter: any of ``values`` under any of the names in the index.

    ``values`` are (value, system) for words, None where any will do; (prefix, low, high) for dates.
    ``is_not`` turns it round: none of them; for ``missing``, that something is there.
    """

    names: tuple[str, ...]
    how: How
    words: tuple[tuple[str | None, str | None], ...] = ()
    dates: tuple[tuple[str, float, float], ...] = ()
    is_not: bool = False


@dataclass(frozen=True)
class Include:
    """What goes along: from which type, over which names of the index, and which type's."""

    source: str
    names: tuple[str, ...]
    target: str | None
    is_reverse: bool


@dataclass(frozen=True)
class Search:
    """A search of one type; ``ids`` and ``updated`` are those of every type, each to be met."""

    type: str
    criteria: tuple[Criterion, ...] = ()
    ids: tuple[frozenset[str], ...] = ()
    updated: tuple[tuple[tuple[str, float, float], ...], ...] = ()
    sort: Literal["", "_id", "_lastUpdated"] = ""
    is_descending: bool = False
    count: int = COUNT
    with_total: bool = False
    only_count: bool = False
    includes: tuple[Include, ...] = ()


def parse(resource_type: str, given: Sequence[tuple[str, str]], base: str = "") -> Search:
    """The search that parameters ask for, in any order; a name that comes again has to hold too.

    :param base: our own base URL: references may be given absolute.
    :raises SearchError: naming the parameter that is unknown, or that cannot be read.
    """
    if len(given) > MOST_PARAMETERS:
        raise SearchError(Category.INVALID, f"more than {MOST_PARAMETERS} parameters")
    search = Search(resource_type)
    seen: set[str] = set()
    for name, value in given:
        if not _NAME.fullmatch(name):
            raise SearchError(Category.UNSUPPORTED, "unknown search parameter", "(not a name)")
        if not value or "\0" in value:
            raise SearchError(Category.INVALID, "expected a value", name)
        if name in _ONCE and name in seen:
            raise SearchError(Category.INVALID, "given more than once", name)
        seen.add(name)
        if name in _COMMON:
            search = _common(search, name, value)
        else:
            criterion = _criterion(resource_type, name, value, base)
            search = replace(search, criteria=(*search.criteria, criterion))
    return search


_ONCE = ("_count", "_sort", "_total", "_summary", "_format", "_pretty")
_COMMON = (*_ONCE, "_id", "_lastUpdated", "_include", "_revinclude")
COMMON = ("_id", "_lastUpdated")


def _common(search: Search, name: str, value: str) -> Search:
    """The search with one of the parameters that all types have."""
    if name == "_id":
        return replace(search, ids=(*search.ids, frozenset(_split(value, name))))
    if name == "_lastUpdated":
        return replace(search, updated=(*search.updated, _dates(value, name)))
    if name in ("_include", "_revinclude"):
        found = _include(search.type, name, value)
        return replace(search, includes=(*search.includes, found))
    if name == "_count":
        return replace(search, count=count_of(value))
    if name == "_sort":
        field = value.removeprefix("-")
        if field not in ("_id", "_lastUpdated"):
            raise SearchError(Category.UNSUPPORTED, "sorts by _id or _lastUpdated", name)
        is_id = field == "_id"
        return replace(
            search,
            sort="_id" if is_id else "_lastUpdated",
            is_descending=value.startswith("-"),
        )
    if name == "_total":
        _among(value, ("none", "estimate", "accurate"), name)
        return replace(search, with_total=value != "none")
    if name == "_summary":
        _among(value, ("count", "false"), name)
        return replace(search, only_count=value == "count")
    return search  # _format and _pretty are looked at where answers are written


def count_of(value: str) -> int:
    """How many on a page: at most ``MOST``.

    :raises SearchError: it is no number.
    """
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise SearchError(Category.INVALID, "expected a number", "_count")
    return min(int(value), MOST)


def _among(value: str, words: tuple[str, ...], name: str) -> None:
    if value not in words:
        message = f"expected one of: {', '.join(words)}"
        raise SearchError(Category.UNSUPPORTED, message, name)


def _criterion(resource_type: str, name: str, value: str, base: str) -> Criterion:
    plain, _, modifier = name.partition(":")
    parameter = parameters(resource_type).get(plain)
    if parameter is None:
        raise SearchError(Category.UNSUPPORTED, "unknown search parameter", name)
    if modifier == "missing":
        _among(value, ("true", "false"), name)
        return Criterion(parameter.index, "missing", is_not=value == "false")
    is_type = parameter.kind == "reference" and modifier[:1].isupper()
    if modifier and not is_type and modifier not in MODIFIERS.get(parameter.kind, ()):
        raise SearchError(Category.UNSUPPORTED, "unknown modifier", name)
    if parameter.kind == "date":
        return Criterion(parameter.index, "date", dates=_dates(value, name))
    if parameter.kind == "reference":
        wanted = (modifier,) if modifier else targets(resource_type, parameter) or TYPES
        words = [
            word for one in _split(value, name) for word in _references(one, wanted, base, name)
        ]
        return Criterion(parameter.index, "word", tuple(words))
    return _words(parameter, modifier, _split(value, name), name)


def _words(parameter: Parameter, modifier: str, given: list[str], name: str) -> Criterion:
    if parameter.kind == "token":
        tokens = tuple(_token(one, name) for one in given)
        return Criterion(parameter.index, "word", tokens, is_not=modifier == "not")
    if parameter.kind == "uri":
        uris = tuple((_plain(one)[:LONGEST], None) for one in given)
        return Criterion(parameter.index, "word", uris)
    if modifier == "exact":
        exact = tuple((None, _plain(one)[:LONGEST]) for one in given)
        return Criterion(parameter.index, "exact", exact)
    texts = tuple((folded(_plain(one))[:LONGEST], None) for one in given)
    return Criterion(parameter.index, "contains" if modifier else "starts", texts)


def _token(text: str, name: str) -> tuple[str | None, str | None]:
    """``code``, ``system|code``, ``|code`` and ``system|``."""
    parts = [_plain(one)[:LONGEST] for one in re.split(r"(?<!\\)\|", text)]
    if len(parts) == 1:
        return parts[0], None
    if len(parts) > 2 or not any(parts):
        raise SearchError(Category.INVALID, "expected code, system|code, |code or system|", name)
    return parts[1] or None, parts[0]


def _references(
    text: str, wanted: tuple[str, ...], base: str, name: str
) -> Iterable[tuple[str, None]]:
    """``id``, ``Type/id`` or that below our own base; another URL is searched as it is."""
    if base and text.startswith(f"{base}/"):
        text = text[len(base) + 1 :]
    if "://" in text or text.startswith("urn:"):
        return [(text[:LONGEST], None)]
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise SearchError(Category.INVALID, "expected id, Type/id or a URL", name)
    if match[1] is None:
        return [(f"{one}/{match[2]}", None) for one in wanted]
    # A type that the parameter never leads to is searched for, and not found.
    return [(text if match[1] in wanted or len(wanted) > 5 else "", None)]


def _dates(value: str, name: str) -> tuple[tuple[str, float, float], ...]:
    found = []
    for one in _split(value, name):
        prefix, text = ("eq", one) if one[:1].isdigit() else (one[:2], one[2:])
        moment = span(text)
        if prefix not in PREFIXES:
            message = f"expected a date, after none or one of: {', '.join(PREFIXES)}"
            raise SearchError(Category.UNSUPPORTED, message, name)
        if moment is None:
            raise SearchError(Category.INVALID, "expected a date or a moment", name)
        found.append((prefix, *moment))
    return tuple(found)


def _include(resource_type: str, name: str, value: str) -> Include:
    """``Type:parameter`` or ``Type:parameter:Target``."""
    parts = value.split(":")
    is_reverse = name == "_revinclude"
    parameter = parameters(parts[0]).get(parts[1]) if len(parts) in (2, 3) else None
    if parameter is None or parameter.kind != "reference":
        message = "expected Type:parameter, a reference of a type served here"
        raise SearchError(Category.UNSUPPORTED, message, name)
    if not is_reverse and parts[0] != resource_type:
        raise SearchError(Category.UNSUPPORTED, "includes from what is searched", name)
    target = parts[2] if len(parts) == 3 else None
    if target is None and len(parameter.targets) == 1:
        target = parameter.targets[0]
    if target is not None and target not in TYPES:
        raise SearchError(Category.UNSUPPORTED, "no such type is served here", name)
    return Include(parts[0], parameter.index, target, is_reverse)


def _split(value: str, name: str) -> list[str]:
    """The alternatives of a value: parted by commas that are not escaped, none of them empty."""
    parts = re.split(r"(?<!\\),", value)
    if len(parts) > MOST_VALUES:
        raise SearchError(Category.INVALID, f"more than {MOST_VALUES} values", name)
    if not all(parts):
        raise SearchError(Category.INVALID, "expected a value on each side of a comma", name)
    return parts


def _plain(text: str) -> str:
    r"""Without the escapes of ``\,``, ``\|``, ``\$`` and ``\\``."""
    return re.sub(r"\\([,|$\\])", r"\1", text)
