"""Scopes of backend clients: read, brought down to what two lists share, asked for permission.

``system/Type.cruds``: a resource type or ``*``, and letters out of create, read, update, delete,
search in this order. The words of version 1 are the letters they stand for: ``read`` is ``rs``,
``write`` is ``cud``, ``*`` is all. Scopes with a query (``system/Observation.rs?category=…``) are
refused: nothing here would hold a client to one.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.definitions import is_resource

LETTERS = "cruds"
ANY = "*"
MOST = 200  # scopes in one list
# What the words of version 1 stand for.
FIRST = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE = re.compile(r"system/([A-Za-z]{1,40}|\*)\.(read|write|\*|c?r?u?d?s?)")


class ScopeError(FhirsvcError):
    """A scope that is not one, or not one that is offered; its words are not repeated."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(Category.INVALID, message, f"scope {index + 1}")


@dataclass(frozen=True)
class Scopes:
    """What is allowed: letters by resource type, ``*`` for every type.

    No type says what ``*`` says already, so that two lists that allow the same are equal.
    """

    letters: Mapping[str, frozenset[str]]

    def permits(self, resource_type: str, letters: str) -> bool:
        """Whether all of these letters are allowed for a type."""
        return frozenset(letters) <= self._of(resource_type)

    def __and__(self, other: Scopes) -> Scopes:
        """What both allow."""
        types = {*self.letters, *other.letters}
        return _made({one: self._of(one) & other._of(one) for one in types})

    def __bool__(self) -> bool:
        """Whether anything is allowed."""
        return bool(self.letters)

    def __str__(self) -> str:
        """As version 2 writes them, in order."""
        ordered = sorted(self.letters.items())
        return " ".join(
            f"system/{name}.{''.join(one for one in LETTERS if one in letters)}"
            for name, letters in ordered
        )

    def _of(self, resource_type: str) -> frozenset[str]:
        none: frozenset[str] = frozenset()
        return self.letters.get(ANY, none) | self.letters.get(resource_type, none)


def parse(text: str) -> Scopes:
    """The scopes of a list with spaces between; an empty one allows nothing.

    :raises ScopeError: naming which of them is not offered, and what is.
    """
    given = [one for one in text.split(" ") if one]
    if len(given) > MOST:
        raise ScopeError(f"more than {MOST} scopes", MOST)
    found: dict[str, frozenset[str]] = {}
    for index, scope in enumerate(given):
        name, letters = _read(scope, index)
        found[name] = found.get(name, frozenset()) | letters
    return _made(found)


def _read(scope: str, index: int) -> tuple[str, frozenset[str]]:
    if "?" in scope:
        raise ScopeError("scopes with a query are not offered", index)
    match = _SCOPE.fullmatch(scope)
    if match is None or not match[2]:
        raise ScopeError("expected system/Type.cruds, or some of its letters in this order", index)
    if match[1] != ANY and not is_resource(match[1]):
        raise ScopeError("not a resource type of R4", index)
    return match[1], frozenset(FIRST.get(match[2], match[2]))


def _made(letters: Mapping[str, Iterable[str]]) -> Scopes:
    every = frozenset(letters.get(ANY, ()))
    own = {name: frozenset(them) - every for name, them in letters.items() if name != ANY}
    return Scopes({name: them for name, them in {ANY: every, **own}.items() if them})


EVERYTHING = parse("system/*.cruds")
