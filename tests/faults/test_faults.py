"""Every fault an EHR can have, in every kind of write: what state it leaves, and how it ends.

The table in docs/faults.md is what these tests saw (``FHIRSVC_UPDATE_GOLDENS=1`` writes it anew).
"""

from __future__ import annotations

import copy
import os
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path

import certificates
import clinic_sides
import orjson
import pytest
import shipped_clinic
from clinic_sides import CLIENT, goal_id, is_needed
from faulty import FAULTS, FaultyServer, serving
from tiny import FakeClock

from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.client import Client, Limits
from fhirsvc.ehr.credentials import NoAuth
from fhirsvc.ehr.transport import Tls, Transport
from fhirsvc.store import Database

DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
UPDATE = os.environ.get("FHIRSVC_UPDATE_GOLDENS") == "1"
WRITES = ("create", "update", "delete", "batch")
# Faults of a batch's own answer have no meaning elsewhere.
ONLY_BATCH = ("partial batch", "batch out of order")
LIMITS = Limits(connect_s=5.0, read_s=1.5, body_bytes=2_000_000)
BATCH = orjson.dumps({"interactions": ["batch"]}).decode()
BATCHED = ("aftercare_plan", "aftercare-new")
DELIVERED = (
    "once",
    "each once",
    "once, as a document",
    "once, as it was, and the new one as a document",
)
SEEN: dict[tuple[str, str], str] = {}


@dataclass
class Prepared:
    """A clinic with a client and a goal at the EHR, kept as files and copied for each case."""

    database: Path
    fhir: object


@pytest.fixture(scope="session", name="prepared")
def _prepared(tmp_path_factory) -> Prepared:
    folder = tmp_path_factory.mktemp("faults")
    clock = FakeClock()
    database = Database(f"sqlite:///{folder / 'house.sqlite'}")
    database.upgrade()
    clinic = clinic_sides.clinic(database, clock, inbound={"poll_s": 60, "verify": 1.0})
    wanted = [one for one in shipped_clinic.records() if is_needed(one)]
    clinic.accept(*wanted)
    clinic.drain()
    assert {one.state for one in clinic.deliveries()} == {"delivered"}
    database.dispose()
    return Prepared(folder / "house.sqlite", clinic.fhir)


@pytest.fixture(scope="session", name="issuer")
def _issuer(tmp_path_factory):
    return certificates.Issuer(tmp_path_factory.mktemp("ca"), "tests")


class Case:
    """One write of one clinic, to an EHR that misbehaves in it."""

    def __init__(self, prepared, folder, fault, write, issuer):
        shutil.copy(prepared.database, folder / "house.sqlite")
        self.fault, self.write = fault, write
        self.clock = FakeClock(1_770_000_000.0 + 90_000)
        self.database = Database(f"sqlite:///{folder / 'house.sqlite'}")
        self.clinic = clinic_sides.again(self.database, self.clock)
        fhir = self.clinic.fhir
        fhir._stored = copy.deepcopy(prepared.fhir._stored)
        fhir._by_name = copy.deepcopy(prepared.fhir._by_name)
        fhir._batch = write == "batch"
        context = None
        if fault == "certificate":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            pair = issuer.pair("expired", days=-1)
            context.load_cert_chain(pair.cert, pair.key)
        self.server = FaultyServer(fhir, context)
        fhir._clock = lambda: self.clock() + self.server.skew[0]
        self.ca = str(issuer.ca) if context else ""
        if fault.startswith("index lag"):
            fhir._lag = float(fault.split()[2])

    def client(self, url, ca=""):
        transport = Transport(LIMITS, _monotonic, tls=Tls(ca=ca))
        bucket = TokenBucket(1000.0, 1000, self.clock, self.clock.sleep)
        return Client(url, NoAuth(), bucket, LIMITS, _monotonic, transport=transport)

    def run(self) -> str:
        """Make the write; the state it leaves, the state it ends in, and what the EHR holds."""
        with serving(self.server):
            client = self.client(self.server.url, self.ca)
            self.clinic.swap(client)
            self._change()
            self.server.meddle = self._meddle
            self.server.only_batches = self.write == "batch"
            self.server.fault = self.fault if self.fault != "certificate" else "none"
            first = self.clinic.one_turn()
            client.close()
            self.server.wait_quiet()
            if self.fault == "certificate":  # somebody renews it
                with serving(FaultyServer(self.clinic.fhir)) as good:
                    client = self.client(good.url)
                    self.clinic.swap(client)
                    last = self._to_the_end()
                    client.close()
            else:
                client = self.client(self.server.url)
                self.clinic.swap(client)
                last = self._to_the_end()
                client.close()
        self.database.dispose()
        return f"{first.state}{_why(first)} | {last.state}{_why(last)} | {self._holds()}"

    def _change(self) -> None:
        goal = self.clinic.record("goal", goal_id())
        if self.write == "delete":
            self.clinic.publisher.delete(("goal", goal_id()))
        elif self.write == "update":
            self.clinic.accept({**goal, "statement": "Another aim"})
        elif self.write == "batch":
            self.clinic.accept(self._aftercare())
        else:
            self.clinic.accept({**goal, "id": "goal-new", "statement": "A new aim"})

    def _aftercare(self):
        """A record of which several resources can go at once."""
        plan = next(
            one for one in shipped_clinic.records()
            if one["type"] == "aftercare_plan" and one["client_id"] == CLIENT
        )  # fmt: skip
        return {**plan, "id": BATCHED[1]}

    def _meddle(self) -> None:
        """What has happened meanwhile at an EHR that answers 409 or 412."""
        fhir = self.clinic.fhir
        if self.write in ("create", "batch"):
            return
        remote = self.clinic.remote("Goal", goal_id())
        if self.fault == "412 twice":
            twin = {name: value for name, value in remote.items() if name not in ("id", "meta")}
            fhir._create(twin)
            return
        edited = {**remote, "note": [{"text": "Seen on the ward"}]}
        fhir._update(edited, remote["id"], None)

    def _to_the_end(self):
        """Turns, with time passing, until the delivery moves no more by itself."""
        for _ in range(40):
            self.clock.sleep(200.0)
            self.server.finish_later()
            if self.clinic.one_turn() is None and self.clinic.newest().state != "pending":
                break
        return self.clinic.newest()

    def _holds(self) -> str:
        """How often the EHR has it, and whether it is what was wanted."""
        record = "goal-new" if self.write == "create" else goal_id()
        if self.write == "batch":
            held = self.clinic.held(BATCHED)
            if held and set(held.values()) == {1}:
                return "each once"
            return f"{sum(count == 1 for count in held.values())} of {len(held)} once"
        found = self.clinic.named("Goal", record)
        filed = self.clinic.named("DocumentReference", f"goal.{record}")
        if not found and len(filed) == 1:
            return "once, as a document"
        if len(found) != 1:
            return f"{len(found)} of it"
        wanted = {
            "create": lambda one: one["description"]["text"] == "A new aim",
            "update": lambda one: one["description"]["text"] == "Another aim",
            "delete": lambda one: one["lifecycleStatus"] == "entered-in-error",
        }[self.write](found[0])
        if wanted:
            return "once"
        return "once, as it was, and the new one as a document" if filed else "once, as it was"


def _monotonic() -> float:
    import time

    return time.monotonic()


def _why(delivery) -> str:
    return f" ({delivery.category})" if delivery.category else ""


CASES = [
    (fault, write)
    for fault in FAULTS
    for write in WRITES
    if write == "batch" or fault not in ONLY_BATCH
]


@pytest.mark.parametrize(("fault", "write"), CASES, ids=[f"{w}-{f}" for f, w in CASES])
def test_a_fault_ends_in_the_stated_state(prepared, issuer, tmp_path, fault, write):
    """Whatever went wrong: never twice at the EHR, never lost without being held or dead."""
    seen = Case(prepared, tmp_path, fault, write, issuer).run()
    SEEN[fault, write] = seen

    _, last, holds = (part.strip() for part in seen.split("|"))
    if last.startswith("delivered"):
        assert holds in DELIVERED
    else:
        assert last.startswith(("held", "dead"))
    if not UPDATE:
        assert _stated()[fault, write] == seen


def _stated() -> dict[tuple[str, str], str]:
    """The rows of the table."""
    found = {}
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 5 and cells[1] in WRITES:
            found[cells[0], cells[1]] = " | ".join(cells[2:])
    return found


def test_the_table_is_whole():
    """Each fault of each write has its row, and no row is left of one that is gone."""
    if UPDATE:
        DOCS.write_text(_page(), encoding="utf-8")

    assert set(_stated()) == set(CASES)


def _page() -> str:
    rows = [f"| {fault} | {write} | {SEEN[fault, write]} |" for fault, write in CASES]
    told = [f"| {fault} | {said} |" for fault, said in FAULTS.items()]
    return "\n".join(
        [
            "# Faults: what an EHR can do wrong, and what becomes of a delivery",
            "",
            "Written by `tests/faults/test_faults.py` from what it saw (`FHIRSVC_UPDATE_GOLDENS=1 "
            "pytest tests/faults`), which holds every row. Each fault happens once, to one write;"
            " then the EHR behaves again and time passes.",
            "",
            "| Fault | What happens |",
            "|---|---|",
            *told,
            "",
            "*Right after* is the state of the delivery when the faulty answer is in, *in the end* "
            "when it moves no more by itself, *at the EHR* what is there then. A batch is what an "
            "aftercare plan makes, as much of it as can go at once. Writes are read back "
            "(`verify` 1). A refusal that is about a type (403 at first, 404, 405, 501) is "
            "learned, and the next form is sent.",
            "",
            "| Fault | Write | Right after | In the end | At the EHR |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
