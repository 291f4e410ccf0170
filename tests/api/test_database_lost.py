"""A database that does not answer is said as such, and whoever asked can ask again."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from fhirsvc import shipped
from fhirsvc.app import create_app
from fhirsvc.settings import load
from fhirsvc.wiring import LateMappings, product

RECORD = orjson.loads(shipped.demo()["organization.ndjson"].splitlines()[0])
URL = f"/api/v1/records/organization/{RECORD['id']}"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Where the database is; without it no connection can be made."""
    found = tmp_path / "there"
    found.mkdir()
    return found


def test_it_is_503_while_it_is_gone_and_the_same_request_is_taken_after(
    folder: Path, late: LateMappings
):
    """A record is neither taken nor called faulty; /fhir says so as an OperationOutcome."""
    url = f"sqlite:///{folder / 'f.sqlite'}"
    wiring = product(load(database_url=url, fhir_open=True), mappings=late)
    wiring.database.upgrade()
    web = create_app(wiring, lambda: late.mappings).test_client()
    wiring.database.dispose()
    away = folder.rename(folder.with_name("away"))

    refused = web.put(URL, json=RECORD, headers={"If-None-Match": "*"})
    at_fhir = web.get("/fhir/Organization", headers={"Accept": "application/fhir+json"})

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json["title"] == "unavailable"
    assert RECORD["name"] not in refused.text
    assert at_fhir.status_code == 503
    assert at_fhir.json["issue"][0]["code"] == "transient"

    away.rename(folder)
    assert web.put(URL, json=RECORD, headers={"If-None-Match": "*"}).status_code == 201
    wiring.database.dispose()
