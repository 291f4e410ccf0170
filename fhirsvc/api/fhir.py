"""``/fhir``: what records map to, for EHRs and partners.

Every view is in one table of routes, of which the CapabilityStatement is made as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, Response, request

from fhirsvc.api.access import address
from fhirsvc.api.capability_statement import Operation, statement
from fhirsvc.api.fhir_bundle import Bundles
from fhirsvc.api.fhir_document import DOCUMENT, Documents
from fhirsvc.api.fhir_frame import WRITTEN, Frame, Route, only
from fhirsvc.api.fhir_operations import Operations
from fhirsvc.api.fhir_reads import Reads
from fhirsvc.api.fhir_writes import Writes
from fhirsvc.api.oauth import TOKEN
from fhirsvc.api.outcomes import StatusError
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search_parameters import TYPES
from fhirsvc.services.ports import Clock
from fhirsvc.services.serve import Server, instant
from fhirsvc.services.submit import Submitter

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class _Whole:
    """What is about all routes."""

    frame: Frame
    listed: Sequence[Route]
    clock: Clock
    operations: Sequence[Operation]

    def metadata(self) -> Response:
        """What is answered; whoever asks may know."""
        if request.method not in ("GET", "HEAD"):
            return self.other("metadata")
        only(WRITTEN)
        date = instant(self.clock())[:10]
        offered = [(one.code, one.types) for one in self.listed if one.code != "operation"]
        here = address(self.frame.public, request)
        said = statement(
            offered,
            self.frame.base,
            date,
            token_url=here and here + TOKEN,
            operations=self.operations,
        )
        return self.frame.answer(said)

    def other(self, path: str = "") -> Response:
        """Nothing else is there: 405 where another method is answered, else 404."""
        allowed = {one.method for one in self.listed if _fits(one.rule, path)}
        allowed |= {"GET"} if path == "metadata" else set()
        if not allowed:
            raise FhirsvcError(Category.NOT_FOUND, "no such address")
        headers = {"Allow": ", ".join(sorted(allowed))}
        raise StatusError(405, "this method is not offered here", headers=headers)


def fhir_routes(
    server: Server,
    submitter: Submitter | None,
    frame: Frame,
    operations: Operations,
    documents: Documents,
    others: Sequence[Operation] = (),
) -> Blueprint:
    """The blueprint; without a submitter nothing can be written.

    :param others: operations that other blueprints answer.
    """
    routes = Blueprint("fhir", __name__, url_prefix="/fhir")
    listed = [*Reads(server, frame).routes(), *operations.routes(), *documents.routes()]
    if submitter is not None:
        writes = Writes(submitter, frame)
        listed += [*writes.routes(), *Bundles(writes, frame).routes()]
    described = (*operations.described(TYPES), DOCUMENT, *others)
    whole = _Whole(frame, listed, server.clock, described)
    routes.add_url_rule("/metadata", "metadata", whole.metadata, methods=METHODS)
    for number, one in enumerate(listed):
        name = f"{one.code}-{number}"
        routes.add_url_rule(one.rule, name, one.view, methods=[one.method])
    routes.add_url_rule("/<path:path>", "other", whole.other, methods=METHODS)
    routes.add_url_rule("", "root", whole.other, methods=METHODS)
    return routes


def _fits(rule: str, path: str) -> bool:
    parts = re.split(r"<\w+>", rule.strip("/"))
    pattern = "[^/]+".join(map(re.escape, parts))
    return re.fullmatch(pattern, path) is not None
