"""OperationOutcomes of findings and errors."""

from __future__ import annotations

import pytest

from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.outcome import of_error, outcome
from fhirsvc.fhir.validate import validate


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("structure", "structure"),
        ("required", "required"),
        ("value", "value"),
        ("binding", "code-invalid"),
        ("invariant", "invariant"),
        ("whatever-comes-later", "invalid"),
    ],
)
def test_the_issue_type_goes_by_the_rule(rule, code):
    """And what it says is itself valid R4."""
    found = outcome([Finding(rule, "is wrong", "CarePlan.activity[0].detail.status", "warning")])
    (issue,) = found["issue"]
    assert (issue["severity"], issue["code"]) == ("warning", code)
    assert issue["expression"] == ["CarePlan.activity[0].detail.status"]
    assert "diagnostics" not in issue
    assert validate(found) == []


def test_nothing_wrong_is_said():
    """One informational issue, because there has to be one."""
    found = outcome([])
    assert found["issue"][0]["severity"] == "information"
    assert validate(found) == []


@pytest.mark.parametrize("where", ["$.name.family", "12:7", "codes/x.yaml:1:2"])
def test_a_place_that_is_no_fhir_path_is_in_the_text(where):
    """``expression`` is for FHIRPath alone."""
    (issue,) = outcome([Finding("type", "is wrong", where)])["issue"]
    assert "expression" not in issue
    assert issue["details"]["text"].startswith(f"{where}: ")


def test_a_choice_is_named_by_its_stem():
    """FHIRPath has no ``value[x]``."""
    (issue,) = outcome([Finding("required", "is missing", "Observation.value[x]")])["issue"]
    assert issue["expression"] == ["Observation.value"]


@pytest.mark.parametrize("category", list(Category))
def test_an_error_has_its_categorys_issue_type(category):
    """From the one table."""
    error = FhirsvcError(category, "is wrong", "Patient.name[0]")
    found = of_error(error)
    assert found["issue"][0]["code"] == error.meaning.issue
    assert found["issue"][0]["expression"] == ["Patient.name[0]"]
    assert validate(found) == []
