"""Check digits and sources of codes."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsvc import shipped
from fhirsvc.mapping.codes import LOINC, SNOMED, codes, lint, loinc_ok, snomed_ok


def sourced(system):
    text = shipped.mappings()["codes/sources.csv"]
    return [row["code"] for row in csv.DictReader(io.StringIO(text)) if row["system"] == system]


@pytest.mark.parametrize("code", sourced(LOINC))
def test_a_loinc_code_fits_its_digit(code):
    """Codes and answers alike; another last digit never does."""
    assert loinc_ok(code)
    body = code.partition("-")[0]
    assert [n for n in range(10) if loinc_ok(f"{body}-{n}")] == [int(code[-1])]


@pytest.mark.parametrize("code", sourced(SNOMED))
def test_a_snomed_concept_fits_verhoeff(code):
    """Short and long (namespaced) ids; another last digit never does."""
    assert snomed_ok(code)
    assert [n for n in range(10) if snomed_ok(f"{code[:-1]}{n}")] == [int(code[-1])]


@pytest.mark.parametrize("code", ["72110-7", "", "44249", "44249-", "-1", "LA-5", "44249-1 "])
def test_what_is_no_loinc_code(code):
    """A known slip among them: AUDIT is 72110-0."""
    assert not loinc_ok(code)


@pytest.mark.parametrize("code", ["229294001", "", "228557", "22855700x", "0228557008"])
def test_what_is_no_snomed_concept(code):
    """A known slip among them, met under the name of yoga."""
    assert not snomed_ok(code)


@given(st.sampled_from(sourced(SNOMED)), st.data())
def test_verhoeff_catches_every_swap_of_neighbours(code, data):
    """The commonest slip of the hand."""
    at = data.draw(st.integers(0, len(code) - 2))
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert swapped == code or not snomed_ok(swapped)


def test_every_way_to_write_a_code_is_seen():
    """A row, a constant, elements apart, a plain table under a fixed system, an instrument."""
    texts = {
        "codes/systems.yaml": "l: http://loinc.org\nh: 'urn:h'\nmine: {url: 'urn:m', local: true}",
        "codes/a.yaml": "table: a\nrows:\n  x: {system: l, code: 1-8}\n",
        "codes/b.yaml": "table: b\nrows: {y: Y1, z: Z1}\n",
        "c/C.yaml": "\n".join(
            [
                "elements:",
                "  one: {value: {system: l, code: 2-6}}",
                "  two: {elements: {system: {value: 'urn:h'}, code: {value: V1}}}",
                "  three: {elements: {system: {value: 'urn:h'}, code: {from: f, codes: b}}}",
                "  four: {elements: {system: {value: 'urn:h'}, code: {from: f}}}",
                "  five: {value: {system: mine, code: own}}",
            ]
        ),
        "instruments/i.yaml": "items:\n  - {n: '1', code: 3-4}\n",
    }
    found = {(one.system, one.code) for one in codes(texts)}
    loinc = {(LOINC, code) for code in ("1-8", "2-6", "3-4")}
    assert found == loinc | {("urn:h", code) for code in ("V1", "Y1", "Z1")} | {("urn:m", "own")}
    rules = {finding.rule for finding in lint(texts)}
    assert rules == {"no-source"}
    assert not [finding for finding in lint(texts) if "own" in finding.message]


def test_a_source_that_nothing_uses_is_a_warning():
    """So that the table does not outgrow the mappings."""
    texts = {"codes/sources.csv": "system,code,level,source\nhttp://loinc.org,1-8,A,x\n"}
    (finding,) = lint(texts)
    assert (finding.rule, finding.severity) == ("unused-source", "warning")
    assert finding.where == "codes/sources.csv:2:1"


def test_the_shipped_mappings_have_nothing_to_lint():
    """Not even a warning."""
    assert lint(shipped.mappings()) == []
