"""The handoff document before HL7's validator."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Validator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import shipped_clinic as clinic

from fhirsvc import settings, wiring

pytestmark = pytest.mark.interop


def test_documents_pass_the_validator(
    tmp_path: Path, validator: Callable[[str], Validator]
) -> None:
    """0 errors for each that the demo clinic hands off, as a whole and resource by resource."""
    wired = wiring.product(settings.load(database_url=f"sqlite:///{tmp_path / 'fhirsvc.sqlite'}"))
    wired.database.upgrade()
    wired.publisher.accept(clinic.records())
    episodes = [
        str(one["episode_id"])
        for one in clinic.records()
        if one["type"] == "aftercare_plan" and not one.get("sensitivity")
    ]
    bundles = [wired.hand_off().build(one).bundle for one in episodes]
    wired.database.dispose()
    assert len(bundles) >= 3

    verdicts = validator("R4").check(bundles)

    wrong = [(v.index, e.location, e.message) for v in verdicts for e in v.errors]
    assert wrong == []
