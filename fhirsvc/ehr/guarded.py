"""Requests to addresses that others name: only public ones, unless a setting allows more.

A name is resolved once and the very address that was looked at is connected to, so that a name
whose answer changes leads nowhere else. Nothing is connected to before that. Redirects, proxies,
sizes and times are those of :mod:`fhirsvc.ehr.transport`.

https://owasp.org/www-community/attacks/Server_Side_Request_Forgery
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from fhirsvc.ehr.transport import LOOPBACK, Limits, Transport, origin

LONGEST = 500  # characters of an address
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def is_fit(url: str, *, private: bool) -> bool:
    """Whether a URL may be kept: https without user or fragment; http on this machine if allowed.

    :param private: whether this machine and private networks are allowed.
    """
    scheme, host, _ = origin(url)
    if not host or len(url) > LONGEST or not _VISIBLE.fullmatch(url):
        return False
    parts = urlsplit(url)
    if parts.fragment or "#" in url or "@" in parts.netloc:
        return False
    return scheme == "https" or (private and host in LOOPBACK)


def is_allowed(address: str, *, private: bool) -> bool:
    """Whether an IP address may be connected to; link-local ones never."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_multicast or ip.is_link_local or ip.is_unspecified:
        return False
    return ip.is_global or (private and (ip.is_private or ip.is_loopback))


def guarded(limits: Limits, clock: Callable[[], float], *, private: bool) -> Transport:
    """A transport that connects to no address that is not allowed; a refusal is no connection."""
    transport = Transport(limits, clock, pool_size=2)
    adapter = _Adapter(private)
    transport.session.mount("https://", adapter)
    transport.session.mount("http://", adapter)
    return transport


class _Adapter(HTTPAdapter):
    """Connections whose address is looked at first."""

    def __init__(self, private: bool) -> None:
        self._private = private
        super().__init__(pool_connections=8, pool_maxsize=2, max_retries=0)

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._private)


def _pools(private: bool) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            name, self._dns_host = self._dns_host, _address(self, private)
            try:
                return super()._new_conn()
            finally:
                self._dns_host = name  # what the certificate is for

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            name, self._dns_host = self._dns_host, _address(self, private)
            try:
                return super()._new_conn()
            finally:
                self._dns_host = name

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _address(connection: HTTPConnection, private: bool) -> str:
    """The address to connect to; none where one of the name's addresses is not allowed."""
    try:
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NewConnectionError(connection, "the name is not known") from error
    addresses = [str(one[4][0]) for one in found]
    if not addresses or not all(is_allowed(one, private=private) for one in addresses):
        raise NewConnectionError(connection, "the address is not allowed")
    return addresses[0]
