"""``/api/v1`` beside the records: what they become, where they were sent, what is to decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson
from flask import Blueprint, Response, request

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import DEFAULT, parse
from fhirsvc.mapping.forward import Mappings
from fhirsvc.services.operate import Operator, Sent, Status
from fhirsvc.store import records
from fhirsvc.store.conflicts import Conflict, Resolution
from fhirsvc.store.database import Database
from fhirsvc.store.deliveries import Delivery
from fhirsvc.store.records import Version
from fhirsvc.store.tables import STATES

JSON = "application/json"
LARGEST = 2**31 - 1  # of a number that both databases take for a delivery or a version
MOST, PAGE = 1000, 100  # deliveries in an answer: at most, and unless asked otherwise
US_CORE = {"6.1": 6, "7": 7, "8": 8, "9": 9}
_CONFLICT_STATES = ("open", "decided", "settled")
_NAMED = (  # of a delivery, as they are
    "id version state category reason attempts next_at created_at updated_at correlation_id".split()
)


def mapped_routes(
    database: Database, mappings: Callable[[], Mappings], fingerprint: Callable[[], str]
) -> Blueprint:
    """The blueprint of what records become; ``fingerprint`` tells the mappings from others."""
    routes = Blueprint("mapped", __name__, url_prefix="/api/v1/records")

    def said(version: Version, resources: list[Any]) -> Response:
        found = {"version": version.version, "us_core": request.args.get("us_core", "8")}
        return _json({**found, "mappings": fingerprint(), "resources": resources})

    @routes.get("/<type>/<id>/mapped")
    def mapped(type: str, id: str) -> Response:
        """The resources of a record, as the mappings make them now."""
        us_core, version = _asked(database, (type, id))
        return said(version, mappings().forward(orjson.loads(version.body), us_core))

    @routes.get("/<type>/<id>/trace")
    def trace(type: str, id: str) -> Response:
        """The same, with the origin of every element."""
        us_core, version = _asked(database, (type, id))
        return said(version, list(map(asdict, mappings().explain(_record(version), us_core))))

    return routes


def _record(version: Version) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(version.body)
    return record


def _asked(database: Database, key: tuple[str, str]) -> tuple[int, Version]:
    _only("us_core", "version")
    us_core = US_CORE[_choice("us_core", tuple(US_CORE)) or "8"]
    with database.read() as tx:
        version = records.version(tx, key, _number("version", 1, LARGEST))
    if version.is_deleted:
        raise FhirsvcError(Category.GONE, "this record is deleted", "/".join(key))
    return us_core, version


def operating_routes(operator: Operator) -> Blueprint:
    """The blueprint of connections, deliveries and conflicts."""
    routes = Blueprint("operating", __name__, url_prefix="/api/v1")

    def names() -> dict[int, str]:
        return {one.id: one.name for one in operator.connections()}

    @routes.get("/connections")
    def connections() -> Response:
        """Every connection, without its secrets, and where its deliveries stand."""
        _only()
        return _json([_connection(one) for one in operator.status()])

    @routes.get("/deliveries")
    def deliveries() -> Response:
        """Deliveries by id, filtered; ``next`` is what to go on after."""
        _only("connection", "state", "record", "after", "limit")
        limit = _number("limit", 1, MOST) or PAGE
        state = _choice("state", STATES)
        found = operator.deliveries(
            connection=request.args.get("connection"),
            states=(state,) if state else (),
            record=_key(),
            after=_number("after", 0, LARGEST) or 0,
            limit=limit,
        )
        named = names()
        listed = [_delivery(one, named[one.connection_id]) for one in found]
        after = found[-1].id if len(found) == limit else None
        return _json({"deliveries": listed, "next": after})

    @routes.get(f"/deliveries/<int(min=1, max={LARGEST}):delivery_id>")
    def delivery(delivery_id: int) -> Response:
        """One delivery with its history, its attempts and its loss report."""
        _only()
        return _json(_whole(operator, operator.sent(delivery_id)))

    @routes.post(f"/deliveries/<int(min=1, max={LARGEST}):delivery_id>/retry")
    def retry(delivery_id: int) -> Response:
        """Send a held or dead delivery again."""
        _only()
        _expect_json()
        operator.retry(delivery_id)
        sent = operator.sent(delivery_id)
        return _json(_delivery(sent.delivery, sent.connection.name))

    @routes.get("/conflicts")
    def conflicts() -> Response:
        """What both sides changed and somebody has to decide; others by their state."""
        _only("state")
        state = _choice("state", _CONFLICT_STATES) or "open"
        named = names()
        return _json(
            [conflict_json(one, named[one.connection_id]) for one in operator.conflicts((state,))]
        )

    @routes.post(f"/conflicts/<int(min=1, max={LARGEST}):conflict_id>/resolve")
    def resolve(conflict_id: int) -> Response:
        """Decide a conflict: ``{"take": "ours" | "theirs" | {"value": …}, "by": …}``."""
        _only()
        _expect_json()
        resolution, by = _decision(parse(request.get_data(), DEFAULT))
        found = operator.resolve(conflict_id, resolution, by)
        return _json(conflict_json(found, names()[found.connection_id]))

    return routes


def conflict_json(one: Conflict, connection: str) -> dict[str, Any]:
    """A conflict with both values, who wrote them and when."""
    return {
        "id": one.id,
        "connection": connection,
        "record": {"type": one.record_type, "id": one.record_id},
        "path": one.clash.path,
        "owner": one.clash.owner,
        "base": one.clash.base,
        "ours": vars(one.clash.ours),
        "theirs": vars(one.clash.theirs),
        "state": one.state,
        "resolution": one.resolution,
        "resolved_by": one.resolved_by,
    }


def _decision(given: object) -> tuple[Resolution, str]:
    if not isinstance(given, dict) or "take" not in given or set(given) - {"take", "by"}:
        raise FhirsvcError(Category.INVALID, "expected an object with take, and perhaps by", "$")
    take, by = given["take"], given.get("by", "")
    if not isinstance(by, str) or len(by) > 120:
        raise FhirsvcError(Category.INVALID, "expected a short text", "$.by")
    if take in ("ours", "theirs"):
        return take, by
    if isinstance(take, dict) and set(take) == {"value"}:
        return take, by
    message = 'expected "ours", "theirs" or an object whose value is the value'
    raise FhirsvcError(Category.INVALID, message, "$.take")


def _connection(one: Status) -> dict[str, Any]:
    return {
        "name": one.connection.name,
        "base_url": one.connection.base_url,
        "state": one.connection.state,
        "deliveries": {state: one.counts.get(state, 0) for state in STATES},
        "waits": one.waits,
        "failures": one.connection.failures,
        "rests_s": round(one.rests_s, 1),
        "reading": one.reading,
    }


def _delivery(one: Delivery, connection: str) -> dict[str, Any]:
    record = {"type": one.record_type, "id": one.record_id}
    told = {name: getattr(one, name) for name in _NAMED}
    return {**told, "connection": connection, "record": record}


def _whole(operator: Operator, sent: Sent) -> dict[str, Any]:
    attempts = [
        {
            **{
                name: value
                for name, value in vars(one).items()
                if name not in ("link_id", "response")
            },
            "resource": "/".join(sent.links[one.link_id].local)
            if one.link_id in sent.links
            else "",
        }
        for one in sent.attempts
    ]
    return {
        **_delivery(sent.delivery, sent.connection.name),
        "history": [vars(one) for one in operator.history(sent.delivery.id)],
        "attempted": attempts,
        "report": orjson.loads(sent.delivery.report or "[]"),
    }


def _json(body: object) -> Response:
    return Response(orjson.dumps(body), content_type=JSON)


def _expect_json() -> None:
    """Refuse other bodies: a page of another site can only send plain ones without asking."""
    if request.mimetype != JSON:
        raise FhirsvcError(Category.UNSUPPORTED, f"expected Content-Type: {JSON}", "Content-Type")


def _only(*known: str) -> None:
    """Refuse a parameter that would be passed over."""
    for name in request.args:
        if name not in known:
            raise FhirsvcError(Category.UNSUPPORTED, "no such parameter", name[:64])
        if len(request.args.getlist(name)) > 1:
            raise FhirsvcError(Category.UNSUPPORTED, "stands here twice", name)


def _choice(name: str, words: Mapping[str, Any] | tuple[str, ...]) -> str | None:
    given = request.args.get(name)
    if given is not None and given not in words:
        raise FhirsvcError(Category.UNSUPPORTED, f"one of: {', '.join(words)}", name)
    return given


def _number(name: str, least: int, most: int) -> int | None:
    given = request.args.get(name)
    if given is None:
        return None
    if not (
        given.isascii() and given.isdigit() and len(given) < 11 and least <= int(given) <= most
    ):
        raise FhirsvcError(Category.UNSUPPORTED, f"a number from {least} to {most}", name)
    return int(given)


def _key() -> tuple[str, str] | None:
    given = request.args.get("record")
    if given is None:
        return None
    kind, slash, id = given.partition("/")
    if not (kind and slash and id) or "\0" in given:
        raise FhirsvcError(Category.UNSUPPORTED, "expected type/id", "record")
    return kind, id
