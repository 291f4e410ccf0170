"""Bulk exports as a client sees them: asked for, asked after, fetched, cancelled.

A worker makes the files: see :mod:`fhirsvc.services.exporting`.
https://hl7.org/fhir/uv/bulkdata/STU2/export.html
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.bulk import KickOff, Level
from fhirsvc.services.ports import Clock
from fhirsvc.services.serve import instant
from fhirsvc.store import exports
from fhirsvc.store.database import Database
from fhirsvc.store.exports import UNFINISHED, File, Job

ACTIVE = 3  # unfinished jobs of a client
KEPT = 20  # jobs of a client with those whose files are still there
POLL_S = 2  # how long to wait before asking again
SOONEST_S = 1.0  # less than this between two questions is too often
FULL_S = 60  # how long to wait where there are too many
_CHUNK = 65536
Resource = dict[str, Any]
# Whether a resource, by its type, may leave: consent. Asked when a file is made and when it is
# fetched; of what was deleted with what it was.
MaySend = Callable[[str, Resource], bool]


def everything(_type: str, _resource: Resource) -> bool:
    """All may be sent."""
    return True


class TooOftenError(FhirsvcError):
    """Too many jobs, or too many questions; ``wait_s`` says how long to wait."""

    def __init__(self, message: str, wait_s: int) -> None:
        super().__init__(Category.BUSY, message)
        self.wait_s = wait_s


def folder_of(folder: Path, job_id: str) -> Path:
    """Where the files of a job are."""
    return folder / job_id


@dataclass(frozen=True)
class Exports:
    """Jobs of clients; ``new_id`` makes names that nobody can guess, and files last ``keep_s``."""

    database: Database
    folder: Path
    clock: Clock
    new_id: Callable[[], str]
    keep_s: float
    may_send: MaySend = everything

    def begin(
        self, client: str, asked: KickOff, level: Level, program: str, types: list[str], url: str
    ) -> str:
        """Take a job in; its id. ``program`` is the record of a Group's organization.

        :raises TooOftenError: the client has too many.
        """
        now = self.clock()
        job = Job(
            id=self.new_id(),
            client=client,
            url=url,
            level=level,
            program=program,
            types=tuple(types),
            filters=asked.filters,
            since=asked.since,
            until=asked.until,
            state="accepted",
            owner="",
            tries=0,
            created_at=now,
            next_at=now,
            as_of=None,
            part=0,
            after=-1,
            polled_at=0.0,
            expires_at=now + self.keep_s,
        )

        def begin(tx: sa.Connection) -> None:
            unfinished, kept = exports.counts(tx, client, now)
            if unfinished >= ACTIVE:
                raise TooOftenError(f"{ACTIVE} exports are being made already", FULL_S)
            if kept >= KEPT:
                message = f"{KEPT} exports are kept already: delete those that are fetched"
                raise TooOftenError(message, FULL_S)
            exports.add(tx, job)

        self.database.run(begin)
        return job.id

    def ask(self, client: str, id: str) -> Job:
        """How a job is doing.

        :raises FhirsvcError: NOT_FOUND when it is none of this client's, or has expired.
        :raises TooOftenError: it was asked after a moment ago.
        """
        now = self.clock()
        job = self._own(client, id)
        if job.state in UNFINISHED:
            if 0 <= now - job.polled_at < SOONEST_S:
                raise TooOftenError("it was asked after a moment ago", POLL_S)
            self.database.run(lambda tx: exports.polled(tx, id, now), durable=False)
        return job

    def manifest(self, job: Job, address: str, *, needs_token: bool) -> dict[str, Any]:
        """What a finished job has made; ``address`` is that of the job itself."""
        with self.database.read() as tx:
            files = exports.files(tx, job.id)
        listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": []}
        for one in files:
            type_ = "Bundle" if one.kind == "deleted" else one.type
            url = f"{address}/{one.name}.ndjson"
            listed[one.kind].append({"type": type_, "url": url, "count": one.count})
        found = {
            "transactionTime": instant(job.as_of or job.created_at),
            "request": job.url,
            "requiresAccessToken": needs_token,
            "output": listed["output"],
            "error": [],
        }
        return found if job.since is None else {**found, "deleted": listed["deleted"]}

    def cancel(self, client: str, id: str) -> None:
        """Give a job up, with its files.

        :raises FhirsvcError: NOT_FOUND when it is none of this client's.
        """
        self._own(client, id)
        self.database.run(lambda tx: exports.cancel(tx, id))
        # A worker that has it in hand may write yet; the next round removes what is left.
        shutil.rmtree(folder_of(self.folder, id), ignore_errors=True)

    def file(self, client: str, id: str, name: str) -> File:
        """A file of a finished job.

        :raises FhirsvcError: NOT_FOUND when there is none, or the job is not this client's.
        """
        job = self._own(client, id)
        with self.database.read() as tx:
            found = [one for one in exports.files(tx, id) if one.name == name]
        if job.state != "done" or not found:
            raise FhirsvcError(Category.NOT_FOUND, "no such file")
        return found[0]

    def lines(self, file: File) -> tuple[int | None, Iterator[bytes]]:
        """The bytes of a file, and how many there are where that is known before.

        What may not be sent any more is left out.

        :raises FhirsvcError: UNAVAILABLE when its folder is not here.
        """
        path = folder_of(self.folder, file.job_id) / f"{file.name}.ndjson"
        try:
            size = path.stat().st_size
        except OSError:
            raise FhirsvcError(Category.UNAVAILABLE, "the file is not here") from None
        # Opened when the first byte is wanted: for a HEAD nobody wants any.
        if self.may_send is everything:
            return size, _chunks(path)
        return None, self._allowed(path, file)

    def _allowed(self, path: Path, file: File) -> Iterator[bytes]:
        with path.open("rb") as handle:
            for line in handle:
                # What was deleted has no content: its names alone are told.
                if file.kind == "deleted" or self.may_send(file.type, orjson.loads(line)):
                    yield line

    def _own(self, client: str, id: str) -> Job:
        with self.database.read() as tx:
            job = exports.one(tx, id, client, self.clock())
        if job is None:
            raise FhirsvcError(Category.NOT_FOUND, "no such export")
        return job


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            yield chunk
