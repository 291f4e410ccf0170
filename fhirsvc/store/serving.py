"""Keeping what is served: resources of records with their versions and what searches find."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from fhirsvc.store import pairs
from fhirsvc.store.records import RecordKey, Version
from fhirsvc.store.served import (
    served,
    served_date,
    served_due,
    served_record,
    served_version,
    served_word,
)
from fhirsvc.store.tables import record


@dataclass(frozen=True)
class Head:
    """The current state of a served resource; its fields are the columns of ``served``."""

    key: int
    type: str
    id: str
    version: int
    hash: str
    updated_at: float
    is_deleted: bool
    has_extras: bool
    record_type: str
    record_id: str

    @property
    def record(self) -> RecordKey:
        """The record it comes from."""
        return self.record_type, self.record_id


@dataclass(frozen=True)
class Change:
    """A new version of a resource with its body and all that is searched; None: as before."""

    head: Head
    body: str
    words: Collection[tuple[str, str, str]] = ()  # name, value, system
    dates: Collection[tuple[str, float, float]] = ()  # name, low, high
    is_first: bool = False  # created, or created again
    is_version: bool = True  # False: only what is searched is found again


def key_of(resource_type: str, id: str) -> int:
    """The number of a resource: 63 bits of a digest of its type and id."""
    digest = hashlib.blake2b(f"{resource_type}/{id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) >> 1


def heads(
    tx: sa.Connection, keys: Collection[int], of_records: Collection[RecordKey]
) -> dict[int, Head]:
    """What is known under ``keys`` and of some records, by key."""
    found: dict[int, Head] = {}
    if keys:
        rows = tx.execute(sa.select(served).where(served.c.key.in_(sorted(keys)))).mappings()
        found |= {row["key"]: Head(**row) for row in rows}
    if of_records:
        which = pairs.among((served.c.record_type, served.c.record_id), of_records)
        query = sa.select(served).where(which)
        found |= {row["key"]: Head(**row) for row in tx.execute(query).mappings()}
    return found


def body(tx: sa.Connection, key: int, version: int) -> str:
    """The body of one version of a resource; it is there."""
    query = sa.select(served_version.c.body).where(
        served_version.c.key == key, served_version.c.version == version
    )
    return str(tx.execute(query).scalar_one())


def save(tx: sa.Connection, changes: Sequence[Change], known: Collection[int]) -> None:
    """Write changes; ``known`` are the keys that have a row already."""
    if not changes:
        return
    new = [one.head for one in changes if one.head.key not in known]
    old = [one.head for one in changes if one.head.key in known]
    if old:
        _update(tx, old)
    _insert(tx, served, [tuple(vars(one).values()) for one in new])
    _insert(tx, served_version, [_version(one) for one in changes if one.is_version])
    _insert(tx, served_word, [(*word, one.head.key) for one in changes for word in one.words])
    _insert(tx, served_date, [(*date, one.head.key) for one in changes for date in one.dates])


def _insert(tx: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, each with a value for every column in the table's order.

    By the driver itself: there are some thirty rows for a record, and what is in between costs
    more than the database.
    """
    if not rows:
        return
    mark = "?" if tx.dialect.paramstyle == "qmark" else "%s"
    marks = ", ".join([mark] * len(table.c))
    names = ", ".join(column.name for column in table.c)
    # Names are the table's own, values are bound.
    tx.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(rows))  # noqa: S608


def _update(tx: sa.Connection, changed: Sequence[Head]) -> None:
    keys = [one.key for one in changed]
    tx.execute(sa.delete(served_word).where(served_word.c.key.in_(keys)))
    tx.execute(sa.delete(served_date).where(served_date.c.key.in_(keys)))
    names = (
        "version",
        "hash",
        "updated_at",
        "is_deleted",
        "has_extras",
        "record_type",
        "record_id",
    )
    tx.execute(
        sa.update(served)
        .where(served.c.key == sa.bindparam("b_key"))
        .values({name: sa.bindparam(name) for name in names}),
        [{"b_key": one.key, **{name: getattr(one, name) for name in names}} for one in changed],
    )


def _version(one: Change) -> tuple[Any, ...]:
    head = one.head
    about = (head.key, head.version, head.type, head.updated_at, head.is_deleted)
    return (*about, one.is_first, one.body)


def note(
    tx: sa.Connection, versions: Sequence[Version], served_ones: Mapping[RecordKey, bool], by: str
) -> None:
    """Remember which version of each record was mapped, and whether it is served."""
    noted = (served_record.c.type, served_record.c.id)
    which = pairs.among(noted, [one.key for one in versions])
    tx.execute(sa.delete(served_record).where(which))
    tx.execute(
        sa.insert(served_record),
        [
            {
                "type": one.type,
                "id": one.id,
                "version": one.version,
                "mappings": by,
                "is_served": served_ones[one.key],
            }
            for one in versions
        ],
    )


def hold(tx: sa.Connection, name: str) -> None:
    """Keep others that hold the same name waiting until the commit."""
    if tx.dialect.name != "sqlite":  # there one transaction writes at a time
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(key_of("", name))))


def owe(tx: sa.Connection, keys: Collection[RecordKey]) -> None:
    """Records whose current version is to be mapped later; those that are known already stay."""
    rows = [{"type": type_, "id": id_} for type_, id_ in sorted(keys)]
    if rows:
        tx.execute(_inserting(tx).on_conflict_do_nothing(), rows)


def owe_other(tx: sa.Connection, by: str) -> None:
    """All records that nobody mapped, or other mappings than ``by`` did."""
    known = sa.and_(served_record.c.type == record.c.type, served_record.c.id == record.c.id)
    version, mappings = served_record.c.version, served_record.c.mappings
    others = (
        sa.select(record.c.type, record.c.id)
        .outerjoin(served_record, known)
        .where(sa.or_(version.is_(None), version != record.c.version, mappings != by))
    )
    tx.execute(_inserting(tx).from_select(["type", "id"], others).on_conflict_do_nothing())


def owed(tx: sa.Connection, limit: int) -> list[RecordKey]:
    """Records that are to be mapped: at most ``limit``, those that nobody else is mapping now."""
    query = sa.select(served_due.c.type, served_due.c.id).limit(limit)
    rows = tx.execute(query.with_for_update(skip_locked=True))
    return [(type_, id_) for type_, id_ in rows]


def pay(tx: sa.Connection, keys: Collection[RecordKey]) -> None:
    """These were mapped."""
    if keys:
        which = pairs.among((served_due.c.type, served_due.c.id), keys)
        tx.execute(sa.delete(served_due).where(which))


def behind(tx: sa.Connection) -> int:
    """How many records are to be mapped."""
    return int(tx.execute(sa.select(sa.func.count()).select_from(served_due)).scalar_one())


def _inserting(tx: sa.Connection) -> sqlite.Insert | postgresql.Insert:
    """An insert of what is due; only the dialects know of rows that are there already."""
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    return insert(served_due)


def unserved(tx: sa.Connection) -> int:
    """How many records did not map cleanly, and are not served."""
    query = sa.select(sa.func.count()).where(~served_record.c.is_served)
    return int(tx.execute(query).scalar_one())


def moved(head: Head, **changed: Any) -> Head:
    """A head with its next version number."""
    return replace(head, version=head.version + 1, **changed)
