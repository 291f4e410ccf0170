"""Partners' clients: registered and revoked by people, known by the access tokens they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa

from fhirsvc.ehr import guarded
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir import scopes
from fhirsvc.fhir.scopes import Scopes
from fhirsvc.services import partner_keys
from fhirsvc.services.ports import Clock
from fhirsvc.services.token_office import digest
from fhirsvc.store import partners, subscriptions
from fhirsvc.store.database import Database
from fhirsvc.store.partners import Partner

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OPEN = "open"  # who asks without a token, where that is allowed


class KeysError(FhirsvcError):
    """A key set that cannot be registered; ``findings`` say why."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(Category.INVALID, findings[0].message, findings[0].where)
        self.findings = findings


@dataclass(frozen=True)
class Holder:
    """Who holds an access token, and what it allows."""

    client: str
    scopes: Scopes


@dataclass(frozen=True)
class Partners:
    """Clients of partners; ``private``: their addresses may be on this machine and near it."""

    database: Database
    clock: Clock
    private: bool = False

    def register(
        self,
        name: str,
        scope: str,
        *,
        jwks: Mapping[str, Any] | None = None,
        jwks_url: str | None = None,
    ) -> Partner:
        """Register a client by its key set, or by where it publishes it.

        :raises FhirsvcError: INVALID for what cannot be registered (a KeysError for keys), CONFLICT
            when there is a client of this name.
        """
        if not _NAME.fullmatch(name) or name == OPEN:
            message = "expected letters, digits and . _ - (64 at most), and another word than open"
            raise FhirsvcError(Category.INVALID, message, "NAME")
        allowed = scopes.parse(scope)
        if not allowed:
            raise FhirsvcError(Category.INVALID, "expected system/Type.cruds", "--scope")
        if (jwks is None) == (jwks_url is None):
            message = "expected either a key set or its address"
            raise FhirsvcError(Category.INVALID, message, "--jwks, --jwks-url")
        if jwks_url is not None and not guarded.is_fit(jwks_url, private=self.private):
            message = "expected an https URL without user or fragment"
            raise FhirsvcError(Category.INVALID, message, "--jwks-url")
        if jwks is not None and (wrong := partner_keys.findings(jwks)):
            raise KeysError(wrong)
        text = None if jwks is None else orjson.dumps({"keys": jwks["keys"]}).decode()
        made = Partner(name, text, jwks_url, str(allowed), self.clock())
        self.database.run(lambda tx: partners.add(tx, made))
        return made

    def everyone(self) -> list[Partner]:
        """All clients, revoked ones too."""
        with self.database.read() as tx:
            return partners.everyone(tx)

    def revoke(self, name: str) -> int:
        """End a client, its tokens and its Subscriptions; returns how many tokens were good.

        :raises FhirsvcError: NOT_FOUND when there is no such client.
        """
        now = self.clock()

        def work(tx: sa.Connection) -> int:
            subscriptions.end_all(tx, name, now)
            return partners.revoke(tx, name, now)

        return self.database.run(work)

    def holder(self, token: str) -> Holder | None:
        """Who holds a token that is good now; None where nobody does."""
        with self.database.read() as tx:
            held = partners.holder(tx, digest(token), self.clock())
        return None if held is None else Holder(held.partner, scopes.parse(held.scope))
