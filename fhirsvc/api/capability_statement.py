"""``/fhir/metadata``: made of the table of routes and the search parameters, so it cannot lie.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fhirsvc import __version__
from fhirsvc.fhir.search import COMMON
from fhirsvc.fhir.search_parameters import TYPES, Parameter, parameters, targets

# R4 has references to canonical URLs, which are found as uris are.
_CANONICAL = {("QuestionnaireResponse", "questionnaire")}
_COMMON_KIND = {"_id": "token", "_lastUpdated": "date"}
# Made of what organizations hold, so without versions and history.
_GROUP: dict[str, Any] = {
    "type": "Group",
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "versioning": "no-version",
    "searchParam": [{"name": "_id", "type": "token"}],
}
# https://hl7.org/fhir/uv/bulkdata/STU2/CapabilityStatement-bulk-data.html
BULK = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
_SYSTEM = ("history-system", "search-system", "batch", "transaction")


class Operation(NamedTuple):
    """An operation that is answered: at the base (no ``type``) or below a type, by its URL."""

    type: str
    name: str
    definition: str


def statement(
    interactions: Iterable[str], base: str, date: str, operations: Sequence[Operation] = ()
) -> dict[str, Any]:
    """The CapabilityStatement.

    :param interactions: what the routes answer, by the codes of the specification.
    :param base: our own base URL.
    :param date: the day from which it holds.
    :param operations: what is answered beside them.
    """
    offered = sorted(set(interactions))
    typed = [{"code": code} for code in offered if code not in _SYSTEM]
    system = [{"code": code} for code in offered if code in _SYSTEM]
    rest: dict[str, Any] = {"mode": "server"}
    beside = [_GROUP] if any(one.type == "Group" for one in operations) else []
    listed = [*(_resource(name, typed) for name in TYPES), *beside]
    rest["resource"] = [{**one, **_operations(operations, one["type"])} for one in listed]
    if system:
        rest["interaction"] = system
    rest |= _operations(operations, "")
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        **({"instantiates": [BULK]} if beside else {}),
        "software": {"name": "fhirsvc", "version": __version__},
        "implementation": {"description": "fhirsvc", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    }


def _operations(operations: Sequence[Operation], type_: str) -> dict[str, Any]:
    listed = [
        {"name": one.name, "definition": one.definition} for one in operations if one.type == type_
    ]
    return {"operation": listed} if listed else {}


def _resource(name: str, interactions: list[dict[str, str]]) -> dict[str, Any]:
    own = parameters(name)
    search = [{"name": one, "type": _COMMON_KIND[one]} for one in COMMON]
    search += [{"name": one.name, "type": _kind(name, one)} for one in own.values()]
    found: dict[str, Any] = {
        "type": name,
        "interaction": interactions,
        "versioning": "versioned",
        "readHistory": True,
        "conditionalRead": "not-match",
        "searchParam": search,
    }
    includes = [
        f"{name}:{one.name}"
        for one in own.values()
        if one.kind == "reference" and _leads(targets(name, one) or TYPES)
    ]
    if includes:
        found["searchInclude"] = includes
    reverse = [
        f"{source}:{one.name}"
        for source in TYPES
        for one in parameters(source).values()
        if one.kind == "reference" and name in (targets(source, one) or TYPES)
    ]
    return {**found, "searchRevInclude": reverse} if reverse else found


def _leads(to: Iterable[str]) -> bool:
    """Whether any of these types is served."""
    return any(one in TYPES for one in to)


def _kind(resource_type: str, parameter: Parameter) -> str:
    is_canonical = (resource_type, parameter.name) in _CANONICAL
    return "reference" if is_canonical else parameter.kind
