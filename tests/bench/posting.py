"""What a validated POST costs beside the same endpoint that validates with fhir.resources.

The whole request is measured in this process, from bytes to bytes, by CPU time, in turn: of the
demo clinic's served resources ``$validate``, and of new Goals a create, which stores as well.
"""

from __future__ import annotations

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
from pydantic import ValidationError

from fhirsvc.app import create_app
from fhirsvc.errors import Finding
from fhirsvc.fhir.definitions import model
from fhirsvc.settings import load
from fhirsvc.wiring import LateMappings, product

ROUNDS, CREATES = 9, 60
HEADERS = {"Content-Type": "application/fhir+json"}
GOAL: dict[str, Any] = {
    "resourceType": "Goal",
    "lifecycleStatus": "active",
    "description": {"text": "Walk every morning"},
    "subject": {"reference": "Patient/client.client-01"},
    "startDate": "2026-03-02",
}


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
        web = create_app(wiring, lambda: late.mappings).test_client()
        made = [one for record in clinic.records() for one in late.forward(record, 8)]
        bodies = [(one["resourceType"], orjson.dumps(one)) for one in made][::3]

        def validating() -> None:
            for kind, body in bodies:
                answer = web.post(f"/fhir/{kind}/$validate", data=body, headers=HEADERS)
                assert answer.status_code == 200

        def creating() -> None:
            for _ in range(CREATES):
                answer = web.post("/fhir/Goal", data=orjson.dumps(GOAL), headers=HEADERS)
                assert answer.status_code == 201

        print(f"validated_post_x_fhir_resources: {_ratio(validating):.1f}")
        print(f"create_x_fhir_resources: {_ratio(creating):.2f}")
        wiring.database.dispose()


if __name__ == "__main__":
    main()
