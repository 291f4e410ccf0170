"""The console's routes: home, one record beside its FHIR, deliveries and their history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from fhirsvc.console import figures
from fhirsvc.console.api_docs import docs_page
from fhirsvc.console.origins import side_by_side
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.explained import Traced
from fhirsvc.mapping.forward import Mappings
from fhirsvc.services.operate import Operator
from fhirsvc.store import queue, records
from fhirsvc.store.database import Database
from fhirsvc.store.records import Version
from fhirsvc.store.tables import STATES, delivery

LARGEST = 2**31 - 1  # of the numbers that both databases take for a delivery or a version
LATEST = 25
PAGE = 200
US_CORE = 8  # of a record's page while there is no connection that says which
OUTCOMES_SAID = {
    "unknown": "not known yet",
    "done": "done",
    "adopted": "found at the EHR and kept",
    "absent": "looked for, not there",
    "refused": "refused",
    "not_sent": "not sent",
}
ATTENTION = ("dead", "held", "pending", "sending")


@dataclass(frozen=True)
class Desk:
    """What the pages read from."""

    database: Database
    operator: Operator
    mappings: Callable[[], Mappings]


def console(desk: Desk, document: Callable[[], Mapping[str, Any]]) -> Blueprint:
    """The blueprint of the pages; ``document`` gives the OpenAPI document."""
    pages = Blueprint(
        "console",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )
    pages.add_app_template_filter(_when, "when")
    pages.add_url_rule("/", "home", lambda: _home(desk))
    pages.add_url_rule("/deliveries", "deliveries", lambda: _deliveries(desk))
    pages.add_url_rule(
        f"/deliveries/<int(max={LARGEST}):delivery_id>",
        "delivery",
        lambda delivery_id: _delivery(desk, delivery_id),
    )
    pages.add_url_rule("/docs", "docs", lambda: docs_page(document()))
    pages.add_url_rule("/records/<type>/<id>", "record", lambda type, id: _record(desk, type, id))
    return pages


def _when(seconds: float) -> str:
    """Epoch seconds as a time for people, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _home(desk: Desk) -> str | Response:
    wanted = request.args.get("find", "").replace("\0", "").strip()[:64]
    with desk.database.read() as tx:
        types = figures.by_type(tx)
        resources = figures.resources(tx)
        states = figures.states(tx)
        latest = figures.latest(tx, limit=LATEST)
        attention = figures.latest(tx, ATTENTION, limit=LATEST)
        found = figures.found_ids(tx, wanted, PAGE) if wanted else []
    if len(found) == 1:
        return redirect(url_for("console.record", type=found[0][0], id=found[0][1]))
    return render_template(
        "home.html",
        types=types,
        resources=resources,
        states=_in_order(states),
        latest=latest,
        attention=attention,
        wanted=wanted,
        found=found,
        connections=_names(desk),
        status=desk.operator.status(),
    )


def _in_order(states: dict[str, int]) -> list[tuple[str, int]]:
    return [(state, states[state]) for state in reversed(STATES) if states.get(state)][::-1]


def _names(desk: Desk) -> dict[int, str]:
    return {one.id: one.name for one in desk.operator.connections()}


def _deliveries(desk: Desk) -> str:
    state = request.args.get("state", "")
    if state and state not in STATES:
        message = f"no such state; one of: {', '.join(STATES)}"
        raise FhirsvcError(Category.UNSUPPORTED, message, "state")
    with desk.database.read() as tx:
        found = figures.latest(tx, [state] if state else [], PAGE)
        states = figures.states(tx)
    return render_template(
        "deliveries.html",
        found=found,
        state=state,
        states=_in_order(states),
        total=states.get(state, 0) if state else sum(states.values()),
        connections=_names(desk),
    )


def _delivery(desk: Desk, delivery_id: int) -> str:
    with desk.database.read() as tx:
        row = tx.execute(sa.select(delivery).where(delivery.c.id == delivery_id)).mappings().first()
        if row is None:
            raise FhirsvcError(Category.NOT_FOUND, "no such delivery", f"delivery {delivery_id}")
        events = queue.events(tx, delivery_id)
        writes = figures.writes(tx, delivery_id)
    return render_template(
        "delivery.html",
        one=row,
        events=events,
        writes=writes,
        outcomes=OUTCOMES_SAID,
        connections=_names(desk),
    )


def _record(desk: Desk, type: str, id: str) -> str:
    number = request.args.get("version", type=int)
    if number is not None and not 0 < number <= LARGEST:
        raise FhirsvcError(Category.NOT_FOUND, "no such version", f"{type}/{id}")
    with desk.database.read() as tx:
        version = records.version(tx, (type, id), number)
        versions = records.history(tx, (type, id))
        sent = queue.find(tx, record=(type, id), limit=PAGE)
    connections = desk.operator.connections()
    us_core = connections[0].us_core if connections else US_CORE
    traced, problem = _traced(desk, version, us_core)
    lines, shown = side_by_side(orjson.loads(version.body), traced)
    return render_template(
        "record.html",
        version=version,
        versions=versions,
        lines=lines,
        shown=shown,
        problem=problem,
        us_core=us_core,
        deliveries=sent,
        connections={one.id: one.name for one in connections},
    )


def _traced(desk: Desk, version: Version, us_core: int) -> tuple[list[Traced], str]:
    """The record's resources with their origins, or why there are none."""
    try:
        return desk.mappings().explain(orjson.loads(version.body), us_core), ""
    except FhirsvcError as error:
        return [], str(error)
