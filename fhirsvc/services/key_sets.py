"""Key sets that partners publish: read where they registered them, kept for as long as they say.

https://hl7.org/fhir/smart-app-launch/STU2.2/client-confidential-asymmetric.html: a set is kept no
longer than its Cache-Control says, so one that says nothing is not kept. A key that is not in what
is kept makes it be read again, but not at once again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from fhirsvc.ehr.transport import Answer
from fhirsvc.services.partner_keys import Jwk, keys_of
from fhirsvc.services.ports import Clock
from fhirsvc.store.partners import Partner

LONGEST_S = 3600.0  # a set is kept no longer, whatever it says
AGAIN_S = 10.0  # between two readings for a key that is not there, or after one that failed
_MAX_AGE = re.compile(r"max-age=\"?([0-9]{1,9})\"?")
_NOT_KEPT = ("no-store", "no-cache")


@dataclass(frozen=True)
class _Kept:
    keys: tuple[Jwk, ...] | None  # None: it could not be read
    read_at: float
    until: float


class KeySets:
    """The keys of partners; ``send`` reads an address. Safe to share between threads."""

    def __init__(self, send: Callable[[str], Answer], clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def keys(self, partner: Partner, kid: str) -> tuple[Jwk, ...] | None:
        """The keys of a partner, read again if ``kid`` is not there; None: they cannot be read."""
        if partner.jwks_url is None:
            return tuple(keys_of(orjson.loads(partner.jwks or "{}")) or ())
        now = self._clock()
        with self._lock:
            kept = self._kept.get(partner.jwks_url)
        if kept is not None and now < kept.until:
            is_there = any(one.get("kid") == kid for one in kept.keys or ())
            if is_there or now < kept.read_at + AGAIN_S:
                return kept.keys
        return self._read(partner.jwks_url, now).keys

    def _read(self, url: str, now: float) -> _Kept:
        answer = self._send(url)
        found = keys_of(answer.body) if answer.status == 200 else None
        until = now + (AGAIN_S if found is None else _age(answer.headers))
        kept = _Kept(None if found is None else tuple(found), now, until)
        with self._lock:
            self._kept = {name: one for name, one in self._kept.items() if now < one.until}
            self._kept[url] = kept
        return kept


def _age(headers: Mapping[str, str]) -> float:
    """How many seconds a set may be kept."""
    said = headers.get("Cache-Control", "").lower()
    match = _MAX_AGE.search(said)
    if match is None or any(word in said for word in _NOT_KEPT):
        return 0.0
    spent = headers.get("Age", "")
    left = int(match[1]) - (int(spent) if re.fullmatch(r"[0-9]{1,9}", spent) else 0)
    return min(max(0.0, float(left)), LONGEST_S)
