"""One turn of one delivery: map the record, send what is not there yet, say what is in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson

from fhirsvc.ehr.client import Client
from fhirsvc.ehr.content import fingerprint
from fhirsvc.ehr.decide import Decision, backoff
from fhirsvc.ehr.protocol import Dice, Known, OpenAttempt, Stopped, Wanted, Writer
from fhirsvc.ehr.search import Reader
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.services.journal import LinkJournal, LostClaimError
from fhirsvc.services.judge import as_judged
from fhirsvc.services.ports import Clock, Mapper, Record, Resource, Validate
from fhirsvc.services.references import (
    Local,
    identifier_of,
    in_order,
    local_of,
    possible_records,
    references,
    resolve,
)
from fhirsvc.store import connections, links, records
from fhirsvc.store.connections import Connection
from fhirsvc.store.database import Database
from fhirsvc.store.deliveries import Change, Delivery, Wait
from fhirsvc.store.links import Attempt, Link

WAIT_S = 60.0  # a waiting delivery looks again after this time, if nothing woke it
SHOWN = 5  # findings and names in a reason


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

    def run(self, taken: Delivery) -> Change | None:
        """Send what a claimed delivery needs; how its turn is to end, None if it was taken away."""
        try:
            return self._turn(taken)
        except LostClaimError:
            return None

    def _turn(self, taken: Delivery) -> Change:
        with self.database.read() as tx:
            connection = connections.by_id(tx, taken.connection_id)
            body: Record = orjson.loads(records.version(tx, taken.record, taken.version).body)
            record = as_judged(tx, taken, body) if self.by_scores else body
        try:
            resources = self._resources(record, connection)
        except FhirsvcError as error:
            state = "held" if error.meaning.recovery == "hold" else "dead"
            return Change(state, str(error.category), _sentence(str(error)), failed=True)
        turn = _Turn(self, taken, connection, resources)
        return turn.run()

    def _resources(self, record: Record, connection: Connection) -> list[Resource]:
        """What the record maps to, valid and in sending order; INVALID names what is wrong."""
        try:
            mapped = self.mapper.forward(record, connection.us_core)
            findings = [finding for one in mapped for finding in self.validate(one)]
        except FhirsvcError:
            raise
        except Exception as error:
            # A mistake of ours in one record must not stop the others; its text may hold values.
            raise FhirsvcError(
                Category.FAULT, f"mapping failed with {type(error).__name__}"
            ) from error
        wrong = [finding for finding in findings if finding.severity == "error"]
        if wrong:
            raise FhirsvcError(Category.INVALID, _listed(wrong))
        for one in mapped:
            identifier_of(one)
        return in_order(mapped)


@dataclass
class _Turn:
    deliverer: Deliverer
    taken: Delivery
    connection: Connection
    resources: Sequence[Resource]
    links: dict[Local, Link] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    sent: dict[Local, str] = field(default_factory=dict)
    blocked: set[Local] = field(default_factory=set)
    stops: list[tuple[Local, Decision]] = field(default_factory=list)

    def run(self) -> Change:
        self._load()
        own = [self.links[one] for one in self._own() if one in self.links]
        if any((link.acked_version or 0) > self.taken.version for link in own):
            return Change("superseded", reason="a newer version was sent")
        for resource in self.resources:
            decision = self._send(resource)
            if decision is None:
                continue
            self.stops.append((local_of(resource), decision))
            if decision.action == "retry":
                return self._retry(decision)
        return self._end()

    def _own(self) -> list[Local]:
        return [local_of(resource) for resource in self.resources]

    def _load(self) -> None:
        """Read the links of all that is sent or referred to, and writes of unknown outcome."""
        own = self._own()
        wanted = {*own, *(local for one in self.resources for local in references(one))}
        with self.deliverer.database.read() as tx:
            self.links = links.of(tx, self.connection.id, wanted)
            known = [self.links[local].id for local in own if local in self.links]
            self.attempts = links.open_attempts(tx, known) if known else {}

    def _send(self, resource: Resource) -> Decision | None:
        """Bring the EHR to hold one resource; a decision when it does not."""
        local = local_of(resource)
        link = self.links.get(local)
        attempt = self.attempts.get(link.id) if link else None
        local_hash = fingerprint(resource)
        if attempt is None and link is not None and link.acked_hash == local_hash:
            return None
        missing = {one for one in references(resource) if not self._remote(one)}
        if missing:
            self.blocked |= missing
            return None
        system, value = identifier_of(resource)
        wanted = Wanted(
            local[0], system, value, self._body(resource), local_hash, self.taken.version
        )
        result = self._writer(local, wanted, link).write(wanted, _known(link, attempt))
        if isinstance(result, Stopped):
            return result.decision
        self.sent[local] = f"{local[0]}/{result.remote.id}"
        return None

    def _remote(self, local: Local) -> str | None:
        """The reference under which the EHR knows it; None while it does not."""
        link = self.links.get(local)
        known = f"{link.remote_type}/{link.remote_id}" if link and link.remote_id else None
        return self.sent.get(local, known)

    def _body(self, resource: Resource) -> Resource:
        remote = {local: self._remote(local) or "" for local in references(resource)}
        resolved: Resource = resolve(resource, remote)
        return {key: value for key, value in resolved.items() if key != "id"}

    def _writer(self, local: Local, wanted: Wanted, link: Link | None) -> Writer:
        deliverer = self.deliverer
        client = deliverer.client_for(self.connection)
        luck = deliverer.luck()
        attempts = self.taken.attempts
        reader = Reader(
            client, self.taken.correlation_id, deliverer.clock, attempts=attempts, luck=luck
        )
        journal = LinkJournal(
            deliverer.database,
            self.taken,
            (local, (wanted.system, wanted.value)),
            link,
            deliverer.clock,
            longest_s=client.limits.total_s + self.connection.index_lag_s,
            is_alive=deliverer.is_alive,
        )
        dice = Dice(deliverer.clock(), luck, attempts)
        lag = self.connection.index_lag_s
        return Writer(reader, journal, self.connection.write_mode, lag, dice)

    def _retry(self, decision: Decision) -> Change:
        delay = decision.delay
        if decision.rests:
            failures = self.connection.failures
            delay = max(delay, backoff(failures, self.deliverer.luck()) if failures else 0.0)
            until = self.deliverer.clock() + delay
            self.deliverer.database.run(lambda tx: connections.rest(tx, self.connection.id, until))
        return Change("pending", _category(decision), self._reason(), delay, failed=True)

    def _end(self) -> Change:
        for action, state in (("bury", "dead"), ("hold", "held")):
            for _, decision in self.stops:
                if decision.action == action:
                    return Change(state, _category(decision), self._reason(), failed=True)
        # What waits for a resource of this very record waits for what that one waits for.
        unlinked = {local for local in self.blocked if not self._remote(local)} - set(self._own())
        if unlinked:
            return self._wait(unlinked)
        return Change("delivered", reason=self._left_behind())

    def _wait(self, missing: set[Local]) -> Change:
        """Wait for links that are to come, or be held for records that nobody has loaded."""
        candidates = {
            local: possible_records(local[1]) for local in missing if local not in self.links
        }
        with self.deliverer.database.read() as tx:
            loaded = records.present(tx, [key for keys in candidates.values() for key in keys])
        unknown = {local for local, keys in candidates.items() if not loaded & set(keys)}
        waits: set[Wait] = {("link", *local) for local in missing}
        waits |= {("record", *key) for local in unknown for key in candidates[local]}
        if unknown:
            reason = f"missing: {_names(unknown)}"
            return Change("held", str(Category.NOT_FOUND), reason, waits=frozenset(waits))
        return Change("pending", "", f"waiting: {_names(missing)}", WAIT_S, waits=frozenset(waits))

    def _left_behind(self) -> str:
        """What an earlier version sent and this one no longer maps to: it stays at the EHR."""
        with self.deliverer.database.read() as tx:
            every = links.of_record(tx, self.connection.id, self.taken.record)
        own = set(self._own())
        left = {link.local for link in every if link.remote_id and link.local not in own}
        return f"left behind: {_names(left)}" if left else ""

    def _reason(self) -> str:
        said = []
        for local, decision in self.stops[:SHOWN]:
            detail = f": {decision.detail}" if decision.detail else ""
            said.append(f"{'/'.join(local)}: {_category(decision)}{detail}")
        return _sentence("; ".join(said))


def _known(link: Link | None, attempt: Attempt | None) -> Known:
    if link is None:
        return Known()
    found = None
    if attempt is not None:
        body = orjson.loads(attempt.body)
        found = OpenAttempt(attempt.id, attempt.hash, attempt.version, body, attempt.settle_at)
    return Known(link.remote_id, link.etag, link.remote_hash, found)


def _category(decision: Decision) -> str:
    return str(decision.category or "")


def _names(locals_: set[Local]) -> str:
    listed = sorted("/".join(local) for local in locals_)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def _listed(findings: Sequence[Finding]) -> str:
    more = f" (and {len(findings) - SHOWN} more)" if len(findings) > SHOWN else ""
    return "; ".join(str(finding) for finding in findings[:SHOWN]) + more


def _sentence(text: str) -> str:
    return text.replace("\n", " ")[:1000]
