"""An instrument or a form as a Questionnaire that conforms to SDC.

Version-specific canonical with its version algorithm (sdc-2), a computable name, ``ordinalValue``
on every scored answer, codes of items and panel. An item is ``required`` only where nothing is
scored without it: a published rule for missing items, or a skip, makes the answer optional.
Source: https://hl7.org/fhir/uv/sdc/StructureDefinition-sdc-questionnaire.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fhirsvc.fhir.instruments import Form, Instrument, Item, Question

LOINC = "http://loinc.org"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
# Without a system: R5 has the code system of this code, and R4 4.0.1 refuses one under hl7.org/fhir
# that it does not know; sdc-2 asks for the extension, whose binding is extensible.
_ALGORITHM = {
    "url": "http://hl7.org/fhir/StructureDefinition/artifact-versionAlgorithm",
    "valueCoding": {"code": "semver", "display": "SemVer"},
}
_NOTICE = (
    "This content from LOINC® is copyright © 1995 Regenstrief Institute, Inc. and the LOINC "
    "Committee, and available at no cost under the license at http://loinc.org/license."
)


def of_instrument(instrument: Instrument) -> dict[str, Any]:
    """The Questionnaire of an instrument; one that ships no items asks for its total."""
    skipped = {n for skip in instrument.skips for n in skip.items}
    items = [
        _choice(item, required=item.scored and not instrument.may_miss and item.n not in skipped)
        for item in instrument.items
    ]
    total: dict[str, Any] = {
        "linkId": "total",
        "code": [instrument.total],
        "text": f"{instrument.title}: total score",
        "type": "integer",
    }
    found = _head(instrument, [instrument.panel], instrument.copyright)
    if instrument.derived_from:
        found["derivedFrom"] = [instrument.derived_from]
    return found | {"code": [instrument.panel], "item": items or [total]}


def of_form(form: Form) -> dict[str, Any]:
    """The Questionnaire of a form."""
    return _head(form, [], form.copyright) | {"item": [_ask(q) for q in form.questions]}


def _head(of: Instrument | Form, codes: list[dict[str, str]], notice: str) -> dict[str, Any]:
    words = [w for w in of.name.replace(".", "-").split("-") if w]
    found: dict[str, Any] = {
        "resourceType": "Questionnaire",
        "id": f"instrument.{of.name}",
        "extension": [_ALGORITHM],
        "url": of.url,
        "identifier": [{"system": "urn:fhirsvc:instrument", "value": of.name}],
        "version": of.version,
        "name": "".join(w[:1].upper() + w[1:] for w in words),
        "title": of.title,
        "status": "active",
        "subjectType": ["Patient"],
    }
    loinc = any(c.get("system") == LOINC for c in codes)
    if loinc or notice:
        found["copyright"] = " ".join(t for t in (_NOTICE if loinc else "", notice) if t)
    return found


def _choice(item: Item, *, required: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"linkId": item.linkId}
    if item.coding:
        found["code"] = [item.coding]
    found |= {"text": item.text, "type": "choice", "required": required}
    options = []
    for option in item.options:
        made: dict[str, Any] = {"valueCoding": option.coding}
        if item.scored:
            worth = {"url": ORDINAL, "valueDecimal": item.points(option.value)}
            made = {"extension": [worth], **made}
        options.append(made)
    return found | {"answerOption": options}


def _ask(question: Question) -> dict[str, Any]:
    found: dict[str, Any] = {
        "linkId": question.linkId,
        "text": question.text,
        "type": question.type,
    }
    if question.each:
        found["repeats"] = True
    if question.questions:
        found["item"] = [_ask(q) for q in question.questions]
    return found
