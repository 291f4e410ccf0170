"""Making exports: what a killed worker leaves is finished by another, and everything comes once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import orjson
import pytest
import shipped_clinic as clinic
import sqlalchemy as sa
from shipped_clinic import ROOT

from fhirsvc.fhir.bulk import KickOff
from fhirsvc.services.exporting import TRIES, Exporter
from fhirsvc.services.exports import Exports
from fhirsvc.services.liveness import Identity
from fhirsvc.settings import load
from fhirsvc.store import executors, exports
from fhirsvc.store.served import served
from fhirsvc.wiring import LateMappings, product

TYPES = ["CarePlan", "Goal", "Observation", "Patient"]
# Dies of its own hand when it has looked at so many resources.
DYING = """
import os, signal, sys
from fhirsvc.settings import load
from fhirsvc.wiring import product
from fhirsvc.services.liveness import Identity
wiring = product(load(database_url=sys.argv[1], exports=sys.argv[2]))
wiring.clock = lambda: float(sys.argv[4])
identity = Identity(wiring.database, wiring.clock, dead_after_s=3600.0, is_alone=False)
identity.register()
seen = 0
def may_send(type_, resource):
    global seen
    seen += 1
    if seen > int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return True
wiring.may_send = may_send
exporter = wiring.exporter(lambda: identity.id)
exporter.page, exporter.file = 3, 10
while exporter.once():
    pass
"""


@pytest.fixture(scope="module", name="late")
def _late():
    """The shipped mappings, compiled once."""
    return LateMappings("")


@pytest.fixture(name="wiring")
def _wiring(database_url, clock, late, tmp_path):
    """A wired process that serves the demo clinic."""
    made = product(
        load(database_url=database_url, exports=str(tmp_path / "exports")), mappings=late
    )
    made.clock = clock
    made.database.upgrade()
    made.publisher.accept(clinic.records())
    while made.projector.catch_up():
        pass
    yield made
    made.database.dispose()


def _begin(wiring, types=TYPES, asked=None, client="me"):
    at = "http://localhost/fhir/$export"
    return wiring.exports.begin(client, asked or KickOff(), "system", "", types, at)


def _worker(wiring, name="worker", page=3, file=10):
    found = wiring.exporter(lambda: name)
    found.page, found.file = page, file
    return found


def _finish(exporter):
    steps = 0
    while exporter.once():
        steps += 1
        assert steps < 2000, "it never ends"


def _files(wiring, job, client="me"):
    found = wiring.exports.ask(client, job)
    assert found.state == "done"
    with wiring.database.read() as tx:
        return exports.files(tx, job)


def _names(wiring, job, client="me"):
    """How often each resource is in the files of a job, as they are fetched."""
    found = Counter()
    for file in _files(wiring, job, client):
        lines = b"".join(wiring.exports.lines(file)[1]).splitlines()
        assert len(lines) == file.count
        found.update(f"{file.type}/{orjson.loads(line)['id']}" for line in lines)
    return found


def _served(wiring, types=TYPES):
    with wiring.database.read() as tx:
        query = sa.select(served.c.type, served.c.id).where(
            served.c.type.in_(types), ~served.c.is_deleted
        )
        return Counter(f"{row.type}/{row.id}" for row in tx.execute(query))


def test_files_are_bounded(wiring):
    """A type is as many files as it needs, each with a page more than the least at most."""
    job = _begin(wiring)
    _finish(_worker(wiring))

    assert _names(wiring, job) == _served(wiring)
    counts = Counter(one.type for one in _files(wiring, job))
    assert counts["Observation"] > 5
    assert max(one.count for one in _files(wiring, job)) < 10 + 3


@pytest.mark.parametrize("after", [0, 7, 25, 60])
def test_killed_in_the_middle(wiring, tmp_path, after):
    """SIGKILL while a file is written: another worker finishes, and each resource comes once."""
    job = _begin(wiring)
    folder = tmp_path / "exports"
    url = wiring.database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", DYING, url, str(folder), str(after)]
    command.append(str(wiring.clock()))
    ended = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()[-500:]
    successor = Identity(wiring.database, wiring.clock, dead_after_s=3600.0, is_alone=False)
    successor.register()
    worker = _worker(wiring, successor.id)
    with wiring.database.read() as tx:
        before = {one.name for one in exports.files(tx, job)}
    assert not worker.once(), "the dead one has not been noticed yet"
    assert len(successor.bury_the_dead()) == 1

    _finish(worker)

    assert _names(wiring, job) == _served(wiring)
    files = {one.name for one in _files(wiring, job)}
    assert before <= files, "what was whole is kept"
    assert (len(before) > 0) is (after >= 25)


def test_who_is_thought_dead_notes_nothing(wiring):
    """A worker that wakes after another finished its job adds no file to it."""
    database, clock = wiring.database, wiring.clock
    first = Identity(database, clock, dead_after_s=60.0, is_alone=False)
    first.register()
    second = _worker(wiring, "second")
    job = _begin(wiring, ["Goal"])

    def interrupted(type_, resource):
        if not done:
            done.append(job)
            database.run(lambda tx: executors.stop(tx, first.id, clock()))
            _finish(second)
        return True

    done: list[str] = []
    slow = _worker(wiring, first.id)
    slow.may_send = interrupted
    assert slow.once()  # its moment
    assert slow.once()

    assert done == [job]
    assert _names(wiring, job) == _served(wiring, ["Goal"])
    names = {one.name for one in _files(wiring, job)}
    folder = Path(wiring.settings.exports) / job
    assert {one.stem for one in folder.iterdir()} == names


def test_two_workers(wiring):
    """Side by side they make all jobs, none twice, and each has its share."""
    identities = []
    for _ in range(2):
        identity = Identity(wiring.database, wiring.clock, dead_after_s=60.0, is_alone=False)
        identity.register()
        identities.append(identity)
    jobs = [_begin(wiring, client=f"client-{n}") for n in range(6)]
    start = threading.Barrier(2)

    def work(identity):
        exporter = _worker(wiring, identity.id, page=20, file=40)
        start.wait(30)
        _finish(exporter)

    threads = [threading.Thread(target=work, args=(one,)) for one in identities]
    for one in threads:
        one.start()
    for one in threads:
        one.join(120)

    for number, job in enumerate(jobs):
        assert _names(wiring, job, f"client-{number}") == _served(wiring)


def test_what_was_accepted_before_is_served_first(wiring, clock):
    """Records that are accepted and not served when an export is asked for are in it."""
    goal = next(one for one in clinic.records() if one["type"] == "goal")
    new = [{**goal, "id": f"late-{n}"} for n in range(230)]
    wiring.publisher.accept(new)
    assert "Goal/goal.late-7" not in _served(wiring)
    job = _begin(wiring, ["Goal"])

    _finish(_worker(wiring, page=100, file=1000))

    found = _names(wiring, job)
    assert found == _served(wiring, ["Goal"])
    assert {f"Goal/goal.late-{n}" for n in range(230)} <= set(found)


def test_what_is_accepted_after_does_not_hold_it_up(wiring, clock):
    """An export begins although records keep coming that are not served yet."""
    goal = next(one for one in clinic.records() if one["type"] == "goal")
    job = _begin(wiring, ["Goal"])
    clock.sleep(1)
    wiring.publisher.accept([{**goal, "id": f"later-{n}"} for n in range(30)])
    worker = _worker(wiring)
    worker.catch_up = None

    _finish(worker)

    assert "Goal/goal.later-1" not in _names(wiring, job)


def test_it_waits_while_somebody_else_catches_up(wiring, clock):
    """Where nothing can be served now, other jobs have their turn and this one is tried again."""
    goal = next(one for one in clinic.records() if one["type"] == "goal")
    wiring.publisher.accept([{**goal, "id": f"early-{n}"} for n in range(30)])
    job = _begin(wiring, ["Goal"])
    worker = _worker(wiring)
    worker.catch_up = lambda: False

    assert worker.once()
    assert not worker.once()
    assert wiring.exports.ask("me", job).as_of is None
    clock.sleep(2)
    worker.catch_up = wiring.projector.catch_up
    _finish(worker)

    assert "Goal/goal.early-1" in _names(wiring, job)


def test_its_moment_stays(wiring, clock):
    """What changes while it is made is in the next one, whichever page it would be on."""
    job = _begin(wiring)
    worker = _worker(wiring)
    assert worker.once()
    before = {}
    with wiring.database.read() as tx:
        for row in tx.execute(sa.select(served.c.type, served.c.id, served.c.version)):
            before[f"{row.type}/{row.id}"] = str(row.version)
    goals = [one for one in clinic.records() if one["type"] == "goal"]
    wiring.publisher.accept([{**one, "statement": "Walk with my sister"} for one in goals[:4]])
    wiring.publisher.accept([{**goals[0], "id": "new"}])
    wiring.publisher.delete(("goal", goals[5]["id"]))

    _finish(worker)

    found = {}
    for file in _files(wiring, job):
        for line in b"".join(wiring.exports.lines(file)[1]).splitlines():
            one = orjson.loads(line)
            found[f"{file.type}/{one['id']}"] = one["meta"]["versionId"]
    assert found == {name: v for name, v in before.items() if name.partition("/")[0] in TYPES}


def test_jobs_take_turns(wiring, clock):
    """A small export does not wait for the end of a large one."""
    large = _begin(wiring)
    clock.sleep(1)
    small = _begin(wiring, ["Patient"], client="other")
    worker = _worker(wiring)
    for _ in range(20):
        clock.sleep(1)
        worker.once()
        if wiring.exports.ask("other", small).state == "done":
            break
    assert wiring.exports.ask("other", small).state == "done"
    assert wiring.exports.ask("me", large).state == "working"


def test_a_folder_that_cannot_be_written(wiring, clock, tmp_path):
    """It is tried again, later and later, and given up at last; the client is told."""
    folder = tmp_path / "exports"
    folder.write_text("in the way")
    job = _begin(wiring)
    worker = _worker(wiring)
    for tries in range(1, TRIES):
        assert worker.once()
        assert not worker.once(), "not at once"
        with wiring.database.read() as tx:
            assert exports.one(tx, job, "me", clock()).tries == tries
        clock.sleep(3600 / TRIES)
    folder.unlink()
    _finish(worker)
    assert _names(wiring, job) == _served(wiring)

    folder.rename(tmp_path / "gone")
    folder.write_text("in the way")
    lost = _begin(wiring)
    for _ in range(TRIES):
        worker.once()
        clock.sleep(60)
    assert wiring.exports.ask("me", lost).state == "failed"


def test_defaults_are_what_the_wiring_gives(wiring):
    """The two halves share a folder."""
    assert isinstance(wiring.exports, Exports)
    exporter = wiring.exporter(lambda: "x")
    assert isinstance(exporter, Exporter)
    assert exporter.folder == wiring.exports.folder
