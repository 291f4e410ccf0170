"""What the other tests rely on: HAPI is real, as strict as described, and survives kill -9."""

from __future__ import annotations

import concurrent.futures
import http.server
import queue
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from child import wait_until
from profiles import us_core
from servers import HapiServer, NotAvailableError

pytestmark = pytest.mark.interop

SYSTEM = "https://example.org/interop"


def patient(value: str, **elements: Any) -> dict[str, Any]:
    identifier = [{"system": SYSTEM, "value": value}]
    return {"resourceType": "Patient", "identifier": identifier, **elements}


def match(value: str) -> str:
    return f"identifier={SYSTEM}|{value}"


@pytest.fixture(name="value")
def _value() -> str:
    """Return an identifier value no other test uses."""
    return uuid.uuid4().hex


class TestHapi:
    def test_conditional_create_makes_one_then_finds_it(self, hapi: HapiServer, value: str) -> None:
        """If-None-Exist answers 201 at first and 200 with the same id from then on."""
        first = hapi.request("POST", "Patient", patient(value), If_None_Exist=match(value))
        again = hapi.request("POST", "Patient", patient(value), If_None_Exist=match(value))

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json()["id"] == again.json()["id"]
        assert hapi.count("Patient", identifier=f"{SYSTEM}|{value}") == 1

    def test_conditional_create_refuses_several_matches(self, hapi: HapiServer, value: str) -> None:
        """If-None-Exist that matches two answers 412, with HAPI's code for it."""
        for _ in range(2):
            hapi.request("POST", "Patient", patient(value))

        refused = hapi.request("POST", "Patient", patient(value), If_None_Exist=match(value))

        assert refused.status_code == 412
        assert "matched 2" in refused.json()["issue"][0]["diagnostics"]
        assert hapi.count("Patient", identifier=f"{SYSTEM}|{value}") == 2

    def test_simultaneous_conditional_creates_make_no_duplicate(
        self, hapi: HapiServer, value: str
    ) -> None:
        """Eight at once leave one resource; the losers hear 200 or 409, never a second 201."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            body = patient(value)
            calls = [
                pool.submit(hapi.request, "POST", "Patient", body, If_None_Exist=match(value))
                for _ in range(8)
            ]
            statuses = sorted(call.result().status_code for call in calls)

        assert statuses.count(201) == 1
        assert set(statuses) <= {200, 201, 409}
        assert hapi.count("Patient", identifier=f"{SYSTEM}|{value}") == 1

    def test_conditional_update_creates_then_updates(self, hapi: HapiServer, value: str) -> None:
        """PUT by identifier answers 201, then 200 with a new version of the same resource."""
        path = "Patient?" + match(value)
        first = hapi.request("PUT", path, patient(value, gender="female"))
        second = hapi.request("PUT", path, patient(value, gender="other"))

        assert (first.status_code, second.status_code) == (201, 200)
        assert second.json()["id"] == first.json()["id"]
        assert second.json()["meta"]["versionId"] == "2"
        found = hapi.search("Patient", identifier=f"{SYSTEM}|{value}")
        assert [resource["gender"] for resource in found] == ["other"]

    def test_client_assigned_id(self, hapi: HapiServer, value: str) -> None:
        """PUT to an id of our choice creates it with 201."""
        created = hapi.request("PUT", f"Patient/{value}", patient(value, id=value))

        assert created.status_code == 201
        assert hapi.request("GET", f"Patient/{value}").json()["id"] == value

    def test_stale_if_match_is_409(self, hapi: HapiServer, value: str) -> None:
        """HAPI answers 409, not 412, to an If-Match that is no longer current; nothing changes."""
        path = f"Patient/{value}"
        hapi.request("PUT", path, patient(value, id=value, gender="female"))
        current = hapi.request(
            "PUT", path, patient(value, id=value, gender="male"), If_Match='W/"1"'
        )
        stale = hapi.request(
            "PUT", path, patient(value, id=value, gender="other"), If_Match='W/"1"'
        )

        assert (current.status_code, stale.status_code) == (200, 409)
        assert hapi.request("GET", path).json()["gender"] == "male"

    @pytest.mark.parametrize("target", ["Patient/absent", "https://elsewhere.example/Patient/1"])
    def test_dangling_reference_is_refused(self, hapi: HapiServer, value: str, target: str) -> None:
        """A reference to what the server does not hold answers 400 and stores nothing."""
        flag = {
            "resourceType": "Flag",
            "identifier": [{"system": SYSTEM, "value": value}],
            "status": "active",
            "code": {"text": "dangling"},
            "subject": {"reference": target},
        }

        assert hapi.request("POST", "Flag", flag).status_code == 400
        assert hapi.count("Flag", identifier=f"{SYSTEM}|{value}") == 0

    def test_unknown_search_parameter_is_refused(self, hapi: HapiServer) -> None:
        """An unknown parameter answers 400 instead of being ignored."""
        assert hapi.request("GET", "Patient?nonsense=1").status_code == 400

    def test_search_reads_all_pages(self, hapi: HapiServer, value: str) -> None:
        """``search`` follows the next links, so a page's size does not limit it."""
        for number in range(5):
            hapi.request("POST", "Patient", patient(f"{value}-{number}", gender="unknown"))
        values = ",".join(f"{SYSTEM}|{value}-{number}" for number in range(5))

        found = hapi.search("Patient", identifier=values, _count="2")

        assert len({resource["id"] for resource in found}) == 5

    def test_unknown_property_is_accepted_without_validation(
        self, hapi: HapiServer, value: str
    ) -> None:
        """Without request validation an unknown property is dropped and answered with 201."""
        created = hapi.request("POST", "Patient", patient(value, nonsense=1))

        assert created.status_code == 201
        assert "nonsense" not in created.json()

    def test_rest_hook_subscription_notifies(
        self, hapi: HapiServer, value: str, hook: tuple[str, queue.Queue[str]]
    ) -> None:
        """An R4 rest-hook Subscription is called when a resource that matches is written."""
        url, calls = hook
        subscription = {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "interop",
            "criteria": f"Patient?{match(value)}",
            "channel": {"type": "rest-hook", "endpoint": url, "payload": "application/fhir+json"},
        }
        created = hapi.request("POST", "Subscription", subscription).json()
        path = f"Subscription/{created['id']}"
        wait_until(
            lambda: hapi.request("GET", path).json()["status"] == "active",
            "the subscription does not become active",
        )

        hapi.request("POST", "Patient", patient(value))

        assert "/Patient/" in calls.get(timeout=60)
        hapi.request("DELETE", path)

    def test_validation_refuses_what_the_rules_forbid(self, value: str) -> None:
        """With ``validate`` an unknown property and a broken declared profile answer 422."""
        try:
            packages = us_core("6.1.0")
        except NotAvailableError as absent:
            pytest.skip(str(absent))
        profile = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
        with HapiServer(validate=True, igs=packages) as strict:
            bodies = [
                patient(value, nonsense=1),
                patient(value, meta={"profile": [profile]}),
                patient(
                    value,
                    meta={"profile": [profile]},
                    name=[{"family": "Example"}],
                    gender="unknown",
                ),
            ]
            statuses = [strict.request("POST", "Patient", body).status_code for body in bodies]

            assert statuses == [422, 422, 201]
            assert strict.count("Patient") == 1

    def test_data_survives_kill_9_on_file(self, tmp_path: Path) -> None:
        """What was answered 201 is there after SIGKILL at that very moment and a restart."""
        with HapiServer(db=tmp_path / "db") as server:
            url = server.url
            for round_ in range(2):
                answer = server.request("POST", "Patient", patient(f"round-{round_}"))
                server.kill9()
                assert answer.status_code == 201
                server.restart()
                assert server.url == url
                kept = server.request("GET", f"Patient/{answer.json()['id']}")
                assert kept.status_code == 200
                assert kept.json()["identifier"][0]["value"] == f"round-{round_}"
            assert server.count("Patient") == 2


@pytest.fixture(name="hook")
def _hook() -> Iterator[tuple[str, queue.Queue[str]]]:
    """Return the URL of a loopback listener and the queue of the paths it was called with."""
    calls: queue.Queue[str] = queue.Queue()

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", "0")))
            calls.put(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_PUT  # noqa: N815 - the name http.server looks for

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", calls
        server.shutdown()
        thread.join()
