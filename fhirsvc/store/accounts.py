"""Accounts of people and of systems, and the sessions and tokens that they hold.

Every process that works on the database agrees: who is disabled or signs out is out everywhere. Of
a session or token only the SHA-256 is kept: whoever reads the database cannot use one.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.tables import metadata

account = sa.Table(
    "account",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("password", sa.Text, nullable=False),  # salted and hashed; '' for none
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("disabled_at", sa.Double),
)

account_session = sa.Table(
    "account_session",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("account", sa.String(64), sa.ForeignKey("account.name"), nullable=False, index=True),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("issued_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False, index=True),
    sa.CheckConstraint("kind IN ('page', 'api')", name="kind"),
)


@dataclass(frozen=True)
class Account:
    """An account; its fields are the columns of ``account``."""

    name: str
    role: str
    password: str
    created_at: float
    disabled_at: float | None = None


@dataclass(frozen=True)
class Session:
    """A session of a page, or a token of the API; times are epoch seconds."""

    hash: str
    account: str
    kind: str
    issued_at: float
    seen_at: float
    expires_at: float


def add(tx: sa.Connection, new: Account) -> None:
    """Add an account.

    :raises FhirsvcError: CONFLICT where the name is taken, by a disabled one too.
    """
    if get(tx, new.name) is not None:
        raise FhirsvcError(Category.CONFLICT, "there is an account of this name", "NAME")
    tx.execute(sa.insert(account).values(vars(new)))


def get(tx: sa.Connection, name: str) -> Account | None:
    """An account, disabled or not; None when there is none."""
    row = tx.execute(sa.select(account).where(account.c.name == name)).mappings().first()
    return None if row is None else Account(**row)


def everyone(tx: sa.Connection) -> list[Account]:
    """All accounts by name, disabled ones too."""
    rows = tx.execute(sa.select(account).order_by(account.c.name)).mappings()
    return [Account(**row) for row in rows]


def any_kept(tx: sa.Connection) -> bool:
    """Whether there is an account at all."""
    return tx.execute(sa.select(account.c.name).limit(1)).first() is not None


def set_password(tx: sa.Connection, name: str, password: str) -> int:
    """Give an account another password and end its page sessions; returns how many."""
    tx.execute(sa.update(account).where(account.c.name == name).values(password=password))
    mine = sa.and_(account_session.c.account == name, account_session.c.kind == "page")
    return tx.execute(sa.delete(account_session).where(mine)).rowcount


def disable(tx: sa.Connection, name: str, now: float) -> int:
    """Let nobody in by this account any more; returns how many sessions and tokens that ends."""
    tx.execute(sa.update(account).where(account.c.name == name).values(disabled_at=now))
    mine = account_session.c.account == name
    return tx.execute(sa.delete(account_session).where(mine)).rowcount


def start(tx: sa.Connection, new: Session) -> None:
    """Keep a session; those that are over go."""
    tx.execute(sa.delete(account_session).where(account_session.c.expires_at <= new.issued_at))
    tx.execute(sa.insert(account_session).values(vars(new)))


def session(tx: sa.Connection, hash: str, now: float) -> tuple[Session, Account] | None:
    """A session that is not over, and whose it is; None when there is none."""
    row = (
        tx.execute(
            sa.select(account_session).where(
                account_session.c.hash == hash, account_session.c.expires_at > now
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    found = Session(**row)
    whose = get(tx, found.account)
    return None if whose is None or whose.disabled_at is not None else (found, whose)


def seen(tx: sa.Connection, hash: str, now: float) -> None:
    """Note that somebody is still there."""
    which = account_session.c.hash == hash
    tx.execute(sa.update(account_session).where(which).values(seen_at=now))


def end(tx: sa.Connection, hash: str) -> None:
    """End a session."""
    tx.execute(sa.delete(account_session).where(account_session.c.hash == hash))
