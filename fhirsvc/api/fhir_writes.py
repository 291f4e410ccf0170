"""Writing at ``/fhir``: create and update, conditional or not, of what partners may write.

https://hl7.org/fhir/R4/http.html#create and #update
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from flask import Response, g, request

from fhirsvc.api.access import Access
from fhirsvc.api.fhir_frame import (
    WRITTEN,
    Frame,
    Route,
    acceptable,
    body_of_request,
    id_of,
    only,
    preferred,
    stamped,
)
from fhirsvc.api.if_match import version_of
from fhirsvc.api.outcomes import FHIR_JSON, StatusError
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.outcome import outcome
from fhirsvc.fhir.search import Search, SearchError, parse
from fhirsvc.fhir.validate import validate
from fhirsvc.services.submission import WRITABLE, Submission, Submitted, UnfitError
from fhirsvc.services.submit import Submitter

_ANSWER = ("_count", "_sort", "_total", "_summary", "_include", "_revinclude", "_page")


# A header of a request, or what an entry of a Bundle says in its place.
Header = Callable[[str], str | None]


@dataclass(frozen=True)
class Writes:
    """The views."""

    submitter: Submitter
    frame: Frame

    def routes(self) -> tuple[Route, ...]:
        """What is answered."""
        return (
            Route("create", "POST", "/<type>", self.create, WRITABLE),
            Route("update", "PUT", "/<type>/<id>", self.update, WRITABLE),
            Route("conditional-update", "PUT", "/<type>", self.conditional_update, WRITABLE),
        )

    def create(self, type: str) -> Response:
        """A new resource; with If-None-Exist only where that search finds none."""
        only(WRITTEN)
        self._permit(type, "create")
        return self._done(lambda body: self.creation(type, body, _header), "POST")

    def update(self, type: str, id: str) -> Response:
        """Another content of a resource; with If-Match only of that version."""
        only(WRITTEN)
        self._permit(type, "update")
        return self._done(lambda body: self.replacement(type, id, body, _header), "PUT")

    def conditional_update(self, type: str) -> Response:
        """Another content of what a search finds; where it finds none, a new resource."""
        self._permit(type, "update")
        text = request.query_string.decode("ascii", "replace")
        return self._done(lambda body: self.by_search(type, text, body, _header), "PUT")

    # ---- what a request asks for, alone or in a Bundle -------------------------------------------

    def creation(self, type: str, body: dict[str, Any], header: Header) -> Submission:
        """What a create asks for."""
        access = self._permit(type, "create")
        found = _fit(type, body)
        unless = header("If-None-Exist")
        if unless is None:
            return Submission(found)
        return Submission(found, unless=self._search(access, type, unless, "If-None-Exist"))

    def replacement(self, type: str, id: str, body: dict[str, Any], header: Header) -> Submission:
        """What an update asks for."""
        self._permit(type, "update")
        found = _fit(type, body)
        if found.get("id") != id_of(id):
            raise StatusError(400, "the id is not that of the address", f"{type}.id")
        return Submission(found, id=id, expected=version_of(header("If-Match")))

    def by_search(self, type: str, query: str, body: dict[str, Any], header: Header) -> Submission:
        """What a conditional update asks for."""
        access = self._permit(type, "update")
        self._permit(type, "create")
        search = self._search(access, type, query, "")
        found = _fit(type, body)
        expected = version_of(header("If-Match"))
        return Submission(found, expected=expected, unless=search, is_update=True)

    def submit(self, given: Sequence[Submission]) -> list[Submitted]:
        """Store, all or none."""
        client = self.frame.access_of(request).client
        base, cause = self.frame.base, g.correlation_id
        return self.submitter.submit(given, client=client, base=base, correlation_id=cause)

    def sees(self, type: str) -> bool:
        """Whether who writes may also read what is there then: it has more than they wrote."""
        return self.frame.access_of(request).permits(type, "read")

    def _permit(self, type: str, interaction: Any) -> Access:
        if type not in WRITABLE:
            self.frame.permit(type, "read")  # who may not even read it is told no more
            raise StatusError(405, "this type follows from records", headers={"Allow": "GET"})
        return self.frame.permit(type, interaction)

    def _search(self, access: Access, type: str, query: str, where: str) -> Search:
        """The search of a condition, which has to be one of criteria."""
        given = parse_qsl(query.removeprefix(f"{type}?").lstrip("?"), keep_blank_values=True)
        given = [one for one in given if one[0] not in WRITTEN]
        named: dict[str, list[str]] = {}
        for name, value in given:
            named.setdefault(name, []).append(value)
        if not given:
            raise StatusError(400, "expected search parameters", where or type)
        if any(name in named for name in _ANSWER):
            raise SearchError(Category.UNSUPPORTED, "this is no condition", where or type)
        if not access.permits(type, "search", named):
            raise FhirsvcError(Category.FORBIDDEN, "the access does not allow search", type)
        return parse(type, given, self.frame.base)

    def _done(self, read: Callable[[dict[str, Any]], Submission], method: str) -> Response:
        acceptable()
        self.frame.access_of(request)
        given = read(body_of_request())
        return self._answer(self.submit([given])[0], method)

    def _answer(self, done: Submitted, method: str) -> Response:
        found, status = done.found, 201 if done.is_new else 200
        wanted = preferred()
        if "return=operationoutcome" in wanted:
            answer = stamped(self.frame.answer(outcome([]), status), found)
        elif "return=minimal" in wanted or not self.sees(found.type):
            answer = stamped(Response(status=status, content_type=FHIR_JSON), found)
        else:
            answer = self.frame.one(found, status)
        if done.is_new or method == "POST":
            answer.headers["Location"] = location(self.frame.base, done)
        return answer


def location(base: str, done: Submitted) -> str:
    """Where a version is."""
    found = done.found
    return f"{base}/{found.type}/{found.id}/_history/{found.version}"


def _fit(type: str, body: dict[str, Any]) -> dict[str, Any]:
    """A body that is an R4 resource of a type."""
    if body.get("resourceType") != type:
        raise StatusError(400, "the resource is of another type", "resourceType")
    findings = [one for one in validate(body) if one.severity == "error"]
    if findings:
        raise UnfitError(findings)
    return body


def _header(name: str) -> str | None:
    return request.headers.get(name)
