"""A client of ``/api/v1/records`` that sends again what got no answer, and notes what was taken."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
from remembering_ehr import edition_of

Key = tuple[str, str]
PATIENCE_S = 90.0  # how long it goes on with one record before it gives up
LATER = (502, 503, 504)  # answers that ask for the same request again
STAMP = "2026-01-12T09:40:00-05:00"


@dataclass
class Taken:
    """What was answered for one record: its version here → the edition that it is of."""

    version: int = 0
    edition: int = 0
    every: dict[int, int] = field(default_factory=dict)


class RetryingClient(threading.Thread):
    """Changes its records one after another until ``stop`` is set, at any of several servers.

    ``taken`` says what was answered 2xx, ``at`` when (epoch s), ``wrong`` what must not happen.
    """

    def __init__(self, urls: Sequence[str], keys: Sequence[Key], seed: int) -> None:
        super().__init__(name=f"client-{seed}")
        self._urls = list(urls)
        self._dice = random.Random(seed)
        self._session = requests.Session()
        self._session.trust_env = False
        self.stop = threading.Event()
        self.taken = {key: Taken() for key in keys}
        self.at: list[float] = []
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """First every record once, in order; then any of them again and again."""
        for key in self.taken:
            self._change(key)
        keys = list(self.taken)
        while not self.stop.is_set() and not self.wrong:
            self._change(self._dice.choice(keys))
            self.stop.wait(self._dice.uniform(0.02, 0.25))
        self._session.close()

    def _change(self, key: Key) -> None:
        """Put the next edition until it is known to be taken."""
        taken = self.taken[key]
        edition = taken.edition + 1
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            version = self._put(key, edition, taken.version)
            if version:
                self.at.append(time.time())
                taken.version, taken.edition = version, edition
                taken.every[version] = edition
                return
            if self.wrong:
                return
            time.sleep(0.1)
        self.wrong.append(f"{key}: not taken in {PATIENCE_S:.0f} s")

    def _put(self, key: Key, edition: int, version: int) -> int:
        """The version that it is by now; 0 where that is not known yet."""
        expected = {"If-Match": f'W/"{version}"'} if version else {"If-None-Match": "*"}
        answer = self._ask("PUT", key, expected, _record(key, edition))
        if answer is None or answer.status_code in LATER:
            return 0
        if answer.status_code in (409, 412):  # it may be ours, whose answer was lost
            return self._look(key, edition, version)
        if answer.status_code not in (200, 201):
            self.wrong.append(f"{key}: edition {edition} answered {answer.status_code}")
            return 0
        return int(answer.headers["ETag"].strip('W/"'))

    def _look(self, key: Key, edition: int, version: int) -> int:
        answer = self._ask("GET", key, {}, None)
        if answer is None or answer.status_code in LATER:
            return 0
        there = int(answer.headers.get("ETag", "0").strip('W/"'))
        if (there, edition_of(answer.content)) == (version + 1, edition):
            return there
        self.wrong.append(f"{key}: edition {edition} refused, version {there} after {version}")
        return 0

    def _ask(
        self, method: str, key: Key, headers: dict[str, str], body: dict[str, Any] | None
    ) -> requests.Response | None:
        url = f"{self._urls[0]}/api/v1/records/{key[0]}/{key[1]}"
        try:
            answer = self._session.request(
                method, url, headers=headers, json=body, timeout=(1.0, 10.0)
            )
        except requests.RequestException as error:
            self.answers[type(error).__name__] += 1
            self._urls.append(self._urls.pop(0))
            return None
        self.answers[str(answer.status_code)] += 1
        if answer.status_code in LATER:
            self._urls.append(self._urls.pop(0))
        return answer


def names(clients: int, goals: int, prefix: str) -> list[Key]:
    """The records of some clients, with some goals each."""
    return [
        key
        for c in range(clients)
        for key in (
            ("client", f"{prefix}-{c}"),
            *(("goal", f"{prefix}-{c}-{g}") for g in range(goals)),
        )
    ]


def resource_name(key: Key) -> str:
    """What the EHR calls it, as ``RememberingFhir`` does."""
    return f"{'Patient' if key[0] == 'client' else 'Goal'} {key[1]}"


def _record(key: Key, edition: int) -> dict[str, Any]:
    record = {"type": key[0], "id": key[1], "updated_at": STAMP}
    if key[0] == "client":
        name = {"family": f"Edition-{edition}", "given": ["A"]}
        return {**record, "active": True, "name": name, "birth_date": "1979-05-03", "sex": "male"}
    more = {"statement": f"edition-{edition}", "lifecycle": "active", "start_date": "2026-01-12"}
    return {**record, "client_id": key[1].rpartition("-")[0], **more}
