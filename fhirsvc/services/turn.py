"""One turn of one delivery: send what is not there yet, bring both sides together, say what stops.

It is over 300 lines because a turn is one decision: what it learns of one resource decides what it
does with the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import orjson
import sqlalchemy as sa

from fhirsvc.ehr import batch
from fhirsvc.ehr.content import fingerprint, lasting
from fhirsvc.ehr.decide import Decision, backoff
from fhirsvc.ehr.local import Local
from fhirsvc.ehr.outgoing import Arranged, Outgoing
from fhirsvc.ehr.protocol import (
    Dice,
    Known,
    Onward,
    OpenAttempt,
    Reconcile,
    Request,
    Stopped,
    Wanted,
    Writer,
    Written,
)
from fhirsvc.ehr.search import Duplicates, Reader, Remote
from fhirsvc.errors import Category
from fhirsvc.services.arranging import Arranger, capabilities_of
from fhirsvc.services.inbound import Inbound
from fhirsvc.services.journal import LinkJournal
from fhirsvc.services.ports import Record, Resource
from fhirsvc.services.references import (
    identifier_of,
    in_order,
    local_of,
    possible_records,
    references,
    resolve,
)
from fhirsvc.store import agreements, conflicts, connections, links, records
from fhirsvc.store.connections import Connection
from fhirsvc.store.deliveries import Change, Delivery, Ending, Wait
from fhirsvc.store.links import Attempt, Link
from fhirsvc.store.records import Version

if TYPE_CHECKING:
    from fhirsvc.services.deliver import Deliverer

WAIT_S = 60.0  # a waiting delivery looks again after this time, if nothing woke it
SHOWN = 5  # findings and names in a reason


@dataclass(frozen=True)
class Prepared:
    """A resource that is to be written, and how."""

    local: Local
    wanted: Wanted
    known: Known
    writer: Writer
    journal: LinkJournal


@dataclass(frozen=True)
class Negotiated:
    """What was arranged for one version of a record at one EHR."""

    arranger: Arranger
    arranged: Arranged
    version: Version
    record: Record
    mapped: Sequence[Resource]

    @property
    def written(self) -> list[Resource]:
        """The resources that are to be written, each after those it refers to."""
        return in_order([one.resource for one in self.arranged.outgoing if one.kind == "write"])

    @cached_property
    def rungs(self) -> dict[Local, str]:
        """The rung of what is written; both sides can change what is native."""
        written = [one for one in self.arranged.outgoing if one.kind == "write"]
        return {local_of(one.resource): one.rung.rung for one in written}

    @property
    def matches(self) -> list[Outgoing]:
        """What the EHR has of its own, and we look for."""
        return [one for one in self.arranged.outgoing if one.kind == "match"]

    @property
    def placed(self) -> set[Local]:
        """What is there, in whatever form, or stays there as it is."""
        known = {one for sent in self.arranged.outgoing for one in sent.stands_for}
        return known | set(self.arranged.kept)


@dataclass
class Turn:
    """The turn of a claimed delivery with the resources that are to be written, in order."""

    deliverer: Deliverer
    taken: Delivery
    connection: Connection
    resources: Sequence[Resource]
    negotiated: Negotiated | None = None
    links: dict[Local, Link] = field(default_factory=dict)
    attempts: dict[int, Attempt] = field(default_factory=dict)
    sent: dict[Local, str] = field(default_factory=dict)
    blocked: set[Local] = field(default_factory=set)
    stops: list[tuple[Local, Decision]] = field(default_factory=list)
    decided: dict[tuple[str, str, str], tuple[int, ...]] = field(default_factory=dict)
    needs: dict[int, tuple[Resource, set[Local]]] = field(default_factory=dict)
    learned: set[str] = field(default_factory=set)  # what the EHR turned out not to take

    def run(self) -> Change | Ending:
        """Send what the EHR does not hold yet; how the turn ends."""
        ending = self._run()
        if self.negotiated is None:
            return ending
        report = orjson.dumps(self.negotiated.arranged.report).decode()
        if isinstance(ending, Change):
            return replace(ending, report=report)
        return lambda tx: replace(ending(tx), report=report)

    def _run(self) -> Change | Ending:
        matches = self.negotiated.matches if self.negotiated else []
        self.load([*self._own(), *(local_of(one.resource) for one in matches)])
        own = [self.links[one] for one in self._own() if one in self.links]
        if any((link.acked_version or 0) > self.taken.version for link in own):
            return Change("superseded", reason="a newer version was sent")
        for one in matches:
            decision = self._match(one)
            if decision is not None:
                self.stops.append((local_of(one.resource), decision))
                if decision.action == "retry":
                    return self.retry(decision)
        if matches:
            self._name()
        left = list(self.resources)
        while left:
            names = {local_of(one) for one in left}
            level = [one for one in left if not self._needs(one) & names - {local_of(one)}]
            left = [one for one in left if one not in level]
            prepared = [one for one in map(self._prepare, level) if one is not None]
            decision = self._send(prepared)
            if self.learned:
                said = f"not taken by the EHR: {', '.join(sorted(self.learned))}"
                return Change("pending", str(Category.UNSUPPORTED), f"{said}; another form is next")
            if decision is not None:
                return self.retry(decision)
        return self.end()

    # ---- what the EHR has of its own ----------------------------------------------------------

    def _match(self, one: Outgoing) -> Decision | None:
        """Find the EHR's own resource by an identifier that it knows too."""
        local = local_of(one.resource)
        link = self.links.get(local)
        if link is not None and link.remote_id is not None:
            return None
        reader = self._reader(self.deliverer.luck())
        for system, value in one.identifiers:
            found = reader.by_identifier(local[0], system, value)
            if isinstance(found, Decision):
                return found
            if isinstance(found, Duplicates):
                return Decision("hold", Category.CONFLICT, detail="several carry its identifier")
            if found is not None:
                journal = self._journal(local, identifier_of(one.resource), link, "equivalent")
                journal.ack(None, "adopted", found, None)
                self.sent[local] = f"{local[0]}/{found.id}"
                return None
        if one.otherwise == "name":
            self._journal(local, identifier_of(one.resource), link, "equivalent").absent()
            return None
        detail = f"no {local[0]} there carries an identifier of its own"
        return Decision("hold", Category.NOT_FOUND, detail=detail)

    def _name(self) -> None:
        """Arrange it anew without what was looked for and is not there: that is called by name."""
        if self.negotiated is None:
            return
        self.negotiated = self.deliverer.negotiated(self.connection, self.negotiated)
        self.resources = self.negotiated.written
        self.load(self._own())

    def _own(self) -> list[Local]:
        return [local_of(resource) for resource in self.resources]

    def load(self, own: Iterable[Local]) -> None:
        """Read the links of all that is sent or referred to, and writes of unknown outcome."""
        listed = list(own)
        wanted = {*listed, *(local for one in self.resources for local in self._needs(one))}
        with self.deliverer.database.read() as tx:
            self.links = links.of(tx, self.connection.id, wanted)
            known = [self.links[local].id for local in listed if local in self.links]
            self.attempts = links.open_attempts(tx, known) if known else {}

    # ---- sending ------------------------------------------------------------------------------

    def _prepare(self, resource: Resource) -> Prepared | None:
        """What is to be written of one resource; None when there is nothing, or nothing yet."""
        local = local_of(resource)
        link = self.links.get(local)
        attempt = self.attempts.get(link.id) if link else None
        local_hash = fingerprint(resource)
        if attempt is None and link is not None and link.acked_hash == local_hash:
            return None
        missing = {one for one in self._needs(resource) if not self._remote(one)}
        if missing:
            self.blocked |= missing
            return None
        if link is not None and link.standing == "gone" and link.remote_id is not None:
            self.stops.append((local, Decision("hold", Category.GONE, detail="no longer there")))
            return None
        system, value = identifier_of(resource)
        said = self._resolved(resource)
        wanted = Wanted(
            local[0], system, value, said, local_hash, self.taken.version, said, local[1]
        )
        return self._prepared(local, self._with_theirs(wanted, link), link, attempt)

    def _prepared(
        self, local: Local, wanted: Wanted, link: Link | None, attempt: Attempt | None
    ) -> Prepared:
        rung = self._rung(local)
        journal = self._journal(local, (wanted.system, wanted.value), link, rung)
        reconcile = None
        if self.deliverer.receiver is not None:
            # What stands in for something is ours alone: whoever changed it, it is written again.
            reconcile = partial(self._reconcile, wanted) if rung == "native" else _as(wanted)
        writer = self.writer(journal, local[0], reconcile)
        return Prepared(local, wanted, known(link, attempt), writer, journal)

    def _rung(self, local: Local) -> str:
        return self.negotiated.rungs[local] if self.negotiated is not None else "native"

    def _needs(self, resource: Resource) -> set[Local]:
        """What a resource of this turn refers to, looked for once."""
        found = self.needs.get(id(resource))
        if found is None or found[0] is not resource:
            found = self.needs[id(resource)] = (resource, references(resource))
        return found[1]

    def _remote(self, local: Local) -> str | None:
        """The reference under which the EHR knows it; None while it does not."""
        link = self.links.get(local)
        found = f"{link.remote_type}/{link.remote_id}" if link and link.remote_id else None
        return self.sent.get(local, found)

    def _resolved(self, resource: Resource) -> Resource:
        remote = {local: self._remote(local) or "" for local in self._needs(resource)}
        resolved: Resource = resolve(resource, remote)
        return {key: value for key, value in resolved.items() if key != "id"}

    def _with_theirs(self, wanted: Wanted, link: Link | None) -> Wanted:
        """What we want, and beside it what the EHR's own people have put there."""
        receiver = self.deliverer.receiver
        if receiver is None or link is None or link.remote_id is None or link.rung != "native":
            return wanted
        with self.deliverer.database.read() as tx:
            agreement = agreements.of(tx, link.id)
        if agreement is None:
            return wanted
        merged = receiver.merge(link, wanted.said, agreement.held, self.connection)
        return replace(wanted, body=lasting(merged.send))

    def _reconcile(self, wanted: Wanted, found: Remote) -> Wanted | Written | Decision:
        """Take in what somebody changed at the EHR; what is left to be sent."""
        receiver = self.deliverer.receiver
        assert receiver is not None  # noqa: S101 - only then is it asked
        taken = receiver.take(
            self.connection, wanted.resource_type, found, "write", self.taken.correlation_id
        )
        if taken.merged is None:
            if taken.state == "waiting":
                return Decision("retry", Category.BUSY, 1.0, detail=taken.reason)
            return Decision("hold", Category.CONFLICT, detail=taken.reason or "changed at the EHR")
        if taken.version is not None and taken.version != self.taken.version:
            return Decision("retry", Category.CONFLICT, detail="changed at the EHR and taken in")
        if taken.merged.is_quiet:
            return Written(found)
        self.decided[wanted.resource_type, wanted.system, wanted.value] = taken.decided
        return replace(wanted, body=lasting(taken.merged.send))

    def mode(self, resource_type: str) -> str:
        """How a resource of this type is made: as the connection says, where the EHR can."""
        known = capabilities_of(self.connection)
        stated = known.of(resource_type)
        if not known.is_known or (stated.conditional_update and "update" in stated.interactions):
            return self.connection.write_mode
        if "create" not in stated.interactions and stated.update_create:
            return "own"
        return "create"

    def writer(
        self, journal: LinkJournal, resource_type: str, reconcile: Reconcile | None = None
    ) -> Writer:
        """The writer of one resource."""
        deliverer = self.deliverer
        luck = deliverer.luck()
        dice = Dice(deliverer.clock(), luck, self.taken.attempts)
        return Writer(
            self._reader(luck),
            journal,
            self.mode(resource_type),
            self.connection.index_lag_s,
            dice,
            reconcile=reconcile,
            verify=Inbound.of(self.connection.inbound).verify,
        )

    def _reader(self, luck: float) -> Reader:
        deliverer = self.deliverer
        return Reader(
            deliverer.client_for(self.connection),
            self.taken.correlation_id,
            deliverer.clock,
            attempts=self.taken.attempts,
            luck=luck,
            capabilities=capabilities_of(self.connection),
        )

    def _journal(
        self, local: Local, identifier: tuple[str, str], link: Link | None, rung: str = "native"
    ) -> LinkJournal:
        deliverer = self.deliverer
        limits = deliverer.client_for(self.connection).limits
        return LinkJournal(
            deliverer.database,
            self.taken,
            (local, identifier),
            link,
            deliverer.clock,
            longest_s=limits.total_s + self.connection.index_lag_s,
            is_alive=deliverer.is_alive,
            mappings=deliverer.mapper.fingerprint,
            rung=rung,
        )

    def _send(self, prepared: Sequence[Prepared]) -> Decision | None:
        """Write what does not refer to each other; a decision when the turn must end."""
        if len(prepared) > 1 and self.deliverer.batches(self.connection):
            results = self._send_together(prepared)
        else:
            results = []
            for one in prepared:
                results.append((one, one.writer.write(one.wanted, one.known)))
                if _retries(results[-1][1]):
                    break
        again = None
        for one, result in results:
            if isinstance(result, Written):
                self.sent[one.local] = f"{one.local[0]}/{result.remote.id}"
                self._carried_out(one.wanted)
                continue
            self.stops.append((one.local, result.decision))
            self._learn(one, result.decision)
            if result.decision.action == "retry" and again is None:
                again = result.decision
        return again

    def _learn(self, one: Prepared, decision: Decision) -> None:
        """Remember a refusal that is about the type of resource, and not about this one."""
        if self.negotiated is None or decision.status is None:
            return
        is_first = one.known.remote_id is None
        is_general = decision.status in (405, 501) or (decision.status == 404 and is_first)
        if decision.status == 403:
            with self.deliverer.database.read() as tx:
                is_general = not links.any_of_type(tx, self.connection.id, one.local[0])
        if not is_general:
            return
        # A conditional update is both: what it would have done is not known.
        is_both = is_first and self.connection.write_mode == "conditional"
        told = ("create", "update") if is_both else ("create",) if is_first else ("update",)
        for interaction in told:
            if self.deliverer.note_refusal(
                self.connection, one.local[0], interaction, decision.status
            ):
                self.learned.add(f"{interaction} {one.local[0]} ({decision.status})")

    def _carried_out(self, wanted: Wanted) -> None:
        """Settle the conflicts whose decision has just been sent."""
        ids = self.decided.pop((wanted.resource_type, wanted.system, wanted.value), ())
        if ids:
            now = self.deliverer.clock()
            self.deliverer.database.run(lambda tx: conflicts.carried_out(tx, ids, now))

    def _send_together(
        self, prepared: Sequence[Prepared]
    ) -> list[tuple[Prepared, Written | Stopped]]:
        """The same in one request; what it leaves open is gone on with one by one."""
        begun = [(one, one.writer.begin(one.wanted, one.known)) for one in prepared]
        asked = [(one, step) for one, step in begun if isinstance(step, Request)]
        results = [(one, step) for one, step in begun if not isinstance(step, Request)]
        answers = batch.send(self._reader(0.5), [step for _, step in asked]) if asked else []
        if answers is None:
            self.deliverer.note_refusal(self.connection, "", "batch", 0)
            for one, step in asked:
                one.journal.end(step.attempt, "not_sent")
                results.append((one, one.writer.write(step.wanted, step.known)))
            return results
        for (one, step), answer in zip(asked, answers, strict=True):
            done = one.writer.conclude(step, answer)
            if isinstance(done, Onward):
                done = one.writer.write(done.wanted, done.known)
            results.append((one, done))
        return results

    # ---- the end ------------------------------------------------------------------------------

    def retry(self, decision: Decision) -> Change:
        """Go on later, and let the connection rest where that is what failed."""
        delay = decision.delay
        if decision.rests:
            failures = self.connection.failures
            delay = max(delay, backoff(failures, self.deliverer.luck()) if failures else 0.0)
            until = self.deliverer.clock() + delay
            self.deliverer.database.run(lambda tx: connections.rest(tx, self.connection.id, until))
        return Change("pending", _category(decision), self._reason(), delay, failed=True)

    def end(self) -> Change | Ending:
        """The state in which a turn that did all it could leaves the delivery."""
        if self.negotiated is not None:
            for local, why, blocks in self.negotiated.arranged.held:
                if blocks:
                    decision = Decision("hold", Category.UNSUPPORTED, detail=why)
                    self.stops.append((local, decision))
        if self.connection.failures:  # whatever it said of this record, it answered
            with self.deliverer.database.write(durable=False) as tx:
                connections.answered(tx, self.connection.id)
        for action, state in (("bury", "dead"), ("hold", "held")):
            for _, decision in self.stops:
                if decision.action == action:
                    return Change(state, _category(decision), self._reason(), failed=True)
        # What waits for a resource of this very record waits for what that one waits for.
        unlinked = {local for local in self.blocked if not self._remote(local)} - set(self._own())
        if unlinked:
            return self._wait(unlinked)
        return self._delivered

    def _delivered(self, tx: sa.Connection) -> Change:
        disputed = self._disputed(tx)
        if disputed:
            return Change("held", str(Category.CONFLICT), disputed)
        return Change("delivered", reason=self._left_behind(tx))

    def _disputed(self, tx: sa.Connection) -> str:
        """The elements that both sides changed, which somebody has to decide."""
        listed = conflicts.open_of_record(tx, self.connection.id, self.taken.record)
        said = "; ".join(f"conflict {one.id} at {one.clash.path}" for one in listed[:SHOWN])
        return sentence(said + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""))

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
            reason = f"missing: {names(unknown)}"
            return Change("held", str(Category.NOT_FOUND), reason, waits=frozenset(waits))
        return Change("pending", "", f"waiting: {names(missing)}", WAIT_S, waits=frozenset(waits))

    def _left_behind(self, tx: sa.Connection) -> str:
        """What an earlier version sent and this one no longer maps to: it stays at the EHR."""
        every = links.of_record(tx, self.connection.id, self.taken.record)
        own = set(self._own())
        if self.negotiated is not None:
            own |= self.negotiated.placed
        left = {
            link.local
            for link in every
            if link.remote_id and link.standing == "live" and link.local not in own
        }
        return f"left behind: {names(left)}" if left else ""

    def _reason(self) -> str:
        said = []
        for local, decision in self.stops[:SHOWN]:
            detail = f": {decision.detail}" if decision.detail else ""
            said.append(f"{'/'.join(local)}: {_category(decision)}{detail}")
        return sentence("; ".join(said))


def known(link: Link | None, attempt: Attempt | None) -> Known:
    """What is remembered of a remote resource."""
    if link is None:
        return Known()
    found = None
    if attempt is not None:
        body = orjson.loads(attempt.body)
        found = OpenAttempt(attempt.id, attempt.hash, attempt.version, body, attempt.settle_at)
    return Known(link.remote_id, link.etag, link.remote_hash, found)


def _as(wanted: Wanted) -> Reconcile:
    return lambda _: wanted


def _retries(result: Written | Stopped) -> bool:
    return isinstance(result, Stopped) and result.decision.action == "retry"


def _category(decision: Decision) -> str:
    return str(decision.category or "")


def names(locals_: set[Local]) -> str:
    """Local names for a reason, the first few of them."""
    listed = sorted("/".join(local) for local in locals_)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def sentence(text: str) -> str:
    """A reason that fits its column."""
    return text.replace("\n", " ")[:1000]
