"""What US Core demands and a record does not have is said to be absent, and is not read back."""

from __future__ import annotations

import copy
import json
from typing import Any

import shipped_clinic as clinic

from fhirsvc.mapping.back import Back

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def _record(type_name: str, **changes: Any) -> dict[str, Any]:
    record = copy.deepcopy(next(r for r in clinic.records() if r["type"] == type_name))
    return {name: value for name, value in (record | changes).items() if value is not None}


def _made(record: dict[str, Any], kind: str) -> dict[str, Any]:
    made = json.loads(json.dumps(clinic.mappings().forward(record)))
    (found,) = (r for r in made if r["resourceType"] == kind)
    onto = {(record["type"], record["id"]): record}
    assert [record] == Back.of(clinic.mappings().library).records(made, onto=onto).records
    return dict(found)


def test_staff_without_a_phone():
    """PractitionerRole pd-1: a phone whose number is unknown; with a number there is one phone."""
    role = _made(_record("staff", phone=None, email=None), "PractitionerRole")
    unknown = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    assert [{"system": "phone", "_value": unknown}] == role["telecom"]
    role = _made(_record("staff", phone="+1-555-0100", email=None), "PractitionerRole")
    assert [{"system": "phone", "value": "+1-555-0100"}] == role["telecom"]


def test_a_number_that_an_ehr_adds_is_read():
    """The unknown phone is the one that gets its number."""
    record = _record("staff", phone=None, email=None)
    made = json.loads(json.dumps(clinic.mappings().forward(record)))
    for resource in made:
        resource["telecom"] = [{"system": "phone", "value": "+1-555-0199"}]
    returned = Back.of(clinic.mappings().library).records(
        made, onto={("staff", record["id"]): record}
    )
    assert [record | {"phone": "+1-555-0199"}] == returned.records


def test_a_name_written_whole():
    """us-core-6: the family name too, where there is no given name; the record keeps its form."""
    whole = {"text": "Robin of the Hill"}
    patient = _made(_record("client", name=whole, former_names=[whole]), "Patient")
    names = {name["use"]: name for name in patient["name"] if name["use"] in ("official", "old")}
    assert {"official", "old"} == names.keys()
    assert {("Robin of the Hill", "Robin of the Hill")} == {
        (name["family"], name["text"]) for name in names.values()
    }
    given = {"given": ["Robin"], "text": "Robin of the Hill"}
    (name, *_) = _made(_record("client", name=given, former_names=None), "Patient")["name"]
    assert "family" not in name
