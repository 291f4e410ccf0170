"""Accepting records: the version and its deliveries are on disk before the caller hears yes.

It is over 300 lines because every way in ends in the same few steps, in the same transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import orjson
import sqlalchemy as sa

from fhirsvc.ehr.content import fingerprint
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.mapping.achievement import Moved
from fhirsvc.services import judge
from fhirsvc.services.ports import Check, Clock, Companions, Record
from fhirsvc.store import connections, deliveries, judgements, queue, records
from fhirsvc.store.database import Database
from fhirsvc.store.records import RecordKey, Version

BATCH = 100  # records in one transaction

Outcome = Literal["created", "changed", "unchanged", "refused", "deleted"]
# Something else to be done in the transaction that stores a record.
Also = Callable[[sa.Connection, "Receipt"], None]
AlsoAll = Callable[[sa.Connection, Sequence["Receipt"]], None]
First = Callable[[sa.Connection], None]
# What follows from new versions in the transaction that stores them; the time is epoch seconds.
Project = Callable[[sa.Connection, Sequence[Version], float], None]


@dataclass(frozen=True)
class Receipt:
    """What became of one record; ``index`` is its place in what was handed over.

    ``type``, ``id`` and ``version`` are empty for a refused one, and ``findings`` say why; those of
    another are warnings.
    """

    index: int
    outcome: Outcome
    type: str = ""
    id: str = ""
    version: int = 0
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Accepted:
    """The receipts in order, and how many deliveries were opened and called off."""

    receipts: tuple[Receipt, ...]
    opened: int
    superseded: int

    def count(self, outcome: Outcome) -> int:
        """How many records had this outcome."""
        return sum(receipt.outcome == outcome for receipt in self.receipts)


@dataclass(frozen=True)
class _Incoming:
    index: int
    key: RecordKey
    body: str
    hash: str
    client_id: str | None  # whose it is
    findings: tuple[Finding, ...] = ()  # warnings
    source: str = ""  # the connection that it comes from


_BESIDE = -1  # the index of what came with another record


def alone(_: Record) -> list[dict[str, Any]]:
    """Nothing goes with a record."""
    return []


def unserved(_tx: sa.Connection, _versions: Sequence[Version], _now: float) -> None:
    """Nothing follows from a version."""


class Publisher:
    """Takes records in.

    ``check`` says what is wrong with one, ``companions`` what goes with it, ``clock`` gives epoch
    seconds. ``new_id`` makes the correlation id of what comes without one: it goes to the EHR
    with every request that the record causes. With ``moved``, what a difference between two totals
    of an instrument means, goals are judged by scores: see :mod:`fhirsvc.services.judge`.
    ``project`` is given every batch of new versions, in the transaction that stores them.
    """

    def __init__(
        self,
        database: Database,
        check: Check,
        clock: Clock,
        companions: Companions = alone,
        *,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        moved: Moved | None = None,
        project: Project = unserved,
    ) -> None:
        self._database = database
        self._check = check
        self._clock = clock
        self._companions = companions
        self._new_id = new_id
        self._moved = moved
        self._project = project

    def accept(self, given: Iterable[object], correlation_id: str = "") -> Accepted:
        """Store every record that is new or changed and open its delivery to every connection.

        A bad record is refused and the others go on; the same content again changes nothing.
        Records are committed a hundred at a time, each with its deliveries. When the database
        fails, the batches before are in, this one is not, and the error is raised.
        """
        correlation_id = correlation_id or self._new_id()
        receipts: list[Receipt] = []
        opened = superseded = 0
        for batch in _batches(enumerate(given)):
            read = [self._read(index, record) for index, record in batch]
            incoming = [one for one in read if isinstance(one, _Incoming)]
            stored = self._store([*self._beside(incoming), *incoming], correlation_id)
            refused = [one for one in read if isinstance(one, Receipt)]
            receipts += sorted([*refused, *stored.receipts], key=lambda receipt: receipt.index)
            opened += stored.opened
            superseded += stored.superseded
        return Accepted(tuple(receipts), opened, superseded)

    def accept_one(
        self,
        record: object,
        *,
        expected: int | None = None,
        correlation_id: str = "",
        source: str = "",
        also: Also | None = None,
    ) -> Receipt:
        """Accept one record; CONFLICT unless its current version is ``expected`` (0: none yet).

        ``source`` names the connection that it comes from. ``also`` is done in the transaction
        that stores the record, or finds that it says nothing new.
        """

        def one(tx: sa.Connection, receipts: Sequence[Receipt]) -> None:
            if also is not None:
                also(tx, receipts[0])

        given = [(record, expected)]
        receipts = self.accept_together(
            given, correlation_id=correlation_id, source=source, also=one
        )
        return receipts[0]

    def accept_together(
        self,
        given: Sequence[tuple[object, int | None]],
        *,
        correlation_id: str = "",
        source: str = "",
        first: First | None = None,
        project: Project | None = None,
        also: AlsoAll | None = None,
    ) -> list[Receipt]:
        """Accept several records in one transaction, or none of them.

        :param given: records of different names, each with the version that it replaces, as for
            ``accept_one``.
        :param first: done before anything is stored; what it raises stops everything.
        :param project: as for the Publisher, for these.
        :param also: done at the end, with the receipts in the order of the records.
        :returns: a receipt for each; only those that are refused when any is, and nothing is
            stored then.
        :raises FhirsvcError: CONFLICT when a record has another version than is expected.
        """
        read = [self._read(index, record) for index, (record, _) in enumerate(given)]
        refused = [one for one in read if isinstance(one, Receipt)]
        if refused:
            return refused
        incoming = [replace(one, source=source) for one in read if isinstance(one, _Incoming)]
        beside = self._beside(incoming)
        now = self._clock()
        cause = correlation_id or self._new_id()

        def store(tx: sa.Connection) -> list[Receipt]:
            if first is not None:
                first(tx)
            if len(incoming) > 1:  # locked in one order, whatever the order they come in
                records.current(tx, [one.key for one in incoming])
            receipts: list[Receipt] = []
            for one, (_, expected) in zip(incoming, given, strict=True):
                first_of_all = [] if receipts else beside
                taken = self._take_in(tx, [one], cause, now, expected, first_of_all, project)
                receipts += taken.receipts
            if also is not None:
                also(tx, receipts)
            return receipts

        return self._database.run(store)

    def delete(
        self, key: RecordKey, *, expected: int | None = None, correlation_id: str = ""
    ) -> Receipt:
        """Delete a record: a last version that says so goes wherever the record went.

        What is there stays in its history, and the record can be accepted again.

        :raises FhirsvcError: NOT_FOUND when there is none, GONE when it is deleted, CONFLICT unless
            its current version is ``expected``.
        """
        now = self._clock()
        cause = correlation_id or self._new_id()
        return self._database.run(lambda tx: self._delete(tx, key, cause, now, expected))

    def _delete(
        self, tx: sa.Connection, key: RecordKey, cause: str, now: float, expected: int | None
    ) -> Receipt:
        found = records.version(tx, key)
        where = "/".join(key)
        if found.is_deleted:
            raise FhirsvcError(Category.GONE, "this record is deleted", where)
        records.current(tx, [key])
        if expected is not None and expected != found.version:
            message = f"the current version is {found.version}, not {expected}"
            raise FhirsvcError(Category.CONFLICT, message, where)
        last = replace(
            found,
            version=found.version + 1,
            hash=fingerprint({"deleted": found.hash}),
            accepted_at=now,
            correlation_id=cause,
            source="",
            is_deleted=True,
        )
        records.save(tx, [last], {key: next(iter(records.clients(tx, [key])), None)})
        deliveries.supersede(tx, [key], now)
        ids = [connection.id for connection in connections.everyone(tx)]
        deliveries.create(tx, [(key, last.version, cause)], ids, now)
        if self._moved and key[0] in judgements.BEARING:
            touched = records.clients(tx, [key])
            judgements.lock(tx, touched)
            judge.judge(tx, touched, (), self._moved, correlation_id=cause, now=now)
            self._project(tx, records.goals(tx, touched), now)
        self._project(tx, [last], now)
        return Receipt(0, "deleted", *key, last.version)

    def backfill(self) -> int:
        """Open the deliveries that a new connection has not been given yet; returns how many."""
        total = 0
        while made := self._database.run(lambda tx: queue.backfill(tx, self._clock())):
            total += made
        return total

    def catch_up(self) -> int:
        """Judge goals that nobody has judged since their scores came, where goals are judged.

        Returns how many clients were looked at: a hundred at most, none when all is done.
        """
        moved = self._moved
        if moved is None:
            return 0
        cause = self._new_id()
        return self._database.run(lambda tx: judge.catch_up(tx, moved, cause, self._clock()))

    def _beside(self, incoming: list[_Incoming]) -> list[_Incoming]:
        """What goes with a batch, each once; nobody gets a receipt for it."""
        found = {}
        for one in incoming:
            for record in self._companions(orjson.loads(one.body)):
                beside = _incoming(_BESIDE, record)
                found[beside.key] = beside
        return list(found.values())

    def _store(self, incoming: list[_Incoming], correlation_id: str) -> Accepted:
        if not incoming:
            return Accepted((), 0, 0)
        now = self._clock()
        return self._database.run(lambda tx: self._take_in(tx, incoming, correlation_id, now))

    def _take_in(
        self,
        tx: sa.Connection,
        incoming: list[_Incoming],
        correlation_id: str,
        now: float,
        expected: int | None = None,
        beside: Sequence[_Incoming] = (),
        project: Project | None = None,
    ) -> Accepted:
        """Store a batch, and judge the goals of the clients whose goals or scores it changed.

        What goes ``beside`` is stored first; no version of it is expected.
        """
        bearing = [one for one in incoming if self._moved and one.key[0] in judgements.BEARING]
        touched = {one.client_id for one in bearing if one.client_id}
        if bearing:
            touched |= records.clients(tx, [one.key for one in bearing])
            judgements.lock(tx, touched)
        versions: list[Version] = []
        if beside:
            _store(tx, beside, correlation_id, now, versions)
        stored = _store(tx, incoming, correlation_id, now, versions, expected)
        changed = {
            (one.type, one.id) for one in stored.receipts if one.outcome in ("created", "changed")
        }
        if self._moved and changed & {one.key for one in bearing}:
            fresh = {id_ for type_, id_ in changed if type_ == judgements.GOAL}
            judge.judge(tx, touched, fresh, self._moved, correlation_id=correlation_id, now=now)
            versions += records.goals(tx, touched)
        (project or self._project)(tx, versions, now)
        return stored

    def _read(self, index: int, record: object) -> _Incoming | Receipt:
        findings = self._check(record)
        if any(finding.severity == "error" for finding in findings):
            return Receipt(index, "refused", findings=tuple(findings))
        if not isinstance(record, dict):
            raise FhirsvcError(Category.FAULT, "the check passed what is not an object")
        return _incoming(index, record, tuple(findings))


def _incoming(index: int, record: dict[str, Any], findings: tuple[Finding, ...] = ()) -> _Incoming:
    key = (str(record["type"]), str(record["id"]))
    body, owner = orjson.dumps(record).decode(), record.get("client_id")
    client_id = owner if isinstance(owner, str) else None
    return _Incoming(index, key, body, fingerprint(record), client_id, findings)


def _batches(given: Iterator[tuple[int, object]]) -> Iterator[list[tuple[int, object]]]:
    while batch := list(islice(given, BATCH)):
        yield batch


def _store(
    tx: sa.Connection,
    incoming: Sequence[_Incoming],
    correlation_id: str,
    now: float,
    stored: list[Version],
    expected: int | None = None,
) -> Accepted:
    """Write the versions of one batch with their deliveries; see :meth:`Publisher.accept`.

    They are added to ``stored``.
    """
    before = records.current(tx, [one.key for one in incoming])
    known = dict(before)
    receipts: list[Receipt] = []
    versions: list[Version] = []
    for one in incoming:
        number, known_hash = known.get(one.key, (0, ""))
        if expected is not None and expected != number:
            message = f"the current version is {number}, not {expected}"
            raise FhirsvcError(Category.CONFLICT, message, "/".join(one.key))
        if known_hash == one.hash:
            if one.index != _BESIDE:
                receipts.append(Receipt(one.index, "unchanged", *one.key, number, one.findings))
            continue
        known[one.key] = (number + 1, one.hash)
        outcome: Outcome = "changed" if number else "created"
        if one.index != _BESIDE:
            receipts.append(Receipt(one.index, outcome, *one.key, number + 1, one.findings))
        version = Version(*one.key, number + 1, one.body, one.hash, now, correlation_id)
        versions.append(replace(version, source=one.source))
    records.save(tx, versions, {one.key: one.client_id for one in incoming})
    stored += versions
    newest = {one.key: one for one in versions}
    superseded = deliveries.supersede(tx, newest.keys() & before.keys(), now)
    ids = [connection.id for connection in connections.everyone(tx)]
    opened = deliveries.create(
        tx, [(one.key, one.version, correlation_id) for one in newest.values()], ids, now
    )
    deliveries.release(tx, [("record", *key) for key in newest.keys() - before.keys()], now)
    return Accepted(tuple(receipts), opened, superseded)
