"""The HTTP side of one process: console, API, health, with every answer correlated and guarded."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Sequence

import sqlalchemy as sa
import structlog
from flask import Flask, Response, g, render_template, request

from fhirsvc import settings as settings_
from fhirsvc.api.access import open_access, token_access
from fhirsvc.api.export import OPERATIONS, export_routes
from fhirsvc.api.fhir import fhir_routes
from fhirsvc.api.fhir_document import Documents
from fhirsvc.api.fhir_frame import Frame
from fhirsvc.api.fhir_operations import Operations
from fhirsvc.api.hooks import hooks
from fhirsvc.api.oauth import oauth
from fhirsvc.api.openapi import document, openapi_routes
from fhirsvc.api.operating import mapped_routes, operating_routes
from fhirsvc.api.ops import Counts, ops
from fhirsvc.api.problems import register
from fhirsvc.api.records import record_routes
from fhirsvc.api.subscriptions import subscription_routes
from fhirsvc.api.well_known import well_known
from fhirsvc.console import figures
from fhirsvc.console.pages import Desk, console
from fhirsvc.console.sign_in import guard_api, guard_pages, sign_in_pages
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.forward import Mappings
from fhirsvc.services.logs import configure_logs
from fhirsvc.store import records, serving
from fhirsvc.wiring import LateMappings, Wiring, product

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
LARGEST = 64 * 1024 * 1024  # bytes of a request's body
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = structlog.get_logger("fhirsvc.http")


def create_app(
    wiring: Wiring, mappings: Callable[[], Mappings], *, hosts: Sequence[str] | None = LOOPBACK
) -> Flask:
    """The WSGI application on a wired process.

    :param mappings: gives the compiled mappings, for the pages that explain.
    :param hosts: the names this is reached by; any other Host is refused, so that no page of
        another site can talk to it through a name of its own. None takes any.
    """
    app = Flask("fhirsvc", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    app.config["TRUSTED_HOSTS"] = None if hosts is None else list(hosts)
    app.jinja_options = {**app.jinja_options, "trim_blocks": True, "lstrip_blocks": True}
    app.before_request(_begin)
    app.after_request(_finish)
    register(app, lambda problem: render_template("problem.html", problem=problem))
    app.register_blueprint(ops(wiring.database, _counts))
    app.register_blueprint(well_known(wiring.keys, wiring.clock))
    clients = wiring.clients()
    app.register_blueprint(hooks(lambda: wiring.watcher(clients)))
    accounts = wiring.accounts()
    for routes in (
        record_routes(wiring.database, wiring.publisher),
        mapped_routes(wiring.database, mappings, lambda: wiring.mapper.fingerprint),
        operating_routes(wiring.operator),
    ):
        guard_api(routes, accounts)
        app.register_blueprint(routes)
    app.register_blueprint(openapi_routes())
    settings = wiring.settings
    app.register_blueprint(oauth(wiring.token_office(), settings.public_url))
    access = token_access(wiring.partners.holder, open_access(settings.fhir_open))
    frame = Frame(access, settings.public_url)
    ours = Operations(wiring.server, frame, mappings, wiring.lens, wiring.check)
    documents = Documents(frame, wiring.hand_off)
    app.register_blueprint(
        fhir_routes(wiring.server, wiring.submitter, frame, ours, documents, OPERATIONS)
    )
    app.register_blueprint(export_routes(wiring.exports, wiring.groups, frame))
    app.register_blueprint(subscription_routes(wiring.subscribing, frame))
    pages = console(Desk(wiring.database, wiring.operator, mappings), document)
    guard_pages(pages, accounts)
    app.register_blueprint(pages)
    app.register_blueprint(sign_in_pages(accounts))
    return app


def from_settings(hosts: Sequence[str] | None = LOOPBACK) -> Flask:
    """The application of a server's worker process, wired from the settings.

    :param hosts: as for ``create_app``.
    :raises MappingsError: the mappings have mistakes.
    """
    settings = settings_.load()
    configure_logs(settings.log_level)
    late = LateMappings(settings.mappings, settings.site)
    return create_app(product(settings, mappings=late), lambda: late.mappings, hosts=hosts)


def _counts(tx: sa.Connection) -> Counts:
    return Counts(
        figures.states_by_connection(tx),
        figures.attempts_by_connection(tx),
        records.counts(tx),
        serving.unserved(tx),
        serving.behind(tx),
    )


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.correlation_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
    g.started = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(correlation_id=g.correlation_id)
    if "\0" in request.path:  # PostgreSQL takes no text with one
        raise FhirsvcError(Category.NOT_FOUND, "no such address")


def _finish(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint not in ("console.static", "well_known.jwks"):
        response.headers["Cache-Control"] = "no-store"
    response.headers["X-Request-ID"] = g.get("correlation_id", "")
    took = time.perf_counter() - g.get("started", time.perf_counter())
    # The route, not the address: what people search for stays out of the log.
    log.info(
        "request",
        method=request.method,
        route=str(request.url_rule or ""),
        status=response.status_code,
        ms=round(took * 1000, 1),
    )
    return response
