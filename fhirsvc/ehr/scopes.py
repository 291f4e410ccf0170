"""What SMART scopes allow, in either spelling. Pure.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SCOPE = re.compile(r"(?:system|user)/([A-Za-z]+|\*)\.(read|write|\*|c?r?u?d?s?)(?:\?.*)?")
_FIRST = {"read": "rs", "write": "cud", "*": "cruds"}  # the letters that v1's words stand for
LETTER = {"create": "c", "read": "r", "update": "u", "delete": "d", "search-type": "s"}


def allowed(scopes: Iterable[str], resource_type: str) -> frozenset[str]:
    """The letters out of ``cruds`` that scopes allow for a resource type."""
    found: set[str] = set()
    for scope in scopes:
        match = _SCOPE.fullmatch(scope)
        if match and match[1] in ("*", resource_type):
            found |= set(_FIRST.get(match[2], match[2]))
    return frozenset(found)


def lacking(scopes: Iterable[str], needed: dict[str, str]) -> list[str]:
    """Which scopes of ``needed`` (type → letters) others do not cover: ``system/Goal.cu``."""
    listed = list(scopes)
    found = []
    for resource_type, letters in needed.items():
        can = allowed(listed, resource_type)
        left = "".join(letter for letter in "cruds" if letter in letters and letter not in can)
        if left:
            found.append(f"system/{resource_type}.{left}")
    return found
