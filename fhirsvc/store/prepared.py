"""Statements that every turn of a delivery runs: compiled once, then run as text.

SQLAlchemy looks up what it compiled, builds a context and wraps each row anew every time: ten times
what SQLite needs to answer. Here what it compiled is kept with its statement, and the driver is
asked directly, in the transaction of the connection given. Values are converted as the columns'
types say, and a driver's error is raised as SQLAlchemy's, without parameters in its text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import iterate

MOST = 200  # texts that are kept of one statement: lists can have any length
T = TypeVar("T")
Row = tuple[Any, ...]
_Convert = Callable[[Any], Any]


class Prepared:
    """One statement; ``values`` of its methods are what SQLAlchemy would be given.

    A list is the value of an expanding parameter (``IN``): the statement is compiled once for each
    length. Of an INSERT or UPDATE without values of its own the names say which columns are set.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement: Any = statement
        self._texts: dict[tuple[object, ...], _Text] = {}
        inside: Any = statement
        binds = (one for one in iterate(inside) if isinstance(one, sa.BindParameter))
        self._has_lists = any(one.expanding for one in binds)

    def rows(self, tx: sa.Connection, values: Mapping[str, Any]) -> list[Row]:
        """Every row."""
        return self._run(tx, values, _rows)

    def first(self, tx: sa.Connection, values: Mapping[str, Any]) -> Row | None:
        """The first row, None when there is none."""
        found = self._run(tx, values, _rows)
        return found[0] if found else None

    def mappings(self, tx: sa.Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every row, by the names of its columns."""
        names = self._text(tx.dialect, values).names
        return [dict(zip(names, row, strict=True)) for row in self.rows(tx, values)]

    def run(self, tx: sa.Connection, values: Mapping[str, Any]) -> None:
        """Run a statement that answers with no rows."""
        self._run(tx, values, _nothing)

    def _run(
        self, tx: sa.Connection, values: Mapping[str, Any], read: Callable[[_Text, Any], list[Row]]
    ) -> list[Row]:
        text = self._text(tx.dialect, values)
        if not tx.in_transaction():
            tx.begin()  # what SQLAlchemy does by itself
        return ask(tx, text.sql, text.bound(values), partial(read, text))

    def _text(self, dialect: sa.Dialect, values: Mapping[str, Any]) -> _Text:
        key: tuple[object, ...] = (dialect.name, *values)
        if self._has_lists:
            key += tuple(len(value) for value in values.values() if isinstance(value, list))
        found = self._texts.get(key)
        if found is None:
            if len(self._texts) >= MOST:
                self._texts.clear()
            found = self._texts[key] = _compiled(self._statement, dialect, values)
        return found


def ask(
    tx: sa.Connection,
    sql: str,
    parameters: Mapping[str, Any] | Sequence[Any],
    read: Callable[[Any], T],
) -> T:
    """Run one statement and read its cursor; an error of the driver is raised as SQLAlchemy's."""
    cursor = tx.connection.cursor()
    driver = tx.dialect.loaded_dbapi
    try:
        cursor.execute(sql, parameters)
        return read(cursor)
    except driver.Error as error:
        raise sa.exc.DBAPIError.instance(
            sql, parameters, error, driver.Error, hide_parameters=True, dialect=tx.dialect
        ) from error
    finally:
        cursor.close()


@dataclass(frozen=True)
class _Text:
    """A statement for one driver: ``order`` names what its marks stand for, None by name."""

    sql: str
    order: Sequence[str] | None
    fixed: Mapping[str, Any]  # values that stand in the statement itself
    lists: Mapping[str, Sequence[str]]  # the names of a list's members, one after another
    into: Mapping[str, _Convert]
    out: Sequence[tuple[int, _Convert]]
    names: Sequence[str]  # of the columns

    def bound(self, values: Mapping[str, Any]) -> Mapping[str, Any] | list[Any]:
        """The driver's parameters."""
        named = {**self.fixed, **values}
        for name, members in self.lists.items():
            listed = named.pop(name)
            flat = chain.from_iterable(listed) if isinstance(listed[0], tuple) else listed
            named.update(zip(members, flat, strict=True))
        for name, convert in self.into.items():
            named[name] = convert(named[name])
        return named if self.order is None else [named[name] for name in self.order]

    def converted(self, rows: list[Row]) -> list[Row]:
        """Rows as their columns' types say."""
        if not self.out or not rows:
            return rows
        listed = [list(row) for row in rows]
        for row in listed:
            for place, convert in self.out:
                row[place] = convert(row[place])
        return [tuple(row) for row in listed]


def _rows(text: _Text, cursor: Any) -> list[Row]:
    return text.converted(cursor.fetchall())


def _nothing(_text: _Text, _cursor: Any) -> list[Row]:
    return []


def _compiled(statement: Any, dialect: sa.Dialect, values: Mapping[str, Any]) -> _Text:
    compiled: SQLCompiler = statement.compile(dialect=dialect, column_keys=list(values))
    state = compiled.construct_expanded_state(dict(values), escape_names=False)
    columns = compiled._result_columns
    out = [(n, one.type.result_processor(dialect, None)) for n, one in enumerate(columns)]
    return _Text(
        state.statement,
        state.positiontup,
        {name: value for name, value in compiled.params.items() if name not in values},
        state.parameter_expansion,
        {name: one for name, one in state.processors.items() if not isinstance(one, tuple)},
        [(n, convert) for n, convert in out if convert is not None],
        [one.keyname for one in columns],
    )
