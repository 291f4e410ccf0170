"""Programs and whose they are: a client's record names the organization that holds it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import orjson
import sqlalchemy as sa

from fhirsvc.store.served import served
from fhirsvc.store.tables import record, record_version

PAGE = 500


@dataclass(frozen=True)
class Member:
    """A client of a program: the id of its Patient, and the program's record."""

    patient: str
    program: str
    is_deleted: bool


@dataclass(frozen=True)
class Program:
    """An organization that holds clients' records, by its record, and the Organization it is."""

    record_id: str
    id: str
    name: str


def members(tx: sa.Connection, patients: Collection[str] | None = None) -> Iterator[Member]:
    """Patients whose clients have a program, those that were deleted too, in pages."""
    after = -1
    while True:
        query = _bodies("Patient", "client").where(served.c.key > after)
        if patients is not None:
            query = query.where(served.c.id.in_(sorted(patients)))
        rows = tx.execute(query.order_by(served.c.key).limit(PAGE)).all()
        for row in rows:
            program = orjson.loads(row.body).get("program_id")
            if isinstance(program, str):
                yield Member(row.id, program, row.is_deleted)
        if len(rows) < PAGE:
            return
        after = rows[-1].key


def programs(tx: sa.Connection, id: str | None = None) -> list[Program]:
    """Organizations of kind ``program``, and any others that hold clients' records; by id.

    :param id: of the Organization, where only one is wanted.
    """
    query = _bodies("Organization", "organization").where(~served.c.is_deleted)
    if id is not None:
        query = query.where(served.c.id == id)
    read = [(row, orjson.loads(row.body)) for row in tx.execute(query.order_by(served.c.id))]
    if all(body.get("kind") == "program" for _, body in read):
        holders: set[str] = set()
    else:
        holders = {one.program for one in members(tx) if not one.is_deleted}
    return [
        Program(body["id"], row.id, body["name"])
        for row, body in read
        if body.get("kind") == "program" or body["id"] in holders
    ]


def _bodies(resource_type: str, record_type: str) -> sa.Select[tuple[int, str, bool, str]]:
    """What is served of one type with the current version of the record that it comes from."""
    return (
        sa.select(served.c.key, served.c.id, served.c.is_deleted, record_version.c.body)
        .select_from(served)
        .join(
            record,
            sa.and_(record.c.type == served.c.record_type, record.c.id == served.c.record_id),
        )
        .join(
            record_version,
            sa.and_(
                record_version.c.type == record.c.type,
                record_version.c.id == record.c.id,
                record_version.c.version == record.c.version,
            ),
        )
        .where(served.c.type == resource_type, served.c.record_type == record_type)
    )
