"""Connections: where records go, how each may be written to, and whether it is resting."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

import orjson
import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.prepared import Prepared
from fhirsvc.store.tables import connection, refusal

AUTHS = ("none", "basic", "bearer", "oauth2", "smart")
STATES = ("active", "paused", "stopped")
MOST_LANES = 64  # deliveries that run at the same time
_JSON = ("options", "tls", "rungs", "inbound")
_IS_IT = connection.c.id == sa.bindparam("known_as")
_BY_ID = Prepared(sa.select(connection).where(_IS_IT))
_STATE_OF = Prepared(sa.select(connection.c.state).where(_IS_IT))
_ANSWERED = Prepared(
    sa.update(connection).where(_IS_IT, connection.c.failures > 0).values(failures=0)
)
_REFUSED = Prepared(
    sa.select(refusal.c.resource_type, refusal.c.interaction).where(
        refusal.c.connection_id == sa.bindparam("known_as")
    )
)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


@dataclass(frozen=True)
class NewConnection:
    """What a connection is made of.

    ``base_url``: the FHIR base, without a trailing slash. ``auth``: none, basic, bearer, oauth2 or
    smart, with ``secret`` naming where it is kept (``env:NAME`` or ``file:PATH``; basic keeps
    ``user:password`` there); what else it needs is in ``options``, certificates in ``tls``.
    ``write_mode``: ``conditional`` updates by business identifier,
    ``create`` searches, creates and remembers the id. ``rate`` is requests per second with
    ``burst`` at once, ``index_lag_s`` how long a search may miss what was just written,
    ``concurrency`` how many deliveries run at the same time. ``us_core`` is the version of US
    Core the EHR declares. ``rungs`` are chosen ones (``{"CarePlan": "document"}``), ``inbound``
    says how the EHR is read (``{"poll_s": 60}``); empty: it is not.
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
    options: Mapping[str, Any] = field(default_factory=dict)
    tls: Mapping[str, str] = field(default_factory=dict)
    rungs: Mapping[str, str] = field(default_factory=dict)
    inbound: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Connection(NewConnection):
    """A connection as stored; ``rest_until`` is epoch seconds, ``failures`` counts in a row.

    ``capability`` is the CapabilityStatement as it was read at ``capability_at``, JSON text.
    """

    id: int = 0
    state: str = "active"
    rest_until: float = 0.0
    failures: int = 0
    created_at: float = 0.0
    capability: str | None = None
    capability_at: float | None = None


def _of(row: Mapping[str, Any] | sa.RowMapping) -> Connection:
    return Connection(**{**row, **{name: orjson.loads(row[name]) for name in _JSON}})


def _texts(new: NewConnection) -> dict[str, str]:
    return {name: orjson.dumps(getattr(new, name)).decode() for name in _JSON}


def add(tx: sa.Connection, new: NewConnection, now: float) -> Connection:
    """Store a connection; INVALID names what is wrong, CONFLICT a name that is taken."""
    _check(new)
    if tx.execute(sa.select(connection.c.id).where(connection.c.name == new.name)).first():
        raise FhirsvcError(Category.CONFLICT, "this name is taken", f"connection {new.name}")
    values = {**asdict(new), **_texts(new), "state": "active", "rest_until": 0.0, "failures": 0}
    values["base_url"] = new.base_url.rstrip("/")
    row = tx.execute(sa.insert(connection).values(created_at=now, **values).returning(connection))
    return _of(row.mappings().one())


def change(tx: sa.Connection, connection_id: int, new: NewConnection) -> Connection:
    """Give a connection other settings, all but its name; INVALID names what is wrong."""
    _check(new)
    values = {**asdict(new), **_texts(new)}
    del values["name"]
    values["base_url"] = new.base_url.rstrip("/")
    which = connection.c.id == connection_id
    row = tx.execute(sa.update(connection).where(which).values(values).returning(connection))
    return _of(row.mappings().one())


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
        (new.auth in AUTHS, "auth", f"one of {', '.join(AUTHS)}"),
        (
            new.auth == "smart" or (new.auth == "none") == (not new.secret),
            "secret",
            "given exactly when auth needs one",
        ),
        (
            not new.secret or new.secret.partition(":")[0] in ("env", "file"),
            "secret",
            "env:NAME or file:PATH, never the secret itself",
        ),
        (new.write_mode in ("conditional", "create"), "write_mode", "conditional or create"),
        (0 < new.rate < math.inf, "rate", "more than 0"),
        (new.burst >= 1, "burst", "at least 1"),
        (0 <= new.index_lag_s < math.inf, "index_lag_s", "0 or more"),
        (1 <= new.concurrency <= MOST_LANES, "concurrency", f"1 to {MOST_LANES}"),
        (6 <= new.us_core <= 9, "us_core", "6, 7, 8 or 9"),
    ]
    for holds, name, expected in rules:
        if not holds:
            raise FhirsvcError(Category.INVALID, f"expected: {expected}", f"connection.{name}")


def get(tx: sa.Connection, name: str) -> Connection:
    """The connection of this name; NOT_FOUND when there is none."""
    row = tx.execute(sa.select(connection).where(connection.c.name == name)).mappings().first()
    if row is None:
        raise FhirsvcError(Category.NOT_FOUND, "no such connection", f"connection {name}")
    return _of(row)


def by_id(tx: sa.Connection, connection_id: int) -> Connection:
    """The connection with this id; NOT_FOUND when there is none."""
    found = _BY_ID.mappings(tx, {"known_as": connection_id})
    if not found:
        raise FhirsvcError(Category.NOT_FOUND, "no such connection", f"connection {connection_id}")
    return _of(found[0])


def state_of(tx: sa.Connection, connection_id: int) -> str | None:
    """Whether a connection is active, paused or stopped; None when there is none with this id."""
    found = _STATE_OF.first(tx, {"known_as": connection_id})
    return None if found is None else str(found[0])


def everyone(tx: sa.Connection) -> list[Connection]:
    """All connections, oldest first."""
    rows = tx.execute(sa.select(connection).order_by(connection.c.id)).mappings()
    return [_of(row) for row in rows]


def set_capability(tx: sa.Connection, connection_id: int, statement: str, now: float) -> None:
    """Keep the CapabilityStatement (JSON text) that the EHR answered with; forget refusals.

    What it refused before it may take now: it is asked again, and refuses again if not.
    """
    which = connection.c.id == connection_id
    values = {"capability": statement, "capability_at": now}
    tx.execute(sa.update(connection).where(which).values(values))
    tx.execute(sa.delete(refusal).where(refusal.c.connection_id == connection_id))


def refuse(
    tx: sa.Connection, connection_id: int, resource: str, interaction: str, status: int, now: float
) -> bool:
    """Note that an EHR does not take an interaction; whether that is news."""
    key = (
        refusal.c.connection_id == connection_id,
        refusal.c.resource_type == resource,
        refusal.c.interaction == interaction,
    )
    if tx.execute(sa.select(refusal.c.at).where(*key)).first():
        return False
    values = {"connection_id": connection_id, "resource_type": resource}
    told = {"interaction": interaction, "status": status, "at": now}
    tx.execute(sa.insert(refusal).values({**values, **told}))
    return True


def refused(tx: sa.Connection, connection_id: int) -> frozenset[tuple[str, str]]:
    """What an EHR was learned not to take: (resource, interaction)."""
    return frozenset(_REFUSED.rows(tx, {"known_as": connection_id}))


def set_state(tx: sa.Connection, connection_id: int, state: str) -> None:
    """Make it active, paused or stopped; becoming active also ends a rest."""
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
    _ANSWERED.run(tx, {"known_as": connection_id})
