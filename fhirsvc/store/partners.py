"""Partners' clients, the access tokens they hold, and the assertions they have used.

    partner ─┬─ partner_token       an access token until it expires, by its digest alone
             └─ partner_assertion   an assertion that was used, until it would be too old anyway

Every process that works on the database agrees: a client that is revoked, a token that is issued
and an assertion that is used are so for all of them at once. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store.tables import metadata

partner = sa.Table(
    "partner",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),  # its client id
    sa.Column("jwks", sa.Text),  # JSON: its public keys, where it gave them
    sa.Column("jwks_url", sa.String(500)),  # where it publishes them
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("registered_at", sa.Double, nullable=False),
    sa.Column("revoked_at", sa.Double),
    sa.CheckConstraint("(jwks IS NULL) <> (jwks_url IS NULL)", name="keys"),
)

partner_token = sa.Table(
    "partner_token",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),  # SHA-256 of the token
    sa.Column("partner", sa.String(64), sa.ForeignKey("partner.name"), nullable=False, index=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("issued_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False, index=True),
)

partner_assertion = sa.Table(
    "partner_assertion",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),  # SHA-256 of issuer and jti
    sa.Column("expires_at", sa.Double, nullable=False, index=True),
)


@dataclass(frozen=True)
class Partner:
    """A client; its fields are the columns of ``partner``. ``name`` is its client id."""

    name: str
    jwks: str | None
    jwks_url: str | None
    scope: str
    registered_at: float
    revoked_at: float | None = None


@dataclass(frozen=True)
class Held:
    """Who holds an access token, and what it allows."""

    partner: str
    scope: str


def add(tx: sa.Connection, new: Partner) -> None:
    """Register a client; one that was revoked may be registered anew.

    :raises FhirsvcError: CONFLICT when there is one of this name.
    """
    found = get(tx, new.name)
    if found is not None and found.revoked_at is None:
        raise FhirsvcError(Category.CONFLICT, "there is a client of this name", "NAME")
    if found is None:
        tx.execute(sa.insert(partner).values(vars(new)))
    else:
        tx.execute(sa.update(partner).where(partner.c.name == new.name).values(vars(new)))


def get(tx: sa.Connection, name: str, *, lock: bool = False) -> Partner | None:
    """A client, revoked or not; None when there is none. ``lock`` keeps it from being revoked."""
    query = sa.select(partner).where(partner.c.name == name)
    row = tx.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else Partner(**row)


def everyone(tx: sa.Connection) -> list[Partner]:
    """All clients by name, revoked ones too."""
    rows = tx.execute(sa.select(partner).order_by(partner.c.name)).mappings()
    return [Partner(**row) for row in rows]


def revoke(tx: sa.Connection, name: str, now: float) -> int:
    """End a client and the tokens it holds; returns how many were good until now.

    :raises FhirsvcError: NOT_FOUND when there is none of this name that is not revoked.
    """
    done = tx.execute(
        sa.update(partner)
        .where(partner.c.name == name, partner.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if done.rowcount == 0:
        raise FhirsvcError(Category.NOT_FOUND, "no such client", "NAME")
    tokens = sa.delete(partner_token).where(partner_token.c.partner == name)
    tx.execute(tokens.where(partner_token.c.expires_at <= now))
    return tx.execute(tokens).rowcount


def use(tx: sa.Connection, hash: str, now: float, until: float) -> bool:
    """Note that an assertion is used; False where it was used before."""
    old = partner_assertion.c.hash == hash
    tx.execute(sa.delete(partner_assertion).where(old, partner_assertion.c.expires_at < now))
    if tx.execute(sa.select(partner_assertion.c.hash).where(old)).first() is not None:
        return False
    tx.execute(sa.insert(partner_assertion).values(hash=hash, expires_at=until))
    return True


def issue(tx: sa.Connection, hash: str, held: Held, now: float, until: float) -> None:
    """Keep an access token's digest."""
    values = {"hash": hash, "partner": held.partner, "scope": held.scope}
    tx.execute(sa.insert(partner_token).values(**values, issued_at=now, expires_at=until))


def holder(tx: sa.Connection, hash: str, now: float) -> Held | None:
    """Who holds a token that is good now; None where nobody does."""
    query = (
        sa.select(partner_token.c.partner, partner_token.c.scope)
        .join(partner, partner.c.name == partner_token.c.partner)
        .where(
            partner_token.c.hash == hash,
            partner_token.c.expires_at > now,
            partner.c.revoked_at.is_(None),
        )
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else Held(**row)


def forget(tx: sa.Connection, now: float) -> int:
    """Drop tokens and assertions that are too old to be of use; returns how many."""
    tables: Iterable[sa.Table] = (partner_token, partner_assertion)
    return sum(tx.execute(sa.delete(one).where(one.c.expires_at < now)).rowcount for one in tables)
