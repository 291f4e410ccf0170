"""``/fhir/metadata``: made of the table of routes and the search parameters, so it cannot lie.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fhirsvc import __version__
from fhirsvc.ehr.discovery import OAUTH_URIS
from fhirsvc.fhir.search import COMMON
from fhirsvc.fhir.search_parameters import TYPES, Parameter, parameters, targets
from fhirsvc.fhir.subscription import BACKPORT, TOPICS

# R4 has references to canonical URLs, which are found as uris are.
_CANONICAL = {("QuestionnaireResponse", "questionnaire")}
_COMMON_KIND = {"_id": "token", "_lastUpdated": "date"}
_CONDITIONAL = "conditional-update"  # which the specification has no code for
SECURITY = "http://terminology.hl7.org/CodeSystem/restful-security-service"
# Made of what organizations hold, so without versions and history.
_GROUP: dict[str, Any] = {
    "type": "Group",
    "interaction": [{"code": "read"}, {"code": "search-type"}],
    "versioning": "no-version",
    "searchParam": [{"name": "_id", "type": "token"}],
}
# https://hl7.org/fhir/uv/bulkdata/STU2/CapabilityStatement-bulk-data.html
BULK = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"
# Clients' own, with operations of their own: see fhirsvc/api/subscriptions.py and
# http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/
_TOPIC = f"{BACKPORT}capabilitystatement-subscriptiontopic-canonical"
_ASKED = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription"
_SUBSCRIPTION: dict[str, Any] = {
    "extension": [{"url": _TOPIC, "valueCanonical": one} for one in TOPICS],
    "type": "Subscription",
    "interaction": [{"code": one} for one in ("create", "delete", "read", "search-type", "update")],
    "versioning": "versioned-update",
    "searchParam": [
        {"name": name, "type": kind}
        for name, kind in (
            ("_id", "token"),
            ("criteria", "string"),
            ("status", "token"),
            ("url", "uri"),
        )
    ],
    "operation": [{"name": one, "definition": f"{_ASKED}-{one}"} for one in ("events", "status")],
}
_SYSTEM = ("history-system", "search-system", "batch", "transaction")


class Operation(NamedTuple):
    """An operation that is answered: at the base (no ``type``) or below a type, by its URL."""

    type: str
    name: str
    definition: str


def statement(
    interactions: Iterable[tuple[str, tuple[str, ...]]],
    base: str,
    date: str,
    *,
    token_url: str = "",
    operations: Sequence[Operation] = (),
) -> dict[str, Any]:
    """The CapabilityStatement.

    :param interactions: what the routes answer, by the codes of the specification, each with the
        types for which it does; all, where there are none.
    :param base: our own base URL.
    :param date: the day from which it holds.
    :param token_url: where access tokens are given; empty: nowhere.
    :param operations: what is answered beside them.
    """
    offered = sorted(set(interactions))
    system = [{"code": code} for code, _ in offered if code in _SYSTEM]
    rest: dict[str, Any] = {"mode": "server"}
    if token_url:
        rest["security"] = _security(token_url)
    beside = [_GROUP] if any(one.type == "Group" for one in operations) else []
    typed = [
        _resource(name, [code for code, types in offered if not types or name in types])
        for name in TYPES
    ]
    asked_only = sorted({one.type for one in operations} - {"", "Group", *TYPES})
    beside += [{"type": one} for one in asked_only]
    rest["resource"] = [
        {**one, **_operations(operations, one["type"])} for one in (*typed, *beside)
    ]
    rest["resource"].append(_SUBSCRIPTION)
    if system:
        rest["interaction"] = system
    rest |= _operations(operations, "")
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        **({"instantiates": [BULK]} if _GROUP in beside else {}),
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


def _security(token_url: str) -> dict[str, Any]:
    """SMART, and its token endpoint for clients that do not read a smart-configuration.

    https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html
    """
    inner = {"url": "token", "valueUri": token_url}
    coding = {"system": SECURITY, "code": "SMART-on-FHIR"}
    return {
        "extension": [{"url": OAUTH_URIS, "extension": [inner]}],
        "service": [{"coding": [coding], "text": "SMART Backend Services"}],
    }


def _resource(name: str, codes: list[str]) -> dict[str, Any]:
    own = parameters(name)
    search = [{"name": one, "type": _COMMON_KIND[one]} for one in COMMON]
    search += [{"name": one.name, "type": _kind(name, one)} for one in own.values()]
    found: dict[str, Any] = {
        "type": name,
        "interaction": [{"code": code} for code in codes if code not in (*_SYSTEM, _CONDITIONAL)],
        "versioning": "versioned",
        "readHistory": True,
        "conditionalRead": "not-match",
        "searchParam": search,
    }
    if "update" in codes:
        found |= {"versioning": "versioned-update", "updateCreate": False}
    if "create" in codes:
        found["conditionalCreate"] = True
    if _CONDITIONAL in codes:
        found["conditionalUpdate"] = True
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
