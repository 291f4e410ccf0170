"""``python bare.py URL COUNT THREADS``: what ``requests`` alone costs, as a process to measure.

One Session for all threads, each writing bodies like those of the tests' clients by conditional
update and parsing the answer; nothing else.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import requests
import tiny
from requests.adapters import HTTPAdapter


def main() -> None:
    """Write, and end."""
    url, count, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_maxsize=threads))
    (patient,) = tiny.TinyMapper().forward(tiny.client(), 8)

    def write(number: int) -> None:
        params = {"identifier": f"{tiny.SYSTEM}Patient|client.c-{number}"}
        headers = {"Content-Type": "application/fhir+json"}
        answer = session.put(
            f"{url}/Patient",
            params=params,
            data=json.dumps(patient),
            headers=headers,
            timeout=30,
        )
        answer.raise_for_status()
        assert answer.json()["id"]

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(write, range(count)):
            pass


if __name__ == "__main__":
    main()
