"""Instruments and forms as Questionnaires: what SDC asks of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from shipped_clinic import mappings, texts

from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.library import read_library

ALL = {q["id"].removeprefix("instrument."): q for q in mappings().questionnaires()}
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
# Whose wording is free: PHQ-9, GAD-7; works of the US Government: PCL-5, PC-PTSD-5.
WORDED = {"phq-9", "gad-7", "pcl-5", "pc-ptsd-5"}


def _items(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in node.get("item", []):
        yield item
        yield from _items(item)


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_questionnaire_conforms_to_sdc(name):
    """R4; a plain url, semver with its algorithm (sdc-2), a computable name, unique linkIds."""
    made = ALL[name]
    assert [] == validate(made)
    assert not set("|# ") & set(made["url"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", made["version"])
    (algorithm,) = made["extension"]
    assert "semver" == algorithm["valueCoding"]["code"]
    assert "system" not in algorithm["valueCoding"], "R4 has no such code system"
    assert re.fullmatch(r"[A-Z][A-Za-z0-9_]{1,254}", made["name"])
    assert {"status", "title", "subjectType"} <= made.keys()
    links = [item["linkId"] for item in _items(made)]
    assert len(links) == len(set(links))
    assert all(len(link) <= 255 for link in links)


@pytest.mark.parametrize("name", sorted(n for n, q in ALL.items() if "code" in q))
def test_every_answer_has_code_and_system(name):
    """sdc: code implies system; scored answers carry what they count."""
    instrument = mappings().library.instruments[name]
    for item, made in zip(instrument.items, ALL[name]["item"], strict=False):
        for option, shown in zip(item.options, made["answerOption"], strict=True):
            assert {"code", "system"} <= shown["valueCoding"].keys()
            worth = {e["url"]: e["valueDecimal"] for e in shown.get("extension", [])}
            assert worth == ({ORDINAL: item.points(option.value)} if item.scored else {})


def test_a_reversed_question_counts_no():
    """DAST-10 question 3: the ordinal values are turned round."""
    third = ALL["dast-10"]["item"][2]
    worth = {o["valueCoding"]["display"]: o["extension"][0]["valueDecimal"]
             for o in third["answerOption"]}  # fmt: skip
    assert {"No": 1, "Yes": 0} == worth


@pytest.mark.parametrize(
    ("name", "required"),
    [
        ("gad-7", {"/69725-0", "/69736-7"}),
        ("phq-9", set()),  # two may be missing
        ("audit", {"/68518-0", "/97739-7", "/97740-5"}),  # the others may be skipped
        ("pc-ptsd-5", set()),
    ],
)
def test_required_is_what_nothing_is_scored_without(name, required):
    """Not what may be missing by rule, nor what need not be asked."""
    found = {item["linkId"] for item in ALL[name]["item"] if item["required"]}
    assert required <= found
    assert len(found) == (7 if name == "gad-7" else len(required))


def test_wording_ships_where_it_may():
    """And nowhere else: what is not free reads "Item 3" until the clinic adds its own."""
    for name, instrument in mappings().library.instruments.items():
        for item in instrument.items:
            neutral = item.text == f"Item {item.n}"
            assert neutral != (name in WORDED), (name, item.n)


WORDING = """
wording: audit-c
copyright: As licensed to the clinic
items: {"1": How often, "3": How much at once}
answers: {LA18926-8: Once a month}
"""


def test_a_clinic_adds_its_own_wording():
    """Items, answers and notice; codes, scoring and what is not worded stay."""
    folder = {**texts(), "instruments/wording/audit-c.yaml": WORDING}
    library, findings = read_library(folder)
    made = library.instruments["audit-c"].questionnaire()
    assert [] == findings
    assert ["How often", "Item 2", "How much at once"] == [i["text"] for i in made["item"]]
    displays = [o["valueCoding"].get("display") for o in made["item"][0]["answerOption"]]
    assert [None, "Once a month", None, None, None] == displays
    assert made["copyright"].endswith("As licensed to the clinic")
    assert "How often" == library.instruments["audit-c"].answers()["1"][0]["text"]
    assert "Item 1" == mappings().library.instruments["audit-c"].items[0].text
