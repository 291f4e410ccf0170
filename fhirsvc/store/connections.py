"""Connections: where records go, how each may be written to, and whether it is resting."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from urllib.parse import SplitResult, urlsplit

import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.tables import connection

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class NewConnection:
    """What a connection is made of.

    ``base_url``: the FHIR base, without a trailing slash. ``auth``: none, basic or bearer, with
    ``secret`` naming where it is kept (``env:NAME`` or ``file:PATH``; basic keeps
    ``user:password`` there). ``write_mode``: ``conditional`` updates by business identifier,
    ``create`` searches, creates and remembers the id. ``rate`` is requests per second with
    ``burst`` at once, ``index_lag_s`` how long a search may miss what was just written,
    ``concurrency`` how many deliveries run at the same time. ``us_core`` is the version of US
    Core the EHR declares.
    """

    name: str
    base_url: str
    auth: str = "none"
    secret: str = ""
    write_mode: str = "conditional"
    us_core: int = 8
    rate: float = 20.0
    burst: int = 20
    index_lag_s: float = 2.0
    concurrency: int = 4


@dataclass(frozen=True)
class Connection(NewConnection):
    """A connection as stored; ``rest_until`` is epoch seconds, ``failures`` counts in a row."""

    id: int = 0
    state: str = "active"
    rest_until: float = 0.0
    failures: int = 0
    created_at: float = 0.0


def add(tx: sa.Connection, new: NewConnection, now: float) -> Connection:
    """Store a connection; INVALID names what is wrong, CONFLICT a name that is taken."""
    _check(new)
    if tx.execute(sa.select(connection.c.id).where(connection.c.name == new.name)).first():
        raise FhirsvcError(Category.CONFLICT, "this name is taken", f"connection {new.name}")
    values = {**asdict(new), "state": "active", "rest_until": 0.0, "failures": 0}
    values["base_url"] = new.base_url.rstrip("/")
    row = tx.execute(sa.insert(connection).values(created_at=now, **values).returning(connection))
    return Connection(**row.mappings().one())


def _split(text: str) -> SplitResult:
    """The parts of an address, none of them when it is no address: an open bracket, a port of 0."""
    try:
        url = urlsplit(text)
        return url if url.port != 0 else urlsplit("")
    except ValueError:
        return urlsplit("")


def _can_be_asked(text: str, url: SplitResult) -> bool:
    plain = text.isascii() and text.isprintable() and " " not in text
    return plain and url.scheme in ("http", "https") and bool(url.hostname)


def _check(new: NewConnection) -> None:
    url = _split(new.base_url)
    rules = [
        (bool(_NAME.fullmatch(new.name)), "name", "lower-case letters, digits and dashes, ≤ 40"),
        (_can_be_asked(new.base_url, url), "base_url", "an http(s) URL"),
        (not (url.username or url.password), "base_url", "no user or password: use auth"),
        (not (url.query or url.fragment), "base_url", "no query and no fragment"),
        (new.auth in ("none", "basic", "bearer"), "auth", "none, basic or bearer"),
        ((new.auth == "none") == (not new.secret), "secret", "given exactly when auth needs one"),
        (
            not new.secret or new.secret.partition(":")[0] in ("env", "file"),
            "secret",
            "env:NAME or file:PATH, never the secret itself",
        ),
        (new.write_mode in ("conditional", "create"), "write_mode", "conditional or create"),
        (0 < new.rate < math.inf, "rate", "more than 0"),
        (new.burst >= 1, "burst", "at least 1"),
        (0 <= new.index_lag_s < math.inf, "index_lag_s", "0 or more"),
        (1 <= new.concurrency <= 64, "concurrency", "1 to 64"),
        (6 <= new.us_core <= 9, "us_core", "6, 7, 8 or 9"),
    ]
    for holds, field, expected in rules:
        if not holds:
            raise FhirsvcError(Category.INVALID, f"expected: {expected}", f"connection.{field}")


def get(tx: sa.Connection, name: str) -> Connection:
    """The connection of this name; NOT_FOUND when there is none."""
    row = tx.execute(sa.select(connection).where(connection.c.name == name)).mappings().first()
    if row is None:
        raise FhirsvcError(Category.NOT_FOUND, "no such connection", f"connection {name}")
    return Connection(**row)


def by_id(tx: sa.Connection, connection_id: int) -> Connection:
    """The connection with this id; NOT_FOUND when there is none."""
    row = tx.execute(sa.select(connection).where(connection.c.id == connection_id))
    found = row.mappings().first()
    if found is None:
        raise FhirsvcError(Category.NOT_FOUND, "no such connection", f"connection {connection_id}")
    return Connection(**found)


def everyone(tx: sa.Connection) -> list[Connection]:
    """All connections, oldest first."""
    rows = tx.execute(sa.select(connection).order_by(connection.c.id)).mappings()
    return [Connection(**row) for row in rows]


def set_state(tx: sa.Connection, connection_id: int, state: str) -> None:
    """Pause or resume; resuming also ends a rest."""
    tx.execute(
        sa.update(connection)
        .where(connection.c.id == connection_id)
        .values(state=state, rest_until=0.0, failures=0)
    )


def rest(tx: sa.Connection, connection_id: int, until: float) -> None:
    """Note a failure of the connection itself and send nothing there before ``until``."""
    later = sa.case((connection.c.rest_until > until, connection.c.rest_until), else_=until)
    tx.execute(
        sa.update(connection)
        .where(connection.c.id == connection_id)
        .values(rest_until=later, failures=connection.c.failures + 1)
    )


def answered(tx: sa.Connection, connection_id: int) -> None:
    """The connection works: forget its failures."""
    tx.execute(
        sa.update(connection)
        .where(connection.c.id == connection_id, connection.c.failures > 0)
        .values(failures=0)
    )
