"""What a validated POST costs beside the same endpoint that validates with fhir.resources.

The whole request is measured in this process, from bytes to bytes, by CPU time, in turn:
``$validate`` of each of the demo clinic's resources, and of Bundles of a hundred of them, and the
create of Goals, which stores as well.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import orjson
import structlog

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1])]

import shipped_clinic as clinic
from flask import Flask
from pydantic import ValidationError

from fhirsvc.app import create_app
from fhirsvc.errors import Finding
from fhirsvc.fhir.definitions import model
from fhirsvc.settings import load
from fhirsvc.wiring import LateMappings, product

ROUNDS, CREATES = 9, 60
GOAL: dict[str, Any] = {
    "resourceType": "Goal",
    "lifecycleStatus": "active",
    "description": {"text": "Walk every morning"},
    "subject": {"reference": "Patient/client.client-01"},
    "startDate": "2026-03-02",
}


def _bundle(resources: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _post(app: Flask, path: str, body: bytes) -> str:
    """A request as a server hands it over; returns the status line."""
    said = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost:8080",
        "CONTENT_TYPE": "application/fhir+json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
    }
    b"".join(app.wsgi_app(environ, lambda status, _headers: said.append(status)))
    return str(said[0])


def _by_models(resource: dict[str, Any]) -> list[Finding]:
    """The same question, asked of fhir.resources."""
    try:
        model(resource["resourceType"]).model_validate(resource)
    except ValidationError as error:
        return [Finding("structure", "is not R4", str(one["loc"])) for one in error.errors()]
    return []


@contextmanager
def _theirs() -> Iterator[None]:
    with (
        mock.patch("fhirsvc.api.fhir_operations.validate", _by_models),
        mock.patch("fhirsvc.api.fhir_writes.validate", _by_models),
    ):
        yield


def _cpu(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _ratio(work: Callable[[], None]) -> float:
    """How many times as long it takes with fhir.resources."""
    ours, theirs = [], []
    for turn in range(ROUNDS + 1):
        mine = _cpu(work)
        with _theirs():
            other = _cpu(work)
        if turn:  # the first is warm-up
            ours.append(mine)
            theirs.append(other)
    return median(theirs) / median(ours)


def main() -> None:
    """Measure and print."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory() as folder:
        late = LateMappings("")
        url = f"sqlite:///{folder}/posting.sqlite"
        wiring = product(load(database_url=url, fhir_open=True), mappings=late)
        wiring.database.upgrade()
        wiring.publisher.accept(clinic.records())
        projector = wiring.projector
        while projector is not None and projector.catch_up():
            pass
        app = create_app(wiring, lambda: late.mappings)
        made = [one for record in clinic.records() for one in late.forward(record, 8)]
        bodies = [(one["resourceType"], orjson.dumps(one)) for one in made][::3]
        bundles = [orjson.dumps(_bundle(made[n : n + 100])) for n in range(0, len(made), 100)][:4]

        def each() -> None:
            for kind, body in bodies:
                assert _post(app, f"/fhir/{kind}/$validate", body) == "200 OK"

        def together() -> None:
            for body in bundles:
                assert _post(app, "/fhir/Bundle/$validate", body) == "200 OK"

        def creating() -> None:
            for _ in range(CREATES):
                assert _post(app, "/fhir/Goal", orjson.dumps(GOAL)) == "201 CREATED"

        print(f"validated_post_x_fhir_resources: {_ratio(each):.1f}")
        print(f"validated_bundle_post_x_fhir_resources: {_ratio(together):.1f}")
        print(f"create_x_fhir_resources: {_ratio(creating):.2f}")
        wiring.database.dispose()


if __name__ == "__main__":
    main()
