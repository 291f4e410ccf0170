"""Who owns which element, read from the lines that write it."""

from __future__ import annotations

from functools import cache

import pytest
import shipped_clinic as clinic

from fhirsvc.mapping.back import Back
from fhirsvc.mapping.forward import Mappings
from fhirsvc.mapping.grammar import US_CORE
from fhirsvc.mapping.owners import PathOwners, for_resource, owners
from fhirsvc.merge import Owners


@cache
def _shipped() -> dict[str, PathOwners]:
    return dict(owners(clinic.mappings().library))


def _of(file: str, path: str) -> str | None:
    plain = _shipped()[file]
    made = Owners(plain.lines, plain.constants, plain.lists, plain.deep)
    return made.of(tuple(path.split(" ")))


@pytest.mark.parametrize(
    ("file", "path", "owner"),
    [
        ("care_plan/CarePlan.yaml", "title", "both"),  # said by the line
        ("care_plan/CarePlan.yaml", "period start", "us"),
        ("care_plan/CarePlan.yaml", "intent", "us"),  # a constant
        ("care_plan/CarePlan.yaml", "text", "us"),  # one way
        ("care_plan/CarePlan.yaml", "subject", "both"),  # two ways, and nothing said
        ("care_plan/CarePlan.yaml", "activity detail status", "both"),  # several lines
        ("care_plan/CarePlan.yaml", "identifier:urn:fhirsvc:care-plan value", "us"),  # above it
        ("care_plan/CarePlan.yaml", "identifier:urn:theirs", None),
        ("care_plan/CarePlan.yaml", "language", None),
        ("episode/Condition.yaml", "clinicalStatus", "ehr"),
        ("episode/Condition.yaml", "identifier:urn:fhirsvc:diagnosis", "us"),  # who it is
        ("client/Patient.yaml", "identifier:urn:fhirsvc:mrn", "ehr"),
        ("referral/ServiceRequest.yaml", "requisition value", "us"),  # one identifier, no list
        ("referral/Provenance.yaml", "meta tag:urn:fhirsvc:provenance-referral", "us"),
        ("referral/ServiceRequest.yaml", "performer display", "us"),  # of the group around it
        ("assessment/QuestionnaireResponse.yaml", "item answer valueString", "both"),
    ],
)
def test_the_owner_of_an_element(file: str, path: str, owner: str | None):
    """A line's own word, that of what is around it, or what follows from its kind."""
    assert owner == _of(file, path)


@pytest.mark.parametrize(
    ("file", "path", "owner"),
    [
        ("care_plan/CarePlan.yaml", ("goal",), "us"),
        ("care_plan/CarePlan.yaml", ("activity",), "both"),
        ("care_plan/CarePlan.yaml", ("identifier",), None),  # single lines
        ("aftercare_plan/CarePlan.yaml", ("activity",), "both"),
        ("assessment/QuestionnaireResponse.yaml", ("item",), "both"),
        ("goal/Goal.yaml", ("extension:urn:fhirsvc:StructureDefinition:strength",), "us"),
    ],
)
def test_who_may_add_and_remove_items(file: str, path: tuple[str, ...], owner: str | None):
    """The owner of a list is its own line's, else its items' where they agree."""
    assert owner == _shipped()[file].lists.get(path)


def test_two_lines_of_one_path_with_two_owners_are_of_both():
    """What one line gives us and another the EHR, both may change."""
    text = clinic.texts()["goal/Goal.yaml"]
    line = "{from: term, codes: goal_term, owner: us}"
    assert line in text
    texts = {**clinic.texts(), "goal/Goal.yaml": text.replace(line, line.replace("us", "ehr"))}
    found = owners(Mappings.load(texts).library)["goal/Goal.yaml"]
    assert "both" == found.lines["category",]
    assert "us" == _shipped()["goal/Goal.yaml"].lines["category",]


@pytest.mark.parametrize("us_core", US_CORE)
def test_every_resource_of_the_clinic_has_owners(us_core: int):
    """A resource is known by what it says: each gets the owners of the file that made it."""
    mappings = clinic.mappings()
    known, back = owners(mappings.library, us_core), Back.of(mappings.library, us_core)
    seen = set()
    for record in clinic.records():
        for made in mappings.explain(record, us_core):
            found = for_resource(known, back, made.resource)
            assert found is not None
            assert (record["type"], made.resource["resourceType"]) == (found.record, found.resource)
            assert all(step.place.startswith(f"{found.file}:") for step in made.trace)
            seen.add(found.file)
    assert len(seen) > 30


def test_a_resource_that_no_file_makes_has_no_owners():
    """The EHR's own resources are not ours to merge."""
    back = Back.of(clinic.mappings().library)
    assert for_resource(_shipped(), back, {"resourceType": "Basic", "id": "1"}) is None
