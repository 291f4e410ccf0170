"""Every code table is a ConceptMap that HAPI takes, strictly validated, and translates with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import skip_if_absent
from servers import HapiServer
from shipped_clinic import mappings

from fhirsvc.mapping.concept_map import SYSTEMS, WORDS, concept_maps

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", name="strict")
def _strict() -> Iterator[HapiServer]:
    """Return a HAPI server that refuses what is invalid."""
    with skip_if_absent():
        server = HapiServer(validate=True)
        server.start()
    yield server
    server.stop()


MAPS = concept_maps(mappings().library, "0.0.0")


@pytest.mark.parametrize("made", MAPS, ids=lambda made: made["name"])
def test_a_table_is_accepted(strict: HapiServer, made: dict[str, Any]):
    """Stored as it is, twice over."""
    for _ in range(2):
        answer = strict.request("PUT", f"ConceptMap/{made['id']}", made)
        assert answer.status_code in (200, 201), answer.text
    kept = strict.request("GET", f"ConceptMap/{made['id']}").json()
    assert made["group"] == kept["group"]


@pytest.mark.parametrize("made", MAPS, ids=lambda made: made["name"])
def test_the_server_translates_words_with_it(strict: HapiServer, made: dict[str, Any]):
    """The first word of each group becomes the code the mapping writes."""
    strict.request("PUT", f"ConceptMap/{made['id']}", made)
    for group in made["group"]:
        for element in group["element"][:3]:
            target = element["target"][0]
            if "code" not in target:
                continue
            query = f"url={made['url']}&code={element['code']}&system={group['source']}"
            answer = strict.request("GET", f"ConceptMap/$translate?{query}")
            codes = [
                part["valueCoding"]["code"]
                for match in answer.json()["parameter"]
                if match["name"] == "match"
                for part in match["part"]
                if part["name"] == "concept"
            ]
            assert target["code"] in codes, answer.text


def test_the_systems_of_plain_codes_are_fhirs(strict: HapiServer):
    """Every plain code is in the system that the map says it is of; no server knows the house's."""
    known = {url for url in SYSTEMS.values() if not url.startswith("urn:fhirsvc:")}
    assert len(known) > 10
    asked = 0
    for made in MAPS:
        for group in made["group"]:
            if group["target"] not in known:
                continue
            for code in {t["code"] for e in group["element"] for t in e["target"] if "code" in t}:
                query = f"url={group['target']}&code={code}"
                answer = strict.request("GET", f"CodeSystem/$validate-code?{query}").json()
                result = {p["name"]: p.get("valueBoolean") for p in answer.get("parameter", [])}
                assert result.get("result") is True, (group["target"], code, answer)
                asked += 1
    assert asked > 50
    assert WORDS.startswith("urn:")
