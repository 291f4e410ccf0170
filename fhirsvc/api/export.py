"""Bulk Data Access at ``/fhir``: ``$export`` of the system, of Patients and of a Group.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from urllib.parse import parse_qsl, urlencode

import orjson
from flask import Blueprint, Response, request

from fhirsvc.api.access import Access
from fhirsvc.api.capability_statement import Operation
from fhirsvc.api.fhir_frame import WRITTEN, Frame, id_of, only, preferred
from fhirsvc.api.outcomes import FHIR_JSON, StatusError
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.bulk import NDJSON, KickOff, Level, kick_off, offered, parameters_of
from fhirsvc.fhir.guard import DEFAULT, parse
from fhirsvc.fhir.search import SearchError
from fhirsvc.services.exports import POLL_S, Exports, TooOftenError
from fhirsvc.services.groups import Groups
from fhirsvc.services.serve import Given
from fhirsvc.store.exports import Job

_DEFINED = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
OPERATIONS = (
    Operation("", "export", f"{_DEFINED}/export"),
    Operation("Patient", "export", f"{_DEFINED}/patient-export"),
    Operation("Group", "export", f"{_DEFINED}/group-export"),
)
_KNOWN = ("_type", "_since", "_until", "_outputFormat")
_QUERY = partial(parse_qsl, keep_blank_values=True)
_BODIES = (FHIR_JSON, "application/json")
_OPEN = "open"  # whoever asks from this machine, where that is enough


@dataclass(frozen=True)
class Export:
    """The views; ``fhir`` says who asks, at which base, and answers with resources."""

    exports: Exports
    groups: Groups
    fhir: Frame

    def system(self) -> Response:
        """All that is served."""
        return self._begin("system", "$export")

    def patients(self) -> Response:
        """All Patients with what is theirs."""
        return self._begin("patient", "Patient/$export")

    def group(self, id: str) -> Response:
        """The Patients of a Group with what is theirs."""
        return self._begin("group", f"Group/{id}/$export", id)

    def status(self, job: str) -> Response:
        """202 while it is being made, then the manifest."""
        access = self.fhir.access_of(request)
        try:
            found = self.exports.ask(access.client, job)
        except TooOftenError as error:
            raise _too_often(error) from None
        if found.state == "failed":
            raise FhirsvcError(Category.FAULT, "this export failed: begin it again")
        if found.state != "done":
            headers = {"X-Progress": _progress(found), "Retry-After": str(POLL_S)}
            return Response("", 202, headers=headers, content_type=FHIR_JSON)
        needs_token = access.client != _OPEN
        body = self.exports.manifest(found, self._address(found.id), needs_token=needs_token)
        answer = Response(orjson.dumps(body), 200, content_type="application/json")
        answer.headers["Expires"] = formatdate(found.expires_at, usegmt=True)
        return answer

    def cancel(self, job: str) -> Response:
        """Give it up, or remove what it made."""
        self.exports.cancel(self.fhir.access_of(request).client, job)
        return Response("", 202, content_type=FHIR_JSON)

    def file(self, job: str, name: str) -> Response:
        """One file, as it is read from disk."""
        access = self.fhir.access_of(request)
        file = self.exports.file(access.client, job, name)
        _permit(access, [file.type])
        size, lines = self.exports.lines(file)
        answer = Response(lines, 200, content_type=NDJSON)
        if size is not None:
            answer.content_length = size
        return answer

    def read_group(self, id: str) -> Response:
        """A program's clients."""
        self._permit_group("read")
        return self.fhir.answer(self.groups.read(id_of(id)))

    def search_groups(self) -> Response:
        """All programs, or those of some ids, on one page."""
        self._permit_group("search")
        given = only(("_id", "_summary", "_count", *WRITTEN))
        wanted: set[str] | None = None
        for value in (value for name, value in given if name == "_id"):
            ids = set(value.split(","))
            wanted = ids if wanted is None else wanted & ids
        summaries = {value for name, value in given if name == "_summary"}
        if summaries - {"count"}:
            raise SearchError(Category.UNSUPPORTED, "only count is offered", "_summary")
        is_counted = bool(summaries)
        base = self.fhir.base
        found = self.groups.find(wanted)
        url = f"{base}/Group" + (f"?{urlencode(given)}" if given else "")
        bundle: dict[str, object] = {"resourceType": "Bundle", "type": "searchset"}
        bundle |= {"total": len(found), "link": [{"relation": "self", "url": url}]}
        entries = [
            {"fullUrl": f"{base}/Group/{one['id']}", "resource": one, "search": {"mode": "match"}}
            for one in found
        ]
        return self.fhir.answer(
            {**bundle, "entry": entries} if entries and not is_counted else bundle
        )

    def _begin(self, level: Level, path: str, group: str = "") -> Response:
        access = self.fhir.access_of(request)
        wishes = preferred()
        if "respond-async" not in wishes:
            raise StatusError(400, "exports need the header Prefer: respond-async", "Prefer")
        self.fhir.answer({})  # 406 where errors could not be told
        given = list(request.args.items(multi=True))
        if request.method == "POST":
            given += _posted()
        asked = kick_off(level, given, _QUERY, is_lenient="handling=lenient" in wishes)
        types = _types(access, level, asked)
        program = self.groups.program(id_of(group)).record_id if level == "group" else ""
        # What is left out may have been anything; it is not kept.
        shown = [one for one in request.args.items(multi=True) if one[0] in _KNOWN]
        url = f"{self.fhir.base}/{path}" + (f"?{urlencode(shown)}" if shown else "")
        try:
            id_ = self.exports.begin(access.client, asked, level, program, types, url)
        except TooOftenError as error:
            raise _too_often(error) from None
        answer = Response("", 202, content_type=FHIR_JSON)
        answer.headers["Content-Location"] = self._address(id_)
        return answer

    def _address(self, id: str) -> str:
        return f"{self.fhir.base}/bulk/{id}"

    def _permit_group(self, interaction: str) -> None:
        access = self.fhir.access_of(request)
        is_read = access.permits("Group", "read" if interaction == "read" else "search")
        # Members are named.
        if not (is_read and access.permits("Patient", "search")):
            message = f"the access does not allow {interaction}"
            raise FhirsvcError(Category.FORBIDDEN, message, "Group")


def export_routes(exports: Exports, groups: Groups, fhir: Frame) -> Blueprint:
    """The blueprint."""
    routes = Blueprint("export", __name__, url_prefix="/fhir")
    views = Export(exports, groups, fhir)
    both = ["GET", "POST"]
    routes.add_url_rule("/$export", "system", views.system, methods=both)
    routes.add_url_rule("/Patient/$export", "patients", views.patients, methods=both)
    routes.add_url_rule("/Group/<id>/$export", "group", views.group, methods=both)
    routes.add_url_rule("/Group/<id>", "read-group", views.read_group, methods=["GET"])
    routes.add_url_rule("/Group", "search-group", views.search_groups, methods=["GET"])
    routes.add_url_rule("/bulk/<job>", "status", views.status, methods=["GET"])
    routes.add_url_rule("/bulk/<job>", "cancel", views.cancel, methods=["DELETE"])
    routes.add_url_rule("/bulk/<job>/<name>.ndjson", "file", views.file, methods=["GET"])
    return routes


def _types(access: Access, level: Level, asked: KickOff) -> list[str]:
    """The types that are exported: those asked for, or all that this client may search."""
    if asked.types is not None:
        _permit(access, asked.types)
        return list(asked.types)
    found = [one for one in offered(level) if access.permits(one, "search")]
    if not found:
        raise FhirsvcError(Category.FORBIDDEN, "the access does not allow search of any type")
    return found


def _permit(access: Access, types: list[str] | tuple[str, ...]) -> None:
    for one in types:
        if not access.permits(one, "search"):
            raise FhirsvcError(Category.FORBIDDEN, "the access does not allow search", one)


def _posted() -> Given:
    if request.mimetype not in _BODIES:
        raise StatusError(415, f"expected Content-Type: {FHIR_JSON}", "Content-Type")
    return parameters_of(parse(request.get_data(), DEFAULT))


def _too_often(error: TooOftenError) -> StatusError:
    return StatusError(429, error.message, headers={"Retry-After": str(error.wait_s)})


def _progress(job: Job) -> str:
    return f"{job.part} of {len(job.parts)} parts" if job.as_of is not None else "waiting"
