"""Whatever is sent: never a 5xx, never a planted name in a log, and what was there is served."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from hostile import PLANTED, Hostile
from shipped_clinic import records as clinic_records
from structlog.testing import capture_logs

from fhirsvc.app import create_app
from fhirsvc.settings import load
from fhirsvc.store.connections import NewConnection
from fhirsvc.wiring import LateMappings, product

# 200,000: see docs/fhir-api.md.
COUNT = int(os.environ.get("FHIRSVC_HOSTILE", "1500"))
SEED = int(os.environ.get("FHIRSVC_HOSTILE_SEED", "7"))


@pytest.fixture(name="wired")
def _wired(database_url):
    late = LateMappings("")
    made = product(load(database_url=database_url, fhir_open=True), mappings=late)
    made.database.upgrade()
    made.operator.add_connection(NewConnection("north", "http://127.0.0.1:9/fhir"))
    made.publisher.accept(clinic_records())
    projector = made.projector
    while projector.catch_up():
        pass
    yield made, create_app(made, lambda: late.mappings)
    made.database.dispose()


def test_hostile_requests(wired, capsys):
    """Each is answered below 500; errors at /fhir are OperationOutcomes, and name no value."""
    wiring, app = wired
    web = app.test_client()
    served = []
    for kind in ("Goal", "CarePlan", "ServiceRequest", "Task", "QuestionnaireResponse", "Patient"):
        entries = web.get(f"/fhir/{kind}?_count=40").json["entry"]
        served += [one["resource"] for one in entries]
    statuses: Counter[int] = Counter()
    took: dict[bool, list[float]] = {False: [], True: []}
    faults, told = [], 0
    app.testing = False  # a fault is a 500 here, as it is for others
    for ask in Hostile(SEED, served, clinic_records()).stream(COUNT):
        with capture_logs() as logs:
            begun = time.perf_counter()
            answer = web.open(ask.path, method=ask.method, data=ask.body, headers=ask.headers)
            took[ask.is_large].append(time.perf_counter() - begun)
        statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            faults.append((answer.status_code, ask.method, ask.path[:80], (ask.body or b"")[:300]))
        told += PLANTED in str(logs)
        if answer.status_code >= 400 and ask.path.startswith("/fhir/") and answer.data:
            assert PLANTED not in answer.text, ask.path[:80]
            assert answer.json["resourceType"] == "OperationOutcome", ask.path[:80]
        answer.close()
    assert faults == []
    assert told == 0
    assert statuses[200] > COUNT / 50
    assert web.get("/fhir/Patient?_summary=count").json["total"] >= 12
    wiring.database.check()
    with capsys.disabled():
        if COUNT > 1500:
            print(f"\n{sum(statuses.values()):,} requests: {sorted(statuses.items())}")
            for is_large, seconds in took.items():
                seconds.sort()
                at = seconds[int(len(seconds) * 0.99)] * 1000
                size = "about 1 MB" if is_large else "small"
                print(
                    f"{size}: {len(seconds):,}, p99 {at:.1f} ms, most {seconds[-1] * 1000:.1f} ms"
                )
