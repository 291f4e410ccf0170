"""Conflicts: elements that both sides changed, each with both values until somebody decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import orjson
import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.prepared import Prepared
from fhirsvc.store.received import conflict

# How a conflict was decided: ours, theirs, or {"value": …} for something else.
Resolution = str | dict[str, Any]

_OPEN_OF_RECORD = Prepared(
    sa.select(conflict)
    .where(
        conflict.c.connection_id == sa.bindparam("kept_of"),
        conflict.c.record_type == sa.bindparam("of_type"),
        conflict.c.record_id == sa.bindparam("of_id"),
        conflict.c.state == "open",
    )
    .order_by(conflict.c.id)
)


@dataclass(frozen=True)
class Side:
    """One side's value of an element (None: it is not there): in which version, by whom, when."""

    value: Any
    version: str
    by: str
    at: float  # epoch seconds


@dataclass(frozen=True)
class Clash:
    """An element of a link's resource that both sides changed since ``base``."""

    path: str
    owner: str
    base: Any
    ours: Side
    theirs: Side


@dataclass(frozen=True)
class Conflict:
    """A clash as it is kept. ``state`` is open, decided (not carried out yet) or settled."""

    id: int
    link_id: int
    connection_id: int
    record_type: str
    record_id: str
    clash: Clash
    state: str
    resolution: Resolution | None
    resolved_by: str
    created_at: float
    updated_at: float


def of_link(tx: sa.Connection, link_id: int) -> list[Conflict]:
    """The conflicts of a link that are not settled."""
    query = sa.select(conflict).where(conflict.c.link_id == link_id, conflict.c.state != "settled")
    return [_of(row) for row in tx.execute(query.order_by(conflict.c.id))]


def open_of_record(tx: sa.Connection, connection_id: int, key: tuple[str, str]) -> list[Conflict]:
    """The open conflicts of a record at one connection."""
    named = {"kept_of": connection_id, "of_type": key[0], "of_id": key[1]}
    return [_of(SimpleNamespace(**one)) for one in _OPEN_OF_RECORD.mappings(tx, named)]


def keep(
    tx: sa.Connection,
    *,
    link_id: int,
    connection_id: int,
    record: tuple[str, str],
    clashes: Iterable[Clash],
    settled: Iterable[str],
    now: float,
) -> int:
    """Note the clashes of a link as they are now, and settle others; returns how many are new."""
    known = {one.clash.path: one for one in of_link(tx, link_id)}
    new = 0
    for clash in clashes:
        values = _values(clash)
        there = known.get(clash.path)
        if there is None:
            named = {"link_id": link_id, "connection_id": connection_id}
            whose = {"record_type": record[0], "record_id": record[1]}
            fresh = {"state": "open", "resolved_by": "", "created_at": now, "updated_at": now}
            tx.execute(sa.insert(conflict).values({**named, **whose, **values, **fresh}))
            new += 1
        elif (there.clash.ours.value, there.clash.theirs.value) != (
            clash.ours.value,
            clash.theirs.value,
        ):
            which = conflict.c.id == there.id
            tx.execute(sa.update(conflict).where(which).values(**values, updated_at=now))
    for path in settled:
        settle(tx, link_id, path, now)
    return new


def settle(tx: sa.Connection, link_id: int, path: str, now: float) -> None:
    """Both sides hold the same again, or what was decided has been carried out."""
    tx.execute(
        sa.update(conflict)
        .where(
            conflict.c.link_id == link_id,
            conflict.c.path == path,
            conflict.c.state != "settled",
        )
        .values(state="settled", updated_at=now)
    )


def carried_out(tx: sa.Connection, ids: Iterable[int], now: float) -> None:
    """What was decided about these is on both sides now."""
    which = sa.and_(conflict.c.id.in_(sorted(set(ids))), conflict.c.state == "decided")
    tx.execute(sa.update(conflict).where(which).values(state="settled", updated_at=now))


def decide(
    tx: sa.Connection, conflict_id: int, resolution: Resolution, by: str, now: float
) -> Conflict:
    """Decide an open conflict; it as it is then.

    :raises FhirsvcError: NOT_FOUND when there is none with this id, CONFLICT when it is settled.
    """
    found = get(tx, conflict_id)
    if found.state == "settled":
        message = "this conflict is settled already"
        raise FhirsvcError(Category.CONFLICT, message, f"conflict {conflict_id}")
    text = orjson.dumps(resolution).decode()
    values = {"state": "decided", "resolution": text, "resolved_by": by[:120], "updated_at": now}
    tx.execute(sa.update(conflict).where(conflict.c.id == conflict_id).values(values))
    return get(tx, conflict_id)


def get(tx: sa.Connection, conflict_id: int) -> Conflict:
    """One conflict; NOT_FOUND when there is none with this id."""
    row = tx.execute(sa.select(conflict).where(conflict.c.id == conflict_id)).first()
    if row is None:
        raise FhirsvcError(Category.NOT_FOUND, "no such conflict", f"conflict {conflict_id}")
    return _of(row)


def find(
    tx: sa.Connection, states: Iterable[str] = ("open",), after: int = 0, limit: int = 100
) -> list[Conflict]:
    """Conflicts by id in these states; ``after`` is the id of the last one already seen."""
    query = (
        sa.select(conflict)
        .where(conflict.c.state.in_(list(states)), conflict.c.id > after)
        .order_by(conflict.c.id)
        .limit(limit)
    )
    return [_of(row) for row in tx.execute(query)]


def counts(tx: sa.Connection) -> dict[int, int]:
    """How many conflicts are open, by connection."""
    rows = tx.execute(
        sa.select(conflict.c.connection_id, sa.func.count())
        .where(conflict.c.state == "open")
        .group_by(conflict.c.connection_id)
    )
    return {row[0]: row[1] for row in rows}


def _values(clash: Clash) -> dict[str, Any]:
    found: dict[str, Any] = {"path": clash.path[:500], "owner": clash.owner}
    found["base"] = _text(clash.base)
    for name, side in (("ours", clash.ours), ("theirs", clash.theirs)):
        version = int(side.version or 0) if name == "ours" else side.version[:120]
        found |= {name: _text(side.value), f"{name}_version": version}
        found |= {f"{name}_by": side.by[:120], f"{name}_at": side.at}
    return found


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _of(row: Any) -> Conflict:
    ours = Side(_json(row.ours), str(row.ours_version), row.ours_by, row.ours_at)
    theirs = Side(_json(row.theirs), row.theirs_version, row.theirs_by, row.theirs_at)
    return Conflict(
        row.id,
        row.link_id,
        row.connection_id,
        row.record_type,
        row.record_id,
        Clash(row.path, row.owner, _json(row.base), ours, theirs),
        row.state,
        _json(row.resolution),
        row.resolved_by,
        row.created_at,
        row.updated_at,
    )


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
