"""The part of the OpenAPI document about what was made of records, and where it was sent."""

from __future__ import annotations

from fhirsvc.api.openapi_parts import JSON, Part, asked, body, faults, ref
from fhirsvc.api.operating import LARGEST, MOST, US_CORE
from fhirsvc.store.tables import STATES

_ID: Part = {"type": "integer", "minimum": 1, "maximum": LARGEST}
_TEXT: Part = {"type": "string"}
_TIME: Part = {"type": "number", "description": "seconds since the epoch, UTC"}
_RESOURCE: Part = {"type": "object", "required": ["resourceType"]}
_CONFLICT_STATES = ["open", "decided", "settled"]


def _object(required: dict[str, Part], **optional: Part) -> Part:
    properties = {**required, **optional}
    said: Part = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**said, "required": list(required)}


def _listed(name: str) -> Part:
    return {"type": "array", "items": ref(name)}


_ORIGIN = _object(
    {
        "element": {**_TEXT, "description": "a FHIR path"},
        "field": {"type": ["string", "null"], "description": "a JSON path; null of a constant"},
        "place": {**_TEXT, "description": "file:line:col of the mapping"},
        "version": {**_TEXT, "description": "of the mapping file"},
        "transform": _TEXT,
    }
)
_MADE = {"version": _ID, "us_core": {"enum": list(US_CORE)}, "mappings": _TEXT}
_DELIVERY = {
    "id": _ID,
    "connection": _TEXT,
    "record": _object({"type": _TEXT, "id": _TEXT}),
    "version": _ID,
    "state": {"enum": list(STATES)},
    "category": _TEXT,
    "reason": _TEXT,
    "attempts": {"type": "integer"},
    "next_at": _TIME,
    "created_at": _TIME,
    "updated_at": _TIME,
    "correlation_id": _TEXT,
}
_EVENT = {
    "at": _TIME,
    "from_state": _TEXT,
    "to_state": _TEXT,
    "category": _TEXT,
    "reason": _TEXT,
    "executor": _TEXT,
}
_ATTEMPT = {
    "id": _ID,
    "resource": _TEXT,
    "method": _TEXT,
    "started_at": _TIME,
    "ended_at": {"type": ["number", "null"]},
    "outcome": _TEXT,
    "status": {"type": ["integer", "null"]},
}
_CONNECTION = {
    "name": _TEXT,
    "base_url": _TEXT,
    "state": {"enum": ["active", "paused", "stopped"]},
    "deliveries": {"type": "object", "additionalProperties": {"type": "integer"}},
    "waits": {"type": "object", "additionalProperties": {"type": "integer"}},
    "failures": {"type": "integer"},
    "rests_s": {"type": "number", "description": "for how long nothing will be sent"},
    "reading": {"type": "object", "additionalProperties": _TEXT},
}
_SIDE = _object({"value": {}, "version": _TEXT, "by": _TEXT, "at": {"type": ["number", "null"]}})
_CONFLICT = {
    "id": _ID,
    "connection": _TEXT,
    "record": _object({"type": _TEXT, "id": _TEXT}),
    "path": {**_TEXT, "description": "of the element, in the resource"},
    "owner": _TEXT,
    "base": {},
    "ours": _SIDE,
    "theirs": _SIDE,
    "state": {"enum": _CONFLICT_STATES},
    "resolution": {},
    "resolved_by": _TEXT,
}
SCHEMAS: dict[str, Part] = {
    "Mapped": _object({**_MADE, "resources": {"type": "array", "items": _RESOURCE}}),
    "Explained": _object(
        {
            **_MADE,
            "resources": {
                "type": "array",
                "items": _object(
                    {"resource": _RESOURCE, "trace": {"type": "array", "items": _ORIGIN}}
                ),
            },
        }
    ),
    "Connection": _object(_CONNECTION),
    "Delivery": _object(_DELIVERY),
    "Deliveries": _object(
        {"deliveries": _listed("Delivery"), "next": {"type": ["integer", "null"]}}
    ),
    "DeliveryWhole": _object(
        {
            **_DELIVERY,
            "history": {"type": "array", "items": _object(_EVENT)},
            "attempted": {"type": "array", "items": _object(_ATTEMPT)},
            "report": {"type": "array", "items": {"type": "object"}},
        }
    ),
    "Conflict": _object(_CONFLICT),
    "Decision": _object(
        {"take": {"description": "ours, theirs, or an object whose value is the value"}},
        by={**_TEXT, "description": "who decides", "maxLength": 120},
    ),
}


def paths(record: list[Part]) -> dict[str, Part]:
    """The paths; ``record`` are the parameters that name one."""
    versioned = [
        *record,
        asked("us_core", {"enum": list(US_CORE)}, "for which version of US Core"),
        asked("version", _ID, "of the record; the current one without it"),
    ]
    one = "/api/v1/records/{type}/{id}"
    delivery, conflict = [_numbered("delivery")], [_numbered("conflict")]
    empty = {"required": True, "content": {JSON: {"schema": {"type": "object"}, "example": {}}}}
    decision = {"schema": ref("Decision"), "example": {"take": "ours"}}
    return {
        f"{one}/mapped": {
            "parameters": versioned,
            "get": _get("getMapped", "The resources that a record becomes", ref("Mapped"), 422),
        },
        f"{one}/trace": {
            "parameters": versioned,
            "get": _get(
                "getTrace", "Where each of their elements comes from", ref("Explained"), 422
            ),
        },
        "/api/v1/connections": {
            "get": _list("getConnections", "Where each connection stands", _listed("Connection"))
        },
        "/api/v1/deliveries": {
            "parameters": [
                asked("connection", _TEXT, "the name of one"),
                asked("state", {"enum": list(STATES)}, "where they stand"),
                asked("record", _TEXT, "type/id of the record"),
                asked("after", {**_ID, "minimum": 0}, "the id of the last one already seen"),
                asked("limit", {**_ID, "maximum": MOST}, "how many at most"),
            ],
            "get": _get("getDeliveries", "Deliveries by id", ref("Deliveries")),
        },
        "/api/v1/deliveries/{delivery_id}": {
            "parameters": delivery,
            "get": _get("getDelivery", "One, with all that happened", ref("DeliveryWhole")),
        },
        "/api/v1/deliveries/{delivery_id}/retry": {
            "parameters": delivery,
            "post": {
                **_get("retryDelivery", "Send a held or dead one again", ref("Delivery"), 409),
                "requestBody": empty,
            },
        },
        "/api/v1/conflicts": {
            "parameters": [asked("state", {"enum": _CONFLICT_STATES}, "where they stand")],
            "get": _list(
                "getConflicts", "Elements that both sides changed", _listed("Conflict"), 400
            ),
        },
        "/api/v1/conflicts/{conflict_id}/resolve": {
            "parameters": conflict,
            "post": {
                **_get("resolveConflict", "Decide one", ref("Conflict"), 409, 413, 422),
                "requestBody": {"required": True, "content": {JSON: decision}},
            },
        },
    }


def _numbered(what: str) -> Part:
    place = {"name": f"{what}_id", "in": "path", "required": True, "schema": _ID}
    return {**place, "description": f"the number of the {what}"}


def _get(name: str, summary: str, schema: Part, *statuses: int) -> Part:
    return _list(name, summary, schema, 400, 404, *(() if 409 in statuses else (410,)), *statuses)


def _list(name: str, summary: str, schema: Part, *statuses: int) -> Part:
    answers = {"200": body(JSON, schema, "found"), **faults(*statuses)}
    return {"operationId": name, "summary": summary, "responses": answers}
