"""Where a token is asked for: as the connection says, else as the EHR declares.

https://hl7.org/fhir/smart-app-launch/conformance.html, and for servers from before it the
``oauth-uris`` extension of the CapabilityStatement.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from fhirsvc.ehr.tokens import TokenError
from fhirsvc.ehr.transport import Answer, Transport, is_private
from fhirsvc.errors import Category

SMART_CONFIGURATION = ".well-known/smart-configuration"
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_HEADERS = {"Accept": "application/json, application/fhir+json", "User-Agent": "fhirsvc"}


class Discovery:
    """The token URL of one EHR; what was found is kept. No request of it has a credential.

    ``given`` is the address that the connection names, '' when it is to be found.
    """

    def __init__(self, transport: Transport, base_url: str, given: str = "") -> None:
        self._transport = transport
        self._base = base_url.rstrip("/")
        self._given = given
        self._lock = threading.Lock()
        self._found = given

    def token_url(self) -> str:
        """The address.

        :raises TokenError: UNAVAILABLE when it cannot be found now, UNAUTHENTICATED when the EHR
            declares none, or one over which a credential must not go.
        """
        with self._lock:
            if not self._found:
                self._found = self._find()
            return self._found

    def forget(self) -> None:
        """Find it again when next asked: nobody answers there any more."""
        with self._lock:
            self._found = self._given

    def _find(self) -> str:
        for path, read in ((SMART_CONFIGURATION, token_endpoint), ("metadata", oauth_uri)):
            answer = self._transport.send("GET", f"{self._base}/{path}", _HEADERS)
            if found := read(answer.body or {}):
                return _checked(found)
            if answer.problem == "secret":
                raise TokenError(Category.UNAUTHENTICATED, answer.said)
            if _passes(answer):
                why = answer.said or answer.problem or f"answered {answer.status}"
                raise TokenError(Category.UNAVAILABLE, f"{path} cannot be read now: {why}")
        message = "the EHR declares none; give it as token_url"
        raise TokenError(Category.UNAUTHENTICATED, message)


def token_endpoint(configuration: Mapping[str, Any]) -> str:
    """The token endpoint in a smart-configuration, '' without one."""
    return _text(configuration.get("token_endpoint"))


def oauth_uri(statement: Mapping[str, Any]) -> str:
    """The token endpoint in a CapabilityStatement, '' without one."""
    for rest in _objects(statement.get("rest")):
        security = rest.get("security")
        for outer in _objects(security.get("extension") if isinstance(security, dict) else None):
            if outer.get("url") != OAUTH_URIS:
                continue
            for inner in _objects(outer.get("extension")):
                if inner.get("url") == "token":
                    return _text(inner.get("valueUri"))
    return ""


def _checked(url: str) -> str:
    if not is_private(url):
        message = "the EHR declares one that is neither https nor on this machine"
        raise TokenError(Category.UNAUTHENTICATED, message)
    return url


def _passes(answer: Answer) -> bool:
    """Whether another try may find what this one did not; no JSON there is an answer too."""
    if answer.status is None:
        return answer.problem not in ("malformed", "oversize")
    return answer.status in (408, 425, 429) or answer.status >= 500


def _objects(listed: Any) -> Iterator[Mapping[str, Any]]:
    return (one for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
