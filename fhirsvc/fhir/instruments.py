"""Instruments and forms as data: what they ask, how they score, and what their scores mean.

An instrument (``phq-9``) has items with answer values and a total; a form (``intake-core``) asks
for fields of a record. Both become an SDC Questionnaire with a version-specific canonical
(``questionnaire``); ``scoring`` counts, ``extract`` makes the Observations.
Source: https://hl7.org/fhir/uv/sdc/ and https://hl7.org/fhir/R4/questionnaire.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from fhirsvc.fhir import questionnaire

Scoring = Literal["sum", "count", "rules"]
SCORINGS: tuple[Scoring, ...] = ("sum", "count", "rules")


@dataclass(frozen=True)
class Option:
    """One allowed answer: the number that records write for it, and its code."""

    value: int
    coding: dict[str, str]
    also: tuple[dict[str, str], ...] = ()  # codes that are read as this answer, never written


@dataclass(frozen=True)
class Item:
    """One question. ``n`` is its number in the house's records."""

    n: str
    linkId: str  # noqa: N815 - FHIR's spelling
    text: str
    coding: dict[str, str] | None
    options: tuple[Option, ...]
    scored: bool = True
    reversed: bool = False  # the lowest answer counts most
    weight: int = 1

    def points(self, value: int) -> int:
        """What an answer counts: its value, turned round where the item is ``reversed``.

        :raises KeyError: no such answer.
        """
        return self._points[value]

    @cached_property
    def _points(self) -> dict[int, int]:
        values = [option.value for option in self.options]
        turn = max(values, default=0) + min(values, default=0)
        return {v: (turn - v if self.reversed else v) * self.weight for v in values}


@dataclass(frozen=True)
class Variant:
    """Bands that hold for some: a sex (``male``, ``female``) or a setting that the file names."""

    bands: tuple[tuple[int, str], ...]
    sex: str | None = None
    setting: str | None = None


@dataclass(frozen=True)
class Subscale:
    """A part score: the sum of some items."""

    key: str
    text: str
    items: tuple[str, ...]
    coding: dict[str, str]


@dataclass(frozen=True)
class Criterion:
    """A rule on how many items of each subscale are answered ``rated`` or higher."""

    key: str
    text: str
    rated: int
    at_least: Mapping[str, int]  # subscale key → how many


@dataclass(frozen=True)
class Rule:
    """One step of a risk table: ``word`` when any of ``items`` is answered ``low`` or higher.

    Without items it always holds: what is left when no step before it does.
    """

    word: str
    items: tuple[str, ...] = ()
    low: int = 1


@dataclass(frozen=True)
class Skip:
    """Items that need no answer after others: each counts as if it had been answered ``value``."""

    when: Mapping[str, int]  # item → the answer that must have been given; all of them
    items: tuple[str, ...]
    value: int


@dataclass(frozen=True)
class Threshold:
    """How many points of difference mean something, and who says so."""

    points: int
    meaning: str  # reliable | meaningful
    source: str


@dataclass(frozen=True)
class Alert:
    """What calls for a person whatever the total: an answer, or a band or risk."""

    key: str
    text: str
    item: str | None = None
    low: int = 1  # the answer from which it is raised
    severity: str | None = None


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
    scoring: Scoring = "sum"
    variants: tuple[Variant, ...] = ()
    rules: tuple[Rule, ...] = ()
    skips: tuple[Skip, ...] = ()
    may_miss: int = 0  # scored items that the mean of the others may stand in for
    subscales: tuple[Subscale, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    change: tuple[Threshold, ...] = ()  # rising
    higher_is_better: bool = False
    alerts: tuple[Alert, ...] = ()
    derived_from: str = ""  # canonical of the Questionnaire it was read from
    sensitivity: str | None = None  # v3-ActCode: what having answered it at all reveals

    @property
    def canonical(self) -> str:
        """``url|version``: responses name the version they answered (SDC)."""
        return f"{self.url}|{self.version}"

    @cached_property
    def allowed(self) -> dict[str, frozenset[int]]:
        """Item number to the values of its answers."""
        return {item.n: frozenset(o.value for o in item.options) for item in self.items}

    @cached_property
    def by_number(self) -> dict[str, Item]:
        """Item number to item."""
        return {item.n: item for item in self.items}

    @cached_property
    def counted(self) -> tuple[str, ...]:
        """The numbers of the items that count."""
        return tuple(item.n for item in self.items if item.scored)

    @cached_property
    def watched(self) -> frozenset[str] | None:
        """The items whose answers raise alerts; None where something else may raise one."""
        items = [alert.item for alert in self.alerts if alert.low > 0]
        known = frozenset(item for item in items if item is not None)
        return known if len(items) == len(self.alerts) and None not in items else None

    def scored(self) -> tuple[Item, ...]:
        """The items that count."""
        return tuple(item for item in self.items if item.scored)

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
        return questionnaire.of_instrument(self)


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
        return questionnaire.of_form(self)


VALUES = {  # answer element and FHIR primitive by question type
    "string": ("valueString", "string"),
    "text": ("valueString", "string"),
    "integer": ("valueInteger", "integer"),
    "decimal": ("valueDecimal", "decimal"),
    "boolean": ("valueBoolean", "boolean"),
    "date": ("valueDate", "date"),
    "dateTime": ("valueDateTime", "dateTime"),
}
