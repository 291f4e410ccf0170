"""What the benchmarks of delivery stand on: stub EHRs, workers to watch, houses full of records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kill
import memory
import shipped_clinic as clinic
import tiny

from fhirsvc.store.connections import NewConnection
from fhirsvc.wiring import Wiring

HERE = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
CONCURRENCY = 32
OPTIONS: dict[str, Any] = {
    "rate": 1e6,
    "burst": 1_000_000,
    "index_lag_s": 0.3,
    "concurrency": CONCURRENCY,
}
ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith("FHIRSVC_")},
    "PYTHONPATH": os.pathsep.join((str(HERE.parents[1]), str(HERE.parent))),
}


@dataclass
class Ehr:
    """A stub EHR that runs; ``base`` names one of the many it can be."""

    port: int

    def url(self, base: str = "fhir") -> str:
        """Where a base is."""
        return f"http://127.0.0.1:{self.port}/{base}"

    def writes(self, *bases: str) -> int:
        """How many writes came below these bases so far."""
        counted = self._ask("count")
        return sum(counted.get(one, 0) for one in bases or ("fhir",))

    def order(self) -> Mapping[str, int]:
        """What came out of order: see the stub."""
        return self._ask("order")

    def _ask(self, what: str) -> Mapping[str, int]:
        with urllib.request.urlopen(self.url(what), timeout=30) as answer:
            counted: Mapping[str, int] = json.load(answer)
        return counted


@contextmanager
def stub(*options: str) -> Iterator[Ehr]:
    """A stub EHR in a process of its own, until the end of the block."""
    command = [sys.executable, str(HERE / "stub_ehr.py"), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENV
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Ehr(int(process.stdout.readline()))
        finally:
            process.stdin.close()


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is told to end at the end of the block."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ENV) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def worker(database_url: str, house: str) -> list[str]:
    """The command of a worker."""
    return [*kill.WORKER, database_url, "--house", house]


@dataclass(frozen=True)
class Pace:
    """Writes per second, CPU seconds per write, and the largest resident set in MB."""

    rate: float
    cpu_s: float
    peak_mb: float


def watch(
    process: subprocess.Popen[bytes],
    writes: Callable[[], int],
    total: int,
    timeout_s: float = 60.0,
    others: Sequence[subprocess.Popen[bytes]] = (),
) -> Pace:
    """Watch a process from a tenth of ``total`` writes to nine tenths: start and end cost extra.

    With ``others`` that do the same the rate is of all, and the memory that of the largest.
    """
    pids = [one.pid for one in (process, *others)]
    until = time.monotonic() + timeout_s
    begun: tuple[float, int, float] | None = None
    peak = 0
    while True:
        now, count, cpu = time.monotonic(), writes(), sum(map(_cpu_s, pids))
        peak = max(peak, *map(memory._resident_kb, pids))
        if begun is None and count >= total / 10:
            begun = now, count, cpu
        is_late = now > until or process.poll() is not None
        if begun is not None and (count >= total * 0.9 or (is_late and count > begun[1])):
            if count < total * 0.9:
                print(f"  only {count} of {total} writes came: the rate is of those")
            made = count - begun[1]
            return Pace(made / (now - begun[0]), (cpu - begun[2]) / made, peak / 1024)
        if is_late:
            sys.exit(f"nothing is written: {count} of {total} writes")
        time.sleep(0.02)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process and all below it, those that have ended included.

    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, fields 14 to 17
    """
    total = 0
    for one in memory._tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS


def house(
    name: str, url: str, ehrs: Mapping[str, str], records: Iterable[dict[str, Any]]
) -> Wiring:
    """A database with connections (name to base URL), and records that are to go to all."""
    wired = kill._house(name, url)
    wired.database.upgrade()
    for one, base in ehrs.items():
        wired.operator.add_connection(NewConnection(one, base, **OPTIONS))
    accepted = wired.publisher.accept(records)
    assert not accepted.count("refused")
    return wired


def clients(count: int) -> Iterator[dict[str, Any]]:
    """Records of the tests' tiny house that need no other."""
    return (tiny.client(f"c-{n}", family=f"Family {n}") for n in range(count))


def clinics(count: int) -> Iterator[dict[str, Any]]:
    """The demo clinic several times over, under other ids, in the order that they need."""
    order = ("organization", "staff", "client", "episode", "care_plan", "goal")
    listed = clinic.records()
    listed.sort(key=lambda one: order.index(one["type"]) if one["type"] in order else len(order))
    ids = {one["id"] for one in listed}
    for number in range(count):
        for record in listed:
            yield _renamed(record, ids, f"x{number}")


def _renamed(value: Any, ids: set[str], suffix: str) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(one, ids, suffix) for name, one in value.items()}
    if isinstance(value, list):
        return [_renamed(one, ids, suffix) for one in value]
    return f"{value}{suffix}" if isinstance(value, str) and value in ids else value
