"""The clients of connections: what a stored connection says, as something that sends requests."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter

from fhirsvc.ehr.auth import Login, auth_for
from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.client import Client, Limits
from fhirsvc.ehr.keys import KeyFolder
from fhirsvc.ehr.options import tls_paths
from fhirsvc.ehr.transport import Transport
from fhirsvc.store.connections import Connection


@dataclass
class Clients:
    """One client per connection, made when first needed and again when its settings changed.

    ``read`` gives the text that ``env:NAME`` or ``file:PATH`` names, as it is now.
    """

    limits: Limits
    keys: KeyFolder
    read: Callable[[str], str]
    share: float = 1.0
    _made: dict[int, tuple[Connection, Client]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, connection: Connection) -> Client:
        """The client of a connection."""
        with self._lock:
            known = self._made.get(connection.id)
            if known is None or _changed(known[0], connection):
                self._made[connection.id] = (connection, self._make(connection))
            return self._made[connection.id][1]

    def set_share(self, share: float) -> None:
        """Use only this part of every rate: other processes have the rest."""
        with self._lock:
            self.share = share
            for _, client in self._made.values():
                client.bucket.share = share

    def close(self) -> None:
        """Close all pooled connections."""
        with self._lock:
            for _, client in self._made.values():
                client.close()
            self._made.clear()

    def _make(self, connection: Connection) -> Client:
        bucket = TokenBucket(connection.rate, connection.burst, time.monotonic, time.sleep)
        bucket.share = self.share
        transport = Transport(
            self.limits,
            time.monotonic,
            pool_size=connection.concurrency,
            tls=tls_paths(connection.tls),
        )
        login = Login(
            connection.auth,
            connection.secret,
            connection.options,
            connection.base_url,
            transport,
            keys=self.keys,
            read=self.read,
            now=time.time,
            clock=time.monotonic,
            new_id=lambda: uuid.uuid4().hex,
        )
        return Client(
            connection.base_url,
            auth_for(login),
            bucket,
            self.limits,
            time.monotonic,
            transport=transport,
        )


_MADE_OF = attrgetter(*"base_url auth secret options tls rate burst concurrency".split())


def _changed(before: Connection, now: Connection) -> bool:
    return bool(_MADE_OF(before) != _MADE_OF(now))
