"""Links: which remote resource is ours, what it was last known to hold, and writes under way.

It is over 300 lines because a link and its attempts are looked for from many sides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from fhirsvc.store import pairs
from fhirsvc.store.prepared import Prepared
from fhirsvc.store.records import RecordKey
from fhirsvc.store.tables import attempt, link

Local = tuple[str, str]  # resource type, local id
_NO_AGREEMENT: Mapping[str, bytes] = {}


@dataclass(frozen=True)
class Link:
    """One local resource at one connection; ``remote_id`` is None until the EHR has it."""

    id: int
    connection_id: int
    resource_type: str
    local_id: str
    identifier_system: str
    identifier_value: str
    record_type: str
    record_id: str
    remote_type: str
    remote_id: str | None
    etag: str | None
    acked_hash: str | None
    acked_version: int | None
    remote_hash: str | None
    acked_at: float | None
    rung: str = "native"
    standing: str = "live"  # gone: the EHR has it no longer; absent: looked for and not there

    @property
    def local(self) -> Local:
        """What references to it carry before they are resolved."""
        return self.resource_type, self.local_id


# The bodies of the last agreement are read when they are needed.
COLUMNS = [link.c[one.name] for one in fields(Link)]


@dataclass(frozen=True)
class Attempt:
    """A write whose outcome is not known; ``settle_at`` epoch s is when looking makes sense."""

    id: int
    link_id: int
    delivery_id: int
    method: str
    hash: str
    version: int
    body: str
    settle_at: float


_OF = Prepared(
    sa.select(*COLUMNS).where(
        link.c.connection_id == sa.bindparam("linked_on"),
        pairs.bound((link.c.resource_type, link.c.local_id), "locals"),
    )
)
_OF_RECORD = Prepared(
    sa.select(*COLUMNS)
    .where(
        link.c.connection_id == sa.bindparam("linked_on"),
        link.c.record_type == sa.bindparam("of_type"),
        link.c.record_id == sa.bindparam("of_id"),
    )
    .order_by(link.c.id)
)
_ADD = Prepared(sa.insert(link).returning(*COLUMNS))


def _adding(insert: Callable[[sa.Table], Any]) -> Prepared:
    unless = insert(link).on_conflict_do_nothing(
        index_elements=("connection_id", "resource_type", "local_id")
    )
    return Prepared(unless.returning(*COLUMNS))


_ADD_NEW = {"sqlite": _adding(sqlite.insert), "postgresql": _adding(postgresql.insert)}
_ACK = Prepared(sa.update(link).where(link.c.id == sa.bindparam("acked")))
_OPEN_ATTEMPTS = Prepared(
    sa.select(*(attempt.c[one.name] for one in fields(Attempt))).where(
        attempt.c.link_id.in_(sa.bindparam("of_links", expanding=True)),
        attempt.c.outcome == sa.literal("unknown", literal_execute=True),
    )
)
_BEGIN = Prepared(sa.insert(attempt).returning(attempt.c.id))
_END = Prepared(
    sa.update(attempt)
    .where(attempt.c.id == sa.bindparam("ended"))
    .values(status=sa.func.coalesce(sa.bindparam("answered"), attempt.c.status), body=None)
)


def of(tx: sa.Connection, connection_id: int, wanted: Iterable[Local]) -> dict[Local, Link]:
    """The links of these local resources, as far as there are any."""
    keys = sorted(set(wanted))
    if not keys:
        return {}
    rows = _OF.rows(tx, {"linked_on": connection_id, **pairs.values("locals", keys)})
    return {one.local: one for one in (Link(*row) for row in rows)}


def of_record(tx: sa.Connection, connection_id: int, key: RecordKey) -> list[Link]:
    """Every link that ever belonged to a record, in the order they were made."""
    named = {"linked_on": connection_id, "of_type": key[0], "of_id": key[1]}
    return [Link(*row) for row in _OF_RECORD.rows(tx, named)]


def by_remote(
    tx: sa.Connection, connection_id: int, names: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Link]:
    """The links of these remote resources (type, id), as far as there are any."""
    keys = sorted(set(names))
    if not keys:
        return {}
    rows = tx.execute(
        sa.select(*COLUMNS).where(
            link.c.connection_id == connection_id,
            pairs.among((link.c.remote_type, link.c.remote_id), keys),
        )
    ).mappings()
    return {(row["remote_type"], row["remote_id"]): Link(**row) for row in rows}


def by_id(tx: sa.Connection, link_id: int) -> Link:
    """One link, locked until the commit."""
    row = tx.execute(sa.select(*COLUMNS).where(link.c.id == link_id).with_for_update())
    return Link(**row.mappings().one())


def any_of_type(tx: sa.Connection, connection_id: int, resource_type: str) -> bool:
    """Whether the EHR ever took a resource of this type from us."""
    query = sa.select(link.c.id).where(
        link.c.connection_id == connection_id,
        link.c.resource_type == resource_type,
        link.c.rung == "native",
        link.c.acked_at.is_not(None),
    )
    return tx.execute(query.limit(1)).first() is not None


def page(
    tx: sa.Connection, connection_id: int, resource_type: str, after: int, limit: int
) -> list[Link]:
    """Links of one type that the EHR is known to have, by id, after the last one seen."""
    rows = tx.execute(
        sa.select(*COLUMNS)
        .where(
            link.c.connection_id == connection_id,
            link.c.remote_type == resource_type,
            link.c.remote_id.is_not(None),
            link.c.standing == "live",
            link.c.id > after,
        )
        .order_by(link.c.id)
        .limit(limit)
    ).mappings()
    return [Link(**row) for row in rows]


def add(
    tx: sa.Connection,
    connection_id: int,
    key: RecordKey,
    local: Local,
    identifier: tuple[str, str],
) -> Link:
    """Make the link of one resource of a record, by its business identifier (system, value)."""
    (row,) = _ADD.rows(tx, _new(connection_id, key, local, identifier))
    return Link(*row)


def of_or_add(
    tx: sa.Connection,
    connection_id: int,
    key: RecordKey,
    local: Local,
    identifier: tuple[str, str],
) -> Link:
    """The link of one resource, made where there is none, whoever makes it at the same time."""
    row = _ADD_NEW[tx.dialect.name].first(tx, _new(connection_id, key, local, identifier))
    return of(tx, connection_id, [local])[local] if row is None else Link(*row)


def _new(
    connection_id: int, key: RecordKey, local: Local, identifier: tuple[str, str]
) -> dict[str, Any]:
    return {
        "connection_id": connection_id,
        "resource_type": local[0],
        "local_id": local[1],
        "remote_type": local[0],
        "identifier_system": identifier[0],
        "identifier_value": identifier[1],
        "record_type": key[0],
        "record_id": key[1],
    }


def open_attempts(tx: sa.Connection, link_ids: Iterable[int]) -> dict[int, Attempt]:
    """The attempts of unknown outcome, by link id: at most one each."""
    ids = sorted(set(link_ids))
    rows = _OPEN_ATTEMPTS.rows(tx, {"of_links": ids}) if ids else []
    return {one.link_id: one for one in (Attempt(*row) for row in rows)}


@dataclass(frozen=True)
class Tried:
    """How an attempt ended. ``response`` is the OperationOutcome of a refusal; it may hold PHI."""

    id: int
    link_id: int
    method: str
    started_at: float
    ended_at: float | None
    outcome: str
    status: int | None
    response: str | None


def attempts_of(tx: sa.Connection, delivery_id: int) -> list[Tried]:
    """Every attempt of a delivery, oldest first."""
    rows = tx.execute(
        sa.select(attempt).where(attempt.c.delivery_id == delivery_id).order_by(attempt.c.id)
    )
    return [
        Tried(
            row.id,
            row.link_id,
            row.method,
            row.started_at,
            row.ended_at,
            row.outcome,
            row.status,
            row.response,
        )
        for row in rows
    ]


def begin(
    tx: sa.Connection,
    *,
    link_id: int,
    delivery_id: int,
    executor: str,
    method: str,
    sent: tuple[str, int, str],
    now: float,
    settle_at: float,
) -> int:
    """Note a write before it is made; ``sent`` is (hash, record version, body). Returns its id."""
    (row,) = _BEGIN.rows(
        tx,
        {
            "link_id": link_id,
            "delivery_id": delivery_id,
            "executor": executor,
            "method": method,
            "hash": sent[0],
            "version": sent[1],
            "body": sent[2],
            "started_at": now,
            "settle_at": settle_at,
            "outcome": "unknown",
        },
    )
    return int(row[0])


def end(
    tx: sa.Connection,
    attempt_id: int,
    outcome: str,
    now: float,
    *,
    status: int | None = None,
    response: str | None = None,
) -> None:
    """Note how a write ended; what was sent need not be kept any longer.

    A status noted before stays when there is none now: what was looked for later was answered then.
    """
    values = {"outcome": outcome, "ended_at": now, "response": response, "answered": status}
    _END.run(tx, {"ended": attempt_id, **values})


def unsettled(
    tx: sa.Connection, attempt_id: int, now: float, settle_at: float, status: int | None
) -> None:
    """Note that the answer does not tell the outcome: it can be looked for from ``settle_at``."""
    tx.execute(
        sa.update(attempt)
        .where(attempt.c.id == attempt_id)
        .values(ended_at=now, settle_at=settle_at, status=status)
    )


def stand(tx: sa.Connection, link_id: int, standing: str, remote_id: str | None = None) -> None:
    """Note that the EHR has it (``live``), no longer (``gone``) or not at all (``absent``)."""
    values: dict[str, str] = {"standing": standing}
    if remote_id is not None:
        values["remote_id"] = remote_id
    tx.execute(sa.update(link).where(link.c.id == link_id).values(values))


def anew(tx: sa.Connection, link_id: int) -> None:
    """Forget the remote resource altogether: it is made anew when it is sent next."""
    known = ("remote_id", "etag", "acked_hash", "acked_version", "remote_hash", "said", "held")
    values: dict[str, str | None] = {**dict.fromkeys(known), "standing": "live"}
    tx.execute(sa.update(link).where(link.c.id == link_id).values(values))


def forget(tx: sa.Connection, link_ids: Iterable[int]) -> None:
    """What the EHR holds is not what is wanted, or not known to be: send it again, look first."""
    ids = sorted(set(link_ids))
    if ids:
        values = {"acked_hash": None, "etag": None, "remote_hash": None}
        tx.execute(sa.update(link).where(link.c.id.in_(ids)).values(values))


def ack(
    tx: sa.Connection,
    link_id: int,
    *,
    remote: tuple[str, str | None, str],
    acked: tuple[str | None, int | None],
    now: float,
    rung: str = "native",
    agreement: Mapping[str, bytes] = _NO_AGREEMENT,
) -> None:
    """Note what the EHR holds: ``remote`` is (id, ETag, hash), ``acked`` our (hash, version).

    An acked hash of None says that it is ours but holds something else than we want. A new
    ``agreement`` comes from :func:`fhirsvc.store.agreements.packed`; without one the last stands.
    """
    _ACK.run(
        tx,
        {
            "acked": link_id,
            "remote_id": remote[0],
            "etag": remote[1],
            "remote_hash": remote[2],
            "acked_hash": acked[0],
            "acked_version": acked[1],
            "acked_at": now,
            "rung": rung,
            "standing": "live",
            **agreement,
        },
    )
