"""Text that was copied: from one client's plan to another's, or from week to week unchanged.

Two texts count as the same when the Dice coefficient of their word pairs is at least SIMILAR: of
twelve words one may differ. Case, digits, punctuation and accents do not count, so a copy with
another score or date in it is still one. Texts of fewer than WORDS_MIN words are not compared:
short wishes may well be alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fhirsvc.records.chart import Chart, Record

SIMILAR = 0.8
WORDS_MIN = 5
# Words that are written for one person: record type, the list they stand in, field.
WRITTEN: tuple[tuple[str, str, str], ...] = (
    ("care_plan", "", "summary"),
    ("care_plan", "modalities", "focus"),
    ("care_plan", "case_conferences", "decision"),
    ("care_plan", "progress.evaluations", "text"),
    ("goal", "", "statement"),
    ("goal", "", "clinical_statement"),
    ("assessment", "", "summary"),
    ("assessment", "", "impression"),
)
_WEEKLY = frozenset({"case_conferences", "progress.evaluations"})  # say something new each time
_WORD = re.compile(r"[^\W\d_]+")


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text as they are compared."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return tuple(_WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


@dataclass
class Originals:
    """Texts of one field, each kept once: what comes later is compared with what is here.

    Copies are not kept, so that a text pasted into a thousand records costs one comparison each.
    """

    _pairs: list[Counter[tuple[str, str]]] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    _having: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def of(self, text: str, place: int) -> int | None:
        """Return the place of the text that ``text`` copies; None where there is none: it is kept.

        :param place: any number by which the caller knows the text.
        """
        said = words(text)
        if len(said) < WORDS_MIN:
            return None
        pairs = Counter(pairwise(said))
        shared: Counter[int] = Counter()
        for pair, times in pairs.items():
            for known in self._having.get(pair, ()):
                shared[known] += min(times, self._pairs[known][pair])
        for known, both in shared.most_common():
            if 2 * both / (pairs.total() + self._pairs[known].total()) >= SIMILAR:
                return self._places[known]
        for pair in pairs:
            self._having.setdefault(pair, []).append(len(self._pairs))
        self._pairs.append(pairs)
        self._places.append(place)
        return None


@dataclass(frozen=True)
class _Place:
    index: int
    within: str
    path: str


def copies(chart: Chart) -> Iterator[tuple[int, str, str]]:
    """Yield the index of a record, the JSON path of a copied text and what it is a copy of.

    A copy is what says the same as another client's record, a plan's summary that did not change
    with its version, a weekly entry that repeats an earlier one, or an assessment that repeats an
    earlier one of the same client.
    """
    originals = {key: Originals() for key in WRITTEN}
    places: list[_Place] = []
    for index, record in enumerate(chart.records):
        for key, kept in originals.items():
            for path, text in _texts(record, *key):
                places.append(_Place(index, key[1], path))
                first = kept.of(text, len(places) - 1)
                if first is not None and _fault(chart, places[first], places[-1]):
                    yield index, path, _same(chart.records[places[first].index], places[first].path)


def _texts(record: Record, type: str, within: str, name: str) -> Iterator[tuple[str, str]]:
    if record["type"] != type:
        return
    if not within:
        if name in record:
            yield f"$.{name}", record[name]
        return
    items: Any = record
    for step in within.split("."):
        items = items.get(step, {})
    for i, item in enumerate(items):
        if name in item:
            yield f"$.{within}[{i}].{name}", item[name]


def _fault(chart: Chart, first: _Place, then: _Place) -> bool:
    one, two = chart.records[first.index], chart.records[then.index]
    if one["client_id"] != two["client_id"]:
        return True
    if first.index == then.index:
        return then.within in _WEEKLY
    if one["type"] == "assessment":
        return bool(one["id"] != two["id"])
    versions = one["id"] != two["id"] or one.get("plan_version", 1) != two.get("plan_version", 1)
    return then.path == "$.summary" and versions


def _same(record: Record, path: str) -> str:
    version = f" version {record['plan_version']}" if "plan_version" in record else ""
    return f"the same words as {path} of {record['type']} {record['id']}{version}"
