"""Records and their versions: written once, read by version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store import pairs
from fhirsvc.store.prepared import Prepared
from fhirsvc.store.tables import record, record_version

RecordKey = tuple[str, str]  # type, id
_KEY = (record.c.type, record.c.id)

_OF = sa.select(record_version).where(
    record_version.c.type == sa.bindparam("of_type"),
    record_version.c.id == sa.bindparam("of_id"),
)
_CURRENT = Prepared(_OF.order_by(record_version.c.version.desc()).limit(1))
_NUMBERED = Prepared(_OF.where(record_version.c.version == sa.bindparam("numbered")))
_PRESENT = Prepared(sa.select(*_KEY).where(pairs.bound(_KEY, "wanted")))


@dataclass(frozen=True)
class Version:
    """One immutable version of a record; ``body`` is its JSON text, ``accepted_at`` epoch s."""

    type: str
    id: str
    version: int
    body: str
    hash: str
    accepted_at: float
    correlation_id: str
    source: str = ""  # the connection that it came from; empty: from this house
    is_deleted: bool = False  # the record was deleted; ``body`` is what it was before

    @property
    def key(self) -> RecordKey:
        """Type and id: what all versions of one record share."""
        return self.type, self.id


def current(tx: sa.Connection, keys: Iterable[RecordKey]) -> dict[RecordKey, tuple[int, str]]:
    """Version number and hash of each of ``keys`` that exists, locked until the commit."""
    found = tx.execute(
        sa.select(record.c.type, record.c.id, record.c.version, record.c.hash)
        .where(pairs.among(_KEY, set(keys)))
        .order_by(record.c.type, record.c.id)  # one locking order: no deadlock
        .with_for_update()
    )
    return {(row.type, row.id): (row.version, row.hash) for row in found}


def present(tx: sa.Connection, keys: Iterable[RecordKey]) -> set[RecordKey]:
    """Those of ``keys`` that are in the store."""
    wanted = sorted(set(keys))
    if not wanted:
        return set()
    return {(row[0], row[1]) for row in _PRESENT.rows(tx, pairs.values("wanted", wanted))}


def clients(tx: sa.Connection, keys: Iterable[RecordKey]) -> set[str]:
    """The clients that the current versions of ``keys`` belong to."""
    found = tx.execute(
        sa.select(record.c.client_id)
        .where(
            pairs.among(_KEY, set(keys)),
            record.c.client_id.is_not(None),
        )
        .distinct()
    )
    return set(found.scalars())


def save(
    tx: sa.Connection, versions: Sequence[Version], owners: Mapping[RecordKey, str | None]
) -> None:
    """Write new versions, oldest first, and make the last of each record its current one.

    ``owners`` says which client each record belongs to, if any.
    """
    heads = {one.key: one for one in versions}
    first = {one.key for one in versions if one.version == 1}
    new = [_head(one, owners[key]) for key, one in heads.items() if key in first]
    changed = [_head(one, owners[key]) for key, one in heads.items() if key not in first]
    if new:
        tx.execute(sa.insert(record), new)
    if changed:
        tx.execute(
            sa.update(record)
            .where(record.c.type == sa.bindparam("b_type"), record.c.id == sa.bindparam("b_id"))
            .values(version=sa.bindparam("version"), hash=sa.bindparam("hash")),
            [{**one, "b_type": one["type"], "b_id": one["id"]} for one in changed],
        )
    if versions:
        tx.execute(sa.insert(record_version), [vars(one) for one in versions])


def _head(one: Version, client_id: str | None) -> dict[str, object]:
    return {
        "type": one.type,
        "id": one.id,
        "version": one.version,
        "hash": one.hash,
        "updated_at": one.accepted_at,
        "client_id": client_id,
        "revision": 0,
    }


def version(tx: sa.Connection, key: RecordKey, number: int | None = None) -> Version:
    """One version of a record, the current one without ``number``; NOT_FOUND when there is none."""
    named = {"of_type": key[0], "of_id": key[1]}
    if number is None:
        row = _CURRENT.first(tx, named)
    else:
        row = _NUMBERED.first(tx, {**named, "numbered": number})
    if row is None:
        raise FhirsvcError(Category.NOT_FOUND, "no such record", "/".join(key))
    return Version(*row)


def history(tx: sa.Connection, key: RecordKey) -> list[Version]:
    """Every version of a record, oldest first; empty when there is no such record."""
    rows = tx.execute(
        sa.select(record_version)
        .where(record_version.c.type == key[0], record_version.c.id == key[1])
        .order_by(record_version.c.version)
    ).mappings()
    return [Version(**row) for row in rows]


def newest(tx: sa.Connection, keys: Iterable[RecordKey]) -> list[Version]:
    """The current versions of ``keys``; those that are deleted too."""
    query = _current().where(pairs.among(_KEY, set(keys)))
    return [Version(**row) for row in tx.execute(query).mappings()]


def goals(tx: sa.Connection, clients: Iterable[str]) -> list[Version]:
    """The current versions of the goals of some clients; those that are deleted too."""
    query = _current().where(record.c.type == "goal", record.c.client_id.in_(sorted(clients)))
    return [Version(**row) for row in tx.execute(query).mappings()]


def of_client(tx: sa.Connection, client_id: str) -> list[Version]:
    """The current versions of a client and of all that is theirs; those that are deleted too."""
    is_own = sa.and_(record.c.type == "client", record.c.id == client_id)
    query = _current().where(sa.or_(record.c.client_id == client_id, is_own))
    return [Version(**row) for row in tx.execute(query).mappings()]


def page(tx: sa.Connection, record_type: str, after: str = "", limit: int = 100) -> list[Version]:
    """Current versions of one type, by id, starting after the id ``after``."""
    rows = tx.execute(
        _current()
        .where(record.c.type == record_type, record.c.id > after, ~record_version.c.is_deleted)
        .order_by(record.c.id)
        .limit(limit)
    ).mappings()
    return [Version(**row) for row in rows]


def _current() -> sa.Select[Any]:
    """The current version of each record."""
    return sa.select(record_version).join(
        record,
        sa.and_(
            record.c.type == record_version.c.type,
            record.c.id == record_version.c.id,
            record.c.version == record_version.c.version,
        ),
    )


def counts(tx: sa.Connection) -> dict[str, int]:
    """How many records of each type there are."""
    rows = tx.execute(sa.select(record.c.type, sa.func.count()).group_by(record.c.type))
    return {row[0]: row[1] for row in rows}
