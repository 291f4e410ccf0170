"""Delivering: map a record's version, and run the turn that brings an EHR to hold it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import sqlalchemy as sa

from fhirsvc.ehr.client import Client
from fhirsvc.ehr.outgoing import Arranged
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.services.arranging import Arranger, capabilities_of
from fhirsvc.services.journal import LostClaimError, StoppedError
from fhirsvc.services.judge import as_judged
from fhirsvc.services.ports import Clock, Mapper, Record, Resource, Validate
from fhirsvc.services.receive import Receiver
from fhirsvc.services.references import identifier_of, in_order, local_of
from fhirsvc.services.replay import Repetition
from fhirsvc.services.turn import SHOWN, Negotiated, Turn, sentence
from fhirsvc.services.withdraw import Withdrawal
from fhirsvc.store import connections, records
from fhirsvc.store.connections import Connection
from fhirsvc.store.database import Database
from fhirsvc.store.deliveries import Change, Delivery, Ending
from fhirsvc.store.records import Version


@dataclass(frozen=True)
class Begun:
    """A claimed delivery, where it goes, and the version that it brings there."""

    taken: Delivery
    connection: Connection
    version: Version


@dataclass(frozen=True)
class Deliverer:
    """Runs turns. ``client_for`` gives the client of a connection, ``luck`` a number in [0, 1).

    ``is_alive`` tells whether this executor may still write: see :class:`LinkJournal`. With
    ``by_scores`` goals are mapped with the word of their judgement (:mod:`fhirsvc.services.judge`).
    """

    database: Database
    mapper: Mapper
    validate: Validate
    client_for: Callable[[Connection], Client]
    clock: Clock
    luck: Callable[[], float]
    is_alive: Callable[[], bool] = lambda: True
    by_scores: bool = False
    receiver: Receiver | None = None  # brings both sides together; without it a change is held
    arranger: Arranger | None = None  # what an EHR takes; without it everything goes natively

    def begun(self, tx: sa.Connection, taken: Delivery) -> Begun:
        """What the turn of a delivery begins with, read where it was claimed."""
        connection = connections.by_id(tx, taken.connection_id)
        return Begun(taken, connection, records.version(tx, taken.record, taken.version))

    def run(self, taken: Delivery) -> Change | None:
        """:meth:`turn` of a claimed delivery, with its ending said at once."""
        with self.database.read() as tx:
            begun = self.begun(tx, taken)
        ending = self.turn(begun)
        if ending is None or isinstance(ending, Change):
            return ending
        with self.database.read() as tx:
            return ending(tx)

    def turn(self, begun: Begun) -> Change | Ending | None:
        """Send what a claimed delivery needs; how its turn is to end, None if it was taken away."""
        try:
            return self._turn(begun)
        except LostClaimError:
            return None
        except StoppedError:
            return Change("pending", reason="the connection was stopped")

    def _turn(self, begun: Begun) -> Change | Ending:
        taken, connection, version = begun.taken, begun.connection, begun.version
        record: Record = orjson.loads(version.body)
        if self.by_scores:
            with self.database.read() as tx:
                record = as_judged(tx, taken, record)
        if version.is_deleted:
            return Withdrawal(self, taken, connection, ()).run()
        if taken.as_ran:
            return Repetition(self, taken, connection, ()).run()
        try:
            resources = self._resources(record, connection)
            if self.arranger is None:
                return Turn(self, taken, connection, in_order(resources)).run()
            connection = self.arranger.informed(connection, taken.correlation_id)
            nothing = Arranged((), (), (), ())
            told = Negotiated(self.arranger, nothing, version, record, resources)
            negotiated = self.negotiated(connection, told)
            return Turn(self, taken, connection, negotiated.written, negotiated).run()
        except FhirsvcError as error:
            if error.meaning.recovery == "retry":
                raise
            state = "held" if error.meaning.recovery == "hold" else "dead"
            return Change(state, str(error.category), sentence(str(error)), failed=True)

    def negotiated(self, connection: Connection, told: Negotiated) -> Negotiated:
        """What is sent of a version to this EHR, and that all of it is valid.

        :raises FhirsvcError: INVALID where it would not be, FAULT for a mistake of ours.
        """
        try:
            arranged = told.arranger.arrange(connection, told.version, told.record, told.mapped)
            mapped = {local_of(one): one for one in told.mapped}
            sent = [one.resource for one in arranged.outgoing]
            self._check([one for one in sent if one != mapped.get(local_of(one))])
        except FhirsvcError:
            raise
        except Exception as error:
            raise FhirsvcError(
                Category.FAULT, f"arranging failed with {type(error).__name__}"
            ) from error
        return replace(told, arranged=arranged)

    def batches(self, connection: Connection) -> bool:
        """Whether several writes go to a connection in one request: where it declares that."""
        if "batch" not in capabilities_of(connection).interactions:
            return False
        with self.database.read() as tx:
            return ("", "batch") not in connections.refused(tx, connection.id)

    def note_refusal(
        self, connection: Connection, resource: str, interaction: str, status: int
    ) -> bool:
        """Remember that an EHR does not take an interaction, whatever it declares."""
        now = self.clock()
        return self.database.run(
            lambda tx: connections.refuse(tx, connection.id, resource, interaction, status, now)
        )

    def _resources(self, record: Record, connection: Connection) -> list[Resource]:
        """What the record maps to, and valid; INVALID names what is wrong."""
        try:
            mapped = self.mapper.forward(record, connection.us_core)
            self._check(mapped)
        except FhirsvcError:
            raise
        except Exception as error:
            # A mistake of ours in one record must not stop the others; its text may hold values.
            raise FhirsvcError(
                Category.FAULT, f"mapping failed with {type(error).__name__}"
            ) from error
        return list(mapped)

    def _check(self, resources: Sequence[dict[str, Any]]) -> None:
        findings = [finding for one in resources for finding in self.validate(one)]
        wrong = [finding for finding in findings if finding.severity == "error"]
        if wrong:
            raise FhirsvcError(Category.INVALID, _listed(wrong))
        for one in resources:
            identifier_of(one)


def _listed(findings: Sequence[Finding]) -> str:
    more = f" (and {len(findings) - SHOWN} more)" if len(findings) > SHOWN else ""
    return "; ".join(str(finding) for finding in findings[:SHOWN]) + more
