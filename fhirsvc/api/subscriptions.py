"""``/fhir/Subscription``: a client asks to be told of changes, and sees how that goes.

http://hl7.org/fhir/uv/subscriptions-backport/STU1.1/ (R4)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from fhirsvc.api import outcomes
from fhirsvc.api.access import Interaction
from fhirsvc.api.fhir_frame import WRITTEN, Frame, acceptable, body_of_request, only
from fhirsvc.api.if_match import version_of
from fhirsvc.api.outcomes import StatusError
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search import SearchError
from fhirsvc.services.subscribing import StaleError, Subscriber, Subscribing, resource_of
from fhirsvc.store.subscriptions import Subscription

TYPE = "Subscription"
_NUMBER = re.compile(r"[0-9]{1,9}")
SEARCH = ("_id", "criteria", "status", "url")


@dataclass(frozen=True)
class Views:
    """What answers."""

    subscribing: Subscribing
    frame: Frame

    def create(self) -> Response:
        """Keep one: 201, and the handshake follows."""
        _only()
        made = self.subscribing.create(self._by("create"), _resource())
        found = self._answer(made, 201)
        found.headers["Location"] = f"{self.frame.base}/{TYPE}/{made.id}"
        return found

    def read(self, id: str) -> Response:
        """One of the client's own."""
        _only()
        return self._answer(self.subscribing.read(self._by("read").client, id))

    def update(self, id: str) -> Response:
        """Change one, or make it active again."""
        _only()
        who, resource = self._by("update"), _resource()
        if resource.get("id") != id:
            raise FhirsvcError(Category.INVALID, "the id is that of the address", f"{TYPE}.id")
        return self._answer(
            self.subscribing.update(who, id, resource, version_of(request.headers.get("If-Match")))
        )

    def delete(self, id: str) -> Response:
        """End one: 204, also where it is deleted already."""
        _only()
        self.subscribing.delete(
            self._by("delete").client, id, version_of(request.headers.get("If-Match"))
        )
        return Response(status=204)

    def search(self) -> Response:
        """The client's own, by status, topic, endpoint or id."""
        given = _only(*SEARCH)
        found = self.subscribing.every(self._by("search").client)
        return self.frame.answer(
            _searchset(
                (f"{self.frame.base}/{TYPE}/{one.id}", resource_of(one))
                for one in found
                if _fits(one, given)
            )
        )

    def status(self, id: str | None = None) -> Response:
        """How one is, or all of the client's."""
        given = _only("id", "status")
        client = self._by("read").client
        every = self.subscribing.every
        found = every(client) if id is None else [self.subscribing.read(client, id)]
        names = {"id": "_id", "status": "status"}
        plain = {names[name]: value for name, value in given.items() if name in names}
        return self.frame.answer(
            _searchset(
                (f"{one.base}/{TYPE}/{one.id}/$status", self.subscribing.status(one))
                for one in found
                if _fits(one, plain)
            )
        )

    def events(self, id: str) -> Response:
        """The events from one number to another, as far as they are kept."""
        given = _only("eventsSinceNumber", "eventsUntilNumber", "content")
        who = self._by("read")
        first = _number(given, "eventsSinceNumber") or 1
        last = _number(given, "eventsUntilNumber")
        found = self.subscribing.read(who.client, id)
        content = given.get("content")
        return self.frame.answer(self.subscribing.events(who, found, first, last, content))

    def _by(self, interaction: Interaction) -> Subscriber:
        access = self.frame.access_of(request)
        if not access.permits(TYPE, interaction):
            raise FhirsvcError(Category.FORBIDDEN, f"the access does not allow {interaction}", TYPE)
        return Subscriber(access.client, access.scopes, self.frame.base)

    def _answer(self, of: Subscription, status: int = 200) -> Response:
        made = self.frame.answer(resource_of(of), status)
        made.headers["ETag"] = f'W/"{of.version}"'
        return made


def subscription_routes(subscribing: Subscribing, frame: Frame) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("subscriptions", __name__, url_prefix=f"/fhir/{TYPE}")
    views = Views(subscribing, frame)
    for rule, method, view in (
        ("", "POST", views.create),
        ("", "GET", views.search),
        ("/<id>", "GET", views.read),
        ("/<id>", "PUT", views.update),
        ("/<id>", "DELETE", views.delete),
        ("/$status", "GET", views.status),
        ("/<id>/$status", "GET", views.status),
        ("/<id>/$events", "GET", views.events),
    ):
        routes.add_url_rule(rule, f"{method} {rule}".replace(".", ""), view, methods=[method])

    @routes.errorhandler(StaleError)
    def stale(error: StaleError) -> Response:
        """412, as If-Match has it."""
        return outcomes.known(StatusError(412, error.message, TYPE))

    return routes


def _fits(one: Subscription, given: Mapping[str, str]) -> bool:
    resource = resource_of(one)
    said = {
        "_id": one.id,
        "status": one.state,
        "criteria": resource["criteria"],
        "url": resource["channel"]["endpoint"],
    }
    return all(said[name] in value.split(",") for name, value in given.items() if name in said)


def _searchset(found: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """A Bundle of resources, each with its address."""
    mode = {"mode": "match"}
    entries = [{"fullUrl": url, "resource": one, "search": mode} for url, one in found]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**bundle, "entry": entries} if entries else bundle


def _only(*names: str) -> dict[str, str]:
    """The parameters of the address, each once, of which there are no others."""
    acceptable()
    given = only((*names, *WRITTEN))
    found = dict(given)
    if len(found) < len(given):
        raise SearchError(Category.INVALID, "a parameter is given more than once")
    return found


def _number(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise SearchError(Category.INVALID, "expected a number", name)
    return int(text)


def _resource() -> dict[str, Any]:
    found = body_of_request()
    if found.get("resourceType") != TYPE:
        raise FhirsvcError(Category.INVALID, "expected a Subscription", "resourceType")
    return found
