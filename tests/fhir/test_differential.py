"""fhir.resources is the oracle: nothing that it rejects is accepted here."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import shipped_clinic as clinic
from mutations import mutate
from pydantic import ValidationError

from fhirsvc.fhir import shapes
from fhirsvc.fhir.definitions import is_resource, model
from fhirsvc.fhir.validate import validate

COUNT = 21_000


def _oracle_rejects(resource: dict[str, Any]) -> bool:
    name = resource.get("resourceType")
    if not is_resource(name):
        return True
    try:
        model(str(name)).model_validate(resource)
    except ValidationError:
        return True
    except (TypeError, KeyError, ValueError, AttributeError):
        return True  # it stumbles over some input: it has not accepted it
    return False


def test_the_demo_clinic_is_accepted_by_both():
    """Good resources pass here and there."""
    for resource in clinic.resources():
        assert validate(resource) == []
        assert not _oracle_rejects(resource)


def test_nothing_the_oracle_rejects_is_accepted():
    """Over 21,000 mutated resources, and the quick check agrees with the walk on every one."""
    rng = random.Random(20260101)
    originals = clinic.resources()
    seen: Counter[str] = Counter()
    for _ in range(COUNT):
        mutated = mutate(rng.choice(originals), rng)
        findings = validate(mutated)
        good = shapes.good(mutated)
        seen["rejected" if findings else "accepted"] += 1
        assert not (good and findings)
        if not findings:
            assert not _oracle_rejects(mutated), mutated

    assert seen["rejected"] > COUNT / 2
    assert seen["accepted"] > 100
