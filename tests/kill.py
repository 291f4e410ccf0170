"""Kills workers with SIGKILL while they deliver, and looks at the EHR for what was lost or doubled.

Call :func:`drive` with any database and any FHIR server; the default suite and the interop tests
do. As a program it is the worker that gets killed: ``python kill.py DATABASE_URL``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
import tiny

from fhirsvc import settings as settings_
from fhirsvc import wiring
from fhirsvc.ehr.content import fingerprint, holds
from fhirsvc.ehr.search import identity, token
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.logs import configure_logs
from fhirsvc.services.references import identifier_of
from fhirsvc.store.connections import NewConnection
from fhirsvc.store.tables import attempt, delivery
from fhirsvc.wiring import Wiring
from fhirsvc.worker import run_worker, stop_on_signals

WORKER = [sys.executable, __file__]
Edit = Callable[[Mapping[str, Any], int], dict[str, Any]]


@dataclass
class Outcome:
    """What became of the records. Each list names resources as ``Type system|value``.

    ``lost``: not at the EHR. ``doubled``: there more than once. ``stale``: there with other
    content than the newest version. ``repeated``: the EHR has more versions of it than there were
    contents. ``unfinished``: deliveries neither delivered nor superseded,
    but for record types without a mapping.
    ``restarts_s``: seconds from each start of a worker to its first write.
    """

    kills: int = 0
    resources: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    restarts_s: list[float] = field(default_factory=list)
    seconds: float = 0.0
    stderr: str = ""

    @property
    def is_clean(self) -> bool:
        """Nothing lost, doubled, outdated, repeated or left over."""
        wrong = (self.lost, self.doubled, self.stale, self.repeated, self.unfinished)
        return not any(wrong)


def drive(
    database_url: str,
    ehr_url: str,
    kills: int,
    records: Sequence[Mapping[str, Any]],
    *,
    edit: Edit | None = None,
    house: str = "tiny",
    seed: int = 1,
    workers: int = 1,
    connection: Mapping[str, Any] | None = None,
    writes_per_life: tuple[int, int] = (3, 25),
    timeout_s: float = 120.0,
    log_path: Path | None = None,
) -> Outcome:
    """Accept ``records``, deliver them with workers that are killed ``kills`` times, and compare.

    ``edit`` makes a newer version of a record; a tenth of the records is edited after each kill.
    ``house`` is ``tiny`` (the tests' own mapping) or ``product``. A worker is killed after a
    number of writes drawn from ``writes_per_life``; with several workers one of them is.
    """
    began = time.monotonic()
    outcome = Outcome()
    wired = _house(house, database_url)
    wired.database.upgrade()
    options = {"rate": 1000.0, "burst": 1000, "index_lag_s": 0.3, **(connection or {})}
    wired.operator.add_connection(NewConnection("killed", ehr_url, **options))
    contents: dict[str, set[str]] = {}
    newest = {(one["type"], one["id"]): dict(one) for one in records}
    _accept(wired, list(newest.values()), contents)
    dice = random.Random(seed)
    log_path = log_path or Path(os.devnull)
    with log_path.open("ab") as log:
        pool = [_start(database_url, house, log) for _ in range(workers)]
        try:
            while outcome.kills < kills and time.monotonic() - began < timeout_s:
                victim = dice.randrange(workers)
                aim = _writes(wired) + dice.randint(*writes_per_life)
                _await(lambda aim=aim: _writes(wired) >= aim or wired_is_done(wired), 20.0)
                pool[victim].process.kill()
                pool[victim].process.wait()
                outcome.kills += 1
                outcome.restarts_s += _first_write(wired, pool[victim])
                pool[victim] = _start(database_url, house, log)
                if edit is not None:
                    chosen = dice.sample(sorted(newest), max(1, len(newest) // 10))
                    for key in chosen:
                        newest[key] = edit(newest[key], outcome.kills)
                    _accept(wired, [newest[key] for key in chosen], contents)
            left = max(5.0, timeout_s - (time.monotonic() - began))
            _await(lambda: wired_is_done(wired), left)
            for one in pool:
                outcome.restarts_s += _first_write(wired, one)
        finally:
            for one in pool:
                one.process.send_signal(signal.SIGTERM)
            for one in pool:
                _end(one.process)
    _compare(wired, ehr_url, list(newest.values()), contents, outcome)
    outcome.seconds = time.monotonic() - began
    wired.database.dispose()
    return outcome


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    started_at: float


def _start(database_url: str, house: str, log: Any) -> _Worker:
    command = [*WORKER, database_url, "--house", house]
    started_at = time.time()
    return _Worker(subprocess.Popen(command, stdout=log, stderr=log), started_at)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _await(holds_: Callable[[], bool], timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if holds_():
            return True
        time.sleep(0.02)
    return False


def _writes(wired: Wiring) -> int:
    with wired.database.read() as tx:
        return tx.execute(sa.select(sa.func.count()).select_from(attempt)).scalar_one()


def wired_is_done(wired: Wiring) -> bool:
    """Whether nothing is pending or being sent any more."""
    with wired.database.read() as tx:
        moving = sa.select(delivery.c.id).where(delivery.c.state.in_(("pending", "sending")))
        return tx.execute(moving.limit(1)).first() is None


def _first_write(wired: Wiring, worker: _Worker) -> list[float]:
    mark = f":{worker.process.pid}:"
    with wired.database.read() as tx:
        first = tx.execute(
            sa.select(sa.func.min(attempt.c.started_at)).where(
                attempt.c.executor.contains(mark), attempt.c.started_at > worker.started_at
            )
        ).scalar()
    return [] if first is None else [first - worker.started_at]


def _accept(wired: Wiring, records: list[dict[str, Any]], contents: dict[str, set[str]]) -> None:
    accepted = wired.publisher.accept(records)
    assert not accepted.count("refused"), "the driver's records are good ones"
    for record in records:
        for resource in _mapped(wired, record):
            contents.setdefault(_name(resource), set()).add(fingerprint(resource))


def _mapped(wired: Wiring, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources of a record and of what goes with it; none where its type has no mapping."""
    try:
        beside = [r for one in wired.companions(record) for r in wired.mapper.forward(one, 8)]
        return [*beside, *wired.mapper.forward(record, 8)]
    except FhirsvcError as error:
        if error.category == Category.UNSUPPORTED:
            return []
        raise


def _name(resource: Mapping[str, Any]) -> str:
    return f"{resource['resourceType']} {token(*identifier_of(resource))}"


def _compare(
    wired: Wiring,
    ehr_url: str,
    records: list[dict[str, Any]],
    contents: dict[str, set[str]],
    outcome: Outcome,
) -> None:
    session = requests.Session()
    session.trust_env = False
    wanted = {_name(r): r for record in records for r in _mapped(wired, record)}
    for resource in wanted.values():
        _compare_one(session, ehr_url, resource, contents, outcome)
    with wired.database.read() as tx:
        left = tx.execute(
            sa.select(delivery.c.record_type, delivery.c.record_id, delivery.c.reason).where(
                delivery.c.state.not_in(("delivered", "superseded")),
                delivery.c.category != "unsupported",
            )
        )
        outcome.unfinished = [f"{row[0]}/{row[1]}: {row[2]}" for row in left]


def _compare_one(
    session: requests.Session,
    ehr_url: str,
    resource: Mapping[str, Any],
    contents: dict[str, set[str]],
    outcome: Outcome,
) -> None:
    name = _name(resource)
    outcome.resources += 1
    param = identity(resource["resourceType"])
    params = {param: token(*identifier_of(resource)), "_count": "20"}
    found = _search(session, f"{ehr_url}/{resource['resourceType']}", params)
    if not found:
        outcome.lost.append(name)
    if len(found) > 1:
        outcome.doubled.append(name)
    for one in found[:1]:
        if not holds(one, _without_references(resource)):
            outcome.stale.append(name)
        version = str(one.get("meta", {}).get("versionId", ""))
        if version.isdigit() and int(version) > len(contents[name]):
            outcome.repeated.append(f"{name}: {version} versions of {len(contents[name])} contents")


def _search(session: requests.Session, url: str, params: dict[str, str]) -> list[dict[str, Any]]:
    """What the EHR finds; asked again when it misbehaves on purpose."""
    for _ in range(10):
        try:
            answer = session.get(url, params=params, headers={"Cache-Control": "no-cache"})
        except requests.ConnectionError:
            continue
        if answer.status_code == 200:
            return [entry["resource"] for entry in answer.json().get("entry", [])]
        time.sleep(0.1)
    raise AssertionError("the EHR does not answer a search")


def _without_references(node: Any) -> Any:
    """Remote ids are not known here, so references are left out of the comparison."""
    if isinstance(node, dict):
        return {
            key: _without_references(value) for key, value in node.items() if key != "reference"
        }
    return [_without_references(item) for item in node] if isinstance(node, list) else node


def _house(name: str, database_url: str) -> Wiring:
    settings = settings_.load(database_url=database_url, read_timeout_s=5.0, sweep_s=0.5)
    if name == "product":
        return wiring.product(settings)
    return wiring.build(
        settings, check=tiny.check, mapper=tiny.TinyMapper(), validate=tiny.no_findings
    )


def main() -> None:
    """Be the worker that gets killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("database_url")
    parser.add_argument("--house", default="tiny")
    options = parser.parse_args()
    configure_logs("info")
    with stop_on_signals() as stop:
        done = run_worker(_house(options.house, options.database_url), stop=stop)
    sys.stderr.write(json.dumps({"event": "exit", "idle": done}) + "\n")


if __name__ == "__main__":
    main()
