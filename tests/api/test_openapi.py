"""The OpenAPI document is what is answered: each route is there, and answers fit their schemas."""

from __future__ import annotations

import re

import jsonschema
import orjson
import pytest

from fhirsvc.api.openapi import EXAMPLE
from fhirsvc.app import create_app
from fhirsvc.records import TYPES, check


@pytest.fixture(name="document")
def _document(web):
    answer = web.get("/openapi.json")
    assert answer.content_type == "application/json"
    return answer.json


def _fits(document, name, body):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(body)


def test_every_route_and_no_other(wiring, late, document):
    """Rules and methods of the records' routes are the document's paths."""
    app = create_app(wiring, lambda: late.mappings)
    routes = {
        (re.sub(r"<(?:[^>]*:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    told = {
        (path, method)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert told == routes


def test_the_example_is_a_record(document):
    """It is what its type says, by the document and by the check itself."""
    _fits(document, EXAMPLE["type"], EXAMPLE)
    assert check(EXAMPLE) == []


def test_the_demo_clinic_fits(document, demo):
    """Each record fits the schema of its type, with all references inside leading somewhere."""
    assert set(TYPES) <= set(document["components"]["schemas"])
    for record in demo:
        _fits(document, record["type"], record)
    references = re.findall(rb'"\$ref":"#/components/schemas/([^"]+)"', orjson.dumps(document))
    assert {one.decode() for one in references} <= set(document["components"]["schemas"])


def test_answers_fit(web, demo, document):
    """A record's life, each answer held against what the document says of it."""
    goal = next(one for one in demo if one["type"] == "goal")
    path = f"/api/v1/records/goal/{goal['id']}"
    listed = document["paths"]["/api/v1/records/{type}/{id}"]
    steps = [
        ("get", None, 404),
        ("put", {**goal, "statement": 1}, 422),
        ("put", goal, 201),
        ("put", goal, 200),
        ("get", None, 200),
        ("delete", None, 200),
        ("get", None, 410),
        ("delete", None, 410),
    ]
    for method, body, status in steps:
        answer = web.open(path, method=method.upper(), json=body)
        assert answer.status_code == status
        told = listed[method]["responses"][str(status)]["content"]
        (content_type,) = told
        assert answer.content_type == content_type
        _fits(document, told[content_type]["schema"]["$ref"].rpartition("/")[2], answer.json)
    for one in web.get(f"{path}/history").json:
        _fits(document, "Version", one)
    lines = web.post(
        "/api/v1/records",
        data=orjson.dumps(goal) + b'\n{"type": "goal"}\nnothing\n',
        content_type="application/x-ndjson",
    )
    results = [orjson.loads(line) for line in lines.data.splitlines()]
    assert [one["outcome"] for one in results] == ["changed", "refused", "refused"]
    for one in results:
        _fits(document, "LineResult", one)
