"""schemathesis asks /api/v1 what its document allows and what it does not, for two minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from foreign import serving

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import shipped_clinic as clinic

from fhirsvc import settings, wiring

pytestmark = pytest.mark.interop
CHECKS = (
    "not_a_server_error",
    "response_schema_conformance",
    "status_code_conformance",
    "content_type_conformance",
)
SECONDS = 120  # for all that it makes up


def test_every_answer_is_one_that_is_documented(tmp_path: Path):
    """No 500, no status, type or body that the document does not name."""
    wired = wiring.product(settings.load(database_url=f"sqlite:///{tmp_path / 'fhirsvc.sqlite'}"))
    wired.database.upgrade()
    wired.publisher.accept(clinic.records())
    wired.database.dispose()
    with serving(tmp_path) as served:
        command = [str(Path(sys.executable).parent / "schemathesis"), "run"]
        command += [f"{served.url}/openapi.json", "--checks", ",".join(CHECKS)]
        command += ["--max-time", str(SECONDS), "--max-examples", "150", "--seed", "7"]
        command += ["--generation-deterministic", "--no-color", "--request-timeout", "30"]
        command += ["--continue-on-failure", "--suppress-health-check", "all"]
        environment = {**os.environ, "SCHEMATHESIS_HOOKS": "ndjson_lines"}
        environment["PYTHONPATH"] = str(Path(__file__).parent)
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=420,
        )
    assert done.returncode == 0, done.stdout[-6000:]
