"""Reading what is served: one resource, one version, the history of one, of a type or of all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import orjson
import sqlalchemy as sa

from fhirsvc.store.served import served, served_page, served_version
from fhirsvc.store.served_search import After, Found
from fhirsvc.store.serving import key_of

PAGES_KEPT_S = 3600.0  # how long a search can be gone on with


@dataclass(frozen=True)
class Past:
    """One version in a history; ``is_first`` when it was created by it."""

    found: Found
    is_first: bool


def one(tx: sa.Connection, resource_type: str, id: str, version: int | None = None) -> Found | None:
    """A version of a resource, the current one without ``version``; None when there is none."""
    wanted = served.c.version if version is None else sa.literal(version)
    query = _versions().where(
        served.c.key == key_of(resource_type, id),
        served.c.type == resource_type,
        served.c.id == id,
        served_version.c.version == wanted,
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else _past(row).found


def current(tx: sa.Connection, names: Collection[tuple[str, str]]) -> list[Found]:
    """The resources of these types and ids that are there."""
    keys = sorted({key_of(*name) for name in names})
    query = _versions().where(
        served.c.key.in_(keys),
        served_version.c.version == served.c.version,
        ~served_version.c.is_deleted,
    )
    found = [_past(row).found for row in tx.execute(query).mappings()] if keys else []
    return [one for one in found if (one.type, one.id) in names]


def history(
    tx: sa.Connection,
    *,
    types: Collection[str],
    id: str | None = None,
    since: float = 0.0,
    after: After | None = None,
    limit: int,
) -> list[Past]:
    """Versions, newest first, that came at ``since`` or later and stand after ``after``."""
    query = _versions().where(served_version.c.updated_at >= since)
    if id is None:
        query = query.where(served_version.c.type.in_(sorted(types)))
    else:
        keys = [key_of(one, id) for one in types]
        query = query.where(served_version.c.key.in_(keys), served.c.id == id)
    columns = (served_version.c.updated_at, served_version.c.key, served_version.c.version)
    if after is not None:
        query = query.where(sa.tuple_(*columns) < sa.tuple_(*map(sa.literal, after)))
    query = query.order_by(*(column.desc() for column in columns)).limit(limit)
    return [_past(row) for row in tx.execute(query).mappings()]


def after(past: Past) -> After:
    """Where a page of a history ended that this was the last of."""
    return past.found.updated_at, past.found.key, past.found.version


def keep_page(
    tx: sa.Connection,
    token: str,
    client: str,
    resource_type: str,
    given: list[tuple[str, str]],
    now: float,
) -> None:
    """Keep a search that goes on, and drop those that nobody can go on with any more."""
    tx.execute(sa.delete(served_page).where(served_page.c.expires_at < now))
    tx.execute(
        sa.insert(served_page).values(
            token=token,
            client=client,
            type=resource_type,
            query=orjson.dumps(given).decode(),
            expires_at=now + PAGES_KEPT_S,
        )
    )


def kept_page(
    tx: sa.Connection, token: str, client: str, resource_type: str, now: float
) -> list[tuple[str, str]] | None:
    """The parameters of a search that goes on; None when it is nobody's, or another's."""
    query = sa.select(served_page.c.query).where(
        served_page.c.token == token,
        served_page.c.client == client,
        served_page.c.type == resource_type,
        served_page.c.expires_at >= now,
    )
    found = tx.execute(query).scalar_one_or_none()
    return None if found is None else [(name, value) for name, value in orjson.loads(found)]


def _versions() -> sa.Select[tuple[object, ...]]:
    columns = ("key", "type", "version", "updated_at", "is_deleted", "is_first", "body")
    return sa.select(*(served_version.c[name] for name in columns), served.c.id).join(
        served, served.c.key == served_version.c.key
    )


def _past(row: sa.RowMapping) -> Past:
    names = ("key", "type", "id", "version", "updated_at", "body", "is_deleted")
    return Past(Found(**{name: row[name] for name in names}), row["is_first"])
