"""Rows looked for by several columns at once, so that SQLite finds them by an index.

Of ``(a, b) IN (VALUES …)`` with more than one row SQLite reads the whole table, or all that another
condition leaves. Each column is named alone as well: that an index serves, and the rows themselves
are what is left to be checked. https://www.sqlite.org/rowvalue.html
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

Row = Sequence[Any]


def among(columns: Sequence[sa.Column[Any]], rows: Collection[Row]) -> sa.ColumnElement[bool]:
    """Whether the columns are one of ``rows``, each with a value for every column."""
    listed = sorted(set(map(tuple, rows)))
    each = [one.in_(sorted({row[n] for row in listed})) for n, one in enumerate(columns)]
    return sa.and_(*each, sa.tuple_(*columns).in_(listed))


def bound(columns: Sequence[sa.Column[Any]], name: str) -> sa.ColumnElement[bool]:
    """The same for a statement that is made once; :func:`values` are its parameters."""
    each = [one.in_(sa.bindparam(f"{name}_{n}", expanding=True)) for n, one in enumerate(columns)]
    return sa.and_(*each, sa.tuple_(*columns).in_(sa.bindparam(name, expanding=True)))


def values(name: str, rows: Collection[Row]) -> dict[str, list[Any]]:
    """The parameters of :func:`bound`; there is at least one row."""
    listed = sorted(set(map(tuple, rows)))
    return {name: listed} | {
        f"{name}_{n}": sorted(set(column)) for n, column in enumerate(zip(*listed, strict=True))
    }
