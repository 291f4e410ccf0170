"""``/fhir``: what records map to, for EHRs and partners: read, history and search.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import orjson
from flask import Blueprint, Response, request

from fhirsvc.api.access import Access, AccessOf, Interaction
from fhirsvc.api.capability_statement import Operation, statement
from fhirsvc.api.outcomes import FHIR_JSON, StatusError
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search import COUNT, ID, SearchError, count_of
from fhirsvc.fhir.search_dates import span
from fhirsvc.fhir.search_parameters import TYPES
from fhirsvc.services.serve import Asked, Given, Server, instant, resource_of
from fhirsvc.store.served_search import Found

FORM = "application/x-www-form-urlencoded"
_JSON = (FHIR_JSON, "application/json", "text/json")
# In an address a plus is a space.
_FORMATS = ("json", *_JSON, *(one.replace("+", " ") for one in _JSON))
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_ETAG = re.compile(r'(?:W/)?"([^"]{1,64})"')
_HISTORY = ("_count", "_since", "_page")
_WRITTEN = ("_format", "_pretty")


@dataclass(frozen=True)
class Route:
    """One interaction, by its code in the specification, and what answers it."""

    code: str
    method: str
    rule: str
    view: Callable[..., Response]


@dataclass(frozen=True)
class Fhir:
    """The views; ``access_of`` says who asks, at each request.

    ``public`` is our base URL where the settings name one; ``operations`` are those that other
    blueprints answer.
    """

    server: Server
    access_of: AccessOf
    public: str
    operations: tuple[Operation, ...] = ()

    def routes(self) -> tuple[Route, ...]:
        """Everything that is answered; the CapabilityStatement is made of it."""
        return (
            Route("read", "GET", "/<type>/<id>", self.read),
            Route("vread", "GET", "/<type>/<id>/_history/<version>", self.vread),
            Route("history-instance", "GET", "/<type>/<id>/_history", self.history),
            Route("history-type", "GET", "/<type>/_history", self.history),
            Route("history-system", "GET", "/_history", self.history),
            Route("search-type", "GET", "/<type>", self.search),
            Route("search-type", "POST", "/<type>/_search", self.search),
        )

    def metadata(self) -> Response:
        """What is answered; whoever asks may know."""
        _only(_WRITTEN)
        codes = [one.code for one in self.routes()]
        date = instant(self.server.clock())[:10]
        return self.answer(statement(codes, self.base, date, self.operations))

    def read(self, type: str, id: str) -> Response:
        """The current version; 304 where that is the one that is known already."""
        _only(_WRITTEN)
        self._permit(type, "read")
        found = self.server.read(type, _id(id))
        known = request.headers.get("If-None-Match", "")
        if str(found.version) in _ETAG.findall(known) or known.strip() == "*":
            answer = Response(status=304)
            answer.headers["ETag"] = f'W/"{found.version}"'
            return answer
        return self._one(found)

    def vread(self, type: str, id: str, version: str) -> Response:
        """One version."""
        _only(_WRITTEN)
        self._permit(type, "read")
        self._permit(type, "history")
        if not _VERSION.fullmatch(version):
            raise FhirsvcError(Category.NOT_FOUND, "no such version", type)
        return self._one(self.server.read(type, _id(id), int(version)))

    def history(self, type: str | None = None, id: str | None = None) -> Response:
        """The versions of one resource, of a type or of all, newest first."""
        given = _only((*_HISTORY, *_WRITTEN))
        values = dict(given)
        if len(values) < len(given):
            raise SearchError(Category.INVALID, "a parameter is given more than once")
        if type is not None:
            access, types = self._permit(type, "history"), [type]
        else:
            access = self.access_of(request)
            types = [one for one in TYPES if access.permits(one, "history")]
        bundle = self.server.history(
            self._asked(access),
            "/".join([*filter(None, (type, id)), "_history"]),
            types,
            id=None if id is None else _id(id),
            since=_since(values.get("_since")),
            count=count_of(values["_count"]) if "_count" in values else COUNT,
            page=values.get("_page"),
            given=given,
        )
        return self.answer(bundle)

    def search(self, type: str) -> Response:
        """A page of a search."""
        posted = request.method == "POST"
        if posted and request.mimetype != FORM:
            raise StatusError(415, f"expected Content-Type: {FORM}", "Content-Type")
        given = list(request.args.items(multi=True))
        if posted:
            given += list(request.form.items(multi=True))
        named: dict[str, list[str]] = {}
        for name, value in given:
            named.setdefault(name, []).append(value)
        access = self._permit(type, "search", named)
        return self.answer(self.server.search(self._asked(access), type, given, posted=posted))

    def other(self, path: str = "") -> Response:
        """Nothing else is there: 405 where another method is answered, else 404."""
        if not any(_fits(route.rule, path) for route in self.routes()) and path != "metadata":
            raise FhirsvcError(Category.NOT_FOUND, "no such address")
        raise StatusError(405, "this method is not offered here", headers={"Allow": "GET"})

    def answer(self, body: Mapping[str, Any], status: int = 200) -> Response:
        """A resource as JSON, the only form that there is."""
        wanted = request.args.get("_format")
        if wanted is not None and wanted not in _FORMATS:
            raise StatusError(406, "answers are application/fhir+json", "_format")
        if wanted is None and request.accept_mimetypes.best_match(_JSON) is None and (
            "Accept" in request.headers
        ):  # fmt: skip
            raise StatusError(406, "answers are application/fhir+json", "Accept")
        is_pretty = request.args.get("_pretty") == "true"
        text = orjson.dumps(body, option=orjson.OPT_INDENT_2 if is_pretty else 0)
        return Response(text, status, content_type=FHIR_JSON)

    @property
    def base(self) -> str:
        """Our base URL, without a slash at its end."""
        return (self.public or request.host_url.rstrip("/")) + "/fhir"

    def _one(self, found: Found) -> Response:
        answer = self.answer(resource_of(found))
        answer.headers["ETag"] = f'W/"{found.version}"'
        answer.headers["Last-Modified"] = formatdate(found.updated_at, usegmt=True)
        return answer

    def _permit(
        self, type: str, interaction: Interaction, named: Mapping[str, list[str]] | None = None
    ) -> Access:
        access = self.access_of(request)
        if type not in TYPES:
            raise FhirsvcError(Category.NOT_FOUND, "no such type is served here")
        if not access.permits(type, interaction, named or {}):
            raise FhirsvcError(Category.FORBIDDEN, f"the access does not allow {interaction}", type)
        return access

    def _asked(self, access: Access) -> Asked:
        return Asked(access.client, self.base, lambda type: access.permits(type, "search"))


def fhir_routes(views: Fhir) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("fhir", __name__, url_prefix="/fhir")
    routes.add_url_rule("/metadata", "metadata", views.metadata, methods=["GET"])
    for number, one in enumerate(views.routes()):
        name = f"{one.code}-{number}"
        routes.add_url_rule(one.rule, name, one.view, methods=[one.method])
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes.add_url_rule("/<path:path>", "other", views.other, methods=methods)
    routes.add_url_rule("", "root", views.other, methods=methods)
    return routes


def _only(names: tuple[str, ...]) -> Given:
    """The parameters of the address, of which there are no others than ``names``."""
    given = list(request.args.items(multi=True))
    for name, _ in given:
        if name not in names:
            known = name if name.isascii() and name.isidentifier() and len(name) < 41 else ""
            raise SearchError(Category.UNSUPPORTED, "unknown parameter", known)
    return given


def _id(text: str) -> str:
    if not ID.fullmatch(text):
        raise FhirsvcError(Category.NOT_FOUND, "no such resource")
    return text


def _since(text: str | None) -> float:
    if text is None:
        return 0.0
    # In an address a plus is a space.
    moment = span(text.replace(" ", "+"))
    if moment is None:
        raise SearchError(Category.INVALID, "expected a moment", "_since")
    return moment[0]


def _fits(rule: str, path: str) -> bool:
    pattern = re.sub(r"<\w+>", "[^/]+", rule.strip("/"))
    return re.fullmatch(pattern, path) is not None
