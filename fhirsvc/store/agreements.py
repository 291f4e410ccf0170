"""The last agreement of each link, and what was sent by each delivery: bodies, packed.

An agreement is two bodies: what our mapping said, and what the EHR held right after. The difference
between then and now tells what each side changed since. A dispatch is what one delivery sent for
one link, and by which mappings: what a replay repeats.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from fhirsvc.store.prepared import Prepared
from fhirsvc.store.tables import dispatch, link

Body = Mapping[str, Any]
_KEY = ("delivery_id", "link_id")
_SAID = ("at", "mappings", "hash", "body")


def _sending(insert: Callable[[sa.Table], Any]) -> Prepared:
    made = insert(dispatch)
    instead = {name: made.excluded[name] for name in _SAID}
    return Prepared(made.on_conflict_do_update(index_elements=_KEY, set_=instead))


_SEND = {"sqlite": _sending(sqlite.insert), "postgresql": _sending(postgresql.insert)}
_OF = Prepared(sa.select(link.c.said, link.c.held).where(link.c.id == sa.bindparam("agreed_on")))


def pack(body: Body) -> bytes:
    """JSON, deflated: bodies of one house are much alike and shrink to a fifth."""
    return zlib.compress(orjson.dumps(body), 1)


def unpack(data: bytes) -> dict[str, Any]:
    """What was packed."""
    found: dict[str, Any] = orjson.loads(zlib.decompress(data))
    return found


@dataclass(frozen=True)
class Agreement:
    """What our mapping said and what the EHR held, in the EHR's own references."""

    said: dict[str, Any]
    held: dict[str, Any]


def of(tx: sa.Connection, link_id: int) -> Agreement | None:
    """The last agreement of a link; None before the first."""
    row = _OF.first(tx, {"agreed_on": link_id})
    if row is None or None in row:
        return None
    said, held = row
    return Agreement(unpack(said), unpack(held))


def packed(said: Body, held: Body) -> dict[str, bytes]:
    """A new agreement, to be noted with :func:`fhirsvc.store.links.ack`."""
    return {"said": pack(said), "held": pack(held)}


@dataclass(frozen=True)
class Dispatch:
    """What a delivery sent for one link; ``mappings`` is the fingerprint of those that made it."""

    link_id: int
    at: float
    mappings: str
    hash: str
    body: dict[str, Any]


def sent(tx: sa.Connection, delivery_id: int, one: Dispatch) -> None:
    """Note what a delivery sends for a link, instead of what it sent before."""
    values = {"at": one.at, "mappings": one.mappings, "hash": one.hash, "body": pack(one.body)}
    key = {"delivery_id": delivery_id, "link_id": one.link_id}
    _SEND[tx.dialect.name].run(tx, {**key, **values})


def dispatches(tx: sa.Connection, delivery_id: int) -> list[Dispatch]:
    """What a delivery sent, in the order of the links."""
    rows = tx.execute(
        sa.select(dispatch).where(dispatch.c.delivery_id == delivery_id).order_by(dispatch.c.id)
    )
    return [Dispatch(row.link_id, row.at, row.mappings, row.hash, unpack(row.body)) for row in rows]
