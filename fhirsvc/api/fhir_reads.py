"""Reading at ``/fhir``: read, vread, history and search.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Response, request

from fhirsvc.api.access import Interaction
from fhirsvc.api.fhir_frame import WRITTEN, Frame, Route, id_of, only
from fhirsvc.api.outcomes import StatusError
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search import COUNT, SearchError, count_of
from fhirsvc.fhir.search_dates import span
from fhirsvc.fhir.search_parameters import TYPES
from fhirsvc.services.serve import Server

FORM = "application/x-www-form-urlencoded"
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_ETAG = re.compile(r'(?:W/)?"([^"]{1,64})"')
_HISTORY = ("_count", "_since", "_page")


@dataclass(frozen=True)
class Reads:
    """The views."""

    server: Server
    frame: Frame

    def routes(self) -> tuple[Route, ...]:
        """What is answered."""
        return (
            Route("read", "GET", "/<type>/<id>", self.read),
            Route("vread", "GET", "/<type>/<id>/_history/<version>", self.vread),
            Route("history-instance", "GET", "/<type>/<id>/_history", self.history),
            Route("history-type", "GET", "/<type>/_history", self.history),
            Route("history-system", "GET", "/_history", self.history),
            Route("search-type", "GET", "/<type>", self.search),
            Route("search-type", "POST", "/<type>/_search", self.search),
        )

    def read(self, type: str, id: str) -> Response:
        """The current version; 304 where that is the one that is known already."""
        only(WRITTEN)
        self.frame.permit(type, "read")
        found = self.server.read(type, id_of(id))
        known = request.headers.get("If-None-Match", "")
        if str(found.version) in _ETAG.findall(known) or known.strip() == "*":
            answer = Response(status=304)
            answer.headers["ETag"] = f'W/"{found.version}"'
            return answer
        return self.frame.one(found)

    def vread(self, type: str, id: str, version: str) -> Response:
        """One version."""
        only(WRITTEN)
        self.frame.permit(type, "read")
        self.frame.permit(type, "history")
        if not _VERSION.fullmatch(version):
            raise FhirsvcError(Category.NOT_FOUND, "no such version", type)
        return self.frame.one(self.server.read(type, id_of(id), int(version)))

    def history(self, type: str | None = None, id: str | None = None) -> Response:
        """The versions of one resource, of a type or of all, newest first."""
        given = only((*_HISTORY, *WRITTEN))
        values = dict(given)
        if len(values) < len(given):
            raise SearchError(Category.INVALID, "a parameter is given more than once")
        if type is not None:
            kind: Interaction = "history-type" if id is None else "history"
            access, types = self.frame.permit(type, kind), [type]
        else:
            access = self.frame.access_of(request)
            types = [one for one in TYPES if access.permits(one, "history-type")]
            if not types:
                raise FhirsvcError(Category.FORBIDDEN, "the access allows no history")
        bundle = self.server.history(
            self.frame.asked(access),
            "/".join([*filter(None, (type, id)), "_history"]),
            types,
            id=None if id is None else id_of(id),
            since=_since(values.get("_since")),
            count=count_of(values["_count"]) if "_count" in values else COUNT,
            page=values.get("_page"),
            given=given,
        )
        return self.frame.answer(bundle)

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
        access = self.frame.permit(type, "search", named)
        return self.frame.answer(
            self.server.search(self.frame.asked(access), type, given, posted=posted)
        )


def _since(text: str | None) -> float:
    if text is None:
        return 0.0
    # In an address a plus is a space.
    moment = span(text.replace(" ", "+"))
    if moment is None:
        raise SearchError(Category.INVALID, "expected a moment", "_since")
    return moment[0]
