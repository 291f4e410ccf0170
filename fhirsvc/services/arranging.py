"""Negotiating: what an EHR declares, what it was learned to refuse, and what it is sent instead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import structlog

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.client import Client
from fhirsvc.ehr.context import Context
from fhirsvc.ehr.ladder import Ladder
from fhirsvc.ehr.local import Local
from fhirsvc.ehr.narrative import display_of
from fhirsvc.ehr.outgoing import Arranged, arrange
from fhirsvc.errors import FhirsvcError
from fhirsvc.fhir.instruments import Instrument
from fhirsvc.mapping.carried import Fields, carried
from fhirsvc.mapping.forward import Mappings
from fhirsvc.services.ports import Clock, Mapper, Record, Resource
from fhirsvc.services.references import local_of, possible_records, references
from fhirsvc.store import connections, links, records
from fhirsvc.store.connections import Connection
from fhirsvc.store.database import Database
from fhirsvc.store.records import Version

FRESH_S = 86400.0  # how old what an EHR declared may be before it is asked again
AGAIN_S = 300.0  # how long after an EHR did not say what it can do it is asked again
log = structlog.get_logger("fhirsvc.arranging")


@lru_cache(maxsize=64)
def _read(text: str) -> Capabilities:
    return Capabilities.from_json(text)


def capabilities_of(connection: Connection) -> Capabilities:
    """What a connection's EHR declared when it was last asked; nothing where it never was."""
    return _read(connection.capability or "")


def kept(statement: Mapping[str, Any]) -> str:
    """What is kept of a CapabilityStatement: JSON text, without what nothing here asks for."""
    return orjson.dumps(Capabilities.parse(statement).to_json()).decode()


@dataclass
class Arranger:
    """Arranges what goes to a connection. ``mappings`` gives the compiled mappings."""

    database: Database
    mapper: Mapper
    mappings: Callable[[], Mappings]
    client_for: Callable[[Connection], Client]
    clock: Clock
    _fields: Fields | None = None
    _ladders: dict[tuple[object, ...], Ladder] = field(default_factory=dict)
    _asked: dict[int, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def informed(self, connection: Connection, correlation_id: str) -> Connection:
        """The connection with what its EHR declares, asked now where that is not known yet.

        An EHR that does not say is sent everything natively, and what it refuses is learned.
        """
        now = self.clock()
        if connection.capability_at is not None and now - connection.capability_at < FRESH_S:
            return connection
        with self._lock:
            if now - self._asked.get(connection.id, -1e18) < AGAIN_S:
                return connection
            self._asked[connection.id] = now
        client = self.client_for(connection)
        answer = client.request("GET", "metadata", correlation_id=correlation_id)
        body = answer.body or {}
        if answer.status != 200 or body.get("resourceType") != "CapabilityStatement":
            log.warning("no_capability_statement", connection=connection.id, status=answer.status)
            return connection
        text = kept(body)
        self.database.run(lambda tx: connections.set_capability(tx, connection.id, text, now))
        with self.database.read() as tx:
            return connections.by_id(tx, connection.id)

    def ladder(self, connection: Connection) -> Ladder:
        """The rungs of a connection, as they are by now."""
        with self.database.read() as tx:
            refused = connections.refused(tx, connection.id)
        chosen = tuple(sorted(connection.rungs.items()))
        key = (connection.id, connection.capability_at, refused, chosen)
        with self._lock:
            if key not in self._ladders:
                if len(self._ladders) > 200:
                    self._ladders.clear()
                known = capabilities_of(connection)
                ladder = Ladder.of(self.fields, known, refused, connection.rungs)
                self._ladders[key] = ladder
            return self._ladders[key]

    @property
    def fields(self) -> Fields:
        """What goes where, by the mappings."""
        if self._fields is None:
            self._fields = carried(self.mappings().library)
        return self._fields

    def arrange(
        self,
        connection: Connection,
        version: Version,
        record: Record,
        resources: Sequence[Resource],
    ) -> Arranged:
        """What to do at the EHR for one version of a record."""
        context = self._context(connection, version, resources)
        return arrange(record, resources, self.ladder(connection), context)

    def native(
        self,
        connection: Connection,
        version: Version,
        record: Record,
        resources: Sequence[Resource],
    ) -> dict[Local, Resource]:
        """The resources of a record that go to an EHR as themselves, in the form they go in."""
        context = replace(self._context(connection, version, resources), pdf=False)
        arranged = arrange(record, resources, self.ladder(connection), context)
        return {
            local_of(one.resource): one.resource
            for one in arranged.outgoing
            if one.kind == "write" and one.rung.way == "native"
        }

    def _context(
        self, connection: Connection, version: Version, resources: Sequence[Resource]
    ) -> Context:
        named = {local for one in resources for local in (local_of(one), *references(one))}
        with self.database.read() as tx:
            every = links.of_record(tx, connection.id, version.key)
            others = links.of(tx, connection.id, named)
        sent = {one.local: one.acked_hash for one in every if one.acked_hash}
        absent = frozenset(local for local, one in others.items() if one.standing == "absent")
        moment = datetime.fromtimestamp(version.accepted_at, UTC)
        return Context(
            date=moment.isoformat(timespec="milliseconds"),
            version=version.version,
            instruments=self._instruments(),
            display=lambda local: self._display(local, connection.us_core),
            sent=sent,
            absent=absent,
            systems=connection.options.get("systems", {}),
        )

    def _instruments(self) -> Mapping[str, Instrument]:
        return self.mappings().library.instruments

    def _display(self, local: Local, us_core: int) -> str:
        """What a resource of another record is called; '' where that record is not here."""
        for key in possible_records(local[1]):
            with self.database.read() as tx:
                if key not in records.present(tx, [key]):
                    continue
                record = orjson.loads(records.version(tx, key).body)
            try:
                mapped = self.mapper.forward(record, us_core)
            except FhirsvcError:
                return ""
            found = next((one for one in mapped if local_of(one) == local), None)
            return display_of(found) if found is not None else ""
        return ""
