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
from fhirsvc.records import TYPES
from fhirsvc.records.json_schema import json_schema

JSON, NDJSON, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
Part = dict[str, Any]
EXAMPLE: Part = {
    "type": "client",
    "id": "client-01",
    "updated_at": "2026-01-12T09:40:00-05:00",
    "name": {"family": "Example", "given": ["Ann"]},
    "sex": "female",
}
_ETAG = {"ETag": {"description": "The version, as If-Match names it", "schema": {"type": "string"}}}
_FAULTS = {
    400: "the body has another form, or a header cannot be read",
    404: "there is none",
    409: "another version is the current one",
    410: "it is deleted",
    413: "the body is too large",
    422: "it is refused, and said why",
}


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
            "description": "Records of the internal side. /fhir is told by /fhir/metadata.",
        },
        "paths": {
            one: {
                "parameters": [_parameter("type"), _parameter("id")],
                "get": _get(),
                "put": _put(),
                "delete": _delete(),
            },
            f"{one}/history": {
                "parameters": [_parameter("type"), _parameter("id")],
                "get": _history(),
            },
            "/api/v1/records": {"post": _post()},
        },
        "components": {"schemas": {**_records(), **_ANSWERS}},
    }


def _get() -> Part:
    found = {**_body(JSON, _ref("Record"), "the current version"), "headers": _ETAG}
    return {
        "operationId": "getRecord",
        "summary": "The current version of a record",
        "responses": {"200": found, **_faults(404, 410)},
    }


def _put() -> Part:
    body = {"oneOf": [_ref(name) for name in sorted(TYPES)]}
    said = {"headers": _ETAG}
    media = {"schema": body, "example": EXAMPLE}
    return {
        "operationId": "putRecord",
        "summary": "Store a record whose type and id are those of the address",
        "parameters": [
            _header("If-Match", 'the version it replaces, as W/"3"'),
            _header("If-None-Match", "* where there may be none yet"),
        ],
        "requestBody": {"required": True, "content": {JSON: media}},
        "responses": {
            "200": {**_body(JSON, _ref("Receipt"), "stored, or nothing new"), **said},
            "201": {**_body(JSON, _ref("Receipt"), "stored for the first time"), **said},
            **_faults(400, 409, 413, 422),
        },
    }


def _delete() -> Part:
    return {
        "operationId": "deleteRecord",
        "summary": "Delete a record; its history stays",
        "parameters": [_header("If-Match", 'the version that is meant, as W/"3"')],
        "responses": {
            "200": {**_body(JSON, _ref("Receipt"), "deleted"), "headers": _ETAG},
            **_faults(400, 404, 409, 410, 422),
        },
    }


def _history() -> Part:
    versions = {"type": "array", "items": _ref("Version")}
    return {
        "operationId": "getRecordHistory",
        "summary": "Every version of a record, oldest first",
        "responses": {"200": _body(JSON, versions, "the versions"), **_faults(404)},
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
            "200": _body(NDJSON, results, "a result for each line"),
            **_faults(400, 413, 422),
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
        found |= {f"{name}.{part}": _moved(body, name) for part, body in parts.items()}
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


def _parameter(name: str) -> Part:
    schema: Part = {"type": "string", "minLength": 1}
    if name == "type":
        schema = {"enum": sorted(TYPES)}
    place = {"name": name, "in": "path", "required": True}
    return {**place, "schema": schema, "example": EXAMPLE[name]}


def _header(name: str, description: str) -> Part:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _body(content_type: str, schema: Part, description: str) -> Part:
    return {"description": description, "content": {content_type: {"schema": schema}}}


def _faults(*statuses: int) -> dict[str, Part]:
    return {str(one): _body(PROBLEM, _ref("Problem"), _FAULTS[one]) for one in statuses}


def _ref(name: str) -> Part:
    return {"$ref": f"#/components/schemas/{name}"}
