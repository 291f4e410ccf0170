"""Notifications of a Subscription: a history Bundle that begins with the Subscription's status.

http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html (R4)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]
PROFILES = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
STATUS = f"{PROFILES}backport-subscription-status-r4"
Resource = dict[str, Any]


@dataclass(frozen=True)
class About:
    """Whose notification it is: our base URL, and the Subscription's id, topic, status and count.

    ``newest`` is the number of its newest event, whether or not it is told of here.
    """

    base: str
    id: str
    topic: str
    status: str
    newest: int
    content: str


@dataclass(frozen=True)
class Told:
    """An event: its number, when it was (an instant), what it is about, and how that was changed.

    ``resource`` goes along where the content is full-resource and it is still there.
    """

    number: int
    at: str
    focus: str
    method: str
    resource: Resource | None = None


def status(about: About, kind: Kind, events: Sequence[Told] = ()) -> Resource:
    """The status of a Subscription, as Parameters."""
    address = f"{about.base}/Subscription/{about.id}"
    parameters: list[Resource] = [
        {"name": "subscription", "valueReference": {"reference": address}},
        {"name": "topic", "valueCanonical": about.topic},
        {"name": "status", "valueCode": about.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(about.newest)},
    ]
    for one in events:
        part: list[Resource] = [
            {"name": "event-number", "valueString": str(one.number)},
            {"name": "timestamp", "valueInstant": one.at},
        ]
        if about.content != "empty":
            reference = {"reference": f"{about.base}/{one.focus}"}
            part.append({"name": "focus", "valueReference": reference})
        parameters.append({"name": "notification-event", "part": part})
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [STATUS]},
        "parameter": parameters,
    }


def bundle(about: About, kind: Kind, at: str, name: str, events: Sequence[Told] = ()) -> Resource:
    """A notification.

    :param at: when it is made, an instant.
    :param name: a UUID, which nothing else has.
    """
    first = {
        "fullUrl": f"urn:uuid:{name}",
        "resource": status(about, kind, events),
        "request": {"method": "GET", "url": f"{about.base}/Subscription/{about.id}/$status"},
        "response": {"status": "200"},
    }
    entries = [first]
    if about.content != "empty":
        # The newest of a resource says what the others would: it is there once.
        newest = {one.focus: one for one in events}
        entries += [_entry(about, one) for one in newest.values()]
    return {"resourceType": "Bundle", "type": "history", "timestamp": at, "entry": entries}


def _entry(about: About, event: Told) -> Resource:
    kind = event.focus.partition("/")[0]
    code = {"POST": "201", "PUT": "200", "DELETE": "204"}[event.method]
    entry: Resource = {
        "fullUrl": f"{about.base}/{event.focus}",
        "request": {
            "method": event.method,
            "url": kind if event.method == "POST" else event.focus,
        },
        "response": {"status": code},
    }
    has_body = about.content == "full-resource" and event.resource is not None
    return {**entry, "resource": event.resource} if has_body else entry
