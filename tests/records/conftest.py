"""The demo records, as the tests of this folder read them."""

from __future__ import annotations

from collections import defaultdict

import pytest
from clinic import load


@pytest.fixture(name="demo", scope="session")
def _demo():
    """Return every demo record, in file and line order."""
    return load()


@pytest.fixture(name="by_id", scope="session")
def _by_id(demo):
    """Return the demo records by id; ids are unique across types."""
    return {record["id"]: record for record in demo}


@pytest.fixture(name="scores", scope="session")
def _scores(demo):
    """Return {client: {instrument: [result, …]}} in order of time."""
    scores = defaultdict(lambda: defaultdict(list))
    for record in demo:
        for result in record.get("instruments", []):
            scores[record["client_id"]][result["instrument"]].append(result)
    for of_client in scores.values():
        for results in of_client.values():
            results.sort(key=lambda r: r["administered_at"])
    return scores
