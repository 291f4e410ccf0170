"""``python -m tests.bench.delivery``: what a delivery costs beside ``requests`` alone.

A stub EHR answers each write after 30 ms, a worker sends with 32 lanes. Stub and worker share the
machine's processors with the measuring, so that the load average is printed along.

delivery_x_ideal            writes per second against 32 / 0.030 s, tests' own house, on SQLite
delivery_product_x_ideal    the same with the product's records and mappings
delivery_postgres_x_ideal   the tests' own house on PostgreSQL, where it is installed
requests_x_ideal            requests.Session with 32 threads against the same stub
delivery_cpu_x_requests     CPU seconds per write against those of requests.Session
slowed_by_a_dead_ehr        rate of two connections while a third hangs, or refuses (the worse),
                            against their rate without a third: 1.0 is not slowed
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent), str(_HERE.parent / "interop")]

import delivering
from delivering import CONCURRENCY, Pace, running, stub, watch
from stub_ehr import LATENCY_S

WRITES = 1000
CLINICS = 1  # of 819 resources
IDEAL = CONCURRENCY / LATENCY_S


def _load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def _say(name: str, pace: Pace) -> None:
    print(
        f"{name}: {pace.rate:.0f} writes/s, {pace.cpu_s * 1e3:.2f} ms of CPU each, "
        f"{pace.peak_mb:.0f} MB ({_load()})",
        flush=True,
    )


def bare() -> Pace:
    """``requests`` alone."""
    with stub() as ehr:
        command = [sys.executable, str(_HERE / "bare.py"), ehr.url(), str(WRITES), str(CONCURRENCY)]
        with running(command) as process:
            return watch(process, ehr.writes, WRITES)


def delivered(house: str, url: str) -> Pace:
    """A worker with one connection."""
    records = delivering.clients(WRITES) if house == "tiny" else delivering.clinics(CLINICS)
    total = WRITES if house == "tiny" else 819 * CLINICS
    with stub() as ehr:
        wired = delivering.house(house, url, {"ehr": ehr.url()}, records)
        with running(delivering.worker(url, house)) as process:
            pace = watch(process, ehr.writes, total)
        wired.database.dispose()
    return pace


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fhirsvc-bench-") as folder:
        yield f"sqlite:///{folder}/fhirsvc.sqlite"


def on_sqlite(house: str) -> Pace:
    """On a database of its own."""
    with _sqlite() as url:
        return delivered(house, url)


def on_postgres() -> Pace | None:
    """On PostgreSQL; None where it is not installed."""
    from postgres_server import NotAvailableError, PostgresServer

    try:
        with PostgresServer() as server:
            return delivered("tiny", server.url)
    except NotAvailableError as error:
        print(f"no PostgreSQL: {error}")
        return None


def beside(third: str | None) -> Pace:
    """Two connections, and perhaps a third one at ``third``, that never answers."""
    with _sqlite() as url, stub() as ehr:
        ehrs = {"one": ehr.url("one"), "two": ehr.url("two")} | ({"dead": third} if third else {})
        count = WRITES // 4  # to each of the two
        wired = delivering.house("tiny", url, ehrs, delivering.clients(count))
        with running(delivering.worker(url, "tiny")) as process:
            pace = watch(process, lambda: ehr.writes("one", "two"), 2 * count)
        wired.database.dispose()
    return pace


def slowed() -> float:
    """The rate beside a dead EHR against that without."""
    alone = beside(None)
    _say("two EHRs", alone)
    with stub("--hang") as ehr:
        hanging = beside(ehr.url())
    _say("two beside one that hangs", hanging)
    refusing = beside(ehr.url())  # its process has ended: nobody listens there
    _say("two beside one that refuses", refusing)
    return min(hanging.rate, refusing.rate) / alone.rate


def figures() -> dict[str, float]:
    """Name to figure, printing what they are made of."""
    alone = bare()
    _say("requests", alone)
    tiny = on_sqlite("tiny")
    _say("delivery, SQLite", tiny)
    product = on_sqlite("product")
    _say("delivery, SQLite, product", product)
    found = {
        "delivery_x_ideal": tiny.rate / IDEAL,
        "delivery_product_x_ideal": product.rate / IDEAL,
        "requests_x_ideal": alone.rate / IDEAL,
        "delivery_cpu_x_requests": tiny.cpu_s / alone.cpu_s,
        "delivery_product_cpu_x_requests": product.cpu_s / alone.cpu_s,
    }
    postgres = on_postgres()
    if postgres is not None:
        _say("delivery, PostgreSQL", postgres)
        found["delivery_postgres_x_ideal"] = postgres.rate / IDEAL
    found["slowed_by_a_dead_ehr"] = slowed()
    return found


def main() -> None:
    """Measure and print."""
    began = time.monotonic()
    found = figures()
    print(f"took {time.monotonic() - began:.0f} s, {_load()}")
    for name, figure in found.items():
        print(f"{name}: {figure:.2f}")


if __name__ == "__main__":
    main()
