"""Searching what is served: criteria as SQL, in pages that go on after the last one seen."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.fhir.search import Criterion, Include, Search
from fhirsvc.store.served import served, served_date, served_version, served_word

After = tuple[float | int | str, ...]  # where the last page ended


@dataclass(frozen=True)
class Found:
    """A resource as it is now; ``body`` is JSON without what the version says of itself."""

    key: int
    type: str
    id: str
    version: int
    updated_at: float
    body: str
    is_deleted: bool = False


def page(tx: sa.Connection, search: Search, after: After | None) -> list[Found]:
    """The next resources of a search: one more than a page holds where there are more."""
    query = _bodies().where(*_conditions(search))
    columns = _order(search)
    if after is not None:
        place = sa.tuple_(*columns)
        there = sa.tuple_(*map(sa.literal, after))
        query = query.where(place < there if search.is_descending else place > there)
    ordered = [one.desc() if search.is_descending else one.asc() for one in columns]
    rows = tx.execute(query.order_by(*ordered).limit(search.count + 1)).mappings()
    return [Found(**row) for row in rows]


def place(search: Search, last: Found) -> After:
    """Where a page ended that ``last`` was the last of."""
    return tuple(getattr(last, column.name) for column in _order(search))


def total(tx: sa.Connection, search: Search) -> int:
    """How many there are in all."""
    query = sa.select(sa.func.count()).select_from(served).where(*_conditions(search))
    return int(tx.execute(query).scalar_one())


def beside(
    tx: sa.Connection, includes: Sequence[Include], pages: Sequence[Found], most: int
) -> list[Found]:
    """What goes along with a page, each once, and nothing of the page itself; ``most`` at most."""
    keys: set[int] = set()
    for one in includes:
        keys |= _referring(tx, one, pages) if one.is_reverse else _referred(tx, one, pages)
    wanted = sorted(keys - {found.key for found in pages})[:most]
    if not wanted:
        return []
    query = _bodies().where(served.c.key.in_(wanted), ~served.c.is_deleted)
    return [Found(**row) for row in tx.execute(query.order_by(served.c.key)).mappings()]


def _referred(tx: sa.Connection, include: Include, pages: Sequence[Found]) -> set[int]:
    # No join can find a row by the text of a reference, but type and id can be counted out of it.
    names = [found.key for found in pages]
    query = sa.select(served_word.c.value).where(
        served_word.c.key.in_(names), served_word.c.name.in_(include.names)
    )
    prefix = f"{include.target}/" if include.target else ""
    values = [one for one in tx.execute(query.distinct()).scalars() if one.startswith(prefix)]
    pairs = [tuple(one.split("/")) for one in values if one.count("/") == 1]
    if not pairs:
        return set()
    found = tx.execute(
        sa.select(served.c.key).where(
            served.c.id.in_([id_ for _, id_ in pairs]),
            sa.tuple_(served.c.type, served.c.id).in_(pairs),
        )
    )
    return set(found.scalars())


def _referring(tx: sa.Connection, include: Include, pages: Sequence[Found]) -> set[int]:
    if include.target is not None:
        pages = [found for found in pages if found.type == include.target]
    names = [f"{found.type}/{found.id}" for found in pages]
    query = sa.select(served_word.c.key).where(
        served_word.c.name.in_(include.names), served_word.c.value.in_(names)
    )
    return set(tx.execute(query).scalars())


def _bodies() -> sa.Select[Any]:
    columns = [served.c[name] for name in ("key", "type", "id", "version", "updated_at")]
    return sa.select(*columns, served_version.c.body).join(
        served_version,
        sa.and_(served_version.c.key == served.c.key, served_version.c.version == served.c.version),
    )


def _order(search: Search) -> list[sa.Column[Any]]:
    if search.sort == "_id":
        return [served.c.id]
    if search.sort == "_lastUpdated":
        return [served.c.updated_at, served.c.key]
    return [served.c.key]


def _conditions(search: Search) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = [served.c.type == search.type, ~served.c.is_deleted]
    found += [served.c.id.in_(sorted(ids)) for ids in search.ids]
    for dates in search.updated:
        at = served.c.updated_at
        found.append(sa.or_(*(_span(at, at, *one) for one in dates)))
    return found + [_condition(one) for one in search.criteria]


def _condition(one: Criterion) -> sa.ColumnElement[bool]:
    if one.how == "date":
        table: sa.Table = served_date
        tests = [_span(table.c.low, table.c.high, *date) for date in one.dates]
        return _held(table, one.names, sa.or_(*tests))
    if one.how == "missing":
        there = sa.or_(
            *(_held(table, one.names, sa.true()) for table in (served_word, served_date))
        )
        return there if one.is_not else ~there
    found = _held(served_word, one.names, sa.or_(*(_word(one, *word) for word in one.words)))
    return ~found if one.is_not else found


def _held(
    table: sa.Table, names: Collection[str], test: sa.ColumnElement[bool]
) -> sa.ColumnElement[bool]:
    query = sa.select(table.c.key).where(table.c.name.in_(names), test)
    return served.c.key.in_(query)


def _word(one: Criterion, value: str | None, system: str | None) -> sa.ColumnElement[bool]:
    column = served_word.c.value
    if one.how == "starts":
        return column.startswith(value, autoescape=True)
    if one.how == "contains":
        return column.contains(value, autoescape=True)
    tests = [] if value is None else [column == value]
    if system is not None:
        tests.append(served_word.c.system == system)
    return sa.and_(*tests)


def _span(
    low: sa.ColumnElement[float],
    high: sa.ColumnElement[float],
    prefix: str,
    start: float,
    end: float,
) -> sa.ColumnElement[bool]:
    """How the span of a resource lies to that of a search; both end before ``high``.

    https://hl7.org/fhir/R4/search.html#prefix
    """
    inside = sa.and_(low >= start, high <= end)
    if low is high:  # a moment, which has no length
        inside = sa.and_(low >= start, low < end)
    tests = {
        "eq": inside,
        "ne": ~inside,
        "gt": low >= end if low is high else high > end,
        "lt": low < start,
        "ge": sa.or_(low >= end if low is high else high > end, inside),
        "le": sa.or_(low < start, inside),
        "sa": low >= end,
        "eb": low < start if low is high else high <= start,
    }
    return tests[prefix]
