"""Results of standardized instruments: who answered what, when, and what it adds up to."""

from __future__ import annotations

from typing import Any, NamedTuple

from marshmallow import validates_schema

from fhirsvc.records.kinds import (
    Boolean,
    Code,
    DateTime,
    Decimal,
    Enum,
    Integer,
    Key,
    Language,
    Ref,
    String,
    Text,
    reject,
)
from fhirsvc.records.shapes import Many, Object, Part


def instrument_name(doc: str, *, required: bool = False) -> Code:
    """Return the field that names an instrument of the mappings."""
    return Code(
        doc,
        pattern=r"[a-z][a-z0-9.-]{0,39}",
        expected="an instrument's name such as phq-9",
        required=required,
    )


class Range(NamedTuple):
    """What an instrument's numbers can be."""

    total: int | None  # highest total, None when it has none
    scored: int  # items that are added up, numbered "1" to this
    answer: int  # highest answer of an item


# The scales' own ranges: PHQ-9, GAD-7, PCL-5 and AUDIT by their published scoring rules. A record
# may name any instrument: which others exist, the mappings know, and recount what they say.
RANGES: dict[str, Range] = {
    "phq-9": Range(27, 9, 3),
    "gad-7": Range(21, 7, 3),
    "pcl-5": Range(80, 20, 4),
    "audit-c": Range(12, 3, 4),
    "audit": Range(40, 10, 4),
    "dast-10": Range(10, 10, 1),
    "c-ssrs": Range(None, 7, 1),
    "pc-ptsd-5": Range(5, 5, 1),
    "moca": Range(30, 0, 30),
    "prapare": Range(None, 0, 100),
    "ahc-hrsn": Range(None, 0, 100),
    "taps": Range(None, 0, 100),
}
# Instruments whose total is the plain sum of the scored answers as given. DAST-10 is not: its
# third question counts reversed, and whether an export already turned it cannot be seen.
SUMMED = ("phq-9", "gad-7", "pcl-5", "audit-c", "audit", "pc-ptsd-5")

SEVERITIES = (
    "none",
    "minimal",
    "low",
    "mild",
    "moderate",
    "moderately_severe",
    "substantial",
    "severe",
    "high",
    "negative",
    "positive",
    "below_cutoff",
    "above_cutoff",
    "low_risk",
    "hazardous",
    "harmful",
    "possible_dependence",
)


class Item(Part):
    """One answer."""

    n = Code(
        "The item's linkId, e.g. 1",
        pattern=r"[A-Za-z0-9./_-]{1,64}",
        expected="an item's linkId such as 1",
        required=True,
    )
    value = Integer("The answer's score", high=100)
    text = Text("The answer in words, when it is no score")


class Subscale(Part):
    """A part score."""

    subscale_id = Key("Name of the part, e.g. B", required=True)
    score = Decimal("Its score", required=True)
    text = String("What it measures")


class InstrumentResult(Part):
    """One administration of one instrument."""

    result_id = Key("Key of the result", required=True)
    instrument = instrument_name("Which instrument, e.g. phq-9", required=True)
    version = String("Version or edition of the instrument")
    language = Language("Language it was answered in")
    administered_at = DateTime("When it was answered", required=True)
    administered_by = Enum(("self", "clinician"), "Who filled it in")
    staff_id = Ref("staff", "The clinician who administered or read it")
    interpreted = Boolean("Answered through an interpreter")
    items = Many(Object(Item, "An answer"), "The answers", key="n")
    total = Integer("The total score", high=100)
    subscales = Many(Object(Subscale, "A part score"), "Part scores", key="subscale_id")
    severity = Enum(SEVERITIES, "The band the total falls in")
    severity_text = String("The band in words")
    item_flags = Many(Code("An item's linkId"), "Items that call for attention whatever the total")
    note = Text("What to know about the result")

    @validates_schema
    def adds_up(self, data: dict[str, Any], **_: Any) -> None:
        """Totals and answers are possible, and a full set of answers adds up to the total."""
        items = data.get("items", [])
        if "total" not in data and not items and "severity" not in data:
            raise reject("needs", "needs at least one of: total, items, severity")
        top = RANGES.get(data["instrument"])
        if top is None:
            return
        _answers_in_range(items, top)
        if "total" in data:
            _total_fits(data, items, top)


def _answers_in_range(items: list[dict[str, Any]], top: Range) -> None:
    scored = {str(n) for n in range(1, top.scored + 1)}
    for item in items:
        if item["n"] in scored and item.get("value", 0) > top.answer:
            raise reject("range", f"an answer of this instrument is 0 to {top.answer}", "items")


def _total_fits(data: dict[str, Any], items: list[dict[str, Any]], top: Range) -> None:
    if top.total is None:
        raise reject("range", "this instrument has no total", "total")
    if data["total"] > top.total:
        raise reject("range", f"this instrument's total is 0 to {top.total}", "total")
    given = {item["n"]: item.get("value") for item in items}
    scored = [given.get(str(n)) for n in range(1, top.scored + 1)]
    numbers = [value for value in scored if value is not None]
    if data["instrument"] not in SUMMED or not numbers or len(numbers) < len(scored):
        return
    if sum(numbers) != data["total"]:
        raise reject("total", "is not the sum of the answers", "total")
