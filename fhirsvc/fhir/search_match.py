"""Whether a resource meets the criteria of a search, by what is kept of it to be searched.

The same reading of a search as the database's, for one resource that is at hand. Only words are
compared (tokens, references, uris): what a Subscription filters by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from fhirsvc.fhir.search import Criterion
from fhirsvc.fhir.search_values import Word


def meets(criteria: Iterable[Criterion], words: Collection[Word]) -> bool:
    """Whether every criterion is met; ``words`` are those of :func:`search_values.values`."""
    return all(_meets(one, words) for one in criteria)


def _meets(criterion: Criterion, words: Collection[Word]) -> bool:
    is_met = any(
        name in criterion.names and _is(value, system, wanted)
        for name, value, system in words
        for wanted in criterion.words
    )
    return is_met is not criterion.is_not


def _is(value: str, system: str, wanted: tuple[str | None, str | None]) -> bool:
    return wanted[0] in (None, value) and wanted[1] in (None, system)
