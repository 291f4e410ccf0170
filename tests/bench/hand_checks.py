"""What the mapping by hand calls: checks of values, references, codings, code tables.

A check takes a value, refuses a bad one with ValueError and gives a good one back, so that the same
code without checks is the one in which each call is its argument (``by_hand.unchecked``).
"""

from __future__ import annotations

from typing import Any

import shipped_clinic as clinic

from fhirsvc.fhir import leaves
from fhirsvc.fhir.leaves import DATES, DATETIMES
from fhirsvc.mapping.runtime import house_id_ok, shorter

CHECKS = frozenset(
    "ident text day moment instant number positive integer flag word listed chosen clocked point "
    "numeric in_order at_least_zero".split()
)
_IDS: set[object] = set()


def ident(value: Any) -> str:
    """The id of a record or the key of an item."""
    if value not in _IDS:
        if not house_id_ok(value):
            raise ValueError("id")
        _IDS.add(value)
    return value


def text(value: Any) -> str:
    """Words; what is printable and not blank needs no closer look."""
    if not isinstance(value, str):
        raise ValueError("text")
    if not (value.isprintable() and value.strip()) and not leaves.text_ok(value):
        raise ValueError("text")
    return value


def day(value: Any) -> str:
    """A date."""
    if value not in DATES and not leaves.date_ok(value):
        raise ValueError("date")
    return value


def moment(value: Any) -> str:
    """A dateTime."""
    if value not in DATETIMES and not leaves.datetime_ok(value):
        raise ValueError("dateTime")
    return value


def instant(value: Any) -> str:
    """A dateTime with its time of day."""
    if (value not in DATETIMES and not leaves.datetime_ok(value)) or "T" not in value:
        raise ValueError("instant")
    return value


def number(value: Any) -> float:
    """A decimal."""
    if type(value) is not int and not leaves.decimal_ok(value):
        raise ValueError("decimal")
    return value


def at_least_zero(value: Any) -> float:
    """A decimal that is not negative: a duration (tim-4)."""
    if (type(value) is not int and not leaves.decimal_ok(value)) or value < 0:
        raise ValueError("duration")
    return value


def integer(value: Any) -> int:
    """A signed 32-bit integer."""
    if type(value) is not int or not -2_147_483_648 <= value <= 2_147_483_647:
        raise ValueError("integer")
    return value


def positive(value: Any) -> int:
    """An integer of one or more."""
    if type(value) is not int or not 0 < value <= 2_147_483_647:
        raise ValueError("positiveInt")
    return value


def point(value: Any) -> int:
    """What an answer is worth; true would pass for 1."""
    if value.__class__ is not int:
        raise ValueError("answer")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if value is not True and value is not False:
        raise ValueError("boolean")
    return value


def word(value: Any) -> str:
    """A code."""
    if not leaves.code_ok(value):
        raise ValueError("code")
    return value


def clocked(value: Any) -> str:
    """A time of day."""
    if not leaves.time_ok(value):
        raise ValueError("time")
    return value


def chosen(value: Any, among: frozenset[str]) -> str:
    """One of the words that a field may have."""
    if value not in among:
        raise ValueError("word")
    return value


def listed(value: Any) -> list[Any]:
    """A list."""
    if value.__class__ is not list:
        raise ValueError("list")
    return value


def numeric(value: Any) -> Any:
    """A number, to be shown."""
    if not isinstance(value, int | float):
        raise ValueError("number")
    return value


def in_order(period: dict[str, Any]) -> dict[str, Any]:
    """A period that does not end before it starts (per-1)."""
    if "start" in period and "end" in period and period["start"][:10] > period["end"][:10]:
        raise ValueError("period")
    return period


# What follows is no check: it stays in the mapping without checks.

NONE: Any = ()
PATIENT, CLINICIAN = "Patient/client.", "Practitioner/staff."
PROGRAM, GOAL, PLAN = "Organization/organization.", "Goal/goal.", "CarePlan/care-plan."
ANSWERS, REFERRAL = "QuestionnaireResponse/assessment.", "ServiceRequest/referral."
CONTACT, CONDITION = "RelatedPerson/client.", "Condition/episode."
EPISODE = "EpisodeOfCare/episode."
HOUSE = "urn:fhirsvc:StructureDefinition:"
TABLES = clinic.mappings().library.tables
SYSTEMS = clinic.mappings().library.systems.urls


def codes(table: str) -> dict[str, Any]:
    """Words to plain codes."""
    return {house: row.code for house, row in TABLES[table].rows.items()}


def codings(table: str) -> dict[str, Any]:
    """Words to Codings."""
    return {house: row.coding() for house, row in TABLES[table].rows.items()}


def concepts(table: str) -> dict[str, Any]:
    """Words to CodeableConcepts; None for one without a code."""
    return {house: row.concept() or None for house, row in TABLES[table].rows.items()}


def concept(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    """A CodeableConcept with one coding."""
    coding = {"system": SYSTEMS.get(system, system), "code": code}
    if display is not None:
        coding["display"] = display
    return {"coding": [coding]}


def worded(known: dict[str, Any], said: str | None) -> dict[str, Any]:
    """A concept with the words that go along."""
    return known if said is None else {**known, "text": text(said)}


def ref(prefix: str, value: Any) -> dict[str, str]:
    """A reference to what a record becomes."""
    return {"reference": prefix + ident(value)}


def joined(record: str, part: str) -> str:
    """The name of a part of a record."""
    name = f"{record}.{part}"
    return name if len(name) <= 48 else shorter(name)


def part_ref(prefix: str, record: Any, part: Any) -> dict[str, str]:
    """A reference to what a part of a record becomes."""
    return {"reference": prefix + joined(ident(record), ident(part))}


def extension(name: str, kind: str, value: Any) -> dict[str, Any]:
    """An extension of the house."""
    return {"url": HOUSE + name, kind: value}


def period(start: Any, end: Any) -> dict[str, Any]:
    """A Period, empty where nothing is known."""
    found = {}
    if start is not None:
        found["start"] = moment(start)
    if end is not None:
        found["end"] = moment(end)
    return in_order(found)
