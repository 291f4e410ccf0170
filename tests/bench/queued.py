"""``python -m tests.bench.queued [COUNT]``: what a worker is worth with COUNT records queued.

Half of the records (100,000 if not said) are clients, half are goals that refer to them. A worker
with 32 lanes sends some of them to a stub EHR that answers after 30 ms; then the same with 1,000
queued. Stub, workers and database share the machine's processors with the measuring.

queued_load_per_s           records accepted per second
queued_status_seconds       ``sync status --json`` with all of them queued
queued_rate_x_small         writes per second against those with 1,000 queued
queued_cpu_x_small          CPU seconds per write likewise: others on the machine disturb it less
queued_peak_x_small         largest memory of the worker likewise
queued_product_x_small      writes per second likewise with the product's records and mappings,
                            while what /fhir serves is still to be made of all but a few of them
…_postgres_…                the same on PostgreSQL: where it is installed, or the server that
                            FHIRSVC_TEST_POSTGRES names
queued_two_workers_x_one    writes per second of two workers on PostgreSQL against those of one
queued_out_of_order         what came to the stub out of order in all of this: references to what
                            it did not have, older versions after newer ones; 0 is right

The last also counts a run of two workers on PostgreSQL while every client is edited again and
again, and what of the last edit did not arrive.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent), str(_HERE.parent / "interop")]

import delivering
import kill
import sqlalchemy as sa
import tiny
from delivering import Ehr, Pace, running, stub, watch

QUEUED, SMALL = 100_000, 1000
SENT = 1000  # of those that are queued, with one worker and again with two
EDITED, EDITS = 200, 6
WATCH_S = 120.0
Figures = dict[str, float]


def client(house: str, number: int, version: int = 1) -> dict[str, Any]:
    """A client that says its version, as the stub reads it."""
    family = f"Family version {version}"
    if house == "tiny":
        return tiny.client(f"c-{number}", family=family)
    return {**_product("client", f"c-{number}"), "sex": "female", "name": {"family": family}}


def goal(house: str, number: int) -> dict[str, Any]:
    """A goal of that client."""
    if house == "tiny":
        return tiny.goal(f"g-{number}", f"c-{number}")
    of = {"client_id": f"c-{number}", "statement": "walk every day", "lifecycle": "active"}
    return {**_product("goal", f"g-{number}"), **of}


def _product(record_type: str, id_: str) -> dict[str, Any]:
    return {"type": record_type, "id": id_, "updated_at": "2026-01-12T09:40:00-05:00"}


def records(house: str, count: int) -> Iterator[dict[str, Any]]:
    """Clients, each before its goal."""
    for number in range(count // 2):
        yield client(house, number)
        yield goal(house, number)


def _say(name: str, pace: Pace) -> None:
    load = os.getloadavg()[0]
    print(
        f"{name}: {pace.rate:.0f} writes/s, {pace.cpu_s * 1e3:.2f} ms of CPU each, "
        f"{pace.peak_mb:.0f} MB (load {load:.1f})",
        flush=True,
    )


def fill(house: str, url: str, ehr: Ehr, count: int) -> float:
    """A database with so many queued; how many were accepted per second."""
    wired = delivering.house(house, url, {"ehr": ehr.url()}, ())
    began = time.monotonic()
    accepted = wired.publisher.accept(records(house, count))
    took = time.monotonic() - began
    wired.database.dispose()
    assert not accepted.count("refused")
    print(f"{count:,} queued in {took:.1f} s", flush=True)
    return count / took


def status_s(url: str) -> float:
    """Seconds that a process needs to tell the status."""
    command = [sys.executable, "-m", "fhirsvc.cli", "sync", "status", "--json"]
    env = {**delivering.ENV, "FHIRSVC_DATABASE_URL": url}
    began = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def send(house: str, url: str, ehr: Ehr, workers: int = 1) -> Pace:
    """Let workers send some of what is queued."""
    before = ehr.writes()
    with ExitStack() as stack:
        first, *others = [
            stack.enter_context(running(delivering.worker(url, house))) for _ in range(workers)
        ]
        return watch(first, lambda: ehr.writes() - before, SENT, WATCH_S, others)


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="fhirsvc-bench-") as folder:
        yield f"sqlite:///{folder}/fhirsvc.sqlite"


def out_of_order(ehr: Ehr) -> int:
    """How much came out of order."""
    found = ehr.order()
    return found["unknown"] + found["back"]


def small(house: str, url: str) -> Pace:
    """With few queued."""
    with stub() as ehr:
        fill(house, url, ehr, SMALL)
        pace = send(house, url, ehr)
    _say(f"{SMALL:,} queued, {house}", pace)
    return pace


def on_sqlite(count: int) -> Figures:
    """What is measured on SQLite."""
    found: Figures = {}
    with _sqlite() as url:
        few = small("tiny", url)
    with _sqlite() as url, stub() as ehr:
        found["queued_load_per_s"] = fill("tiny", url, ehr, count)
        found["queued_status_seconds"] = status_s(url)
        many = send("tiny", url, ehr)
        _say(f"{count:,} queued, tiny", many)
        found["queued_rate_x_small"] = many.rate / few.rate
        found["queued_cpu_x_small"] = many.cpu_s / few.cpu_s
        found["queued_peak_x_small"] = many.peak_mb / few.peak_mb
        found["queued_out_of_order"] = out_of_order(ehr)
    with _sqlite() as url:
        few = small("product", url)
    with _sqlite() as url, stub() as ehr:
        fill("product", url, ehr, count)
        many = send("product", url, ehr)
        _say(f"{count:,} queued, product", many)
        found["queued_product_x_small"] = many.rate / few.rate
        found["queued_product_cpu_x_small"] = many.cpu_s / few.cpu_s
        found["queued_out_of_order"] += out_of_order(ehr)
    return found


def on_postgres(server: sa.URL, count: int) -> Figures:
    """What is measured on PostgreSQL."""
    found: Figures = {}
    with _database(server, "small") as url:
        few = small("tiny", url)
    with _database(server, "queued") as url, stub() as ehr:
        found["queued_postgres_load_per_s"] = fill("tiny", url, ehr, count)
        found["queued_postgres_status_seconds"] = status_s(url)
        one = send("tiny", url, ehr)
        _say(f"{count:,} queued, PostgreSQL, one worker", one)
        two = send("tiny", url, ehr, workers=2)
        _say(f"{count:,} queued, PostgreSQL, two workers", two)
        found["queued_postgres_rate_x_small"] = one.rate / few.rate
        found["queued_postgres_cpu_x_small"] = one.cpu_s / few.cpu_s
        found["queued_postgres_peak_x_small"] = one.peak_mb / few.peak_mb
        found["queued_two_workers_x_one"] = two.rate / one.rate
        found["queued_out_of_order"] = out_of_order(ehr)
    with _database(server, "edited") as url:
        found["queued_out_of_order"] += edited(url)
    return found


def edited(url: str) -> int:
    """Two workers while every client is edited again and again; what was out of order or lost."""
    with stub() as ehr, ExitStack() as stack:
        fill("tiny", url, ehr, 2 * EDITED)
        wired = kill._house("tiny", url)
        for _ in range(2):
            stack.enter_context(running(delivering.worker(url, "tiny")))
        assert kill._await(lambda: ehr.writes() > EDITED / 4, WATCH_S), "nothing is written"
        for version in range(2, EDITS + 1):
            for start in range(0, EDITED, 20):
                numbers = range(start, min(start + 20, EDITED))
                wired.publisher.accept(client("tiny", one, version) for one in numbers)
        assert kill._await(lambda: kill.wired_is_done(wired), WATCH_S), "it is never done"
        wired.database.dispose()
        found = ehr.order()
        print(f"{EDITED} clients edited {EDITS - 1} times: {ehr.writes()} writes, {dict(found)}")
    return found["unknown"] + found["back"] + (EDITS - found["newest"])


@contextmanager
def _database(server: sa.URL, name: str) -> Iterator[str]:
    """A database of its own, dropped in the end."""
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"fhirsvc_bench_{name}_{os.getpid()}"
    with admin.connect() as tx:
        tx.execute(sa.text(f'CREATE DATABASE "{name}"'))
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as tx:
            tx.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        admin.dispose()


@contextmanager
def _server() -> Iterator[sa.URL | None]:
    """A PostgreSQL server: the one that is named, or one of our own; None where there is none."""
    named = os.environ.get("FHIRSVC_TEST_POSTGRES")
    if named:
        yield sa.make_url(named)
        return
    from postgres_server import NotAvailableError, PostgresServer

    with ExitStack() as stack:
        try:
            server = stack.enter_context(PostgresServer())
        except NotAvailableError as error:
            print(f"no PostgreSQL: {error}")
            yield None
        else:
            yield sa.make_url(server.url)


def together(one: Mapping[str, float], other: Mapping[str, float]) -> Figures:
    """The figures of both; what was out of order is added up."""
    wrong = "queued_out_of_order"
    return {**one, **other, wrong: one[wrong] + other.get(wrong, 0)}


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else QUEUED
    began = time.monotonic()
    found = on_sqlite(count)
    with _server() as server:
        if server is not None:
            found = together(found, on_postgres(server, count))
    print(f"took {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    for name, figure in found.items():
        print(f"{name}: {figure:.2f}")


if __name__ == "__main__":
    main()
