"""The demo clinic at a real HAPI FHIR server, and before a real validator."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from profiles import US_CORE_PROFILES
from servers import HapiServer, PostgresServer, Validator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import kill
import shipped_clinic as clinic

from fhirsvc import settings, wiring
from fhirsvc.services.references import identifier_of
from fhirsvc.store.connections import NewConnection
from fhirsvc.wiring import Wiring
from fhirsvc.worker import run_worker

pytestmark = pytest.mark.interop


def _deliver(wired: Wiring) -> None:
    assert run_worker(wired, until_idle=True)


def _there(hapi: HapiServer) -> dict[str, dict[str, Any]]:
    """Every resource at the server by type and business identifier, with its version."""
    found: dict[str, dict[str, Any]] = {}
    for kind in sorted({r["resourceType"] for r in clinic.resources()}):
        for resource in hapi.search(kind, _count=200):
            name = f"{kind} {'|'.join(identifier_of(resource))}"
            assert name not in found, f"{name} is there twice"
            found[name] = resource
    return found


def _edited(record: dict[str, Any], text: str) -> dict[str, Any]:
    return {**record, "summary": text}


@pytest.fixture(scope="module", name="hapi_alone")
def _hapi_alone() -> Any:
    """Return a server of its own, for the whole of it is compared; it refuses what is not R4."""
    with HapiServer(validate=True) as server:
        yield server


@pytest.fixture(scope="module", name="wired")
def _wired(tmp_path_factory: pytest.TempPathFactory, hapi_alone: HapiServer) -> Any:
    """Return the product on SQLite, connected to that server."""
    path = tmp_path_factory.mktemp("clinic") / "fhirsvc.sqlite"
    wired = wiring.product(settings.load(database_url=f"sqlite:///{path}"))
    wired.database.upgrade()
    wired.operator.add_connection(
        NewConnection("hapi", hapi_alone.url, rate=1000.0, burst=1000, index_lag_s=0.3)
    )
    yield wired
    wired.database.dispose()


class TestArrival:
    """One story in order: it arrives, it is quiet, an edit arrives as version 2."""

    def test_the_demo_clinic_arrives_whole(self, wired: Wiring, hapi_alone: HapiServer):
        """Every resource is at the server once, in its first version, with its content."""
        accepted = wired.publisher.accept(clinic.records())
        assert accepted.count("created") == len(clinic.records())

        _deliver(wired)

        there = _there(hapi_alone)
        wanted = {
            f"{r['resourceType']} {'|'.join(identifier_of(r))}": r for r in clinic.resources()
        }
        assert set(wanted) == set(there)
        for name, resource in wanted.items():
            assert there[name]["meta"]["versionId"] == "1", name
            assert kill.holds(there[name], kill._without_references(resource)), name

    def test_a_second_run_sends_nothing(self, wired: Wiring):
        """Loading the same records again opens no delivery and makes no call."""
        before = kill._writes(wired)

        accepted = wired.publisher.accept(clinic.records())
        _deliver(wired)

        assert accepted.count("unchanged") == len(clinic.records())
        assert accepted.opened == 0
        assert kill._writes(wired) == before

    def test_an_edit_arrives_as_version_2(self, wired: Wiring, hapi_alone: HapiServer):
        """One changed plan: one new delivery, one resource in its second version, no other."""
        plan = next(r for r in clinic.records() if r["type"] == "care_plan")
        before = _there(hapi_alone)

        accepted = wired.publisher.accept([_edited(plan, "Said anew.")])
        _deliver(wired)

        after = _there(hapi_alone)
        changed = {n for n, r in after.items() if r["meta"] != before[n]["meta"]}
        assert accepted.opened == 1
        assert changed == {f"CarePlan urn:fhirsvc:care-plan|{plan['id']}"}
        (name,) = changed
        assert after[name]["meta"]["versionId"] == "2"
        assert after[name]["description"] == "Said anew."


def _newer(record: Any, number: int) -> dict[str, Any]:
    """An edit that every record type shows in some resource."""
    changed = json.loads(json.dumps(record))
    field = {"client": "email", "staff": "email", "organization": "email"}.get(record["type"])
    if field:
        changed[field] = f"edit{number}@clinic.example"
    elif record["type"] == "goal":
        changed["outcome"] = f"Looked at again, number {number}."
    elif record["type"] == "consent":
        changed["text"] = f"Looked at again, number {number}."
    elif record["type"] == "episode":
        changed["level_of_care_text"] = f"Looked at again, number {number}."
    elif record["type"] == "referral":
        changed["note"] = f"Looked at again, number {number}."
    else:
        changed["summary"] = f"Looked at again, number {number}."
    return changed


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_twenty_kills_lose_and_double_nothing(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
):
    """Kill -9, twenty times, while the clinic is delivered and edited; counted at the server."""
    if store == "sqlite":
        url = f"sqlite:///{tmp_path / 'fhirsvc.sqlite'}"
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        url = postgres.new_database()
    with HapiServer() as server:
        outcome = kill.drive(
            url,
            server.url,
            20,
            clinic.records(),
            edit=_newer,
            house="product",
            timeout_s=420.0,
            log_path=tmp_path / "worker.log",
        )

    assert outcome.kills == 20
    assert outcome.lost == []
    assert outcome.doubled == []
    assert outcome.stale == []
    assert outcome.repeated == []
    assert outcome.unfinished == []
    assert outcome.resources == len(clinic.resources())
    sys.stderr.write(
        f"\n{store}: {outcome.kills} kills, {outcome.resources} resources, 0 lost, 0 doubled, "
        f"{outcome.seconds:.0f} s, restart to first write up to {max(outcome.restarts_s):.1f} s\n"
    )


@pytest.mark.parametrize("version", ["R4", "6.1.0", "7.0.0", "8.0.0"])
def test_every_resource_passes_the_validator(version: str, validator: Callable[[str], Validator]):
    """0 errors for everything the demo makes, against R4 and each US Core that has a profile."""
    profiles = None if version == "R4" else US_CORE_PROFILES
    us_core = 8 if version == "R4" else int(version[0])
    made = [r for record in clinic.records() for r in clinic.mappings().forward(record, us_core)]
    made += clinic.mappings().questionnaires()

    verdicts = validator(version).check(json.loads(json.dumps(made)), profiles)

    assert len(verdicts) == len(made)
    wrong = [(v.resource_type, v.id, e.location, e.message) for v in verdicts for e in v.errors]
    assert wrong == []
