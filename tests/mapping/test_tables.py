"""Code tables there and back, their systems and their sources."""

from __future__ import annotations

import pytest
from shipped_clinic import mappings, texts

from fhirsvc.mapping.tables import (
    Systems,
    Table,
    read_sources,
    read_systems,
    read_table,
    sources_columns,
)

SYSTEMS = Systems({"x": "urn:x", "y": "urn:y"}, frozenset({"urn:x"}))


def _table(rows: str, more: str = "") -> Table:
    table, findings = read_table(f"table: t\nrows: {rows}\n{more}", "codes/t.yaml", SYSTEMS)
    assert [] == findings
    assert table is not None
    return table


def test_plain_codes_invert():
    """Each code leads back to the house word it came from."""
    table = _table("{met: completed, dropped: cancelled}")
    assert "code" == table.shape()
    assert {"completed": "met", "cancelled": "dropped"} == table.back()


def test_the_preferred_word_comes_back():
    """Where words share a code, the one that is preferred, wherever it stands."""
    table = _table("{a: z, b: z, c: y}", "prefer: {z: b}")
    assert {"z": "b", "y": "c"} == table.back()


def test_every_coding_of_a_row_leads_back():
    """An EHR may answer with any of the codings we sent."""
    table = _table("{a: {codings: [{system: x, code: 1}, {system: y, code: 2}], text: A}}")
    assert {("urn:x", "1"): "a", ("urn:y", "2"): "a"} == table.back()
    coding = [{"system": "urn:x", "code": "1"}, {"system": "urn:y", "code": "2"}]
    assert {"coding": coding, "text": "A"} == table.rows["a"].concept()


def test_a_word_without_code_writes_nothing_and_nothing_leads_to_it():
    """``~`` is a decision, not a gap."""
    table = _table("{a: z, b: ~}")
    assert not table.rows["b"].some
    assert {"z": "a"} == table.back()


def test_a_url_stands_for_itself():
    """A system may be named by its URL instead of an alias."""
    assert "urn:oid:1.2" == SYSTEMS.url("urn:oid:1.2")
    assert "urn:x" == SYSTEMS.url("x")
    assert SYSTEMS.url("z") is None


@pytest.mark.parametrize(("text", "local"), [("true", {"urn:x"}), ("false", set())])
def test_a_local_system_says_so(text: str, local: set[str]):
    """``local: false`` is not local."""
    systems, findings = read_systems(f"x: {{url: 'urn:x', local: {text}}}", "codes/systems.yaml")
    assert [] == findings
    assert (local, "urn:x") == (set(systems.local), systems.url("x"))


@pytest.mark.parametrize("name", sorted(n for n in texts() if n.startswith("codes/")))
def test_a_shipped_table_comes_back(name: str):
    """There and back is the same word, or the one that shares its code and is preferred."""
    table = mappings().library.tables.get(name.removeprefix("codes/").removesuffix(".yaml"))
    if table is None:
        assert name in ("codes/systems.yaml", "codes/sources.csv", "codes/sensitive.csv")
        return
    back = table.back()
    for word, row in table.rows.items():
        if not row.some:
            continue
        if row.code is not None:
            target: object = row.code
        elif row.codings:
            target = (row.coding()["system"], row.coding()["code"])
        else:
            target = row.text
        found = back[target]
        if found != word:
            label = target[1] if isinstance(target, tuple) else target
            assert found == table.prefer[str(label)], word


def test_sources_have_levels():
    """Every code that ships was read in a file of HL7 or VSAC (A) or of third parties (B)."""
    sources = read_sources(texts()["codes/sources.csv"])
    assert {"A", "B"} >= set(sources.values())
    assert len(sources) > 100


def test_sources_without_a_column_have_no_rows_and_say_so():
    """Not a KeyError."""
    text = "system,kode,level\nurn:x,1,A\n"
    assert {} == read_sources(text)
    assert ["column 'code' is missing"] == [f.message for f in sources_columns(text, "s.csv")]
