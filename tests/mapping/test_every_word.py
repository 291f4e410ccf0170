"""Every line, field and code table row that ships is used by a fixture.

``fixtures/<record>/every-word`` holds the records of ``every_word.py``, a line each, and what they
become. To write both anew after a wanted change of a schema or a mapping:
``FHIRSVC_UPDATE_GOLDENS=1 pytest tests/mapping``, then read the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from every_word import records
from shipped_clinic import ROOT, mappings

from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.back import Back
from fhirsvc.mapping.exercised import Coverage, coverage
from fhirsvc.records import TYPES, check

FIXTURES = ROOT / "fixtures"
MAPPED = mappings().records()


def _folder(type: str) -> Path:
    return FIXTURES / type / "every-word"


def _text(values: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("type", MAPPED)
def test_the_records_are_those_of_the_schemas(type: str):
    """Made anew they are the same, and each is valid."""
    made = records(type)
    path = _folder(type) / "records.ndjson"
    if os.environ.get("FHIRSVC_UPDATE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_text(made), encoding="utf-8")
    assert made == _read(path)
    assert [] == [finding for record in made for finding in check(record)]
    assert len(made) == len({record["id"] for record in made})


@pytest.mark.parametrize("type", MAPPED)
def test_they_become_these_resources(type: str):
    """Golden, and valid R4."""
    made = [resource for record in records(type) for resource in mappings().forward(record)]
    path = _folder(type) / "resources.ndjson"
    if os.environ.get("FHIRSVC_UPDATE_GOLDENS"):
        path.write_text(_text(made), encoding="utf-8")
    assert _read(path) == json.loads(json.dumps(made))
    assert [] == [issue for resource in _read(path) for issue in validate(resource)]


def _fixtures() -> Iterator[dict[str, Any]]:
    for path in sorted(FIXTURES.glob("*/*/record.json")):
        yield json.loads(path.read_text(encoding="utf-8"))
    for path in sorted([*FIXTURES.glob("*/every-word/records.ndjson"), *FIXTURES.glob("demo/*")]):
        if path.suffix == ".ndjson":
            yield from _read(path)


@cache
def _coverage() -> Coverage:
    return coverage(mappings(), _fixtures())


def test_every_line_and_field_is_used_by_a_fixture():
    """100 %: what no record reaches cannot be known to work."""
    assert {} == {n: m for n, file in _coverage().files.items() if (m := file.missing())}
    assert {file.file for file in mappings().library.files} == _coverage().files.keys()


def test_every_row_of_every_table_is_used_by_a_fixture():
    """Each house word is said once and becomes its code, or nothing where it has none."""
    unused = {
        name: [word for word, seen in rows.items() if not seen]
        for name, rows in _coverage().tables.items()
    }
    assert {} == {name: words for name, words in unused.items() if words}
    assert mappings().library.tables.keys() == _coverage().tables.keys(), "a table nobody uses"


def test_every_record_type_is_mapped_and_covered():
    """None is left out of the folders by accident."""
    assert (
        set(TYPES) == set(MAPPED) == {p.parent.parent.name for p in FIXTURES.glob("*/every-word/*")}
    )


@pytest.mark.parametrize("type", MAPPED)
def test_they_are_read_back(type: str):
    """Get-put: put onto their record, the resources leave every field and word as it is."""
    back = Back.of(mappings().library)
    for record in records(type):
        made = json.loads(json.dumps(mappings().forward(record)))
        found = back.records(made, {(type, record["id"]): record}).records
        assert [record] == [one for one in found if one["type"] == type]
