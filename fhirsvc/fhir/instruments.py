"""Instruments and forms as data: what they ask, how they score, and the Questionnaire they are.

An instrument (``phq-9``) has items with answer values and a total; a form (``intake-core``) asks
for fields of a record. Both become an SDC-shaped Questionnaire with a version-specific canonical.
Source: https://hl7.org/fhir/uv/sdc/ and https://hl7.org/fhir/R4/questionnaire.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LOINC = "http://loinc.org"
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
_NOTICE = (
    "This content from LOINC® is copyright © 1995 Regenstrief Institute, Inc. and the LOINC "
    "Committee, and available at no cost under the license at http://loinc.org/license."
)


@dataclass(frozen=True)
class Option:
    """One allowed answer and the points it counts."""

    value: int
    coding: dict[str, str]


@dataclass(frozen=True)
class Item:
    """One question. ``n`` is its number in the house's records."""

    n: str
    linkId: str  # noqa: N815 - FHIR's spelling
    text: str
    coding: dict[str, str] | None
    options: tuple[Option, ...]
    scored: bool = True


@dataclass(frozen=True)
class Instrument:
    """A standardized instrument. Without items it is carried by its total alone."""

    name: str
    version: str
    title: str
    url: str
    panel: dict[str, str]
    total: dict[str, str]
    low: int
    high: int
    bands: tuple[tuple[int, str], ...]  # lower bound, house word; rising
    items: tuple[Item, ...] = ()
    copyright: str = ""

    @property
    def canonical(self) -> str:
        """``url|version``: responses name the version they answered (SDC)."""
        return f"{self.url}|{self.version}"

    def answers(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Item number and value to the QuestionnaireResponse item that says so."""
        return {
            item.n: {
                option.value: {
                    "linkId": item.linkId,
                    "text": item.text,
                    "answer": [{"valueCoding": option.coding}],
                }
                for option in item.options
            }
            for item in self.items
        }

    def questionnaire(self) -> dict[str, Any]:
        """The instrument as a Questionnaire."""
        items = [_choice(item) for item in self.items]
        return _questionnaire(self, items, [self.panel], self.copyright)


@dataclass(frozen=True)
class Question:
    """One question of a form: a group, or the field of the record that answers it."""

    linkId: str  # noqa: N815 - FHIR's spelling
    text: str
    type: str  # group | string | text | integer | decimal | boolean | date | dateTime
    source: str | None = None  # path below the enclosing group's
    each: str | None = None  # a group asked once per item of this list; or a repeating answer
    mark: Any = None
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Form:
    """A form whose questions name the record fields that answer them."""

    name: str
    version: str
    title: str
    url: str
    questions: tuple[Question, ...]
    copyright: str = ""

    @property
    def canonical(self) -> str:
        """``url|version``."""
        return f"{self.url}|{self.version}"

    def questionnaire(self) -> dict[str, Any]:
        """The form as a Questionnaire."""
        return _questionnaire(self, [_ask(q) for q in self.questions], [], self.copyright)


def _questionnaire(
    of: Instrument | Form, items: list[dict[str, Any]], codes: list[dict[str, str]], notice: str
) -> dict[str, Any]:
    words = [w for w in of.name.replace(".", "-").split("-") if w]
    found: dict[str, Any] = {
        "resourceType": "Questionnaire",
        "id": f"instrument.{of.name}",
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
    if codes:
        found["code"] = codes
    found["item"] = items or [
        {"linkId": "total", "text": f"{of.title}: total score", "type": "integer"}
    ]
    return found


def _choice(item: Item) -> dict[str, Any]:
    found: dict[str, Any] = {"linkId": item.linkId}
    if item.coding:
        found["code"] = [item.coding]
    found |= {"text": item.text, "type": "choice", "required": item.scored}
    found["answerOption"] = [
        {
            "extension": [{"url": ORDINAL, "valueDecimal": option.value}],
            "valueCoding": option.coding,
        }
        for option in item.options
    ]
    return found


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


VALUES = {  # answer element and FHIR primitive by question type
    "string": ("valueString", "string"),
    "text": ("valueString", "string"),
    "integer": ("valueInteger", "integer"),
    "decimal": ("valueDecimal", "decimal"),
    "boolean": ("valueBoolean", "boolean"),
    "date": ("valueDate", "date"),
    "dateTime": ("valueDateTime", "dateTime"),
}
