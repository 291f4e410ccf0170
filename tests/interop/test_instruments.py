"""What instruments become, put before HL7's validator: Questionnaires, Observations, alerts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import shipped_clinic as clinic
from profiles import US_CORE_PACKAGES, US_CORE_PROFILES
from servers import Validator

from fhirsvc.fhir.extract import extract

pytestmark = pytest.mark.interop

ForVersion = Callable[[str], Validator]
INSTRUMENTS = clinic.mappings().library.instruments
CASES = ("screening-alert", "phq-9-item-9", "trauma-review")


def _made() -> list[dict[str, Any]]:
    """The resources of the assessments that are kept as cases."""
    folder = clinic.ROOT / "fixtures" / "assessment"
    texts = [(folder / case / "record.json").read_text(encoding="utf-8") for case in CASES]
    return [made for text in texts for made in clinic.mappings().forward(json.loads(text))]


def _errors(validator: Validator, resources: list[dict[str, Any]]) -> list[str]:
    verdicts = validator.check(resources, US_CORE_PROFILES)
    return [f"{v.id} {e.location}: {e.message}" for v in verdicts for e in v.errors]


@pytest.mark.parametrize("version", sorted(US_CORE_PACKAGES))
def test_extracted_observations_are_screening_assessments(
    validator: ForVersion, version: str
) -> None:
    """Every Observation of every response conforms to US Core; one without a value does not."""
    responses = [r for r in _made() if r["resourceType"] == "QuestionnaireResponse"]
    found = [one for response in responses for one in extract(response, INSTRUMENTS)]
    broken = {k: v for k, v in found[1].items() if not k.startswith("value")}

    assert len(found) > 30
    assert [] == _errors(validator(version), found)
    assert any("us-core-2" in error for error in _errors(validator(version), [broken]))


def test_questionnaires_and_alerts_are_r4(validator: ForVersion) -> None:
    """Every instrument and form as a Questionnaire; each Flag with its Task."""
    alerts = [r for r in _made() if r["resourceType"] in ("Flag", "Task")]

    assert ["Flag", "Flag", "Task", "Task"] == sorted(r["resourceType"] for r in alerts)
    assert [] == _errors(validator("8.0.0"), [*clinic.mappings().questionnaires(), *alerts])
