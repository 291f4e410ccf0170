"""What parts of the OpenAPI document are made of: bodies, headers, faults, references."""

from __future__ import annotations

from typing import Any

JSON, NDJSON, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
Part = dict[str, Any]
_FAULTS = {
    400: "the body has another form, or a header cannot be read",
    401: "a token is needed, where there are accounts",
    403: "the account's role may not",
    404: "there is none",
    409: "another version is the current one",
    410: "it is deleted",
    413: "the body is too large",
    422: "it is refused, and said why",
}


def header(name: str, description: str) -> Part:
    """A header of a request."""
    schema = {"type": "string"}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def asked(name: str, schema: Part, description: str) -> Part:
    """A parameter of a query."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def body(content_type: str, schema: Part, description: str) -> Part:
    """An answer with a body."""
    return {"description": description, "content": {content_type: {"schema": schema}}}


def faults(*statuses: int) -> dict[str, Part]:
    """The answers of these statuses, each a Problem."""
    return {str(one): body(PROBLEM, ref("Problem"), _FAULTS[one]) for one in statuses}


def ref(name: str) -> Part:
    """A schema of the document, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}
