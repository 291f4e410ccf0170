"""Receiving: what an EHR holds is matched, merged with what we say, and put onto the record.

    echo?       it is what was last seen there: nothing to do
    in flight?  a write of ours is not answered yet: look again later
    link        whose it is: by the link, else by an identifier of this house
    new         of a client that is linked it becomes a record where that is wanted;
                of anybody else, never: it waits for a person to look at it
    merge       three ways, per element by owner; a true conflict is kept with both values
    record      changed as the merge says, in one transaction with what is remembered of the link

It is over 300 lines because these steps share one transaction and one view of both sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from fhirsvc.ehr.content import fingerprint, remote_fingerprint
from fhirsvc.ehr.local import Local
from fhirsvc.ehr.protocol import whose
from fhirsvc.ehr.search import Remote, names, token
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.mapping.links import House
from fhirsvc.merge import Conflict as Apart
from fhirsvc.merge import Merged, Resolution, Value, said_next, take, untaken
from fhirsvc.services.arranging import Arranger
from fhirsvc.services.inbound import Inbound
from fhirsvc.services.judge import as_it_is, unjudged
from fhirsvc.services.lens import Lens
from fhirsvc.services.ports import Clock, Mapper, Record, Resource, Validate
from fhirsvc.services.publish import Also, Publisher, Receipt
from fhirsvc.services.references import identifier_of, local_of, references, resolve
from fhirsvc.services.serve import instant
from fhirsvc.store import agreements, conflicts, deliveries, inbox, links, records
from fhirsvc.store.agreements import Agreement
from fhirsvc.store.conflicts import Clash, Conflict, Side
from fhirsvc.store.connections import Connection
from fhirsvc.store.database import Database
from fhirsvc.store.inbox import Arrival
from fhirsvc.store.links import Link
from fhirsvc.store.records import RecordKey, Version

ROUNDS = 3  # how often it is begun again when the record changes meanwhile
SHOWN = 5  # findings in a reason


@dataclass(frozen=True)
class Taken:
    """What became of a resource that came.

    ``state`` is one of the inbox's. ``version`` is the record's after it, ``item`` the inbox's id
    where it is noted; ``merged`` says what is left to be sent.
    """

    state: str
    reason: str = ""
    record: RecordKey | None = None
    version: int | None = None
    merged: Merged | None = None
    item: int | None = None
    findings: tuple[Finding, ...] = ()
    decided: tuple[int, ...] = ()  # conflicts whose decision is in ``merged``


@dataclass(frozen=True)
class _View:
    """Both sides of one resource as they are at one moment."""

    link: Link
    version: Version
    record: dict[str, Any]
    shown: Record  # the same, as its scores judge it where they do
    ours: Resource  # local references
    said: Resource  # the same, with the EHR's references
    agreement: Agreement | None
    open: tuple[Conflict, ...]
    known: Mapping[str, House]


@dataclass(frozen=True)
class Receiver:
    """Takes in what EHRs hold; see the module. ``by_scores`` as for the Deliverer."""

    database: Database
    mapper: Mapper
    lens: Lens
    validate: Validate
    publisher: Publisher
    clock: Clock
    by_scores: bool = False
    arranger: Arranger | None = None  # the form in which ours goes there; without it, as mapped

    # ---- what both directions need ------------------------------------------------------------

    def merge(self, link: Link, said: Resource, theirs: Resource, connection: Connection) -> Merged:
        """Merge what we say now (the EHR's references) with what the EHR holds."""
        with self.database.read() as tx:
            agreement = agreements.of(tx, link.id)
            listed = conflicts.of_link(tx, link.id)
        return self._merge(said, theirs, agreement, listed, connection)

    def _merge(
        self,
        said: Resource,
        theirs: Resource,
        agreement: Agreement | None,
        listed: Sequence[Conflict],
        connection: Connection,
    ) -> Merged:
        decided = {one.clash.path: _resolution(one) for one in listed if one.state == "decided"}
        return take(
            decided,
            dict(said),
            dict(theirs),
            said=agreement.said if agreement else None,
            held=agreement.held if agreement else None,
            owners=self.lens.owners(said, connection.us_core),
            disputed={one.clash.path: one.clash.base for one in listed if one.state == "open"},
            base=connection.base_url,
        )

    # ---- taking in ----------------------------------------------------------------------------

    def take(
        self,
        connection: Connection,
        resource_type: str,
        remote: Remote,
        source: str,
        correlation_id: str,
    ) -> Taken:
        """Take in what an EHR holds under one id; ``source`` says how it came to be seen."""
        arrival = Arrival(
            connection.id,
            resource_type,
            remote.id,
            remote_fingerprint(remote.body),
            remote.etag,
            source,
            correlation_id,
        )
        with self.database.read() as tx:
            link = links.by_remote(tx, connection.id, [(resource_type, remote.id)]).get(
                (resource_type, remote.id)
            )
        if link is None:
            found = self._match(connection, arrival, remote)
            if isinstance(found, Taken):
                return found
            link = found
        elif link.remote_hash == arrival.hash and source != "write":
            return Taken("echo", record=(link.record_type, link.record_id))
        if resource_type == "Patient" and (moved := _replaced_by(remote.body)):
            return self._move(connection, arrival, link, moved)
        if link.rung != "native":
            # The EHR's own, or what stands in for ours: neither is what the record says.
            return Taken("passed", "not a resource of ours", (link.record_type, link.record_id))
        return self._into(connection, arrival, link, remote)

    def _into(self, connection: Connection, arrival: Arrival, link: Link, remote: Remote) -> Taken:
        """Merge what came into the record that it belongs to."""
        key = (link.record_type, link.record_id)
        for _ in range(ROUNDS):
            view = self._view(connection, link, remote.body)
            if isinstance(view, Taken):
                return self._noted(arrival, view, remote.body)
            merged = self._merge(view.said, remote.body, view.agreement, view.open, connection)
            try:
                return self._apply(connection, arrival, remote, view, merged)
            except _MovedError:
                continue
        return Taken("waiting", "the record keeps changing", key)

    def _view(self, connection: Connection, link: Link, theirs: Resource) -> _View | Taken:
        key = (link.record_type, link.record_id)
        with self.database.read() as tx:
            link = links.by_id(tx, link.id)
            if links.open_attempts(tx, [link.id]):
                return Taken("waiting", "a write of ours is not answered yet", key)
            try:
                version = records.version(tx, key)
            except FhirsvcError:
                return Taken("review", "its record is not here", key)
            if version.is_deleted:
                return Taken("passed", "its record is deleted here", key)
            record: dict[str, Any] = orjson.loads(version.body)
            shown = as_it_is(tx, key, record) if self.by_scores else record
            agreement = agreements.of(tx, link.id)
            listed = conflicts.of_link(tx, link.id)
            known = self._known(tx, connection, theirs)
        ours = self._ours(shown, link.local, connection, version)
        if ours is None:
            return Taken("passed", "its record does not map to it any more", key)
        said = self._resolved(connection, ours)
        return _View(link, version, record, shown, ours, said, agreement, tuple(listed), known)

    def _ours(
        self, record: Record, local: Local, connection: Connection, version: Version
    ) -> Resource | None:
        """One resource of a record as it goes to this EHR; None when it does not, as itself."""
        mapped = self._mapped(record, connection)
        if self.arranger is not None:
            return self.arranger.native(connection, version, record, mapped).get(local)
        return next((one for one in mapped if local_of(one) == local), None)

    def _mapped(self, record: Record, connection: Connection) -> list[dict[str, Any]]:
        """The resources of a record; none where it does not map."""
        try:
            return self.mapper.forward(record, connection.us_core)
        except FhirsvcError:
            return []

    def _resolved(self, connection: Connection, ours: Resource) -> Resource:
        """Ours with the EHR's references; what it has no id for stays as we call it."""
        wanted = references(ours)
        with self.database.read() as tx:
            found = links.of(tx, connection.id, wanted)
        remote = {
            local: f"{one.remote_type}/{one.remote_id}" if one.remote_id else "/".join(local)
            for local, one in found.items()
        }
        named = {local: remote.get(local, "/".join(local)) for local in wanted}
        resolved: Resource = resolve(ours, named)
        return {name: value for name, value in resolved.items() if name != "id"}

    def _known(self, tx: sa.Connection, connection: Connection, body: Resource) -> dict[str, House]:
        """What the references of a resource of the EHR are here."""
        base = connection.base_url + "/"
        named = {
            (match[0], match[1])
            for one in _references(body)
            if len(match := tuple(one.removeprefix(base).split("/_history/")[0].split("/"))) == 2
        }
        known = {}
        for (kind, remote_id), link in links.by_remote(tx, connection.id, named).items():
            house = self._house(link, connection)
            if house is not None:
                known[f"{kind}/{remote_id}"] = house
        return known

    def _apply(
        self,
        connection: Connection,
        arrival: Arrival,
        remote: Remote,
        view: _View,
        merged: Merged,
    ) -> Taken:
        """Put the merge onto the record, and remember where both sides stand."""
        findings: tuple[Finding, ...] = merged.findings
        changed: dict[str, Any] = view.record
        if merged.taken or merged.set_aside or any(one.state == "decided" for one in view.open):
            house = self._house(view.link, connection) or House(
                view.link.record_type, (view.link.record_id,)
            )
            read = self.lens.back(
                {**merged.record, "id": remote.id},
                view.shown,
                {**view.known, f"{view.link.remote_type}/{remote.id}": house},
                base=connection.base_url,
                us_core=connection.us_core,
            )
            findings += read.findings
            if read.record is not None:
                changed = dict(unjudged(view.record, view.shown, read.record))
        now = self.clock()
        shown = view.shown if changed == view.record else changed
        after = self._ours(shown, view.link.local, connection, view.version) or view.ours
        said = self._resolved(connection, after)
        owners = self.lens.owners(view.said, connection.us_core)
        following = said_next(merged, ours=dict(view.said), now=dict(said), owners=owners)
        left = untaken(
            merged, now=dict(said), said=following, owners=owners, base=connection.base_url
        )
        done: dict[str, Any] = {}

        def remember(tx: sa.Connection, receipt: Receipt) -> None:
            link = links.by_id(tx, view.link.id)
            if (link.remote_hash, link.acked_at) != (view.link.remote_hash, view.link.acked_at):
                raise _MovedError
            if receipt.version - (receipt.outcome == "changed") != view.version.version:
                raise _MovedError
            if merged.is_quiet:
                whole = fingerprint(after) if following == said else None
                links.ack(
                    tx,
                    link.id,
                    remote=(remote.id, remote.etag, arrival.hash),
                    acked=(whole, receipt.version),
                    now=now,
                    rung=link.rung,
                    agreement=agreements.packed(following, remote.body),
                )
            else:
                links.forget(tx, [link.id])
            if (not merged.is_quiet or following != said) and receipt.outcome == "unchanged":
                deliveries.reopen(tx, connection.id, view.version.key, now, "changed at the EHR")
            self._keep_conflicts(tx, connection, view, remote, merged, left, now)
            apart = merged.conflicts or left
            news = receipt.outcome == "changed" or apart or merged.kept or findings
            if news and arrival.source != "write":
                done["item"] = inbox.note(
                    tx,
                    arrival,
                    "merged",
                    now,
                    reason=_said(findings),
                    record=view.version.key,
                    version=receipt.version if receipt.outcome == "changed" else None,
                )

        if changed == view.record:
            receipt = Receipt(0, "unchanged", *view.version.key, view.version.version)
            self.database.run(lambda tx: remember(tx, receipt))
        else:
            receipt = self._accept(connection, arrival, view, changed, remember)
            if receipt.outcome == "refused":
                reason = f"not a record as it would be then: {_said(receipt.findings)}"
                wrong = Taken("review", reason, view.version.key, findings=receipt.findings)
                return self._noted(arrival, wrong, remote.body)
        return Taken(
            "merged",
            record=view.version.key,
            version=receipt.version,
            merged=merged,
            item=done.get("item"),
            findings=findings,
            decided=tuple(one.id for one in view.open if one.state == "decided"),
        )

    def _accept(
        self,
        connection: Connection,
        arrival: Arrival,
        view: _View,
        changed: dict[str, Any],
        remember: Also,
    ) -> Receipt:
        try:
            return self.publisher.accept_one(
                changed,
                expected=view.version.version,
                correlation_id=arrival.correlation_id,
                source=connection.name,
                also=remember,
            )
        except FhirsvcError as error:
            if error.category == Category.CONFLICT:
                raise _MovedError from None
            raise

    def _keep_conflicts(
        self,
        tx: sa.Connection,
        connection: Connection,
        view: _View,
        remote: Remote,
        merged: Merged,
        left: Sequence[Apart],
        now: float,
    ) -> None:
        by = view.version.source or str(view.record.get("updated_by") or "")
        ours = Side(None, str(view.version.version), by, view.version.accepted_at)
        theirs = Side(None, remote.etag or "", connection.name, _moment(remote) or now)
        carried_out = [one.clash.path for one in view.open if one.state == "decided"]
        settled = [*merged.settled, *(carried_out if merged.is_quiet else [])]
        # What the record could not take is told anew, even where a decision has just settled it.
        for found, gone in ((merged.conflicts, settled), (left, [])):
            clashes = [
                Clash(
                    one.path,
                    one.owner,
                    one.base,
                    replace(ours, value=one.ours),
                    replace(theirs, value=one.theirs),
                )
                for one in found
            ]
            conflicts.keep(
                tx,
                link_id=view.link.id,
                connection_id=connection.id,
                record=view.version.key,
                clashes=clashes,
                settled=gone,
                now=now,
            )

    def _house(self, link: Link, connection: Connection) -> House | None:
        """What a link's resource is here."""
        return self.lens.of_identifier(
            link.resource_type,
            link.identifier_system,
            link.identifier_value,
            connection.us_core,
        )

    # ---- whose it is --------------------------------------------------------------------------

    def _match(self, connection: Connection, arrival: Arrival, remote: Remote) -> Link | Taken:
        """The link of something that has none, by an identifier of this house; or what it is."""
        house = self.lens.house(remote.body, connection.us_core)
        if house is None:
            return self._stranger(connection, arrival, remote)
        key = (house.record, house.ids[0])
        with self.database.read() as tx:
            try:
                version = records.version(tx, key)
            except FhirsvcError:
                told = Taken("review", "it carries an identifier of a record that is not here", key)
                return self._noted(arrival, told, remote.body)
        record = orjson.loads(version.body)
        stated = set(names(remote.body))
        mine = next(
            (
                one
                for one in self._mapped(record, connection)
                if one["resourceType"] == arrival.resource_type
                and token(*identifier_of(one)) in stated
            ),
            None,
        )
        if mine is None:
            return self._noted(arrival, Taken("passed", "its record does not map to it", key))
        return self._adopt(connection, arrival, remote, key, mine)

    def _adopt(
        self,
        connection: Connection,
        arrival: Arrival,
        remote: Remote,
        key: RecordKey,
        mine: Resource,
    ) -> Link | Taken:
        """Make or complete the link; of two that carry one identifier only one can be it."""
        local = local_of(mine)
        now = self.clock()

        def adopt(tx: sa.Connection) -> Link | Taken:
            link = links.of(tx, connection.id, [local]).get(local)
            if link is None:
                link = links.add(tx, connection.id, key, local, identifier_of(mine))
            elif link.remote_id not in (None, remote.id):
                return Taken("review", "a second one with this identifier", key)
            elif links.open_attempts(tx, [link.id]):
                return Taken("waiting", "a write of ours is not answered yet", key)
            # Nothing is agreed yet: its hash is that of nothing, so that it is merged next.
            links.ack(tx, link.id, remote=(remote.id, None, ""), acked=(None, None), now=now)
            deliveries.release(tx, [("link", *local)], now, connection.id)
            return links.by_id(tx, link.id)

        found = self.database.run(adopt)
        return self._noted(arrival, found, remote.body) if isinstance(found, Taken) else found

    def _stranger(self, connection: Connection, arrival: Arrival, remote: Remote) -> Taken:
        """Something that this house did not make: a new record, where that is wanted."""
        if not self.lens.reads(remote.body, connection.us_core):
            return Taken("passed", "no mapping reads it")
        wanted = Inbound.of(connection.inbound).new
        if arrival.source != "post" and arrival.resource_type not in wanted:
            return Taken("passed", "it was not made here")
        with self.database.read() as tx:
            known = self._known(tx, connection, remote.body)
        if f"Patient/{whose(remote.body, connection.base_url)}" not in known:
            told = Taken("review", "whose it is cannot be told: its patient is not linked")
            return self._noted(arrival, told, remote.body)
        read = self.lens.back(
            remote.body, None, known, base=connection.base_url, us_core=connection.us_core
        )
        if read.record is None:
            return self._noted(
                arrival, Taken("refused", _said(read.findings), findings=read.findings), remote.body
            )
        written = _moment(remote) or self.clock()  # where the EHR does not say, it is seen now
        record = {"updated_at": instant(written), **read.record}
        return self._new(connection, arrival, remote, record, read.findings)

    def _new(
        self,
        connection: Connection,
        arrival: Arrival,
        remote: Remote,
        record: dict[str, Any],
        findings: tuple[Finding, ...],
    ) -> Taken:
        key = (str(record["type"]), str(record["id"]))
        kind = arrival.resource_type
        same = [one for one in self._mapped(record, connection) if one["resourceType"] == kind]
        ours = same[0] if len(same) == 1 else None
        now = self.clock()
        done: dict[str, int] = {}

        def remember(tx: sa.Connection, receipt: Receipt) -> None:
            if ours is not None and not links.of(tx, connection.id, [local_of(ours)]):
                link = links.add(tx, connection.id, key, local_of(ours), identifier_of(ours))
                remembered = (remote.id, remote.etag, "")
                links.ack(tx, link.id, remote=remembered, acked=(None, None), now=now)
            done["item"] = inbox.note(
                tx,
                arrival,
                "merged",
                now,
                reason=_said(findings),
                record=key,
                version=receipt.version,
            )

        try:
            receipt = self.publisher.accept_one(
                record,
                expected=0,
                correlation_id=arrival.correlation_id,
                source=connection.name,
                also=remember,
            )
        except FhirsvcError as error:
            if error.category != Category.CONFLICT:
                raise
            told = Taken("review", "a record with its id is here already", key)
            return self._noted(arrival, told, remote.body)
        if receipt.outcome == "refused":
            told = Taken("review", f"not a record yet: {_said(receipt.findings)}", None)
            return self._noted(arrival, replace(told, findings=receipt.findings), remote.body)
        return Taken(
            "merged", record=key, version=receipt.version, item=done["item"], findings=findings
        )

    # ---- what has gone, and what has moved ------------------------------------------------------

    def gone(self, connection: Connection, link: Link, source: str, correlation_id: str) -> Taken:
        """The EHR has it no longer: that is told and decided by somebody, not passed over."""
        kind, remote_id = link.remote_type, link.remote_id or ""
        arrival = Arrival(connection.id, kind, remote_id, "", None, source, correlation_id)
        key = (link.record_type, link.record_id)
        now = self.clock()

        def note(tx: sa.Connection) -> int:
            links.stand(tx, link.id, "gone")
            reason = "gone at the EHR"
            return inbox.note(tx, arrival, "review", now, reason=reason, record=key)

        return Taken("review", "gone at the EHR", key, item=self.database.run(note))

    def _move(self, connection: Connection, arrival: Arrival, link: Link, to: str) -> Taken:
        """The EHR has joined this Patient to another one: what was linked to it is that one now.

        https://hl7.org/fhir/R4/valueset-link-type.html
        """
        key = (link.record_type, link.record_id)
        now = self.clock()

        def move(tx: sa.Connection) -> Taken:
            other = links.by_remote(tx, connection.id, [("Patient", to)]).get(("Patient", to))
            if other is not None and other.id != link.id:
                reason = "the EHR joined two Patients that are two clients here"
                item = inbox.note(tx, arrival, "review", now, reason=reason, record=key)
                return Taken("review", reason, key, item=item)
            links.stand(tx, link.id, "live", remote_id=to)
            links.forget(tx, [link.id])
            deliveries.reopen(tx, connection.id, key, now, "the EHR joined its Patient to another")
            item = inbox.note(
                tx, arrival, "merged", now, reason="joined to another Patient", record=key
            )
            return Taken("merged", "joined to another Patient", key, item=item)

        return self.database.run(move)

    def _noted(self, arrival: Arrival, taken: Taken, body: Resource | None = None) -> Taken:
        """Keep what somebody, or a later look, has to see; what is passed over is not kept."""
        if taken.state == "passed" or arrival.source == "write":
            return taken
        now = self.clock()
        kept = body if taken.state in ("review", "waiting", "refused") else None
        item = self.database.run(
            lambda tx: inbox.note(
                tx, arrival, taken.state, now, reason=taken.reason, record=taken.record, body=kept
            )
        )
        return replace(taken, item=item)


class _MovedError(Exception):
    """The record or the link changed while both sides were compared."""


def _resolution(one: Conflict) -> Resolution:
    if isinstance(one.resolution, dict):
        return Value(one.resolution.get("value"))
    return "theirs" if one.resolution == "theirs" else "ours"


def _replaced_by(patient: Resource) -> str | None:
    """The id of the Patient that an EHR says has taken this one's place."""
    listed = patient.get("link")
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and one.get("type") == "replaced-by":
            other = one.get("other")
            reference = other.get("reference") if isinstance(other, Mapping) else None
            parts = str(reference or "").split("/_history/")[0].split("/")
            if len(parts) >= 2 and parts[-2] == "Patient":
                return parts[-1]
    return None


def _references(node: Any) -> Iterable[str]:
    if isinstance(node, Mapping):
        reference = node.get("reference")
        if isinstance(reference, str):
            yield reference
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


def _moment(remote: Remote) -> float | None:
    """When the EHR says that it last changed, epoch seconds."""
    try:
        return datetime.fromisoformat(remote.last_updated).timestamp()
    except ValueError:
        return None


def _said(findings: Sequence[Finding]) -> str:
    more = f" (and {len(findings) - SHOWN} more)" if len(findings) > SHOWN else ""
    return "; ".join(f"{one.where}: {one.rule}" for one in findings[:SHOWN]) + more
