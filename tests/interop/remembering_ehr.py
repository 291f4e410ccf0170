"""A simulated EHR that remembers every write it was asked for, and in which order it made them."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from fhirsvc.ehr.simulated import Faults, SimulatedServer
from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir

# Which version of a record a body is of stands in its text.
_EDITION = re.compile(rb"[Ee]dition-([0-9]+)")
_TYPES = ("Patient", "Goal")


@dataclass(frozen=True)
class Write:
    """A write that the EHR was asked for; ``came_at`` epoch s, ``edition`` the record's version."""

    came_at: float
    name: str
    edition: int
    status: int

    @property
    def is_made(self) -> bool:
        """Whether it had an effect."""
        return self.status < 300


class RememberingFhir(SimulatedFhir):
    """Remembers its writes in the order in which it made them."""

    def __init__(self) -> None:
        super().__init__(time.time, index_lag_s=0.2)
        self._order = threading.Lock()
        self.writes: list[Write] = []

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], data: bytes
    ) -> Reply:
        """Answer one request, and remember it if it is a write."""
        if method not in ("PUT", "POST"):
            return super().handle(method, path, query, headers, data)
        came_at = time.time()
        with self._order:
            reply = super().handle(method, path, query, headers, data)
            # Whoever is killed while it sends leaves half a body behind, which is refused.
            name = _name(data) if reply.status < 400 else ""
            self.writes.append(Write(came_at, name, edition_of(data), reply.status))
        return reply

    def first_made(self, since: float) -> float | None:
        """When the first write after a moment came that had an effect."""
        # From the end: the last of many are of interest.
        found = None
        for one in reversed(self.writes):
            if one.came_at < since - 60.0:
                break
            if one.came_at >= since and one.is_made:
                found = one.came_at if found is None else min(found, one.came_at)
        return found

    def held(self) -> dict[str, list[int]]:
        """Editions of all that it holds by ``Type identifier``: several where it is doubled."""
        found: dict[str, list[int]] = defaultdict(list)
        for kind in _TYPES:
            bundle = self.handle("GET", f"/{kind}", "_count=100000", {}, b"").body or {}
            for entry in bundle.get("entry", []):
                data = orjson.dumps(entry["resource"])
                found[_name(data)].append(edition_of(data))
        return found

    def backwards(self) -> list[str]:
        """Writes of an older version that it made after it had stored a newer one."""
        return [f"{name}: {new} over {old}" for name, old, new in self._steps() if new < old]

    def repeated(self) -> list[str]:
        """Writes that it made of what it held already."""
        return [f"{name}: {new} again" for name, old, new in self._steps() if new == old]

    def made_twice(self) -> int:
        """How often it created what it had once: one of the two has to be taken away again."""
        made = [one.name for one in self.writes if one.status == 201]
        return len(made) - len(set(made))

    def _steps(self) -> Iterator[tuple[str, int, int]]:
        newest: dict[str, int] = {}
        for one in self.writes:
            if one.is_made:
                if one.name in newest:
                    yield one.name, newest[one.name], one.edition
                newest[one.name] = max(one.edition, newest.get(one.name, 0))


def edition_of(data: bytes) -> int:
    """The version that a body says it is of; 0 where it says none."""
    match = _EDITION.search(data)
    return int(match[1]) if match else 0


def _name(data: bytes) -> str:
    body: dict[str, Any] = orjson.loads(data)
    return f"{body['resourceType']} {body['identifier'][0]['value']}"


@contextmanager
def remembering(seed: int) -> Iterator[tuple[RememberingFhir, str]]:
    """One that listens, with lost answers and a search index that lags behind; and its URL."""
    fhir = RememberingFhir()
    faults = Faults(seed, frozenset({"reset", "drop", "bare", "slow"}))
    with SimulatedServer(fhir, faults=faults) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield fhir, server.url
        finally:
            server.shutdown()
            thread.join()
