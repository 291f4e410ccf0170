"""Bulk exports: jobs with their place, their files, and the mark that cuts what is served in two.

    export_job ── export_file      the files that are whole; the bytes are in a folder
    served_mark                    one row: what came up to it is in the last export that began

Times are seconds since the epoch in UTC, passed in by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import orjson
import sqlalchemy as sa

from fhirsvc.fhir.bulk import Filter
from fhirsvc.store.tables import Id, executor, metadata

State = Literal["accepted", "working", "done", "failed", "cancelled"]
Kind = Literal["output", "deleted"]
UNFINISHED = ("accepted", "working")

export_job = sa.Table(
    "export_job",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),  # nobody can guess it
    sa.Column("client", sa.String(200), nullable=False, index=True),
    sa.Column("url", sa.Text, nullable=False),  # what was asked for, as the manifest repeats it
    sa.Column("level", sa.String(10), nullable=False),
    sa.Column("program", sa.String(64), nullable=False),  # an organization's record; empty: none
    sa.Column("types", sa.Text, nullable=False),  # JSON
    sa.Column("filters", sa.Text, nullable=False),  # JSON: type and parameters of each
    sa.Column("since", sa.Double),
    sa.Column("until", sa.Double),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),  # the executor that has it in hand
    sa.Column("tries", sa.Integer, nullable=False),  # how often it went wrong
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("as_of", sa.Double),  # its moment: from then on nothing changes it
    sa.Column("part", sa.Integer, nullable=False),  # how many parts are whole: a type each
    sa.Column("after", Id, nullable=False),  # where the files of the next part end so far
    sa.Column("polled_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False, index=True),
)

export_file = sa.Table(
    "export_file",
    metadata,
    sa.Column("job_id", sa.String(64), sa.ForeignKey("export_job.id"), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("type", sa.String(40), nullable=False),  # of the resources, or of what was deleted
    sa.Column("count", sa.Integer, nullable=False),  # lines
)

served_mark = sa.Table(
    "served_mark",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    sa.Column("at", sa.Double, nullable=False),
)


@dataclass(frozen=True)
class Job:
    """One export; its fields are the columns, ``types`` and ``filters`` read."""

    id: str
    client: str
    url: str
    level: str
    program: str
    types: tuple[str, ...]
    filters: tuple[Filter, ...]
    since: float | None
    until: float | None
    state: State
    owner: str
    tries: int
    created_at: float
    next_at: float
    as_of: float | None
    part: int
    after: int
    polled_at: float
    expires_at: float

    @property
    def parts(self) -> list[tuple[Kind, str]]:
        """What it is made of, in order: the types, then what of them was deleted since."""
        found: list[tuple[Kind, str]] = [("output", one) for one in self.types]
        return found if self.since is None else [*found, *(("deleted", one) for one in self.types)]


@dataclass(frozen=True)
class File:
    """One file that is whole; ``count`` are its lines."""

    job_id: str
    name: str
    number: int
    kind: Kind
    type: str
    count: int


def add(tx: sa.Connection, job: Job) -> None:
    """Keep a new job."""
    texts = {name: orjson.dumps(getattr(job, name)).decode() for name in ("types", "filters")}
    tx.execute(sa.insert(export_job).values({**vars(job), **texts}))


def one(tx: sa.Connection, id: str, client: str, now: float) -> Job | None:
    """A client's own job; None when it is another's, cancelled, expired or none."""
    query = sa.select(export_job).where(
        export_job.c.id == id,
        export_job.c.client == client,
        export_job.c.state != "cancelled",
        export_job.c.expires_at > now,
    )
    row = tx.execute(query).mappings().first()
    return None if row is None else _job(row)


def counts(tx: sa.Connection, client: str, now: float) -> tuple[int, int]:
    """How many of a client's jobs are unfinished, and how many there are in all."""
    unfinished = sa.func.count().filter(export_job.c.state.in_(UNFINISHED))
    query = sa.select(unfinished, sa.func.count()).where(
        export_job.c.client == client,
        export_job.c.state != "cancelled",
        export_job.c.expires_at > now,
    )
    row = tx.execute(query).one()
    return int(row[0]), int(row[1])


def polled(tx: sa.Connection, id: str, now: float) -> None:
    """Remember when a job was asked after."""
    tx.execute(sa.update(export_job).where(export_job.c.id == id).values(polled_at=now))


def files(tx: sa.Connection, id: str) -> list[File]:
    """The whole files of a job, in order."""
    query = sa.select(export_file).where(export_file.c.job_id == id)
    return [File(**row) for row in tx.execute(query.order_by(export_file.c.number)).mappings()]


def cancel(tx: sa.Connection, id: str) -> None:
    """Nobody has this job any more; what is left of it is tidied up later."""
    tx.execute(sa.update(export_job).where(export_job.c.id == id).values(state="cancelled"))


def claim(tx: sa.Connection, owner: str, now: float) -> Job | None:
    """Take the job whose turn it is: one that is due, this owner's own, or one that a dead one had.

    Those that other transactions are taking are passed over.
    """
    living = sa.select(executor.c.id).where(executor.c.stopped_at.is_(None))
    is_free = sa.or_(
        export_job.c.state == "accepted",
        export_job.c.owner == owner,
        export_job.c.owner.not_in(living),
    )
    query = (
        sa.select(export_job)
        .where(
            export_job.c.state.in_(UNFINISHED),
            export_job.c.next_at <= now,
            export_job.c.expires_at > now,
            is_free,
        )
        .order_by(export_job.c.next_at, export_job.c.created_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = tx.execute(query).mappings().first()
    if row is None:
        return None
    values = {"state": "working", "owner": owner}
    tx.execute(sa.update(export_job).where(export_job.c.id == row["id"]).values(values))
    return _job({**row, **values})


def save(tx: sa.Connection, job: Job, **changed: object) -> bool:
    """Write what became of a job in hand; False when it is in this owner's hand no more."""
    done = tx.execute(
        sa.update(export_job)
        .where(
            export_job.c.id == job.id,
            export_job.c.owner == job.owner,
            export_job.c.state == "working",
        )
        .values(changed)
    )
    return done.rowcount == 1


def add_file(tx: sa.Connection, job: Job, name: str, count: int) -> None:
    """Note that a file of the part in hand is whole."""
    number = tx.execute(
        sa.select(sa.func.count()).where(export_file.c.job_id == job.id)
    ).scalar_one()
    kind, type_ = job.parts[job.part]
    file = File(job.id, name, number, kind, type_, count)
    tx.execute(sa.insert(export_file).values(vars(file)))


def over(tx: sa.Connection, now: float, limit: int = 100) -> list[str]:
    """Jobs that are cancelled or have expired: their files are to go."""
    query = sa.select(export_job.c.id).where(
        sa.or_(export_job.c.state == "cancelled", export_job.c.expires_at <= now)
    )
    return list(tx.execute(query.limit(limit)).scalars())


def forget(tx: sa.Connection, ids: Sequence[str]) -> None:
    """Drop jobs whose files are gone."""
    tx.execute(sa.delete(export_file).where(export_file.c.job_id.in_(ids)))
    tx.execute(sa.delete(export_job).where(export_job.c.id.in_(ids)))


def _job(row: sa.RowMapping | dict[str, object]) -> Job:
    types = tuple(orjson.loads(str(row["types"])))
    listed = orjson.loads(str(row["filters"]))
    filters = tuple((type_, tuple(map(tuple, given))) for type_, given in listed)
    return Job(**{**row, "types": types, "filters": filters})
