"""``/docs``: the OpenAPI document for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from flask import render_template

Part = Mapping[str, Any]


def docs_page(document: Part) -> str:
    """The page of an OpenAPI 3.1 document."""
    schemas = document["components"]["schemas"]
    types = [name for name in schemas if name[:1].islower() and "." not in name]
    return render_template(
        "docs.html", document=document, operations=list(_operations(document)), types=types
    )


def _operations(document: Part) -> Iterator[dict[str, Any]]:
    for path, item in document["paths"].items():
        for method, told in item.items():
            if method == "parameters":
                continue
            given = [*item.get("parameters", ()), *told.get("parameters", ())]
            yield {
                "id": told["operationId"],
                "method": method.upper(),
                "path": path,
                "summary": told["summary"],
                "parameters": [{**one, "takes": _takes(one["schema"])} for one in given],
                "body": _body(told.get("requestBody")),
                "answers": list(_answers(told["responses"])),
            }


def _takes(schema: Part) -> str:
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    least, most = schema.get("minimum"), schema.get("maximum")
    return f"{least} to {most}" if most is not None else str(schema["type"])


def _body(told: Part | None) -> dict[str, str] | None:
    if told is None:
        return None
    ((content_type, media),) = told["content"].items()
    example = media["example"]
    shown = example if isinstance(example, str) else orjson.dumps(example).decode()
    return {"type": content_type, "example": shown}


def _answers(responses: Part) -> Iterator[dict[str, str]]:
    for status, told in responses.items():
        ((content_type, media),) = told["content"].items()
        name = media["schema"].get("$ref", "").rpartition("/")[2]
        yield {
            "status": status,
            "type": content_type,
            "schema": name,
            "description": told["description"],
        }
