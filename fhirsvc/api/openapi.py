"""``/openapi.json``: what ``/api/v1`` takes and answers, with the JSON Schema of every record.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson
from flask import Blueprint, Response

from fhirsvc import __version__
from fhirsvc.api import openapi_operating as operating
from fhirsvc.api.openapi_parts import JSON, NDJSON, Part, body, faults, header, ref
from fhirsvc.records import TYPES
from fhirsvc.records.json_schema import json_schema

EXAMPLE: Part = {
    "type": "client",
    "id": "client-01",
    "updated_at": "2026-01-12T09:40:00-05:00",
    "name": {"family": "Example", "given": ["Ann"]},
    "sex": "female",
}
_ETAG = {"ETag": {"description": "The version, as If-Match names it", "schema": {"type": "string"}}}


def openapi_routes() -> Blueprint:
    """The blueprint."""
    routes = Blueprint("openapi", __name__)

    @routes.get("/openapi.json")
    def openapi() -> Response:
        """The document."""
        return Response(orjson.dumps(document()), content_type=JSON)

    return routes


@cache
def document() -> Part:
    """The OpenAPI document; not to be changed."""
    one = "/api/v1/records/{type}/{id}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fhirsvc",
            "version": __version__,
            "description": "Records, what they become, and where they were sent.",
        },
        # Until there is an account nobody has to say who they are: docs/accounts.md.
        "security": [{}, {"token": []}],
        "paths": _guarded(
            {
                one: {
                    "parameters": [_placed("type"), _placed("id")],
                    "get": _get(),
                    "put": _put(),
                    "delete": _delete(),
                },
                f"{one}/history": {
                    "parameters": [_placed("type"), _placed("id")],
                    "get": _history(),
                },
                "/api/v1/records": {"post": _post()},
                **operating.paths([_placed("type"), _placed("id")]),
            }
        ),
        "components": {
            "schemas": {**_records(), **_ANSWERS, **operating.SCHEMAS},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _guarded(paths: Mapping[str, Part]) -> dict[str, Part]:
    """The same, each operation with what is answered to who may not."""
    refused = faults(401, 403)
    return {
        path: {
            key: one
            if key == "parameters"
            else {**one, "responses": {**one["responses"], **refused}}
            for key, one in item.items()
        }
        for path, item in paths.items()
    }


def _get() -> Part:
    found = {**body(JSON, ref("Record"), "the current version"), "headers": _ETAG}
    return {
        "operationId": "getRecord",
        "summary": "The current version of a record",
        "responses": {"200": found, **faults(404, 410)},
    }


def _put() -> Part:
    any_record = {"oneOf": [ref(name) for name in sorted(TYPES)]}
    said = {"headers": _ETAG}
    media = {"schema": any_record, "example": EXAMPLE}
    return {
        "operationId": "putRecord",
        "summary": "Store a record whose type and id are those of the address",
        "parameters": [
            header("If-Match", 'the version it replaces, as W/"3"'),
            header("If-None-Match", "* where there may be none yet"),
        ],
        "requestBody": {"required": True, "content": {JSON: media}},
        "responses": {
            "200": {**body(JSON, ref("Receipt"), "stored, or nothing new"), **said},
            "201": {**body(JSON, ref("Receipt"), "stored for the first time"), **said},
            **faults(400, 409, 413, 422),
        },
    }


def _delete() -> Part:
    return {
        "operationId": "deleteRecord",
        "summary": "Delete a record; its history stays",
        "parameters": [header("If-Match", 'the version that is meant, as W/"3"')],
        "responses": {
            "200": {**body(JSON, ref("Receipt"), "deleted"), "headers": _ETAG},
            **faults(400, 404, 409, 410, 422),
        },
    }


def _history() -> Part:
    versions = {"type": "array", "items": ref("Version")}
    return {
        "operationId": "getRecordHistory",
        "summary": "Every version of a record, oldest first",
        "responses": {"200": body(JSON, versions, "the versions"), **faults(404)},
    }


def _post() -> Part:
    lines = {"type": "string", "description": "a record a line"}
    results = {"type": "string", "description": "a result a line, each a LineResult"}
    media = {"schema": lines, "example": orjson.dumps(EXAMPLE).decode() + "\n"}
    return {
        "operationId": "postRecords",
        "summary": "Store many records; one that is refused never stops the rest",
        "requestBody": {"required": True, "content": {NDJSON: media}},
        "responses": {
            "200": body(NDJSON, results, "a result for each line"),
            **faults(400, 413, 422),
        },
    }


def _records() -> dict[str, Part]:
    """Every record type under its name, and its parts under names of their own."""
    found: dict[str, Part] = {}
    for name in sorted(TYPES):
        schema = json_schema(name)
        parts = schema.pop("$defs", {})
        for key in ("$schema", "$id"):
            schema.pop(key, None)
        found[name] = _moved(schema, name)
        found |= {f"{name}.{part}": _moved(one, name) for part, one in parts.items()}
    return found


def _moved(node: Any, name: str) -> Any:
    """A schema whose references lead to where its parts are here."""
    if isinstance(node, list):
        return [_moved(item, name) for item in node]
    if not isinstance(node, Mapping):
        return node
    made = {key: _moved(value, name) for key, value in node.items()}
    reference = made.get("$ref")
    if isinstance(reference, str):
        made["$ref"] = reference.replace("#/$defs/", f"#/components/schemas/{name}.")
    return made


_FINDING = {
    "type": "object",
    "properties": {
        "where": {"type": "string", "description": "a JSON path"},
        "severity": {"enum": ["error", "warning", "information"]},
        "rule": {"type": "string"},
        "message": {"type": "string"},
    },
    "required": ["where", "severity", "rule", "message"],
    "additionalProperties": False,
}
_FINDINGS = {"type": "array", "items": {"$ref": "#/components/schemas/Finding"}}
_RECEIPT = {
    "outcome": {"enum": ["created", "changed", "unchanged", "deleted"]},
    "type": {"type": "string"},
    "id": {"type": "string"},
    "version": {"type": "integer", "minimum": 1},
    "findings": {**_FINDINGS, "description": "warnings"},
}
_ANSWERS: dict[str, Part] = {
    "Record": {
        "type": "object",
        "properties": {"type": {"type": "string"}, "id": {"type": "string"}},
        "required": ["type", "id"],
    },
    "Finding": _FINDING,
    "Receipt": {
        "type": "object",
        "properties": _RECEIPT,
        "required": ["outcome", "type", "id", "version"],
        "additionalProperties": False,
    },
    "LineResult": {
        "type": "object",
        "properties": {
            **_RECEIPT,
            "outcome": {"enum": ["created", "changed", "unchanged", "refused"]},
            "line": {"type": "integer", "minimum": 1},
        },
        "required": ["line", "outcome"],
        "additionalProperties": False,
    },
    "Version": {
        "type": "object",
        "properties": {
            "version": {"type": "integer", "minimum": 1},
            "accepted_at": {"type": "number", "description": "seconds since the epoch, UTC"},
            "source": {"type": "string", "description": "the connection that it came from"},
            "deleted": {"type": "boolean"},
            "record": {"$ref": "#/components/schemas/Record"},
        },
        "required": ["version", "accepted_at", "source", "deleted", "record"],
        "additionalProperties": False,
    },
    "Problem": {
        "description": "https://www.rfc-editor.org/rfc/rfc9457",
        "type": "object",
        "properties": {
            "type": {"const": "about:blank"},
            "status": {"type": "integer"},
            "title": {"type": "string"},
            "detail": {"type": "string"},
            "correlation_id": {"type": "string"},
            "where": {"type": "string"},
            "findings": _FINDINGS,
        },
        "required": ["type", "status", "title", "detail", "correlation_id"],
        "additionalProperties": False,
    },
}


def _placed(name: str) -> Part:
    schema: Part = {"type": "string", "minLength": 1}
    if name == "type":
        schema = {"enum": sorted(TYPES)}
    place = {"name": name, "in": "path", "required": True, "description": f"the record's {name}"}
    return {**place, "schema": schema, "example": EXAMPLE[name]}
