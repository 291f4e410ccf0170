"""Making bulk exports: a worker takes a job, fixes its moment, and writes a file after the other.

A job's place is in its row and moves by whole files: each is written under a name of its own,
brought to disk, and then noted in one transaction with the place after it, by whoever still has the
job in hand. A worker that is killed leaves a file that no row names; the next one begins that file
anew. Memory is a page of resources, whatever there is to export.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
import structlog

from fhirsvc.fhir.bulk import criteria
from fhirsvc.fhir.compartment import patients
from fhirsvc.fhir.search import Criterion
from fhirsvc.fhir.search_match import meets
from fhirsvc.fhir.search_values import values
from fhirsvc.services.exports import MaySend, everything, folder_of
from fhirsvc.services.ports import Clock
from fhirsvc.services.serve import resource_of
from fhirsvc.store import exports, programs, served_past
from fhirsvc.store.database import Database
from fhirsvc.store.exports import Job
from fhirsvc.store.served_search import Found

PAGE = 500  # resources that are in memory
FILE = 10_000  # lines of a file
ROUNDS = 20  # of catching up, before other jobs have their turn
TRIES = 10
WAIT_S = 1.0  # between such rounds
AGAIN_S = 5.0  # after a failure, times how often
TIDY_S = 30.0
log = structlog.get_logger("fhirsvc.export")


class _Taken(Exception):  # noqa: N818 - no error: the job goes on elsewhere, or was cancelled
    """The job is in this worker's hand no more."""


@dataclass
class Exporter:
    """Makes exports for one executor, a file at a time.

    :param owner: names the executor; jobs of one that has stopped are taken over.
    :param new_id: makes the names of files.
    :param catch_up: serves some records that are accepted and not served yet. None where nothing
        is served.
    """

    database: Database
    folder: Path
    clock: Clock
    owner: Callable[[], str]
    new_id: Callable[[], str]
    catch_up: Callable[[], object] | None = None
    may_send: MaySend = everything
    page: int = PAGE
    file: int = FILE
    _tidied: float = field(default=-1e18, init=False)

    def once(self) -> bool:
        """One step of the job whose turn it is; False when there is none."""
        self.tidy()
        owner, now = self.owner(), self.clock()
        job = self.database.run(lambda tx: exports.claim(tx, owner, now))
        if job is None:
            return False
        try:
            if job.as_of is None:
                self._fix(job)
            elif job.part < len(job.parts):
                self._write(job)
            else:
                self._save(job, state="done", owner="")
                log.info("exported", job=job.id, level=job.level)
        except _Taken:
            pass
        except Exception as error:
            self._failed(job, error)
        return True

    def tidy(self) -> None:
        """Remove, now and then, what was cancelled and what has expired."""
        now = self.clock()
        if now - self._tidied < TIDY_S:
            return
        self._tidied = now
        with self.database.read() as tx:
            over = exports.over(tx, now)
        for id_ in over:
            shutil.rmtree(folder_of(self.folder, id_), ignore_errors=True)
        if over:
            self.database.run(lambda tx: exports.forget(tx, over))

    def _fix(self, job: Job) -> None:
        """Fix the moment of a job, once all is served that was accepted before it came."""
        for _ in range(ROUNDS):
            with self.database.read() as tx:
                is_waiting = served_past.is_waiting(tx, job.created_at)
            if not is_waiting or self.catch_up is None:
                break
            self.catch_up()
        else:
            self._save(job, next_at=self.clock() + WAIT_S)
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder_of(self.folder, job.id).mkdir(mode=0o700, exist_ok=True)

        def fix(tx: sa.Connection) -> bool:
            as_of = served_past.mark(tx, self.clock())
            if job.until is not None:  # before it, not at it
                as_of = min(as_of, round(job.until - served_past.TICK, 3))
            return exports.save(tx, job, as_of=as_of, next_at=self.clock())

        if not self.database.run(fix):
            raise _Taken

    def _write(self, job: Job) -> None:
        """Write the next file of the part in hand, and note it with the place after it."""
        kind, type_ = job.parts[job.part]
        name = self.new_id()
        path = folder_of(self.folder, job.id) / f"{name}.ndjson"
        place = _Place(job.after)
        is_noted = False
        try:
            self._fill(path, self._lines(job, kind == "deleted", type_, place), place)
            is_noted = self.database.run(lambda tx: self._note(tx, job, name, place))
        finally:
            if not (is_noted and place.lines):
                path.unlink(missing_ok=True)
        if not is_noted:
            raise _Taken

    def _fill(self, path: Path, lines: Iterator[bytes], place: _Place) -> None:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            for line in lines:
                out.write(line)
                place.lines += 1
            out.flush()
            os.fsync(out.fileno())

    def _note(self, tx: sa.Connection, job: Job, name: str, place: _Place) -> bool:
        moved = {"part": job.part + 1, "after": -1} if place.is_last else {"after": place.after}
        if not exports.save(tx, job, **moved, next_at=self.clock(), tries=0):
            return False
        if place.lines:
            exports.add_file(tx, job, name, place.lines)
        return True

    def _lines(self, job: Job, is_deleted: bool, type_: str, place: _Place) -> Iterator[bytes]:
        while place.lines < self.file:
            with self.database.read() as tx:
                found = served_past.page(
                    tx,
                    type_,
                    as_of=job.as_of or 0.0,
                    since=job.since,
                    is_deleted=is_deleted,
                    after=place.after,
                    limit=self.page,
                )
                shown = self._shown(tx, job, type_, found)
            if is_deleted and shown:
                yield _deletions([one for one, _ in shown])
            elif not is_deleted:
                for _, resource in shown:
                    yield orjson.dumps(resource, option=orjson.OPT_APPEND_NEWLINE)
            if len(found) < self.page:
                place.is_last = True
                return
            place.after = found[-1].key

    def _shown(
        self, tx: sa.Connection, job: Job, type_: str, found: list[Found]
    ) -> list[tuple[Found, dict[str, Any]]]:
        """Those of a page that belong to the export, and may be sent."""
        read = [(one, resource_of(one)) for one in found]
        filters = [criteria(type_, given) for name, given in job.filters if name == type_]
        if filters:
            read = [one for one in read if _meets_any(filters, one[1])]
        if job.level != "system":
            whose = {one.key: patients(resource) for one, resource in read}
            asked = set().union(*whose.values())
            if job.level == "group" and asked:
                listed = programs.members(tx, asked)
                asked = {one.patient for one in listed if one.program == job.program}
            read = [(one, resource) for one, resource in read if whose[one.key] & asked]
        if self.may_send is everything:
            return read
        return [(one, resource) for one, resource in read if self.may_send(type_, resource)]

    def _failed(self, job: Job, error: Exception) -> None:
        # Its text may hold values.
        log.error("export_failed", job=job.id, error=type(error).__name__, tries=job.tries + 1)
        tries = job.tries + 1
        now = self.clock()
        state = "failed" if tries >= TRIES else "accepted"
        changed = {"state": state, "owner": "", "tries": tries, "next_at": now + AGAIN_S * tries}
        self.database.run(lambda tx: exports.save(tx, job, **changed))

    def _save(self, job: Job, **changed: object) -> None:
        if not self.database.run(lambda tx: exports.save(tx, job, **changed)):
            raise _Taken


def _meets_any(filters: list[tuple[Criterion, ...]], resource: dict[str, Any]) -> bool:
    words, _ = values(resource)
    return any(meets(one, words) for one in filters)


@dataclass
class _Place:
    """Where a file has come to."""

    after: int
    lines: int = 0
    is_last: bool = False


def _deletions(found: list[Found]) -> bytes:
    """A Bundle that says what was deleted."""
    entries = [{"request": {"method": "DELETE", "url": f"{one.type}/{one.id}"}} for one in found]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return orjson.dumps(bundle, option=orjson.OPT_APPEND_NEWLINE)
