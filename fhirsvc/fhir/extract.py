"""Observations from an instrument's QuestionnaireResponse, and what it claims, counted again.

Observation-based extraction as SDC describes it, and US Core's screening assessments: a panel with
``hasMember``, the total, an Observation for each coded answer, the part scores; all ``survey``, all
``derivedFrom`` the response. Nothing is made of a response that is not completed or amended.
Sources: https://hl7.org/fhir/uv/sdc/extraction.html#observation-based-extraction and
https://hl7.org/fhir/us/core/StructureDefinition-us-core-observation-screening-assessment.html.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Instrument
from fhirsvc.fhir.leaves import CHECKS
from fhirsvc.fhir.response import answers_in, instrument_of, stated_total, whole
from fhirsvc.fhir.scoring import NOWHERE, Context, Score, band, score

Resource = dict[str, Any]
BANDS = "urn:fhirsvc:CodeSystem:score-band"  # as in mappings/codes/score_band.yaml
_STATUS = {"completed": "final", "amended": "amended"}
_SURVEY = {
    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
    "code": "survey",
    "display": "Survey",
}
_PERFORMERS = ("Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson")


def extract(
    response: Resource, instruments: Mapping[str, Instrument], context: Context = NOWHERE
) -> list[Resource]:
    """The Observations of a response to one of ``instruments``; the panel, if any, comes first.

    Ids are made of the response's; answers that are none of the instrument's make nothing. No
    total is made where answers are missing that the instrument cannot do without.
    """
    instrument = instrument_of(response, instruments)
    status = _STATUS.get(str(response.get("status")))
    if instrument is None or status is None:
        return []
    answers, _ = answers_in(instrument, response)
    counted = score(instrument, answers, context)
    if not instrument.items:  # it is carried by its total alone
        total, _ = stated_total(instrument, response)
        severity = band(instrument, total, context) if total is not None else None
        counted = Score(total, severity)
    common = _common(response, status)
    members = [
        *_totals(instrument, counted, common, response),
        *_answers(instrument, answers, common, response),
        *_parts(instrument, counted, common, response),
    ]
    if not members or instrument.panel == instrument.total:
        return members
    panel = {**common, "id": _id(response, "panel"), "code": _concept(instrument.panel)}
    panel["hasMember"] = [{"reference": f"Observation/{one['id']}"} for one in members]
    return [panel, *members]


def _common(response: Resource, status: str) -> Resource:
    """What every Observation of a response shares."""
    found: Resource = {
        "resourceType": "Observation",
        "status": status,
        "category": [{"coding": [_SURVEY]}],
    }
    for name in ("subject", "encounter", "basedOn"):
        if name in response:
            found[name] = response[name]
    procedures = [r for r in response.get("partOf", ()) if _leads_to(r, ("Procedure",))]
    if procedures:  # a response may be part of an Observation, an Observation may not
        found["partOf"] = procedures
    authored = response.get("authored")
    if authored is not None:
        found["effectiveDateTime"] = authored
        if CHECKS["instant"](authored):
            found["issued"] = authored
    who = response.get("author") or response.get("source")
    if _leads_to(who, _PERFORMERS):
        found["performer"] = [who]
    if "id" in response:
        found["derivedFrom"] = [{"reference": f"QuestionnaireResponse/{response['id']}"}]
    return found


def _leads_to(reference: object, types: tuple[str, ...]) -> bool:
    target = reference.get("reference") if isinstance(reference, dict) else None
    return isinstance(target, str) and target.rpartition("/")[0].rpartition("/")[2] in types


def _totals(
    instrument: Instrument, counted: Score, common: Resource, response: Resource
) -> list[Resource]:
    head = {**common, "id": _id(response, "total"), "code": _concept(instrument.total)}
    bands = [{"coding": [_band(counted.severity)]}] if counted.severity else []
    if instrument.scoring == "rules":
        return [{**head, "valueCodeableConcept": bands[0]}] if bands else []
    if counted.total is None:
        return []
    made = {**head, "valueQuantity": _quantity(counted.total)}
    if bands:
        made["interpretation"] = bands
    if counted.prorated:
        number = len(counted.missing)
        text = f"{number} of the scored answers missing; the mean of the others stands in"
        made["note"] = [{"text": text}]
    return [made]


def _answers(
    instrument: Instrument, answers: Mapping[str, int], common: Resource, response: Resource
) -> list[Resource]:
    """An Observation for each answer to an item that has a code."""
    found = []
    for item in instrument.items:
        if item.coding is None or item.n not in answers:
            continue
        option = next(o for o in item.options if o.value == answers[item.n])
        head = {**common, "id": _id(response, item.n), "code": _concept(item.coding, item.text)}
        found.append({**head, "valueCodeableConcept": _concept(option.coding)})
    return found


def _parts(
    instrument: Instrument, counted: Score, common: Resource, response: Resource
) -> list[Resource]:
    found = []
    for subscale in instrument.subscales:
        value = counted.subscales[subscale.key]
        if value is not None:
            head = {**common, "id": _id(response, f"subscale-{subscale.key}")}
            code = _concept(subscale.coding, subscale.text)
            found.append({**head, "code": code, "valueQuantity": _quantity(value)})
    return found


def _band(word: str | None) -> dict[str, str]:
    text = (word or "").replace("_", " ")
    return {"system": BANDS, "code": text.replace(" ", "-"), "display": text.capitalize()}


def _concept(coding: dict[str, str], text: str = "") -> Resource:
    text = text or coding.get("display", "")
    return {"coding": [coding], "text": text} if text else {"coding": [coding]}


def _quantity(value: int) -> Resource:
    unit = "{score}"
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def _id(response: Resource, part: str) -> str:
    """An id of 64 characters at most, the same for the same response and part."""
    name = f"{response.get('id', 'response')}.{re.sub(r'[^A-Za-z0-9.-]', '-', part)}"
    return name if len(name) <= 64 else hashlib.sha256(name.encode()).hexdigest()[:40]


def recount_observation(
    observation: Resource, instrument: Instrument, answers: Mapping[str, int]
) -> list[Finding]:
    """A warning where an inbound total Observation differs from the answers it is derived from."""
    stated, where = read_total(observation)
    counted = score(instrument, answers).total
    if stated is None or counted is None or stated == counted:
        return []
    return [Finding("total-mismatch", "is not what the answers count", where, "warning")]


def read_total(observation: Resource) -> tuple[int | None, str]:
    """The whole score an Observation states, as Quantity, integer or text, and its FHIR path.

    US Core's own example of a PHQ-9 total sends ``valueString: "12"``.
    """
    for name in ("valueQuantity", "valueInteger", "valueString"):
        value = observation.get(name)
        if isinstance(value, dict):
            value, name = value.get("value"), f"{name}.value"  # noqa: PLW2901 - where it stands
        number = whole(value)
        if number is not None:
            return number, f"Observation.{name}"
    return None, "Observation.value[x]"
