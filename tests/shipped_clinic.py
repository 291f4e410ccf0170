"""The demo clinic and the shipped mappings, read once for the tests."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fhirsvc.mapping.forward import Mappings

ROOT = Path(__file__).resolve().parents[1]


@cache
def texts() -> dict[str, str]:
    """The shipped mappings folder."""
    folder = ROOT / "mappings"
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@cache
def mappings() -> Mappings:
    """The shipped mappings, proven."""
    return Mappings.load(texts())


@cache
def _records() -> str:
    lines = [
        json.loads(line)
        for path in sorted((ROOT / "fixtures" / "demo").glob("*.ndjson"))
        for line in path.read_text().splitlines()
    ]
    return json.dumps(lines)


def records() -> list[dict[str, Any]]:
    """Every record of the demo clinic that has a mapping; a fresh copy."""
    known = mappings().records()
    return [record for record in json.loads(_records()) if record["type"] in known]


@cache
def _resources() -> str:
    made = [r for record in records() for r in mappings().forward(record)]
    named = {r["questionnaire"] for r in made if r["resourceType"] == "QuestionnaireResponse"}
    asked = [q for q in mappings().questionnaires() if f"{q['url']}|{q['version']}" in named]
    return json.dumps([*made, *asked])


def resources() -> list[dict[str, Any]]:
    """Every resource that the demo clinic becomes, its forms included; a fresh copy."""
    found: list[dict[str, Any]] = json.loads(_resources())
    return found
