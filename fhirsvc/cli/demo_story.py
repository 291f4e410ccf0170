"""The demo's story: a simulated EHR that misbehaves, made-up records, and the real delivery."""

from __future__ import annotations

import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from fhirsvc import shipped
from fhirsvc.console import figures
from fhirsvc.console.figures import TypeFigures
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.mapping.forward import QUESTIONNAIRE
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.database import Database
from fhirsvc.wiring import Wiring
from fhirsvc.worker import run_worker

CONNECTION = "simulated-ehr"
START_S = 20.0
DELIVER_S = 300.0
ASKED = 20  # how often the misbehaving EHR is asked before giving up


@dataclass(frozen=True)
class Told:
    """How the story went; ``resources`` are those that the EHR itself counts, ``known`` ours."""

    types: dict[str, TypeFigures]
    states: dict[str, int]
    resources: int
    known: int
    attempts: dict[tuple[str, int | None], int]
    failures: dict[str, int]
    faults: dict[str, int]
    seconds: float

    @property
    def records(self) -> int:
        """How many records were accepted; the forms that went with them are not counted."""
        return sum(one.records for name, one in self.types.items() if name != QUESTIONNAIRE)

    @property
    def is_good(self) -> bool:
        """Whether everything was delivered, once each."""
        unsettled = sum(number for state, number in self.states.items() if state != "delivered")
        return not unsettled and self.resources == self.known

    def counts(self) -> dict[str, float]:
        """The summary as one JSON object."""
        return {
            "records": self.records,
            "resources": self.resources,
            "delivered": self.states.get("delivered", 0),
            "dead": self.states.get("dead", 0),
            "pending": sum(self.states.get(state, 0) for state in ("pending", "sending", "held")),
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class SimulatedEhr:
    """The process of the simulated EHR; ``url`` is its FHIR base."""

    process: subprocess.Popen[str]
    url: str

    def faults(self) -> dict[str, int]:
        """The faults it has thrown so far: kind → how often."""
        found: dict[str, int] = orjson.loads(_line(self.process, "faults\n"))
        return found


@contextmanager
def simulated_ehr() -> Iterator[SimulatedEhr]:
    """A simulated EHR with faults, as a process of its own that ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fhirsvc.cli.demo_ehr"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends it
    )
    with process:
        try:
            word, _, url = _line(process).partition(" ")
            if word != "ready":
                raise FhirsvcError(Category.UNAVAILABLE, "did not start", "the simulated EHR")
            yield SimulatedEhr(process, url)
        finally:
            process.terminate()


def _line(process: subprocess.Popen[str], asked: str = "") -> str:
    """The next line that it prints, after asking for it; '' when it does not answer in time."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(asked)
    process.stdin.flush()
    is_there = select.select([process.stdout], [], [], START_S)[0]
    return process.stdout.readline().strip() if is_there else ""


def load(wiring: Wiring, seen: Callable[[int], object]) -> None:
    """Accept the demo's records; ``seen`` is told how many are in."""
    loaded = 0
    for name, data in shipped.demo().items():
        read = [orjson.loads(line) for line in data.splitlines() if line.strip()]
        accepted = wiring.publisher.accept(read, "demo")
        if refused := accepted.count("refused"):
            raise FhirsvcError(Category.FAULT, f"{refused} records were refused", name)
        loaded += len(read)
        seen(loaded)


def size() -> int:
    """How many records :func:`load` is going to accept."""
    return sum(data.count(b"\n") for data in shipped.demo().values())


def connect(wiring: Wiring, url: str) -> None:
    """Add the simulated EHR as a connection."""
    new = NewConnection(CONNECTION, url, rate=1000.0, burst=1000, index_lag_s=0.0)
    wiring.operator.add_connection(new)


def deliver(wiring: Wiring, stop: threading.Event, seen: Callable[[int], object]) -> None:
    """Run the delivery worker until nothing is left to send, telling how much is delivered."""
    stop_watch = threading.Event()
    watching = threading.Thread(target=_watch, args=(wiring.database, stop_watch, seen))
    watching.start()
    try:
        run_worker(wiring, until_idle=True, stop=stop, timeout_s=DELIVER_S)
    finally:
        stop_watch.set()
        watching.join()


def _watch(database: Database, stop: threading.Event, seen: Callable[[int], object]) -> None:
    is_last = False
    while not is_last:
        is_last = stop.wait(0.1)
        with database.read() as tx:
            seen(figures.states(tx).get("delivered", 0))


def tell(wiring: Wiring, ehr: SimulatedEhr, started: float) -> Told:
    """Read from our tables, and from the EHR itself, how it went."""
    with wiring.database.read() as tx:
        types = figures.by_type(tx)
        known = figures.resources(tx)
        told = (figures.attempts(tx), figures.failures(tx))
        states = figures.states(tx)
    at_ehr = sum(_counted(wiring, sorted(known)))
    seconds = time.monotonic() - started
    return Told(types, states, at_ehr, sum(known.values()), *told, ehr.faults(), seconds)


def _counted(wiring: Wiring, types: list[str]) -> Iterator[int]:
    """How many resources of each type the EHR says it has."""
    clients = wiring.clients()
    connection = next(one for one in wiring.operator.connections() if one.name == CONNECTION)
    client = clients.of(connection)
    try:
        for name in types:
            for _ in range(ASKED):
                answer = client.request(
                    "GET", name, correlation_id="demo", params={"_summary": "count"}
                )
                if answer.status == 200 and answer.body is not None:
                    yield int(answer.body["total"])
                    break
            else:
                raise FhirsvcError(Category.UNAVAILABLE, f"does not count {name}", CONNECTION)
    finally:
        clients.close()
