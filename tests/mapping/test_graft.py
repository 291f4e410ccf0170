"""What an EHR has and this house does not know survives the next write."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import shipped_clinic as clinic
from generated import records
from hypothesis import given
from test_back_laws import LAW, TYPES, back, forward, mapped

from fhirsvc.mapping.links import Links
from fhirsvc.mapping.notes import Known

STRANGE = {"url": "https://ehr.example/strange", "valueString": "theirs"}


def _places(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Every complex element of a resource that a line reads."""
    known = Known(Links(systems=back().systems), back().also)
    reader = back().reader(resource, known)
    assert reader is not None
    reading = reader.read(resource, known, reader.house(resource, known), None)
    return list(reading.places.values())


def _strangers(node: Any) -> int:
    if isinstance(node, dict):
        return sum(map(_strangers, node.values()))
    if isinstance(node, list):
        return sum(1 if one == STRANGE else _strangers(one) for one in node)
    return 0


def _with_strangers(resource: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """A copy with an extension of the EHR's in every element."""
    found = copy.deepcopy(resource)
    places = _places(found)
    for place in places:
        place.setdefault("extension", []).append(STRANGE)
    return found, _strangers(found)


@pytest.mark.parametrize("type_name", TYPES)
def test_unknown_extensions_survive_in_every_element(type_name: str):
    """An extension in any element, list items included, is there after the next mapping."""

    @LAW
    @given(records(type_name, changes=4).filter(mapped))
    def survive(record: dict[str, Any]) -> None:
        for made in forward(record):
            if not back().reads(made):
                continue
            existing, count = _with_strangers(made)
            kept = back().onto_existing(made, existing)
            assert count == _strangers(kept)
            assert made == back().onto_existing(made, made)

    survive()


def test_items_are_met_by_key_and_not_by_place():
    """The EHR turned a list round and one item is gone here: each keeps its own."""
    plan = next(r for r in clinic.records() if len(r.get("modalities", ())) > 2)
    existing = next(r for r in forward(plan) if r["resourceType"] == "CarePlan")
    for activity in existing["activity"]:
        activity["extension"] = [
            {"url": "https://ehr.example/of", "valueString": activity.get("id", "")}
        ]
    existing["activity"].reverse()
    gone = plan["modalities"].pop(1)["modality_id"]
    made = next(r for r in forward(plan) if r["resourceType"] == "CarePlan")
    kept = back().onto_existing(made, existing)
    found = {a["id"]: a["extension"][0]["valueString"] for a in kept["activity"] if "id" in a}
    assert found
    assert all(name == said for name, said in found.items())
    assert f"modalities.{gone}" not in json.dumps(kept)


def test_what_the_record_says_now_is_what_is_sent():
    """Only what no line reads is kept: a title changed here is the new one, a display stays."""
    plan = next(r for r in clinic.records() if r["type"] == "care_plan")
    existing = next(r for r in forward(plan) if r["resourceType"] == "CarePlan")
    existing["subject"]["display"] = "as the EHR shows it"
    existing["identifier"] = [
        *existing["identifier"],
        {"system": "https://ehr.example", "value": "7"},
    ]
    existing["language"] = "en-US"
    made = next(
        r for r in forward({**plan, "title": "A new title"}) if r["resourceType"] == "CarePlan"
    )
    kept = back().onto_existing(made, existing)
    assert "A new title" == kept["title"]
    assert "as the EHR shows it" == kept["subject"]["display"]
    assert "7" == kept["identifier"][1]["value"]
    assert "en-US" == kept["language"]
