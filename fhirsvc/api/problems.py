"""The one error handler: a category's status, as a page for browsers and as JSON for the rest.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import sqlalchemy as sa
import structlog
from flask import Flask, Response, g, request
from flask.globals import request_ctx
from werkzeug.exceptions import HTTPException

from fhirsvc.api import outcomes
from fhirsvc.errors import MEANING, Category, FhirsvcError, Finding

PROBLEM_JSON = "application/problem+json"
log = structlog.get_logger("fhirsvc.http")


class RefusedError(FhirsvcError):
    """A record that was refused; ``findings`` say why."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(Category.INVALID, "the record was refused", findings[0].where)
        self.findings = findings


def register(app: Flask, page: Callable[[dict[str, Any]], str]) -> None:
    """Handle every error of an app; ``page`` renders a problem for people."""

    def answer(problem: dict[str, Any]) -> Response:
        status = int(problem["status"])
        # Under a name that is not ours there are no addresses that a page could lead to.
        is_placed = request_ctx.url_adapter is not None
        wanted = request.accept_mimetypes.best_match([PROBLEM_JSON, "text/html"])
        if wanted == "text/html" and is_placed:
            return Response(page(problem), status, content_type="text/html; charset=utf-8")
        return Response(orjson.dumps(problem), status, content_type=PROBLEM_JSON)

    def known(error: FhirsvcError) -> Response:
        if outcomes.is_fhir():
            return outcomes.known(error)
        found = _problem(error.meaning.status, str(error.category), error.message)
        if error.where:
            found["where"] = error.where
        if isinstance(error, RefusedError):
            found["findings"] = [finding_json(one) for one in error.findings]
        return answer(found)

    def http(error: HTTPException) -> Response:
        status = error.code or 500
        if outcomes.is_fhir():
            return outcomes.http(status, error.name)
        return answer(_problem(status, _category(status), error.name))

    def unreachable(error: sa.exc.SQLAlchemyError) -> Response:
        # Whether it was stored before the connection was lost is not known: its version tells.
        log.error("database_failed", error=type(error).__name__, route=str(request.url_rule))
        found = known(FhirsvcError(Category.UNAVAILABLE, "it does not answer", "database"))
        found.headers["Retry-After"] = "1"
        return found

    def unexpected(error: Exception) -> Response:
        # Its text may hold values; the type and the correlation id find it again.
        log.error("unexpected", error=type(error).__name__, route=str(request.url_rule))
        if outcomes.is_fhir():
            return outcomes.http(500, "something went wrong here")
        return answer(_problem(500, str(Category.FAULT), "something went wrong here"))

    app.register_error_handler(FhirsvcError, known)
    app.register_error_handler(HTTPException, http)
    lost_when = (
        sa.exc.OperationalError,
        sa.exc.InterfaceError,
        sa.exc.InternalError,  # also a session that PostgreSQL ended because it stood still
        sa.exc.TimeoutError,
    )
    for lost in lost_when:
        app.register_error_handler(lost, unreachable)
    app.register_error_handler(Exception, unexpected)


def finding_json(finding: Finding) -> dict[str, str]:
    """A finding as JSON."""
    return {
        "where": finding.where,
        "severity": finding.severity,
        "rule": finding.rule,
        "message": finding.message,
    }


def _problem(status: int, category: str, detail: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "status": status,
        "title": category,
        "detail": detail,
        "correlation_id": g.get("correlation_id", ""),
    }


def _category(status: int) -> str:
    for category, meaning in MEANING.items():
        if meaning.status == status:
            return str(category)
    return str(Category.UNSUPPORTED if status < 500 else Category.FAULT)
