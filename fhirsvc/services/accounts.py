"""Signing in: accounts with roles, sessions for pages, tokens for the API of the internal side.

Passwords are long rather than odd, and hashed by scrypt; sessions end when nobody is there.
https://pages.nist.gov/800-63-4/sp800-63b.html and 45 CFR 164.312(a)(2)(iii), (d)
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.ports import Clock
from fhirsvc.services.throttle import Throttle
from fhirsvc.store import accounts
from fhirsvc.store.accounts import Account, Session
from fhirsvc.store.database import Database

What = Literal["pages", "api"]
# Who may do what. Systems are programs: they have tokens and no password.
ROLES: dict[str, frozenset[What]] = {
    "admin": frozenset({"pages", "api"}),
    "case_manager": frozenset({"pages"}),
    "clinician": frozenset({"pages"}),
    "auditor": frozenset({"pages"}),
    "system": frozenset({"api"}),
}
SHORTEST, LONGEST = 12, 256  # letters of a password
SESSION_S = 12 * 3600.0  # how long one lasts at most
IDLE_S = 30 * 60.0  # and after how long without a request it is over
TOKEN_S = 366 * 24 * 3600.0  # after which a system gets another token
SEEN_S = 60.0  # how exactly it is known when somebody was last there
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_COST = {"n": 2**14, "r": 8, "p": 1}  # 16 MB and about 50 ms: OWASP's cheat sheet on passwords
_NOBODY = ":".join(("00" * 16, "00" * 64))


@dataclass(frozen=True)
class SignedIn:
    """Somebody who is in; ``form_token`` is what their forms have to carry."""

    name: str
    role: str
    form_token: str

    def may(self, what: What) -> bool:
        """Whether their role lets them."""
        return what in ROLES.get(self.role, frozenset())


class Accounts:
    """Accounts in one database. ``new_secret`` gives texts that nobody can guess."""

    def __init__(
        self, database: Database, clock: Clock, new_secret: Callable[[], str], throttle: Throttle
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_secret = new_secret
        self._throttle = throttle
        self._are_kept = False

    # ---- accounts -------------------------------------------------------------------------------

    @property
    def are_kept(self) -> bool:
        """Whether there is any account: until then nobody has to sign in."""
        if not self._are_kept:
            with self._database.read() as tx:
                self._are_kept = accounts.any_kept(tx)
        return self._are_kept

    def add(self, name: str, role: str, password: str = "") -> Account:
        """Add an account; a system has no password.

        :raises FhirsvcError: INVALID at what is wrong, CONFLICT where the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise FhirsvcError(Category.INVALID, "small letters, digits, '.', '_' and '-'", "NAME")
        if role not in ROLES:
            raise FhirsvcError(Category.INVALID, f"one of: {', '.join(ROLES)}", "--role")
        if "pages" not in ROLES[role] and password:
            raise FhirsvcError(Category.INVALID, "a system has tokens and no password", "password")
        hashed = self._hashed(password) if "pages" in ROLES[role] else ""
        new = Account(name, role, hashed, self._clock())
        self._database.run(lambda tx: accounts.add(tx, new))
        return new

    def everyone(self) -> list[Account]:
        """All accounts by name, disabled ones too."""
        with self._database.read() as tx:
            return accounts.everyone(tx)

    def set_password(self, name: str, password: str) -> int:
        """Give an account another password; returns how many sessions that ended.

        :raises FhirsvcError: NOT_FOUND, or INVALID where it has none or is too short.
        """
        found = self._account(name)
        if "pages" not in ROLES.get(found.role, frozenset()):
            raise FhirsvcError(Category.INVALID, "a system has tokens and no password", "NAME")
        hashed = self._hashed(password)
        return self._database.run(lambda tx: accounts.set_password(tx, name, hashed))

    def disable(self, name: str) -> int:
        """Let nobody in by an account any more; returns how many sessions and tokens that ended.

        :raises FhirsvcError: NOT_FOUND where there is none.
        """
        self._account(name)
        now = self._clock()
        return self._database.run(lambda tx: accounts.disable(tx, name, now))

    def _account(self, name: str) -> Account:
        with self._database.read() as tx:
            found = accounts.get(tx, name)
        if found is None:
            raise FhirsvcError(Category.NOT_FOUND, "there is no such account", "NAME")
        return found

    def _hashed(self, password: str) -> str:
        if not SHORTEST <= len(password) <= LONGEST:
            message = f"from {SHORTEST} to {LONGEST} letters: a few words are fine"
            raise FhirsvcError(Category.INVALID, message, "password")
        salt = hashlib.sha256(self._new_secret().encode()).digest()[:16]
        return f"{salt.hex()}:{_scrypt(password, salt).hex()}"

    # ---- signing in -----------------------------------------------------------------------------

    def sign_in(self, name: str, password: str) -> str:
        """A new session of a page, by its secret.

        After some failures a name has to wait before the next attempt, right or wrong.

        :raises FhirsvcError: BUSY then; UNAUTHENTICATED where name and password do not fit, without
            telling which.
        """
        tried = name[:64]
        if self._throttle.wait_s(tried):
            raise FhirsvcError(Category.BUSY, "too many attempts; try again in a minute")
        with self._database.read() as tx:
            found = accounts.get(tx, name) if _NAME.fullmatch(name) else None
        # A name that there is not takes as long as a password that does not fit.
        salt, kept = (found.password if found and found.password else _NOBODY).split(":")
        fits = hmac.compare_digest(_scrypt(password[:LONGEST], bytes.fromhex(salt)).hex(), kept)
        if found is None or not found.password or not fits or found.disabled_at is not None:
            self._throttle.failed(tried)
            raise FhirsvcError(Category.UNAUTHENTICATED, "name and password do not fit")
        return self._start(found.name, "page", SESSION_S)

    def token(self, name: str) -> str:
        """A new token of the API for a system; told once.

        :raises FhirsvcError: NOT_FOUND, or INVALID where its role has none.
        """
        found = self._account(name)
        if found.disabled_at is not None or "api" not in ROLES.get(found.role, frozenset()):
            raise FhirsvcError(Category.INVALID, "its role may not use the API", "NAME")
        return self._start(name, "api", TOKEN_S)

    def holder(self, secret: str, kind: Literal["page", "api"]) -> SignedIn | None:
        """Who holds a session or token; None where nobody does, or nobody was there too long."""
        hashed, now = _hash(secret), self._clock()
        with self._database.read() as tx:
            found = accounts.session(tx, hashed, now)
        if found is None or found[0].kind != kind:
            return None
        session, whose = found
        if kind == "page" and now - session.seen_at > IDLE_S:
            return None
        if kind == "page" and now - session.seen_at > SEEN_S:
            self._database.run(lambda tx: accounts.seen(tx, hashed, now), durable=False)
        return SignedIn(whose.name, whose.role, _hash(f"form {secret}"))

    def sign_out(self, secret: str) -> None:
        """End a session."""
        self._database.run(lambda tx: accounts.end(tx, _hash(secret)))

    def _start(self, name: str, kind: str, life_s: float) -> str:
        secret, now = self._new_secret(), self._clock()
        new = Session(_hash(secret), name, kind, now, now, now + life_s)
        self._database.run(lambda tx: accounts.start(tx, new))
        return secret


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, dklen=64, maxmem=2**26, **_COST)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
