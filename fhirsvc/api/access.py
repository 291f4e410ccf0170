"""Who asks at ``/fhir``, and what they may do there."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from flask import Request

from fhirsvc.errors import Category, FhirsvcError

Interaction = Literal["read", "search", "create", "update", "delete", "history", "operation"]
_NONE: Mapping[str, list[str]] = {}
_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Access:
    """What a client may do; ``client`` is its name, as records' versions tell it."""

    client: str

    def permits(
        self,
        resource_type: str,
        interaction: Interaction,
        params: Mapping[str, list[str]] = _NONE,
    ) -> bool:
        """Whether it may; ``params`` are those of a search."""
        return True


# Says who asks; UNAUTHENTICATED where nobody is known.
AccessOf = Callable[[Request], Access]


def open_access(is_open: bool) -> AccessOf:
    """Everything for whoever asks from this very machine, where the setting ``fhir_open`` is on."""

    def access_of(request: Request) -> Access:
        if not (is_open and _is_here(request.remote_addr) and _name(request.host) in _HOSTS):
            raise FhirsvcError(Category.UNAUTHENTICATED, "this needs an access token")
        return Access("open")

    return access_of


def _is_here(address: str | None) -> bool:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    return found.is_loopback


def _name(host: str) -> str:
    """A host without its port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
