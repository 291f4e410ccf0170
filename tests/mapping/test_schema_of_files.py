"""``map schema``: editors accept what ships and mark what the grammar refuses."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import jsonschema
import pytest
from mistakes import MISTAKES, Mistake
from shipped_clinic import ROOT, mappings, texts

from fhirsvc.mapping.library import SYSTEMS
from fhirsvc.mapping.map_schema import SCHEMAS
from fhirsvc.mapping.source import parse

FILES = [name for name in texts() if name.endswith(".yaml")]
# Mistakes that one file shows without knowledge of R4 or of other files.
OF_GRAMMAR = {
    "each-key", "grammar", "line-kind", "missing-key", "skip-reason", "unknown-as", "unknown-key",
    "unknown-owner", "unknown-record", "unknown-sensitivity", "unknown-type", "when",
}  # fmt: skip
# What draft-07 cannot say: that rows differ from one another, that a question's field depends on
# the records that use its form.
BEYOND = {"a row with a plain code among coded ones"}


@cache
def _validator(kind: str) -> jsonschema.Draft7Validator:
    schema = SCHEMAS[kind](mappings().library)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def _kind(name: str) -> str:
    if name == SYSTEMS:
        return "systems"
    return {"codes": "codes", "instruments": "instruments"}.get(name.partition("/")[0], "mapping")


def _faults(text: str, name: str) -> list[Any]:
    root, _ = parse(text, name)
    assert root is not None
    found = _validator(_kind(name)).iter_errors(root.plain())
    return [(list(f.absolute_path), f.message) for f in found]


@pytest.mark.parametrize("name", FILES)
def test_what_ships_is_accepted(name: str):
    """No editor marks a shipped file."""
    assert [] == _faults(texts()[name], name)


def _spoilt(mistake: Mistake) -> str:
    new = mistake.new.replace("‸", "")
    return texts()[mistake.file].replace(mistake.old, new, 1) if mistake.old else new


MARKED = [
    m
    for m in MISTAKES
    if m.rule in OF_GRAMMAR and m.file.endswith(".yaml") and parse(_spoilt(m), m.file)[0]
]


@pytest.mark.parametrize("mistake", MARKED, ids=lambda m: m.name)
def test_what_the_grammar_refuses_is_marked(mistake: Mistake):
    """The seeded mistakes of the grammar's own rules, while one types."""
    refused = bool(_faults(_spoilt(mistake), mistake.file))
    assert refused is (mistake.name not in BEYOND)


def test_enough_mistakes_are_marked():
    """The list above is not empty by accident."""
    assert len(MARKED) > 60
    assert {m.rule for m in MARKED} == OF_GRAMMAR


def test_names_of_fields_and_elements_are_offered():
    """A goal's file may read what a goal has, at the depth where it is."""
    goal = texts()["goal/Goal.yaml"]
    assert _faults(goal.replace("from: statement,", "from: statment,"), "goal/Goal.yaml")
    assert _faults(goal.replace("  startDate:", "  startDat:"), "goal/Goal.yaml")
    assert not _faults(goal.replace("from: due_date,", "from: objective_id,"), "goal/Goal.yaml")
    other = goal.replace("resource: Goal", "resource: Basic")
    assert not _faults(other, "goal/Goal.yaml"), "a resource that no shipped file makes is accepted"


def test_every_schema_has_its_own_name():
    """Editors keep them apart by ``$id``."""
    names = {SCHEMAS[kind](mappings().library)["$id"] for kind in SCHEMAS}
    assert len(SCHEMAS) == len(names)


def test_the_page_of_editors_names_every_schema():
    """docs/editors.md: which schema is for which files."""
    shown = (ROOT / "docs" / "editors.md").read_text(encoding="utf-8")
    assert list(SCHEMAS) == re.findall(r"^\| `(\w+)` \|", shown, re.M)
