"""``/fhir/metadata``: made of the table of routes and the search parameters, so it cannot lie.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhirsvc import __version__
from fhirsvc.ehr.discovery import OAUTH_URIS
from fhirsvc.fhir.search import COMMON
from fhirsvc.fhir.search_parameters import TYPES, Parameter, parameters, targets
from fhirsvc.fhir.subscription import BACKPORT, TOPICS

# R4 has references to canonical URLs, which are found as uris are.
_CANONICAL = {("QuestionnaireResponse", "questionnaire")}
_COMMON_KIND = {"_id": "token", "_lastUpdated": "date"}
SECURITY = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OPERATIONS = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/"
_SYSTEM = ("history-system", "search-system", "batch", "transaction")


def statement(
    interactions: Iterable[str], base: str, date: str, token_url: str = ""
) -> dict[str, Any]:
    """The CapabilityStatement.

    :param interactions: what the routes answer, by the codes of the specification.
    :param base: our own base URL.
    :param date: the day from which it holds.
    :param token_url: where access tokens are given; empty: nowhere.
    """
    offered = sorted(set(interactions))
    typed = [{"code": code} for code in offered if code not in _SYSTEM]
    system = [{"code": code} for code in offered if code in _SYSTEM]
    rest: dict[str, Any] = {"mode": "server"}
    if token_url:
        rest["security"] = _security(token_url)
    resources = [*(_resource(name, typed) for name in TYPES), _subscription()]
    rest["resource"] = sorted(resources, key=lambda one: str(one["type"]))
    if system:
        rest["interaction"] = system
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": "fhirsvc", "version": __version__},
        "implementation": {"description": "fhirsvc", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    }


def _subscription() -> dict[str, Any]:
    """Subscriptions, their topics and operations; see :mod:`fhirsvc.api.subscriptions`.

    http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/
    """
    topic = f"{BACKPORT}capabilitystatement-subscriptiontopic-canonical"
    search = {"_id": "token", "criteria": "string", "status": "token", "url": "uri"}
    codes = ("create", "delete", "read", "search-type", "update")
    return {
        "extension": [{"url": topic, "valueCanonical": one} for one in TOPICS],
        "type": "Subscription",
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned-update",
        "searchParam": [{"name": name, "type": kind} for name, kind in search.items()],
        "operation": [
            {"name": name, "definition": f"{_OPERATIONS}backport-subscription-{name}"}
            for name in ("events", "status")
        ],
    }


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
