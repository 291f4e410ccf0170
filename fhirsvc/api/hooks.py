"""``/hooks/<connection>``: where EHRs notify; what they say is a hint, and is read again."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.guard import DEFAULT, parse
from fhirsvc.services.watching import SECRET_HEADER, Watcher

LARGEST = 2_000_000  # bytes of a notification


def hooks(watcher: Callable[[], Watcher]) -> Blueprint:
    """The blueprint of hooks."""
    routes = Blueprint("hooks", __name__, url_prefix="/hooks")

    @routes.post("/<name>")
    @routes.put("/<name>/<path:rest>")
    @routes.post("/<name>/<path:rest>")
    @routes.delete("/<name>/<path:rest>")
    def hook(name: str, rest: str = "") -> Response:
        """Take down a notification: 200 once it is noted, 401 without the secret that we gave."""
        if (request.content_length or 0) > LARGEST:
            raise FhirsvcError(Category.INVALID, "too large for a notification")
        data = request.get_data()
        body = parse(data, DEFAULT) if data.strip() else None
        if body is not None and not isinstance(body, dict):
            raise FhirsvcError(Category.INVALID, "expected a resource", "$")
        watcher().hear(name, request.headers.get(SECRET_HEADER, ""), body, rest)
        return Response("", 200, content_type="text/plain")

    return routes
