"""What every view of ``/fhir`` shares: who asks, our address, and answers in the one form.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import orjson
from flask import Response, request

from fhirsvc.api.access import Access, AccessOf, Interaction
from fhirsvc.api.outcomes import FHIR_JSON, StatusError
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import DEFAULT, parse
from fhirsvc.fhir.search import ID, SearchError
from fhirsvc.fhir.search_parameters import TYPES
from fhirsvc.services.serve import Asked, Given, resource_of
from fhirsvc.store.served_search import Found

JSON = (FHIR_JSON, "application/json", "text/json")
# In an address a plus is a space.
_FORMATS = ("json", *JSON, *(one.replace("+", " ") for one in JSON))
WRITTEN = ("_format", "_pretty")  # how an answer is written


@dataclass(frozen=True)
class Route:
    """One interaction, by its code in the specification, and what answers it.

    ``types``: the resource types for which it is offered; empty where it is for all, or for none.
    """

    code: str
    method: str
    rule: str
    view: Callable[..., Response]
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """What views need; ``public`` is our base URL where the settings name one."""

    access_of: AccessOf
    public: str

    @property
    def base(self) -> str:
        """Our base URL, without a slash at its end."""
        return (self.public.rstrip("/") or request.host_url.rstrip("/")) + "/fhir"

    def permit(
        self, type: str, interaction: Interaction, named: Mapping[str, list[str]] | None = None
    ) -> Access:
        """Who asks, where they may; ``named`` are the parameters of a search.

        :raises FhirsvcError: NOT_FOUND for a type that is not served, FORBIDDEN, UNAUTHENTICATED.
        """
        access = self.access_of(request)
        if type not in TYPES:
            raise FhirsvcError(Category.NOT_FOUND, "no such type is served here")
        if not access.permits(type, interaction, named or {}):
            raise FhirsvcError(Category.FORBIDDEN, f"the access does not allow {interaction}", type)
        return access

    def asked(self, access: Access) -> Asked:
        """Who asks, as the services know it."""
        return Asked(access.client, self.base, lambda type: access.permits(type, "search"))

    def answer(self, body: Mapping[str, Any], status: int = 200) -> Response:
        """A resource as JSON, the only form that there is."""
        acceptable()
        is_pretty = request.args.get("_pretty") == "true"
        text = orjson.dumps(body, option=orjson.OPT_INDENT_2 if is_pretty else 0)
        return Response(text, status, content_type=FHIR_JSON)

    def one(self, found: Found, status: int = 200) -> Response:
        """A resource with its version and time."""
        return stamped(self.answer(resource_of(found), status), found)


def acceptable() -> None:
    """Refuse who wants another form than JSON, before anything is done.

    :raises StatusError: 406.
    """
    wanted = request.args.get("_format")
    if wanted is not None and wanted not in _FORMATS:
        raise StatusError(406, "answers are application/fhir+json", "_format")
    if wanted is None and request.accept_mimetypes.best_match(JSON) is None and (
        "Accept" in request.headers
    ):  # fmt: skip
        raise StatusError(406, "answers are application/fhir+json", "Accept")


def stamped(answer: Response, found: Found) -> Response:
    """An answer that says which version it is about, and of when."""
    answer.headers["ETag"] = f'W/"{found.version}"'
    answer.headers["Last-Modified"] = formatdate(found.updated_at, usegmt=True)
    return answer


def body_of_request() -> dict[str, Any]:
    """The JSON object that was sent.

    :raises StatusError: 415 where it is said to be something else, 400 where it is not one.
    """
    found = json_of_request()
    if not isinstance(found, dict):
        raise StatusError(400, "expected a JSON object", "$")
    return found


def json_of_request() -> Any:
    """The JSON that was sent, whatever it is.

    :raises StatusError: 415 where it is said to be something else, 400 where it is not one.
    """
    if request.mimetype not in JSON:
        raise StatusError(415, f"expected Content-Type: {FHIR_JSON}", "Content-Type")
    try:
        return parse(request.get_data(), DEFAULT)
    except FhirsvcError as error:
        raise StatusError(400, error.message, error.where) from None


def preferred() -> set[str]:
    """What the Prefer headers say, in small letters: https://www.rfc-editor.org/rfc/rfc7240."""
    text = ",".join(request.headers.getlist("Prefer")).replace(";", ",")
    return {one.strip().lower().replace(" ", "").replace('"', "") for one in text.split(",")}


def only(names: tuple[str, ...]) -> Given:
    """The parameters of the address, of which there are no others than ``names``."""
    given = list(request.args.items(multi=True))
    for name, _ in given:
        if name not in names:
            known = name if name.isascii() and name.isidentifier() and len(name) < 41 else ""
            raise SearchError(Category.UNSUPPORTED, "unknown parameter", known)
    return given


def id_of(text: str) -> str:
    """An id; NOT_FOUND for what could not be one."""
    if not ID.fullmatch(text):
        raise FhirsvcError(Category.NOT_FOUND, "no such resource")
    return text
