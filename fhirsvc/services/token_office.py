"""The token endpoint: a client that proves itself by its key is given an access token.

A token is chance, and only its digest is kept. Every refusal is one of OAuth's own words with a
sentence that repeats nothing of the request.

https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html and
https://www.rfc-editor.org/rfc/rfc6749#section-5.2
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir import scopes
from fhirsvc.fhir.scopes import ScopeError, Scopes
from fhirsvc.services import assertions, partner_keys
from fhirsvc.services.assertions import Assertion, AssertionRefusedError
from fhirsvc.services.key_sets import KeySets
from fhirsvc.services.ports import Clock
from fhirsvc.services.throttle import Throttle
from fhirsvc.store import partners
from fhirsvc.store.database import Database
from fhirsvc.store.partners import Held, Partner

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT = "client_credentials"
LIFE_S = 300  # of a token: the most that SMART recommends
log = structlog.get_logger("fhirsvc.oauth")


class OAuthError(FhirsvcError):
    """A refusal in OAuth's words: ``code``, and the HTTP status and headers it has."""

    def __init__(
        self, code: str, message: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(Category.UNAUTHENTICATED, message, "")
        self.code = code
        self.status = status
        self.headers = dict(headers or {})


@dataclass(frozen=True)
class Asked:
    """A token request: its form, the address of the endpoint, and whom it comes from.

    ``has_header``: it has an Authorization header, which is no way to prove oneself here.
    """

    form: Sequence[tuple[str, str]]
    audience: str
    address: str
    has_header: bool = False


@dataclass(frozen=True)
class Granted:
    """An access token, the seconds it is good for and what it allows."""

    token: str
    life_s: int
    scopes: Scopes

    def __repr__(self) -> str:
        return f"Granted({self.scopes})"


@dataclass(frozen=True)
class TokenOffice:
    """Grants tokens; ``new_token`` makes one that nobody can guess."""

    database: Database
    clock: Clock
    new_token: Callable[[], str]
    key_sets: KeySets
    throttle: Throttle

    def grant(self, asked: Asked) -> Granted:
        """A token for whoever proves to be a client.

        :raises OAuthError: with the word for why not.
        """
        try:
            form = _form(asked)
            assertion = assertions.read(form["client_assertion"])
        except AssertionRefusedError as error:
            raise self._refused(asked.address, "", error.reason) from None
        except OAuthError as error:
            self._failed(asked.address, "", error.code)
            raise
        with self.database.read() as tx:
            partner = partners.get(tx, assertion.issuer[:64])
        if partner is None or partner.name != assertion.issuer or partner.revoked_at is not None:
            raise self._refused(asked.address, "", "client")
        by = f"{asked.address} {partner.name}"
        self._hold_off(by)
        try:
            if form.get("client_id", partner.name) != partner.name:
                raise AssertionRefusedError("iss")
            until = self._proven(assertion, partner, asked.audience)
        except AssertionRefusedError as error:
            raise self._refused(by, partner.name, error.reason) from None
        return self._issued(by, partner, assertion, until, form.get("scope", ""))

    def _proven(self, assertion: Assertion, partner: Partner, audience: str) -> float:
        """Check that an assertion is a partner's and for us; until when it would be good."""
        if assertion.jku is not None and assertion.jku != partner.jwks_url:
            raise AssertionRefusedError("jku")
        keys = self.key_sets.keys(partner, assertion.kid)
        if keys is None:
            raise AssertionRefusedError("key-set")
        key = partner_keys.meant(keys, assertion.kid, assertion.alg)
        if key is None:
            raise AssertionRefusedError("key")
        assertions.verify(assertion, key)
        return assertions.check(assertion, partner.name, audience, self.clock())

    def _issued(
        self, by: str, partner: Partner, assertion: Assertion, until: float, asked: str
    ) -> Granted:
        """Use the assertion up, and give a token where what is asked for may be given."""
        granted = _granted(asked, partner)
        token, now = self.new_token(), self.clock()

        def work(tx: sa.Connection) -> str:
            held = partners.get(tx, partner.name, lock=True)
            if held != partner:  # it was revoked, or registered anew, meanwhile
                return "client"
            if not partners.use(tx, assertions.digest(assertion), now, until):
                return "replay"
            if isinstance(granted, Scopes):
                holds = Held(partner.name, str(granted))
                partners.issue(tx, digest(token), holds, now, now + LIFE_S)
            return ""

        if reason := self.database.run(work):
            raise self._refused(by, partner.name, reason)
        if isinstance(granted, OAuthError):
            log.info("token_refused", client=partner.name, reason="scope")
            raise granted
        log.info("token_granted", client=partner.name, scope=str(granted))
        return Granted(token, LIFE_S, granted)

    def _hold_off(self, name: str) -> None:
        wait = self.throttle.wait_s(name)
        if wait > 0:
            after = {"Retry-After": str(math.ceil(wait))}
            message = "too many requests that failed"
            raise OAuthError("temporarily_unavailable", message, 429, after)

    def _refused(self, by: str, client: str, reason: str) -> OAuthError:
        self._failed(by, client, reason)
        return OAuthError("invalid_client", assertions.REASONS[reason])

    def _failed(self, by: str, client: str, reason: str) -> None:
        self._hold_off(by)
        self.throttle.failed(by)
        log.warning("token_refused", client=client, reason=reason)


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _form(asked: Asked) -> dict[str, str]:
    """The parameters of a request that proves itself by an assertion, each given once."""
    form = dict(asked.form)
    if len(form) < len(asked.form):
        raise OAuthError("invalid_request", "a parameter is given more than once")
    if asked.has_header:
        named = {"WWW-Authenticate": 'Basic realm="fhirsvc"'}
        message = "clients prove themselves by private_key_jwt alone"
        raise OAuthError("invalid_client", message, 401, named)
    if "client_secret" in form:
        raise OAuthError("invalid_client", "clients prove themselves by private_key_jwt alone")
    grant = form.get("grant_type")
    if not grant:
        raise OAuthError("invalid_request", "expected a grant_type")
    if grant != GRANT:
        raise OAuthError("unsupported_grant_type", f"expected grant_type {GRANT}")
    if form.get("client_assertion_type") != JWT_BEARER:
        raise OAuthError("invalid_client", f"expected client_assertion_type {JWT_BEARER}")
    if not form.get("client_assertion"):
        raise OAuthError("invalid_client", "expected a client_assertion")
    return form


def _granted(asked: str, partner: Partner) -> Scopes | OAuthError:
    """What of the scopes asked for is registered, or why nothing is given."""
    try:
        wanted = scopes.parse(asked)
    except ScopeError as error:
        return OAuthError("invalid_scope", str(error))
    if not wanted:
        return OAuthError("invalid_scope", "expected a scope")
    granted = wanted & scopes.parse(partner.scope)
    return granted or OAuthError("invalid_scope", "nothing of this is registered")
