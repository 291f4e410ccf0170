"""``/api/v1/records``: put, get, delete, history; post many as NDJSON with a result a line."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import cast

import orjson
from flask import Blueprint, Response, g, request

from fhirsvc.api.if_match import version_of
from fhirsvc.api.problems import RefusedError, finding_json
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import DEFAULT, parse
from fhirsvc.records.reading import Row, read
from fhirsvc.services.publish import Publisher, Receipt
from fhirsvc.store import records
from fhirsvc.store.database import Database

JSON = "application/json"
NDJSON = "application/x-ndjson"


def record_routes(database: Database, publisher: Publisher) -> Blueprint:
    """The blueprint of records."""
    routes = Blueprint("records", __name__, url_prefix="/api/v1/records")

    @routes.get("/<type>/<id>")
    def get_record(type: str, id: str) -> Response:
        """The current version of a record; 404 when there is none."""
        with database.read() as tx:
            version = records.version(tx, (type, id))
        if version.is_deleted:
            raise FhirsvcError(Category.GONE, "this record is deleted", f"{type}/{id}")
        answer = Response(version.body, content_type=JSON)
        answer.headers["ETag"] = f'W/"{version.version}"'
        return answer

    @routes.put("/<type>/<id>")
    def put_record(type: str, id: str) -> Response:
        """Store a record; If-Match names the version it replaces, If-None-Match: * says none."""
        _expect(JSON)
        record = parse(request.get_data(), DEFAULT)
        if not isinstance(record, dict) or (record.get("type"), record.get("id")) != (type, id):
            message = "type and id are those of the address"
            raise FhirsvcError(Category.INVALID, message, "$")
        receipt = publisher.accept_one(
            record, expected=_expected(), correlation_id=g.correlation_id
        )
        if receipt.outcome == "refused":
            raise RefusedError(receipt.findings)
        status = 201 if receipt.outcome == "created" else 200
        answer = Response(orjson.dumps(_said(receipt)), status, content_type=JSON)
        answer.headers["ETag"] = f'W/"{receipt.version}"'
        return answer

    @routes.delete("/<type>/<id>")
    def delete_record(type: str, id: str) -> Response:
        """Delete a record; If-Match names the version that is meant."""
        receipt = publisher.delete(
            (type, id), expected=_expected(), correlation_id=g.correlation_id
        )
        answer = Response(orjson.dumps(_said(receipt)), 200, content_type=JSON)
        answer.headers["ETag"] = f'W/"{receipt.version}"'
        return answer

    @routes.get("/<type>/<id>/history")
    def record_history(type: str, id: str) -> Response:
        """Every version of a record, oldest first: number, when, from where, and its body."""
        with database.read() as tx:
            found = records.history(tx, (type, id))
        if not found:
            raise FhirsvcError(Category.NOT_FOUND, "no such record", f"{type}/{id}")
        listed = [
            {
                "version": one.version,
                "accepted_at": one.accepted_at,
                "source": one.source,
                "deleted": one.is_deleted,
                "record": orjson.loads(one.body),
            }
            for one in found
        ]
        return Response(orjson.dumps(listed), content_type=JSON)

    @routes.post("")
    def post_records() -> Response:
        """Store the records of an NDJSON body: one result a line, in order."""
        _expect(NDJSON)
        # Unbuffered, a line would be read a byte at a time.
        body = io.BufferedReader(cast("io.RawIOBase", request.stream))
        rows = list(read(body, "ndjson"))
        lines = [orjson.dumps(one) for one in _accept(publisher, rows)]
        return Response(b"\n".join([*lines, b""]), content_type=NDJSON)

    return routes


def _accept(publisher: Publisher, rows: list[Row]) -> Iterator[dict[str, object]]:
    readable: Iterable[object] = [row.record for row in rows if row.record is not None]
    receipts = iter(publisher.accept(readable, g.correlation_id).receipts)
    for row in rows:
        if row.record is None:
            findings = [finding_json(one) for one in row.findings]
            yield {"line": row.line, "outcome": "refused", "findings": findings}
        else:
            yield {"line": row.line, **_said(next(receipts))}


def _said(receipt: Receipt) -> dict[str, object]:
    findings = [finding_json(one) for one in receipt.findings]
    if receipt.outcome == "refused":
        return {"outcome": "refused", "findings": findings}
    said = {
        "outcome": receipt.outcome,
        "type": receipt.type,
        "id": receipt.id,
        "version": receipt.version,
    }
    return {**said, "findings": findings} if findings else said  # warnings


def _expect(content_type: str) -> None:
    """Refuse other bodies: a page of another site can only send plain ones without asking."""
    if request.mimetype != content_type:
        message = f"expected Content-Type: {content_type}"
        raise FhirsvcError(Category.UNSUPPORTED, message, "Content-Type")


def _expected() -> int | None:
    if request.headers.get("If-None-Match", "").strip() == "*":
        return 0
    return version_of(request.headers.get("If-Match"))
