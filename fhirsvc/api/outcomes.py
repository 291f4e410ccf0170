"""Errors under ``/fhir``: an OperationOutcome each, with the status that FHIR gives it.

https://hl7.org/fhir/R4/http.html#Status-Codes
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, request

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.outcome import of_error
from fhirsvc.fhir.outcome import outcome as of_findings
from fhirsvc.fhir.search import SearchError
from fhirsvc.services.submission import NotThereError, PreconditionError, UnfitError

FHIR_JSON = "application/fhir+json"
# Statuses that no category has, and the issue codes of theirs.
# https://hl7.org/fhir/R4/valueset-issue-type.html
_ISSUES = {
    400: "invalid",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    412: "conflict",
    413: "too-long",
    415: "not-supported",
    429: "throttled",
}


class StatusError(FhirsvcError):
    """An error with a status of HTTP's own; ``headers`` go with it."""

    def __init__(
        self, status: int, message: str, where: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(Category.UNSUPPORTED, message, where)
        self.status = status
        self.headers = dict(headers or {})


def is_fhir() -> bool:
    """Whether what is asked for is below ``/fhir``."""
    return request.path == "/fhir" or request.path.startswith("/fhir/")


def known(error: FhirsvcError) -> Response:
    """The answer to an error of ours."""
    if isinstance(error, UnfitError):
        return _answer(422, of_findings(error.findings), {})
    outcome = of_error(error)
    if isinstance(error, PreconditionError):
        return _answer(412, outcome, {})
    if isinstance(error, NotThereError):
        return _answer(405, outcome, {"Allow": "GET, POST"})
    if isinstance(error, StatusError):
        outcome["issue"][0]["code"] = _ISSUES.get(error.status, "invalid")
        return _answer(error.status, outcome, error.headers)
    is_elsewhere = isinstance(error, SearchError) or error.where == "Authorization"
    if is_elsewhere:  # the name of a parameter or of a header is no FHIR path
        outcome["issue"][0].pop("expression", None)
    # A search that cannot be read is a bad request; only a resource is unprocessable.
    status = 400 if isinstance(error, SearchError) else error.meaning.status
    return _answer(status, outcome, _challenge(status, error.where))


def _challenge(status: int, where: str) -> dict[str, str]:
    """What the access lacks. https://www.rfc-editor.org/rfc/rfc6750#section-3"""
    if status == 403:
        return {"WWW-Authenticate": 'Bearer realm="fhirsvc", error="insufficient_scope"'}
    if status != 401:
        return {}
    said = ', error="invalid_token"' if where == "Authorization" else ""
    return {"WWW-Authenticate": f'Bearer realm="fhirsvc"{said}'}


def http(status: int, name: str) -> Response:
    """The answer to an error of HTTP's."""
    code = _ISSUES.get(status, "invalid" if status < 500 else "exception")
    issue = {"severity": "error", "code": code, "details": {"text": name}}
    return _answer(status, {"resourceType": "OperationOutcome", "issue": [issue]}, {})


def _answer(status: int, outcome: dict[str, Any], headers: Mapping[str, str]) -> Response:
    answer = Response(orjson.dumps(outcome), status, content_type=FHIR_JSON)
    answer.headers.update(headers)
    return answer
