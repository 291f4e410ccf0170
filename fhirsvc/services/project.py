"""Projection: what the current versions of records map to is what ``/fhir`` serves.

A few records are served in the transaction that accepts them, so whoever was told that one is
stored can read it. Many at once are only noted as due there, and served by the worker: to map and
index them costs more than to store them. A record that does not map is not served and counted, and
never keeps anything from being accepted. A resource gets a new version only when what it says has
changed; one that its record maps to no more is deleted, and stays in its history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson
import sqlalchemy as sa
import structlog

from fhirsvc.ehr.content import fingerprint
from fhirsvc.ehr.local import Local
from fhirsvc.fhir import search_parameters
from fhirsvc.fhir.search_values import values
from fhirsvc.services.judge import as_it_is
from fhirsvc.services.ports import Clock, Mapper
from fhirsvc.services.references import local_of
from fhirsvc.store import records, served_past, serving
from fhirsvc.store.database import Database
from fhirsvc.store.records import RecordKey, Version
from fhirsvc.store.serving import Change, Head

US_CORE = 8  # the version that is served
PAGE = 100  # records that are caught up in one transaction
FEW = 20  # records that are served while they are accepted
Resource = dict[str, Any]
# Notes what follows from changes, in the transaction that makes them; the time is epoch seconds.
Note = Callable[[sa.Connection, Sequence[Change], float], None]
_NOTHING: Mapping[Local, Resource] = {}
# What mapping made, and what is kept of the last body: the whole resource.
Graft = Callable[[Resource, Resource], Resource]
log = structlog.get_logger("fhirsvc.project")


@dataclass
class Projector:
    """Keeps what is served; ``graft`` keeps what partners wrote and no line reads.

    ``tell`` is given every change, in the transaction that makes it.

    With ``by_scores`` goals are served with the word of their newest judgement.
    """

    database: Database
    mapper: Mapper
    clock: Clock
    graft: Graft
    by_scores: bool = False
    tell: Note = lambda _tx, _changes, _now: None
    _knows_others: bool = field(default=False, init=False)

    def project(
        self,
        tx: sa.Connection,
        versions: Sequence[Version],
        now: float,
        wrote: Mapping[Local, Resource] | None = None,
    ) -> None:
        """Serve the newest of ``versions`` of each record, or note that they are due.

        :param wrote: what a partner wrote of resources, by type and id: what no line makes of it
            is kept.
        """
        newest = {one.key: one for one in versions}
        if self.by_scores:  # a goal that is judged anew was not changed, so nobody has locked it
            records.current(tx, newest)
        if len(newest) > FEW and not wrote:
            serving.owe(tx, newest)
        elif newest:
            self._serve(tx, list(newest.values()), now, is_again=False, wrote=wrote or {})

    def catch_up(self) -> bool:
        """Serve some records that are due, or were served by other mappings.

        Returns whether there were any: False when all is done.
        """
        if not self._knows_others:
            self.database.run(lambda tx: serving.owe_other(tx, self._edition))
            self._knows_others = True
        with self.database.read() as tx:
            if not serving.owed(tx, 1):
                return False
        return self.database.run(self._catch_up)

    def _catch_up(self, tx: sa.Connection) -> bool:
        due = serving.owed(tx, PAGE)
        records.current(tx, due)  # locked: no newer version comes between
        found = records.newest(tx, due)
        if found:
            self._serve(tx, found, self.clock(), is_again=True)
        serving.pay(tx, due)
        return bool(due)

    @cached_property
    def _edition(self) -> str:
        parts = [self.mapper.fingerprint, search_parameters.edition(), US_CORE]
        return fingerprint(parts)

    def _serve(
        self,
        tx: sa.Connection,
        versions: Sequence[Version],
        now: float,
        *,
        is_again: bool,
        wrote: Mapping[Local, Resource] = _NOTHING,
    ) -> None:
        made = {one.key: self._made(tx, one) for one in versions}
        wanted = {
            serving.key_of(*local_of(resource)): (key, resource)
            for key, resources in made.items()
            for resource in resources or ()
        }
        changed = [one.key for one in versions if is_again or one.version > 1]
        known = serving.heads(tx, wanted.keys(), changed)
        taken = {
            wanted[key][0] for key, head in known.items()
            if key in wanted and not _may_take(head, *wanted[key])
        }  # fmt: skip
        at = served_past.stamp(tx, now)
        changes = []
        for key, (of, resource) in wanted.items():
            if of not in taken:
                head = known.get(key)
                held = wrote.get(local_of(resource)) or self._extras(tx, head)
                change = self._change(head, of, resource, held, at, is_again)
                changes += [change] if change else []
        for key, head in known.items():
            is_wanted = key in wanted and wanted[key][0] not in taken
            if head.record in made and not is_wanted and not head.is_deleted:
                changes.append(self._gone(tx, head, at))
        serving.save(tx, changes, known.keys())
        self.tell(tx, changes, at)
        served = {key: made[key] is not None and key not in taken for key in made}
        serving.note(tx, versions, served, self._edition)

    def _made(self, tx: sa.Connection, version: Version) -> list[Resource] | None:
        """What a version maps to; None where it does not."""
        if version.is_deleted:
            return []
        record = orjson.loads(version.body)
        if self.by_scores:
            record = as_it_is(tx, version.key, record)
        try:
            made = self.mapper.forward(record, US_CORE)
            for one in made:
                local_of(one)
        except Exception as error:  # whatever it is, the record is accepted
            log.warning("not_served", type=version.type, id=version.id, error=type(error).__name__)
            return None
        return made

    def _extras(self, tx: sa.Connection, head: Head | None) -> Resource | None:
        """The body in which there is more than mapping made, if there is."""
        if head is None or not head.has_extras or head.is_deleted:
            return None
        found: Resource = orjson.loads(serving.body(tx, head.key, head.version))
        return found

    def _change(
        self,
        head: Head | None,
        of: RecordKey,
        resource: Resource,
        held: Resource | None,
        at: float,
        is_again: bool,
    ) -> Change | None:
        made = resource
        if held is not None:
            resource = self.graft(made, held)
        has_extras = resource != made
        body = orjson.dumps(resource)  # the same content comes in the same order
        hash_ = hashlib.sha256(body).hexdigest()
        is_same = head is not None and head.hash == hash_ and not head.is_deleted
        if is_same and not is_again:
            return None
        words, dates = values(resource)
        text = body.decode()
        if head is None:
            type_, id_ = local_of(resource)
            key = serving.key_of(type_, id_)
            head = Head(key, type_, id_, 1, hash_, at, False, has_extras, *of)
            return Change(head, text, words, dates, is_first=True)
        if is_same:
            return Change(head, text, words, dates, is_version=False)
        is_first = head.is_deleted
        names = {"record_type": of[0], "record_id": of[1], "has_extras": has_extras}
        head = serving.moved(head, hash=hash_, updated_at=at, is_deleted=False, **names)
        return Change(head, text, words, dates, is_first=is_first)

    def _gone(self, tx: sa.Connection, head: Head, at: float) -> Change:
        body = serving.body(tx, head.key, head.version)
        return Change(serving.moved(head, updated_at=at, is_deleted=True), body)


def _may_take(head: Head, of: RecordKey, resource: Mapping[str, Any]) -> bool:
    """Whether a name is free for a record: nobody's, its own, or that of what is deleted."""
    is_same = (head.type, head.id) == (resource["resourceType"], resource["id"])
    return is_same and (head.is_deleted or head.record == of)
