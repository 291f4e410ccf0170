"""``/oauth/token`` and ``/.well-known/smart-configuration``: access tokens for partners' clients.

https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from fhirsvc.api.access import address
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.partner_keys import KINDS
from fhirsvc.services.token_office import GRANT, Asked, OAuthError, TokenOffice

TOKEN = "/oauth/token"  # noqa: S105 - an address
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
LARGEST = 65_536  # bytes of a token request


def oauth(office: TokenOffice, public: str) -> Blueprint:
    """The blueprint; ``public`` is our base URL where the settings name one."""
    routes = Blueprint("oauth", __name__)

    @routes.errorhandler(OAuthError)
    def refused(error: OAuthError) -> Response:
        """A refusal as RFC 6749 §5.2 has it."""
        body = {"error": error.code, "error_description": error.message}
        answer = _answer(body, error.status)
        answer.headers.update(error.headers)
        return answer

    @routes.post(TOKEN)
    def token() -> Response:
        """Give a token to a client that proves itself."""
        base = address(public, request)
        if not base:
            message = "this service has no public address: set public_url"
            raise OAuthError("invalid_request", message)
        asked = Asked(
            _form(), base + TOKEN, request.remote_addr or "", "Authorization" in request.headers
        )
        granted = office.grant(asked)
        body = {
            "access_token": granted.token,
            "token_type": "bearer",
            "expires_in": granted.life_s,
            "scope": str(granted.scopes),
        }
        return _answer(body, 200)

    @routes.get("/.well-known/smart-configuration")
    @routes.get("/fhir/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        """What a client has to know; whoever asks may."""
        base = address(public, request)
        if not base:
            raise FhirsvcError(Category.NOT_FOUND, "this service has no public address")
        return _answer(configuration(base), 200)

    return routes


def configuration(base: str) -> dict[str, Any]:
    """The smart-configuration of a service at an address."""
    return {
        "token_endpoint": base + TOKEN,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(KINDS),
        "grant_types_supported": [GRANT],
        "scopes_supported": ["system/*.cruds", "system/*.rs"],
        # Every configuration has to name one; without authorization codes there is no use for it.
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }


def _form() -> list[tuple[str, str]]:
    """The parameters of the body, in the order they came."""
    request.max_content_length = LARGEST
    request.max_form_memory_size = LARGEST
    if request.mimetype != FORM:
        raise OAuthError("invalid_request", f"expected Content-Type: {FORM}")
    if request.args:
        raise OAuthError("invalid_request", "parameters are in the body, never in the address")
    try:
        return list(request.form.items(multi=True))
    except HTTPException:
        raise OAuthError("invalid_request", "the form is too large") from None


def _answer(body: dict[str, Any], status: int) -> Response:
    answer = Response(orjson.dumps(body), status, content_type=JSON)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Pragma"] = "no-cache"
    return answer
