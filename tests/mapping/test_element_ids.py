"""Element.id: no two elements of a resource have the same, whatever the record.

https://hl7.org/fhir/R4/element.html: unique within the resource, and a string without spaces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import every_word
import pytest
import shipped_clinic as clinic
from generated import records
from hypothesis import given
from test_back_laws import LAW, TYPES, forward, mapped


def ids(node: Any, top: bool = True) -> Iterator[str]:
    """The ids of a resource's elements; its own and those of contained resources left out."""
    if isinstance(node, dict):
        resource = "resourceType" in node
        if not top and not resource and "id" in node:
            yield node["id"]
        for value in node.values():
            yield from ids(value, top=False)
    elif isinstance(node, list):
        for value in node:
            yield from ids(value, top=False)


def twice(resource: dict[str, Any]) -> list[str]:
    """The ids that more than one element has."""
    found = list(ids(resource))
    return sorted({one for one in found if found.count(one) > 1})


def test_fixtures():
    """Every golden and demo resource; those of every word have ids, nested ones too."""
    paths = sorted((clinic.ROOT / "fixtures").glob("*/*/*.json"))
    goldens = [json.loads(p.read_text()) for p in paths if p.name != "record.json"]
    words = [made for record in every_word.all_records() for made in forward(record)]
    resources = [*goldens, *words, *clinic.resources()]
    found = [one for resource in resources for one in ids(resource)]
    assert any("/" in one for one in found)
    assert [] == [one for one in found if not re.fullmatch(r"\S+", one)]
    assert [] == [(r["id"], twice(r)) for r in resources if twice(r)]


@pytest.mark.parametrize("type_name", TYPES)
def test_generated(type_name: str):
    """The same keys in different lists, keys with dots and dashes."""

    @LAW
    @given(records(type_name).filter(mapped))
    def law(record: dict[str, Any]) -> None:
        assert [] == [(r["resourceType"], twice(r)) for r in forward(record) if twice(r)]

    law()
