"""Groups: the clients of each program, for exports and to be read. None is stored.

A client's record names the organization that holds it (``program_id``); each such organization, and
any of kind ``program``, is a Group under its Organization's id. https://hl7.org/fhir/R4/group.html
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.store import programs
from fhirsvc.store.database import Database
from fhirsvc.store.programs import Program


@dataclass(frozen=True)
class Groups:
    """Reads Groups."""

    database: Database

    def program(self, id: str) -> Program:
        """The program that a Group is of.

        :raises FhirsvcError: NOT_FOUND when there is no such Group.
        """
        with self.database.read() as tx:
            return _program(tx, id)

    def read(self, id: str) -> dict[str, Any]:
        """A Group with its members.

        :raises FhirsvcError: NOT_FOUND when there is no such Group.
        """
        with self.database.read() as tx:
            return _groups(tx, [_program(tx, id)])[0]

    def find(self, ids: Collection[str] | None) -> list[dict[str, Any]]:
        """All Groups, or those of some ids."""
        with self.database.read() as tx:
            found = programs.programs(tx)
            return _groups(tx, [one for one in found if ids is None or one.id in ids])


def _program(tx: sa.Connection, id: str) -> Program:
    found = programs.programs(tx, id)
    if not found:
        raise FhirsvcError(Category.NOT_FOUND, "no such Group", "Group")
    return found[0]


def _groups(tx: sa.Connection, found: list[Program]) -> list[dict[str, Any]]:
    held: dict[str, list[str]] = {one.record_id: [] for one in found}
    for member in programs.members(tx) if found else ():
        if not member.is_deleted and member.program in held:
            held[member.program].append(member.patient)
    return [_group(one, sorted(held[one.record_id])) for one in found]


def _group(program: Program, patients: list[str]) -> dict[str, Any]:
    members = [{"entity": {"reference": f"Patient/{one}"}} for one in patients]
    return {
        "resourceType": "Group",
        "id": program.id,
        "active": True,
        "type": "person",
        "actual": True,
        "name": program.name,
        "quantity": len(patients),
        "managingEntity": {"reference": f"Organization/{program.id}"},
        **({"member": members} if members else {}),
    }
