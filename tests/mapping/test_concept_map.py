"""Code tables as ConceptMaps: every word once, the right equivalence, valid R4."""

from __future__ import annotations

import json

import pytest
from shipped_clinic import mappings

from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.concept_map import concept_map, concept_maps, plain_systems
from fhirsvc.mapping.tables import Systems, read_table

MAPS = concept_maps(mappings().library, "1.2.3")
LOCAL = "urn:fhirsvc:CodeSystem:delivery"
OTHER = "http://loinc.org"
TABLE = """
table: delivery
rows:
  individual: {system: delivery, code: individual, display: Individual}
  alone: {system: loinc, code: "1-8", display: One}
  solo: {system: loinc, code: "1-8", display: One}
  both: {codings: [{system: delivery, code: both}, {system: loinc, code: "2-6"}], text: Both}
  spoken: {text: In words}
  silent: ~
prefer: {"1-8": alone}
"""


@pytest.fixture(name="made")
def _made():
    """Return the table above as a ConceptMap."""
    systems = Systems({"delivery": LOCAL, "loinc": OTHER}, frozenset({LOCAL}))
    table, findings = read_table(TABLE, "codes/delivery.yaml", systems)
    assert [] == findings
    assert table is not None
    return concept_map(table, "1.2.3", None, systems.local)


def _said(made, system):
    return {
        element["code"]: [
            (t.get("code"), t["equivalence"], t.get("comment")) for t in element["target"]
        ]
        for group in made["group"]
        if group["target"] == system
        for element in group["element"]
    }


def test_equivalence_says_what_is_lost(made):
    """Own codes are equal, shared ones wider, words without a code unmatched."""
    wider = ("1-8", "wider", "2 words share this code; read back as alone")
    assert {
        "individual": [("individual", "equal", None)],
        "both": [("both", "equal", None)],
        "spoken": [(None, "unmatched", "sent as the words “In words”")],
        "silent": [(None, "unmatched", "nothing is written for it")],
    } == _said(made, LOCAL)
    assert {"alone": [wider], "solo": [wider], "both": [("2-6", "equivalent", None)]} == _said(
        made, OTHER
    )


def test_a_map_has_its_name_and_version(made):
    """URL, source value set and version; a group for each code system."""
    assert ("urn:fhirsvc:ConceptMap:delivery", "1.2.3") == (made["url"], made["version"])
    assert "urn:fhirsvc:ValueSet:delivery" == made["sourceUri"]
    assert [LOCAL, OTHER] == [group["target"] for group in made["group"]]
    assert {"urn:fhirsvc:words:delivery"} == {group["source"] for group in made["group"]}


@pytest.mark.parametrize("made", MAPS, ids=lambda made: made["name"])
def test_every_shipped_table_is_a_valid_map(made):
    """R4 by our validator; names and ids as FHIR wants them."""
    assert [] == validate(json.loads(json.dumps(made)))


def test_every_word_of_every_table_is_in_its_map():
    """With the codes that the table gives it, and no other."""
    tables = mappings().library.tables
    assert sorted(tables) == [made["url"].rpartition(":")[2] for made in MAPS]
    for made, name in zip(MAPS, sorted(tables), strict=True):
        for word, row in tables[name].rows.items():
            given = [row.code] if row.code is not None else [c["code"] for c in row.codings]
            written = [
                target["code"]
                for group in made["group"]
                for element in group["element"]
                if element["code"] == word
                for target in element["target"]
                if "code" in target
            ]
            assert sorted(given) == sorted(written), (name, word)


def test_plain_codes_have_the_system_of_their_element():
    """Goal.lifecycleStatus has no system in FHIR JSON; the map names it."""
    systems = plain_systems(mappings().library)
    assert "http://hl7.org/fhir/goal-status" == systems["goal_lifecycle"]
    assert "urn:ietf:rfc:3986" == systems["instrument-questionnaire"]
    plain = {n for n, t in mappings().library.tables.items() if t.shape() == "code"}
    assert plain <= systems.keys(), "add the element's code system to SYSTEMS"
