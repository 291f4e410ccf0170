"""Reading a Subscription of a partner: a topic, filters, a rest-hook; what is not offered is told.

http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/ (R4) and
https://hl7.org/fhir/R4/subscription.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search import Criterion, parse
from fhirsvc.fhir.search_dates import span
from fhirsvc.fhir.search_parameters import parameters

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
JSON = "application/fhir+json"
_GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/"
# Which resources a topic is about: each that is created, changed or deleted.
TOPICS = {
    **{
        f"urn:fhirsvc:SubscriptionTopic:{name}": name
        for name in ("CarePlan", "Goal", "QuestionnaireResponse", "ServiceRequest", "Task")
    },
    f"{_GRAVITY}Task": "Task",
    f"{_GRAVITY}Servicerequest": "ServiceRequest",
}
CONTENTS = ("empty", "id-only", "full-resource")
KINDS = ("token", "reference", "uri")  # of search parameters that filter
HEARTBEAT_S = range(10, 86_401)
TIMEOUT_S = range(1, 31)
MOST_EVENTS = 100  # in one notification
MOST_HEADERS = 10
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}):[ \t]*([\x20-\x7e]{0,2000})")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_OURS = frozenset(
    "host content-type content-length transfer-encoding connection upgrade te trailer "
    "expect accept-encoding cookie proxy-authorization".split()
)


@dataclass(frozen=True)
class Wanted:
    """What a Subscription asks for; times are seconds, ``end_at`` those since the epoch."""

    type: str
    topic: str
    criteria: tuple[Criterion, ...]
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    content: str
    payload: str
    heartbeat_s: int | None
    timeout_s: int
    most: int
    end_at: float | None


def read(resource: Mapping[str, Any], base: str) -> Wanted:
    """What a Subscription asks for, of a resource that is valid R4.

    :param base: our own base URL: filters may name resources by it.
    :raises FhirsvcError: UNSUPPORTED or INVALID at the element that asks for what is not offered.
    """
    topic = str(resource.get("criteria", ""))
    if topic not in TOPICS:
        raise _not("criteria", f"expected a topic: {', '.join(TOPICS)}")
    channel = resource.get("channel", {})
    if channel.get("type") != "rest-hook":
        raise _not("channel.type", "expected rest-hook")
    endpoint = channel.get("endpoint")
    if not isinstance(endpoint, str):
        raise _not("channel.endpoint", "expected an address")
    if channel.get("payload") != JSON:
        raise _not("channel.payload", f"expected {JSON}")
    content = _extension(channel.get("_payload"), "backport-payload-content", "valueCode")
    if content not in CONTENTS:
        where = "channel.payload.extension"
        raise _not(where, f"expected backport-payload-content: {', '.join(CONTENTS)}")
    end = span(str(resource["end"])) if "end" in resource else None
    return Wanted(
        type=TOPICS[topic],
        topic=topic,
        criteria=tuple(_filters(resource, TOPICS[topic], base)),
        endpoint=endpoint,
        headers=tuple(_headers(channel.get("header", []))),
        content=str(content),
        payload=JSON,
        heartbeat_s=_seconds(channel, "backport-heartbeat-period", HEARTBEAT_S),
        timeout_s=_seconds(channel, "backport-timeout", TIMEOUT_S) or TIMEOUT_S[-1] // 3,
        most=_number(channel, "backport-max-count", "valuePositiveInt", range(1, MOST_EVENTS + 1))
        or MOST_EVENTS,
        end_at=None if end is None else end[0],
    )


def _filters(resource: Mapping[str, Any], type_: str, base: str) -> Iterator[Criterion]:
    """``Task?owner=…&status=…``, of which all have to hold."""
    where = "criteria.extension"
    for text in _extensions(resource.get("_criteria"), "backport-filter-criteria", "valueString"):
        name, mark, query = str(text).partition("?")
        if mark and name != type_:
            raise _not(where, f"expected a filter of {type_}")
        given = list(_pairs(query if mark else name))
        known = parameters(type_)
        if not given:
            raise _not(where, f"expected {type_}?parameter=value")
        for one, _ in given:
            plain, _, modifier = one.partition(":")
            if plain not in known or known[plain].kind not in KINDS or modifier == "missing":
                fit = [name for name, it in known.items() if it.kind in KINDS]
                raise _not(where, f"expected to filter by {', '.join(fit)}")
        try:
            yield from parse(type_, given, base).criteria
        except FhirsvcError as error:
            raise _not(where, error.message) from None


def _pairs(query: str) -> Iterator[tuple[str, str]]:
    """The parameters of a query, percent-encoded or plain."""
    for one in filter(None, query.split("&")):
        name, _, value = one.partition("=")
        yield _plain(name), _plain(value)


def _plain(text: str) -> str:
    data = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    return data.decode(errors="replace")


def _headers(given: Any) -> Iterator[tuple[str, str]]:
    if len(given) > MOST_HEADERS:
        raise _not("channel.header", f"expected {MOST_HEADERS} at most")
    seen = set()
    for index, one in enumerate(given):
        match = _HEADER.fullmatch(one) if isinstance(one, str) else None
        where = f"channel.header[{index}]"
        if match is None:
            raise _not(where, "expected Name: value")
        name = match[1].lower()
        if name in _OURS or name in seen:
            raise _not(where, "expected a header that is not set already")
        seen.add(name)
        yield match[1], match[2].strip()


def _seconds(channel: Mapping[str, Any], name: str, fit: range) -> int | None:
    return _number(channel, name, "valueUnsignedInt", fit)


def _number(channel: Mapping[str, Any], name: str, value: str, fit: range) -> int | None:
    found = _extension(channel, name, value)
    if found is None:
        return None
    if not isinstance(found, int) or found not in fit:
        raise _not("channel.extension", f"expected {name} from {fit[0]} to {fit[-1]}")
    return found


def _extension(node: Any, name: str, value: str) -> Any:
    return next(_extensions(node, name, value), None)


def _extensions(node: Any, name: str, value: str) -> Iterator[Any]:
    for one in node.get("extension", []) if isinstance(node, Mapping) else []:
        if one.get("url") == BACKPORT + name:
            yield one.get(value)


def _not(where: str, message: str) -> FhirsvcError:
    return FhirsvcError(Category.INVALID, message, f"Subscription.{where}")
