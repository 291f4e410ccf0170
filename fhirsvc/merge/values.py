"""When two values of a FHIR type say the same, and which types are decided as one thing.

Types: https://hl7.org/fhir/R4/datatypes.html, references: https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from fhirsvc.fhir.definitions import Element, definition

# Changed in two of their parts by two sides, these would say what neither meant. All other types
# are gone through element by element.
ATOMIC = frozenset(
    "Address Age Annotation Attachment Coding ContactPoint Count Distance Duration Expression"
    " HumanName Identifier Money MoneyQuantity Narrative Quantity Range Ratio RatioRange Reference"
    " RelatedArtifact Resource SampledData Signature SimpleQuantity Timing".split()
)
# What is said beside a value of this very value: another value leaves it behind.
COMPANIONS: dict[str, frozenset[str]] = {
    "Address": frozenset({"text"}),
    "Attachment": frozenset({"hash", "size"}),
    "HumanName": frozenset({"text"}),
}
WHOLE = frozenset({"Coding", "Reference"})  # and of these all is said of this very value
_SPOKEN_OF = ("data-absent-reason", "translation")  # extensions that speak of a primitive's value
_LOCAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?$")

Object = dict[str, Any]


@cache
def elements(type_name: str) -> dict[str, Element]:
    """The elements of a type by JSON name; none for a type that R4 does not have."""
    try:
        return definition(type_name).elements
    except LookupError:
        return {}


@cache
def choices(type_name: str) -> dict[str, frozenset[str]]:
    """``{"value": {"valueQuantity", …}}`` of a type."""
    try:
        groups = definition(type_name).choices()
    except LookupError:
        return {}
    return {name: frozenset(m.name for m in members) for name, members in groups.items()}


def fits(element: Element, value: Any) -> bool:
    """Whether a JSON value has the shape that an element's has, or is absent."""
    if value is None:
        return True
    if element.many:
        return isinstance(value, list)
    if element.primitive:
        return not isinstance(value, dict | list)
    return isinstance(value, dict)


class Sameness:
    """Compares values.

    :param base: base URL of the EHR: absolute references below it are relative ones. Without it any
        absolute reference is taken for one of the EHR's own.
    """

    def __init__(self, base: str = "") -> None:
        self.base = base.rstrip("/") + "/" if base else ""

    def target(self, reference: str) -> str:
        """A literal reference as ``Type/id`` where it is one of the EHR's, else as it is."""
        if self.base and "://" in reference:
            if not reference.startswith(self.base):
                return reference
            reference = reference[len(self.base) :]
        match = _LOCAL.search(reference)
        return match[1] if match else reference

    def referred(self, value: Mapping[str, Any]) -> tuple[str, ...] | None:
        """What a Reference names: a resource, an identifier, or only words."""
        literal, logical = value.get("reference"), value.get("identifier")
        if isinstance(literal, str):
            return "to", self.target(literal)
        if isinstance(logical, dict) and logical.get("value") is not None:
            return "known as", str(logical.get("system")), str(logical.get("value"))
        display = value.get("display")
        return ("called", display) if isinstance(display, str) else None

    def alike(self, a: Any, b: Any) -> bool:
        """Whether two values say the same: Element.id and the form of references say nothing."""
        if a is b:
            return True
        if isinstance(a, dict) and isinstance(b, dict):
            return self._objects(a, b)
        if isinstance(a, list) and isinstance(b, list):
            return len(a) == len(b) and all(map(self.alike, a, b))
        return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)

    def _objects(self, a: Object, b: Object) -> bool:
        if (a.keys() ^ b.keys()) - {"id"}:
            return False
        for name, value in a.items():
            if name == "id" and "resourceType" not in a:
                continue
            other = b.get(name)
            if name == "reference" and isinstance(value, str) and isinstance(other, str):
                if self.target(value) != self.target(other):
                    return False
            elif not self.alike(value, other):
                return False
        return True

    def same(self, kind: str, a: Object | None, b: Object | None) -> bool:
        """Whether two values of an atomic type are the same. What is displayed beside a code or a
        reference does not count.
        """
        if a is None or b is None:
            return a is b
        if kind == "Coding" and "code" in a and "code" in b:
            return bool(coding_key(a) == coding_key(b))
        if kind == "Reference" and ("reference" in a or "identifier" in a):
            return self.referred(a) == self.referred(b)
        return self.alike(a, b)


def coding_key(coding: Any) -> tuple[Any, ...] | None:
    """What tells a Coding from another; None for what is none."""
    if not isinstance(coding, dict):
        return None
    system, code = coding.get("system"), coding.get("code")
    if isinstance(code, str):
        return (system if isinstance(system, str) else None), code
    display = coding.get("display")
    return ("shown", display) if isinstance(display, str) else None


def twin_kept(twin: Any) -> Any:
    """What stays of a primitive's extensions when its value is replaced."""
    if not isinstance(twin, dict):
        return None
    said = twin.get("extension")
    kept = [
        one
        for one in (said if isinstance(said, list) else ())
        if not (isinstance(one, dict) and str(one.get("url")).endswith(_SPOKEN_OF))
    ]
    return {**twin, "extension": kept} if kept else None
