"""The simulated EHR answers as the FHIR http page says, over a real socket."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
import requests
from tiny import FakeClock

from fhirsvc.ehr.simulated import FAULTS, Faults, SimulatedServer
from fhirsvc.ehr.simulated_fhir import SimulatedFhir

PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:s", "value": "a,b|c"}],
}


@pytest.fixture(name="server")
def _server():
    """A server on a free loopback port."""
    with SimulatedServer(SimulatedFhir(FakeClock())) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(name="http")
def _http():
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_create_read_update(server, http):
    """Create gives Location, ETag and body; an update asks for the version it changes."""
    made = http.post(f"{server.url}/Patient", json=PATIENT)
    url = f"{server.url}/Patient/{made.json()['id']}"
    body = {**PATIENT, "id": made.json()["id"], "active": True}

    fresh = http.put(url, json=body, headers={"If-Match": 'W/"1"'})
    stale = http.put(url, json=body, headers={"If-Match": 'W/"1"'})

    assert (made.status_code, made.headers["ETag"]) == (201, 'W/"1"')
    assert made.headers["Location"] == f"{url}/_history/1"
    assert (fresh.status_code, stale.status_code) == (200, 409)
    assert http.get(url).json()["active"] is True
    assert http.get(f"{url}/_history").json()["total"] == 2


def test_conditional(server, http):
    """One match is updated or left, several are refused."""
    params = {"identifier": r"urn:s|a\,b\|c"}
    condition = {"If-None-Exist": r"identifier=urn:s|a\,b\|c"}

    statuses = [
        http.put(f"{server.url}/Patient", params=params, json=PATIENT).status_code,
        http.put(f"{server.url}/Patient", params=params, json=PATIENT).status_code,
        http.post(f"{server.url}/Patient", json=PATIENT, headers=condition).status_code,
        http.post(f"{server.url}/Patient", json=PATIENT).status_code,
        http.put(f"{server.url}/Patient", params=params, json=PATIENT).status_code,
        http.post(f"{server.url}/Patient", json=PATIENT, headers=condition).status_code,
    ]

    assert statuses == [201, 200, 200, 201, 412, 412]
    found = http.get(f"{server.url}/Patient", params={**params, "_summary": "count"}).json()
    assert (found["total"], found.get("entry")) == (2, None)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "Patient", b"{", 400),
        ("POST", "Patient", b'{"resourceType":"Goal"}', 400),
        ("POST", "Goal", b'{"resourceType":"Goal"}', 422),
        ("GET", "Patient/none", b"", 404),
        ("PUT", "Patient/none", b'{"resourceType":"Patient"}', 404),
        ("GET", "Patient?colour=red", b"", 400),
        ("PATCH", "Patient/1", b"", 501),
    ],
)
def test_refusals(server, http, method, path, body, status):
    """What it cannot do it refuses, with an OperationOutcome."""
    answer = http.request(method, f"{server.url}/{path}", data=body)

    assert answer.status_code == status
    if status != 501:
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_dangling_reference_is_refused(server, http):
    """Referential integrity, with the place of the reference."""
    goal = {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "x"},
        "subject": {"reference": "Patient/none"},
    }

    answer = http.post(f"{server.url}/Goal", json=goal)

    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Goal.subject"]


def test_deleted(server, http):
    """A deleted resource is gone, not unknown."""
    made = http.post(f"{server.url}/Patient", json=PATIENT).json()

    http.delete(f"{server.url}/Patient/{made['id']}")

    assert http.get(f"{server.url}/Patient/{made['id']}").status_code == 410


def test_metadata_and_correlation(server, http):
    """It states what it can, and gives the correlation id back."""
    answer = http.get(f"{server.url}/metadata", headers={"X-Correlation-Id": "c-1"})

    assert answer.json()["fhirVersion"] == "4.0.1"
    assert answer.headers["X-Correlation-Id"] == "c-1"


def test_a_slow_index():
    """A search misses what was created a moment ago; a read does not."""
    clock = FakeClock()
    fhir = SimulatedFhir(clock, index_lag_s=1.5)
    import orjson

    made = fhir.handle("POST", "/Patient", "", {}, orjson.dumps(PATIENT)).body
    query = r"identifier=urn:s%7Ca%5C,b%5C%7Cc"

    before = fhir.handle("GET", "/Patient", query, {}, b"").body["total"]
    clock.now += 1.5
    after = fhir.handle("GET", "/Patient", query, {}, b"").body["total"]

    assert (before, after) == (0, 1)
    assert fhir.handle("GET", f"/Patient/{made['id']}", "", {}, b"").status == 200


def test_faults_are_decided_by_the_seed():
    """The same seed does the same to the n-th of the same request; every fault comes to pass."""
    drawn = [Faults(7).of("PUT", f"/Goal/{n}", 1) for n in range(3000)]

    assert drawn == [Faults(7).of("PUT", f"/Goal/{n}", 1) for n in range(3000)]
    assert drawn != [Faults(8).of("PUT", f"/Goal/{n}", 1) for n in range(3000)]
    counted = Counter(drawn)
    assert set(counted) == {"", *FAULTS}
    assert counted[""] > 2000
