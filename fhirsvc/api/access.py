"""Who asks at ``/fhir``, and what they may do there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from flask import Request

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.scopes import EVERYTHING, Scopes
from fhirsvc.fhir.search_reach import reached
from fhirsvc.services.partners import OPEN, Holder

Interaction = Literal[
    "read", "search", "create", "update", "delete", "history", "history-type", "operation"
]
# The letters of the scope that an interaction needs: `history` is that of one resource,
# `history-type` that of a type or of all. An operation reads one and many; what it writes, its view
# asks for beside. https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
LETTERS: Mapping[Interaction, str] = {
    "read": "r",
    "history": "r",
    "history-type": "s",
    "search": "s",
    "create": "c",
    "update": "u",
    "delete": "d",
    "operation": "rs",
}
_NONE: Mapping[str, list[str]] = {}
_HOSTS = ("localhost", "127.0.0.1", "[::1]")
_BEARER = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/-]{1,500}=*)")


@dataclass(frozen=True)
class Access:
    """What a client may do; ``client`` is its name, as records' versions tell it."""

    client: str
    scopes: Scopes

    def permits(
        self,
        resource_type: str,
        interaction: Interaction,
        params: Mapping[str, list[str]] = _NONE,
    ) -> bool:
        """Whether it may; ``params`` are those of a search, which may reach into other types."""
        given = [(name, value) for name, values in params.items() for value in values]
        return self.scopes.permits(resource_type, LETTERS[interaction]) and all(
            self.scopes.permits(one, LETTERS["search"]) for one in reached(resource_type, given)
        )


# Says who asks; UNAUTHENTICATED where nobody is known.
AccessOf = Callable[[Request], Access]


def token_access(holder: Callable[[str], Holder | None], otherwise: AccessOf) -> AccessOf:
    """What the access token allows that a request comes with; without one, ``otherwise``.

    A token that is not good is refused, also where ``otherwise`` would allow everything.
    """

    def access_of(request: Request) -> Access:
        given = request.headers.get("Authorization")
        if given is None:
            return otherwise(request)
        match = _BEARER.fullmatch(given.strip())
        held = holder(match[1]) if match else None
        if held is None:
            message = "this access token is not good, or not any more"
            raise FhirsvcError(Category.UNAUTHENTICATED, message, "Authorization")
        return Access(held.client, held.scopes)

    return access_of


def open_access(is_open: bool) -> AccessOf:
    """Everything for whoever asks from this very machine, where the setting ``fhir_open`` is on."""

    def access_of(request: Request) -> Access:
        if not (is_open and is_here(request)):
            raise FhirsvcError(Category.UNAUTHENTICATED, "this needs an access token")
        return Access(OPEN, EVERYTHING)

    return access_of


def is_here(request: Request) -> bool:
    """Whether a request comes from this very machine, under a name of this very machine."""
    try:
        found = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return False
    return found.is_loopback and _name(request.host) in _HOSTS


def address(public: str, request: Request) -> str:
    """Where this service is reached, without a slash at its end; '' where that is not known.

    :param public: the setting ``public_url``. Without it nothing but this very machine is known:
        a Host header says whatever its sender likes.
    """
    if public:
        return public.rstrip("/")
    return request.host_url.rstrip("/") if is_here(request) else ""


def _name(host: str) -> str:
    """A host without its port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
