"""Clients that others wrote read, search, export and write, as they would at any other server."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import skip_if_absent
from foreign import Served, medplum, serving

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import shipped_clinic as clinic

from fhirsvc import settings, wiring
from fhirsvc.fhir.search_parameters import TYPES

pytestmark = pytest.mark.interop
GROUP = "organization.org-cedar-hollow"
# What smart-fetch exports when nobody says, of what is served here.
ITS_OWN = (
    "Condition",
    "EpisodeOfCare",
    "MedicationRequest",
    "Observation",
    "Patient",
    "ServiceRequest",
)


@pytest.fixture(scope="module", name="served")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo clinic, served by processes of its own."""
    folder = tmp_path_factory.mktemp("foreign")
    database_url = f"sqlite:///{folder / 'fhirsvc.sqlite'}"
    wired = wiring.product(settings.load(database_url=database_url))
    wired.database.upgrade()
    wired.publisher.accept(clinic.records())
    while wired.projector is not None and wired.projector.catch_up():
        pass
    wired.database.dispose()
    with serving(folder) as served:
        yield served


def _there(served: Served, types: tuple[str, ...] = TYPES) -> Counter[str]:
    """How many resources of each type our own searches count."""
    found: Counter[str] = Counter()
    for name in types:
        answer = served.get(f"{name}?_summary=count")
        assert answer.status_code == 200, answer.text
        if answer.json()["total"]:
            found[name] = answer.json()["total"]
    return found


def _fetched(folder: Path) -> Counter[str]:
    """How many different resources of each type are in the files of an export."""
    seen = set()
    for path in folder.rglob("*.ndjson*"):
        if path.name.startswith("log."):
            continue
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for line in data.splitlines():
            one = json.loads(line)
            name = (one["resourceType"], one["id"])
            assert name not in seen
            seen.add(name)
    return Counter(type_ for type_, _ in seen)


class TestSmartFetch:
    """https://pypi.org/project/smart-fetch/: bulk exports for research."""

    def _bulk(self, served: Served, folder: Path, *more: str) -> None:
        command = [str(Path(sys.executable).parent / "smart-fetch"), "bulk", str(folder)]
        command += ["--fhir-url", served.fhir, *more]
        if served.jwks is not None:
            command += ["--smart-client-id", served.client_id, "--smart-key", str(served.jwks)]
        else:
            token = folder.parent / "token"
            token.write_text("none is needed")
            command += ["--bearer-token", str(token)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_the_whole_system(self, served: Served, tmp_path: Path):
        """Every resource of the types that it knows arrives once."""
        self._bulk(served, tmp_path / "out", "--no-default-filters")

        assert _fetched(tmp_path / "out") == _there(served, ITS_OWN)

    def test_with_its_own_filter(self, served: Served, tmp_path: Path):
        """As it asks when nobody says otherwise: Observations of some categories only."""
        self._bulk(served, tmp_path / "out", "--type", "Observation")

        categories = "social-history,vital-signs,imaging,laboratory,survey,exam"
        categories += ",procedure,therapy,activity"
        answer = served.get(f"Observation?category={categories}&_summary=count")
        assert 0 < answer.json()["total"]
        assert _fetched(tmp_path / "out") == {"Observation": answer.json()["total"]}

    def test_a_group(self, served: Served, tmp_path: Path):
        """A program's clients arrive, all of them."""
        self._bulk(served, tmp_path / "out", "--group", GROUP, "--type", "Patient")

        group = served.get(f"Group/{GROUP}").json()
        assert _fetched(tmp_path / "out") == {"Patient": len(group["member"])}

    def test_nothing_since(self, served: Served, tmp_path: Path):
        """Since a day to come nothing has changed."""
        self._bulk(served, tmp_path / "out", "--since", "2999-01-01T00:00:00Z")

        assert not _fetched(tmp_path / "out")

    def test_everything_that_is_served(self, served: Served, tmp_path: Path):
        """Its exporter, asked for every type that is served, brings all of them."""
        import cumulus_fhir_support
        from smart_fetch import bulk_utils, lifecycle

        options: dict[str, Any] = {"bearer_token": served.token() or "none is needed"}
        out = tmp_path / "out"
        out.mkdir()

        async def export() -> None:
            async with cumulus_fhir_support.FhirClient(served.fhir, TYPES, **options) as client:
                exporter = bulk_utils.BulkExporter(
                    client,
                    set(TYPES),
                    served.fhir,
                    str(out),
                    metadata=lifecycle.OutputMetadata(str(out)),
                )
                await exporter.export()

        asyncio.run(export())

        there = _there(served)
        assert len(there) > 15
        assert _fetched(out) == there


def _task(served: Served) -> dict[str, Any]:
    """A Task that asks a partner something: one of a referral."""
    found = served.get("Task?_count=1000").json()["entry"]
    return next(
        dict(one["resource"])
        for one in found
        if one["resource"].get("focus", {}).get("reference", "").startswith("ServiceRequest/")
    )


def _new_goal() -> dict[str, Any]:
    """A Goal of a partner's own, with an identifier of its own."""
    patient = {"reference": "Patient/client.client-01"}
    return {
        "resourceType": "Goal",
        "identifier": [{"system": "urn:example:partner", "value": uuid.uuid4().hex}],
        "lifecycleStatus": "active",
        "description": {"text": "Walk every morning"},
        "subject": patient,
        "expressedBy": patient,
        "startDate": "2026-03-02",
    }


class TestFhirpy:
    """https://pypi.org/project/fhirpy/."""

    def _client(self, served: Served, **headers: str) -> Any:
        from fhirpy import SyncFHIRClient

        return SyncFHIRClient(
            served.fhir, authorization=served.authorization, extra_headers=headers
        )

    def test_reads(self, served: Served):
        """A resource by its id, as it is served."""
        got = self._client(served).reference("Patient", "client.client-01").to_resource()

        assert got.serialize() == served.get("Patient/client.client-01").json()

    def test_searches_all_pages(self, served: Served):
        """Every page of a search, each resource once."""
        found = self._client(served).resources("Observation").limit(7).fetch_all()

        assert len({one["id"] for one in found}) == len(found) == _there(served)["Observation"]

    def test_searches_with_criteria(self, served: Served):
        """Criteria and what goes along, in its own words."""
        client = self._client(served)
        goals = client.resources("Goal").search(patient="client.client-01").fetch_all()
        assert {one["subject"]["reference"] for one in goals} == {"Patient/client.client-01"}
        # Its count() asks for a parameter of one maker's servers, which is refused here.
        first = client.resources("Patient").search(identifier="CH-20410").first()
        assert first is not None
        assert first["id"] == "client.client-01"
        pages = client.resources("CarePlan").include("CarePlan", "patient").limit(3).fetch_raw()
        assert {one["resource"]["resourceType"] for one in pages["entry"]} == {
            "CarePlan", "Patient"
        }  # fmt: skip

    def test_what_is_not_there(self, served: Served):
        """It tells its user in its own way."""
        from fhirpy.base.exceptions import ResourceNotFound

        with pytest.raises(ResourceNotFound):
            self._client(served).reference("Patient", "none").to_resource()

    def test_creates(self, served: Served):
        """A Goal of its own gets an id, and is there to read and to search."""
        client = self._client(served)
        new = _new_goal()
        goal = client.resource("Goal", **new)
        goal.save()

        assert goal["id"]
        there = served.get(f"Goal/{goal['id']}")
        assert there.status_code == 200, there.text
        value = new["identifier"][0]["value"]
        found = client.resources("Goal").search(identifier=value).fetch_all()
        assert [one["id"] for one in found] == [goal["id"]]

    def test_creates_once(self, served: Served):
        """The same again under If-None-Exist makes no second one."""
        new = _new_goal()
        value = new["identifier"][0]["value"]
        criteria = {"If-None-Exist": f"identifier=urn:example:partner|{value}"}
        client = self._client(served, **criteria)
        for _ in range(2):
            client.execute("Goal", method="post", data=new)

        found = self._client(served).resources("Goal").search(identifier=value).fetch_all()
        assert len(found) == 1

    def test_updates(self, served: Served):
        """A Task that is answered is the next version of itself."""
        before = _task(served)
        version = before["meta"]["versionId"]
        client = self._client(served, **{"If-Match": f'W/"{version}"'})
        task = client.resource("Task", **before)
        task["note"] = [*before.get("note", []), {"text": "Called back"}]
        task.save()

        after = served.get(f"Task/{before['id']}").json()
        assert int(after["meta"]["versionId"]) == int(version) + 1
        assert after["note"][-1]["text"] == "Called back"
        again = client.resource("Task", **before)  # the version that it names is the last no more
        with pytest.raises(Exception, match=r"409|412|version|conflict"):
            again.save()


class TestFhirclient:
    """https://pypi.org/project/fhirclient/."""

    def _server(self, served: Served) -> Any:
        from fhirclient import client

        made = client.FHIRClient(settings={"app_id": "foreign", "api_base": served.fhir})
        made.server.session = requests.Session()
        if authorization := served.authorization:
            made.server.session.headers["Authorization"] = authorization
        return made.server

    def test_reads(self, served: Served):
        """A Patient passes its model and is what is served."""
        from fhirclient.models.patient import Patient

        got = Patient.read("client.client-01", self._server(served))

        assert got.as_json() == served.get("Patient/client.client-01").json()

    @pytest.mark.parametrize("name", ["Observation", "CarePlan", "Task", "QuestionnaireResponse"])
    def test_searches_all_pages(self, served: Served, name: str):
        """Every page of a search, each resource passing its models."""
        import importlib

        model = getattr(importlib.import_module(f"fhirclient.models.{name.lower()}"), name)
        found = list(model.where({"_count": "7"}).perform_resources_iter(self._server(served)))

        assert len({one.id for one in found}) == len(found) == _there(served)[name]

    def test_reads_the_capability_statement(self, served: Served):
        """It passes its models, and says what the server can."""
        from fhirclient.models.capabilitystatement import CapabilityStatement

        server = self._server(served)
        got = CapabilityStatement.read_from("metadata", server)

        names = [one.name for one in got.rest[0].operation]
        assert names.count("export") == 1

    def test_writes(self, served: Served):
        """A Goal of its own is created, changed and read again, all through its models."""
        from fhirclient.models.goal import Goal

        server = self._server(served)
        made = Goal(_new_goal()).create(server)
        assert made["id"]
        goal = Goal.read(made["id"], server)
        goal.lifecycleStatus = "on-hold"
        goal.update(server)

        assert Goal.read(made["id"], server).lifecycleStatus == "on-hold"


def test_medplum_reads_and_searches(served: Served):
    """@medplum/core: a read, all pages, a version, a history, and an error that it understands."""
    with skip_if_absent():
        module = medplum()
    script = Path(__file__).with_name("medplum.mjs")
    command = ["node", str(script), str(module), f"{served.url}/", served.token()]
    command += ["Observation", ""]
    command[-1] = served.get("Observation?_count=1").json()["entry"][0]["resource"]["id"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]

    said = json.loads(done.stdout)
    assert said["read"] == said["version"] == served.get(f"Observation/{command[-1]}").json()
    there = _there(served)["Observation"]
    assert len(set(said["found"])) == len(said["found"]) == there
    assert said["pages"] == -(-there // 7)
    assert set(said["of"]) == {"Patient/client.client-01"}
    assert (said["history"], said["missing"]) == (1, "not-found")
