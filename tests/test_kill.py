"""Workers are killed while they deliver: nothing is lost, nothing doubled."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import tiny
from kill import drive

from fhirsvc.ehr.simulated import Faults, SimulatedServer
from fhirsvc.ehr.simulated_fhir import SimulatedFhir

TEXT = {"client": "family", "goal": "statement", "care_plan": "title"}


def records(count: int) -> list[dict]:
    """``count`` clients with a care plan and a goal each, the ones that need others first."""
    return [
        one
        for n in range(count)
        for one in (
            tiny.care_plan(f"cp-{n}", f"c-{n}", goal_ids=[f"g-{n}"], diagnoses=["a", "b"]),
            tiny.goal(f"g-{n}", f"c-{n}", addresses=f"cp-{n}/a"),
            tiny.client(f"c-{n}"),
        )
    ]


def edit(record, turn):
    """A newer version of a record."""
    return {**record, TEXT[record["type"]]: f"edit {turn}"}


@pytest.mark.parametrize("mode", ["conditional", "create"])
def test_kill(mode, tmp_path: Path):
    """Three kills -9 on SQLite, with lost answers and a search index that lags behind."""
    fhir = SimulatedFhir(time.time, index_lag_s=0.2)
    faults = Faults(7, frozenset({"reset", "drop", "bare"}))
    with SimulatedServer(fhir, faults=faults) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        outcome = drive(
            f"sqlite:///{tmp_path / 'fhirsvc.sqlite'}",
            server.url,
            3,
            records(8),
            edit=edit,
            connection={"write_mode": mode},
            log_path=tmp_path / "worker.log",
        )
        server.shutdown()
        thread.join()

    assert (outcome.kills, outcome.resources) == (3, 40)
    assert outcome.is_clean, outcome
    assert len(outcome.restarts_s) >= 3
