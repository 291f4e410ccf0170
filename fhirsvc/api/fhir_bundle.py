"""Batch and transaction: many requests in one, each for itself or all or none.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson
from flask import Response, current_app, g, request
from werkzeug.test import EnvironBuilder

from fhirsvc.api.fhir_frame import (
    WRITTEN,
    Frame,
    Route,
    acceptable,
    body_of_request,
    only,
    preferred,
)
from fhirsvc.api.fhir_writes import Writes, location
from fhirsvc.api.outcomes import FHIR_JSON, StatusError
from fhirsvc.errors import FhirsvcError
from fhirsvc.services.serve import instant, resource_of
from fhirsvc.services.submission import Submission, Submitted, UnfitError, placed

MOST = 200  # entries
_HEADERS = {
    "ifMatch": "If-Match",
    "ifNoneMatch": "If-None-Match",
    "ifNoneExist": "If-None-Exist",
}
_PHRASES = {200: "200 OK", 201: "201 Created", 304: "304 Not Modified"}
Resource = dict[str, Any]


@dataclass(frozen=True)
class _Entry:
    """One request; ``path`` and ``query`` are those below our base."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    resource: Resource | None
    name: str
    where: str


@dataclass(frozen=True)
class Bundles:
    """The view; ``writes`` says what entries ask for."""

    writes: Writes
    frame: Frame

    def routes(self) -> tuple[Route, ...]:
        """What is answered: both come to the base itself."""
        return (
            Route("batch", "POST", "", self.bundle),
            Route("transaction", "POST", "/", self.bundle),
        )

    def bundle(self) -> Response:
        """Do what a Bundle asks for."""
        only(WRITTEN)
        acceptable()
        self.frame.access_of(request)
        body = body_of_request()
        kind = body.get("type")
        if body.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
            raise StatusError(400, "expected a Bundle, batch or transaction", "Bundle.type")
        entries = self._entries(body)
        is_batch = kind == "batch"
        done = [self._alone(one) for one in entries] if is_batch else self._together(entries)
        answer: Resource = {"resourceType": "Bundle", "type": f"{kind}-response"}
        return self.frame.answer({**answer, "entry": done} if done else answer)

    def _entries(self, body: Resource) -> list[_Entry]:
        listed = body.get("entry", [])
        if not isinstance(listed, list) or len(listed) > MOST:
            raise StatusError(400, f"expected a list of at most {MOST}", "Bundle.entry")
        return [self._entry(one, f"Bundle.entry[{n}]") for n, one in enumerate(listed)]

    def _entry(self, given: object, where: str) -> _Entry:
        asked = given.get("request") if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(asked, dict):
            raise StatusError(400, "expected a request", f"{where}.request")
        method, url, name = asked.get("method"), asked.get("url"), given.get("fullUrl", "")
        if method not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            raise StatusError(400, "expected an HTTP verb", f"{where}.request.method")
        if not isinstance(url, str) or not isinstance(name, str) or not url.isascii():
            raise StatusError(400, "expected an address", f"{where}.request.url")
        resource = given.get("resource")
        if resource is not None and not isinstance(resource, dict):
            raise StatusError(400, "expected a resource", f"{where}.resource")
        try:
            split = urlsplit(url.removeprefix(self.frame.base).lstrip("/"))
        except ValueError:
            raise StatusError(400, "expected an address", f"{where}.request.url") from None
        if split.scheme or split.netloc or not split.path:
            raise StatusError(400, "expected an address below ours", f"{where}.request.url")
        headers = {
            header: asked[key]
            for key, header in _HEADERS.items()
            if isinstance(asked.get(key), str)
        }
        return _Entry(method, split.path, split.query, headers, resource, name, where)

    # ---- each for itself -----------------------------------------------------------------------

    def _alone(self, one: _Entry) -> Resource:
        """The answer to one request, as it would be alone."""
        builder = EnvironBuilder(
            path=f"/fhir/{one.path}",
            base_url=request.host_url,
            query_string=one.query,
            method=one.method,
            headers=[*_passed_on().items(), *one.headers.items()],
            data=None if one.resource is None else orjson.dumps(one.resource),
            content_type=FHIR_JSON,
            environ_base={"REMOTE_ADDR": request.remote_addr or ""},
        )
        # In a context of its own: what is noted of the whole request stays as it is.
        with current_app.app_context(), current_app.request_context(builder.get_environ()):
            answer = current_app.full_dispatch_request()
        return _answered(answer)

    # ---- all or none ---------------------------------------------------------------------------

    def _together(self, entries: Sequence[_Entry]) -> list[Resource]:
        """What is written first, then what is read: https://hl7.org/fhir/R4/http.html#trules."""
        _no_two_alike(entries)
        writes = [one for one in entries if one.method in ("POST", "PUT")]
        stray = [one for one in entries if one.method in ("PATCH", "DELETE", "HEAD")]
        if stray:
            where = f"{stray[0].where}.request.method"
            raise StatusError(405, "this method is not offered here", where)
        given = [self._submission(one) for one in writes]
        done = iter(self.writes.submit(given) if given else [])
        answers = {one.where: self._written(next(done), one) for one in writes}
        for one in entries:
            if one.method == "GET":
                answers[one.where] = self._alone(one)
        return [answers[one.where] for one in entries]

    def _submission(self, one: _Entry) -> Submission:
        where, parts = f"{one.where}.resource", one.path.split("/")
        if one.resource is None:
            raise StatusError(400, "expected a resource", where)
        try:
            if one.method == "POST" and len(parts) == 1:
                given = self.writes.creation(parts[0], one.resource, one.headers.get)
            elif one.method == "PUT" and len(parts) == 2:
                given = self.writes.replacement(parts[0], parts[1], one.resource, one.headers.get)
            elif one.method == "PUT" and len(parts) == 1:
                given = self.writes.by_search(parts[0], one.query, one.resource, one.headers.get)
            else:
                raise StatusError(400, "expected a create or an update", f"{one.where}.request")
        except UnfitError as error:
            raise UnfitError([placed(one, where) for one in error.findings]) from None
        except FhirsvcError as error:
            if not error.where.startswith("Bundle."):
                error.where = f"{one.where} ({error.where})" if error.where else one.where
            raise
        return replace(given, where=where, name=one.name)

    def _written(self, done: Submitted, one: _Entry) -> Resource:
        found = done.found
        said = {
            "status": _PHRASES[201 if done.is_new else 200],
            "location": location(self.frame.base, done),
            "etag": f'W/"{found.version}"',
            "lastModified": instant(found.updated_at),
        }
        address = f"{self.frame.base}/{found.type}/{found.id}"
        entry = {"fullUrl": address, "response": said}
        if "return=minimal" in preferred() or not self.writes.sees(found.type):
            return entry
        return {**entry, "resource": resource_of(found)}


def _passed_on() -> dict[str, str]:
    """What the entries have of the whole request: who asks, and the correlation id."""
    headers = {"Accept": FHIR_JSON, "X-Request-ID": g.correlation_id}
    for name in ("Authorization", "Prefer"):
        if name in request.headers:
            headers[name] = request.headers[name]
    return headers


def _answered(answer: Response) -> Resource:
    status = answer.status_code
    said = {"status": _PHRASES.get(status, answer.status.title())}
    if "Location" in answer.headers:
        said["location"] = answer.headers["Location"]
    if "ETag" in answer.headers:
        said["etag"] = answer.headers["ETag"]
    body = answer.get_data() if answer.mimetype == FHIR_JSON else b""  # a redirect is a page
    content = orjson.loads(body) if body else None
    if status >= 400:
        return {"response": {**said, "outcome": content}}
    return {"response": said} if content is None else {"resource": content, "response": said}


def _no_two_alike(entries: Sequence[_Entry]) -> None:
    """No resource is written twice, and none has the name of another."""
    seen: set[str] = set()
    for one in entries:
        for name in (one.name, f"PUT {one.path}" if one.method == "PUT" and not one.query else ""):
            if name and name in seen:
                raise StatusError(400, "another entry is about the same", one.where)
            seen.add(name)
