"""Our own keys, that EHRs know us by: a folder of private files, and when each one is used.

    made ── published at once ──▶ signs, PUBLISH_S later ──▶ retired: signs no more, its private
                                  (the first key at once)    half is destroyed, KEEP_S published

So an EHR that keeps our key set for a while knows a key before it meets it, and still knows the
one before when an assertion is on its way. https://www.rfc-editor.org/rfc/rfc7517
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from fhirsvc.errors import Category, FhirsvcError, Finding

ALGORITHMS = ("RS384", "ES384")  # what SMART asks of clients
PUBLISH_S = 3600.0  # a key is known to EHRs this long before it signs
KEEP_S = 86_400.0  # and this long after it has signed last
LATEST = 1e11  # epoch seconds: no moment is later
_KID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_PRIVATE = frozenset(("d", "p", "q", "dp", "dq", "qi", "oth", "k"))


@dataclass(frozen=True)
class ClientKey:
    """A key pair as JWKs; moments are epoch seconds. ``private`` is None once it is retired."""

    kid: str
    alg: str
    created_at: float
    signs_from: float
    public: Mapping[str, Any]
    private: Mapping[str, Any] | None = None
    retired_at: float | None = None
    published_until: float | None = None

    def __repr__(self) -> str:
        return f"ClientKey({self.kid!r}, {self.alg!r})"


def signer(keys: Iterable[ClientKey], alg: str | None, now: float) -> ClientKey | None:
    """The key that signs now: the newest whose time has come, else the one whose time is next.

    :param alg: only keys of this algorithm; None takes any.
    """
    able = [one for one in keys if one.private is not None and alg in (None, one.alg)]
    ripe = [one for one in able if one.signs_from <= now]
    if ripe:
        return max(ripe, key=lambda one: (one.signs_from, one.created_at, one.kid))
    return min(able, key=lambda one: (one.signs_from, one.kid), default=None)


def published(keys: Iterable[ClientKey], now: float) -> list[ClientKey]:
    """The keys that EHRs are to know, oldest first."""
    shown = [one for one in keys if one.published_until is None or now < one.published_until]
    return sorted(shown, key=lambda one: (one.created_at, one.kid))


def state(key: ClientKey, keys: Sequence[ClientKey], now: float) -> str:
    """``signing``, ``waiting`` (published, signs later), ``spare``, ``retired`` or ``withdrawn``.

    A ``spare`` key could sign, but a newer one does; a ``withdrawn`` one is published no more.
    """
    if key.retired_at is not None:
        return "retired" if published([key], now) else "withdrawn"
    if key == signer(keys, key.alg, now):
        return "signing"
    return "waiting" if now < key.signs_from else "spare"


def scheduled(made: ClientKey, others: Iterable[ClientKey], delay_s: float) -> ClientKey:
    """A key just made, to sign after ``delay_s`` where another of its algorithm signs till then."""
    is_first = signer(others, made.alg, made.created_at) is None
    return replace(made, signs_from=made.created_at + (0.0 if is_first else delay_s))


def retired(key: ClientKey, now: float, *, at_once: bool = False) -> ClientKey:
    """A key that signs no more; ``at_once`` it is not published any longer either (it leaked)."""
    until = now if at_once else now + KEEP_S
    return replace(key, private=None, retired_at=now, published_until=until)


def jwks(keys: Iterable[ClientKey], now: float) -> dict[str, Any]:
    """The public key set. https://www.rfc-editor.org/rfc/rfc7517#section-5"""
    shown = published(keys, now)
    return {
        "keys": [
            {
                **{name: value for name, value in one.public.items() if name not in _PRIVATE},
                "kid": one.kid,
                "alg": one.alg,
                "use": "sig",
                "key_ops": ["verify"],
            }
            for one in shown
        ]
    }


class KeyFolder:
    """The files of our keys, one each, mode 0600 in a folder of mode 0700."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[list[ClientKey], list[Finding]]:
        """The keys, and what is wrong with files that hold none; both empty without a folder."""
        keys: list[ClientKey] = []
        findings: list[Finding] = []
        for path in self._files():
            found = _read(path)
            if isinstance(found, Finding):
                findings.append(found)
            else:
                keys.append(found)
        return keys, findings

    def write(self, key: ClientKey) -> None:
        """Put a key's file there, whole or not at all.

        :raises FhirsvcError: UNAVAILABLE when it cannot be written.
        """
        data = orjson.dumps(asdict(key), option=orjson.OPT_INDENT_2)
        path = self._path(key.kid)
        part = path.with_suffix(".part")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            part.replace(path)
        except OSError as error:
            message = f"cannot be written: {error.strerror}"
            raise FhirsvcError(Category.UNAVAILABLE, message, str(path)) from None

    def remove(self, kid: str) -> None:
        """Delete a key's file."""
        self._path(kid).unlink(missing_ok=True)

    def _path(self, kid: str) -> Path:
        return self.path / f"key-{kid}.json"

    def _files(self) -> list[Path]:
        try:
            return sorted(self.path.glob("key-*.json"))
        except OSError:
            return []


def _read(path: Path) -> ClientKey | Finding:
    try:
        if path.stat().st_mode & 0o077:
            message = "others can read this private key: make a new one, or chmod 600"
            return Finding("key-mode", message, str(path))
        found = orjson.loads(path.read_bytes())
        key = ClientKey(**found)
    except (OSError, ValueError, TypeError):
        return Finding("key-file", "cannot be read as a key", str(path))
    return key if _is_sound(key) else Finding("key-file", "not a key of ours", str(path))


def _is_sound(key: ClientKey) -> bool:
    moments = (key.created_at, key.signs_from, key.retired_at or 0, key.published_until or 0)
    return (
        isinstance(key.kid, str)
        and bool(_KID.fullmatch(key.kid))
        and key.alg in ALGORITHMS
        and isinstance(key.public, dict)
        and (key.private is None or isinstance(key.private, dict))
        and all(isinstance(one, int | float) and 0 <= one < LATEST for one in moments)
    )
