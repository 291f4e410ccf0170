"""Submitting: what a partner writes at ``/fhir`` becomes the records it is of, or is refused.

    find        what it replaces; whether it is the version that was meant
    merge       what the partner changed, per element by owner: what is ours alone is not changed
    read        the mappings' way back, put onto the record
    prove       mapped again, every change is there; else nothing is stored
    accept      all records of one request in one transaction, served in the same moment

Whatever a partner wrote is stored or named in a refusal: nothing is dropped on the way. It is over
300 lines because these steps share one view of what is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson
import sqlalchemy as sa

from fhirsvc.ehr.local import Local, references
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.said import unsaid
from fhirsvc.mapping.back import Returned
from fhirsvc.mapping.entries import name_of
from fhirsvc.mapping.links import House
from fhirsvc.merge import Merged, merge
from fhirsvc.services.judge import as_it_is, unjudged
from fhirsvc.services.lens import Lens
from fhirsvc.services.ports import Mapper, Record
from fhirsvc.services.project import US_CORE, Projector
from fhirsvc.services.publish import Publisher, Receipt
from fhirsvc.services.references import local_of
from fhirsvc.services.serve import instant
from fhirsvc.services.submission import (
    NotThereError,
    PreconditionError,
    Submission,
    Submitted,
    UnfitError,
    placed,
)
from fhirsvc.store import records, served_read, served_search, serving
from fhirsvc.store.database import Database
from fhirsvc.store.records import RecordKey
from fhirsvc.store.served_search import Found

ROUNDS = 3  # how often it is begun again when a record changes meanwhile
Resource = dict[str, Any]


@dataclass
class _Work:
    """A submission on its way."""

    given: Submission
    body: Resource
    found: Found | None = None  # what it replaces
    is_there: bool = False  # nothing to be done: its search has found it
    aside: Resource = field(default_factory=dict)  # what is not read, but kept
    key: RecordKey | None = None
    merged: Merged | None = None
    local: Local | None = None
    made: Resource | None = None  # what is mapped of the record as it will be
    wrote: Resource = field(default_factory=dict)  # what the partner wrote, as it will be served

    def at(self, finding: Finding) -> Finding:
        """A finding of its body, at its place in the request."""
        return placed(finding, self.given.where)


@dataclass
class _View:
    """What is held at one moment."""

    versions: dict[RecordKey, int] = field(default_factory=dict)
    stored: dict[RecordKey, Record] = field(default_factory=dict)
    shown: dict[RecordKey, Record] = field(default_factory=dict)  # as scores judge them
    known: dict[str, House] = field(default_factory=dict)
    served: set[Local] = field(default_factory=set)


@dataclass(frozen=True)
class Submitter:
    """Takes in what partners write; ``new_id`` makes ids of records, at most 36 characters."""

    database: Database
    mapper: Mapper
    lens: Lens
    publisher: Publisher
    projector: Projector
    new_id: Callable[[], str]

    def submit(
        self, given: Sequence[Submission], *, client: str, base: str, correlation_id: str
    ) -> list[Submitted]:
        """Store resources, all or none; each is valid R4 and of a type in ``WRITABLE``.

        :param client: who writes, as the records' versions will say.
        :param base: our own base URL, whose absolute references are relative ones.
        :returns: what is served now, in the order given.
        :raises UnfitError: what is written cannot be taken, or not all of it.
        :raises PreconditionError: another version than the expected one is there, or a search
            finds several.
        :raises NotThereError: there is none of that id.
        :raises FhirsvcError: GONE when it is deleted, CONFLICT when a record keeps changing, or one
            of the same name is there.
        """
        for _ in range(ROUNDS):
            try:
                return self._submit(given, client, base, correlation_id)
            except _MovedError:
                continue
        raise FhirsvcError(Category.CONFLICT, "what it changes keeps changing", "record")

    def _submit(
        self, given: Sequence[Submission], client: str, base: str, cause: str
    ) -> list[Submitted]:
        with self.database.read() as tx:
            work = [self._find(tx, one) for one in given]
            _rename(work, base)
            view = self._view(tx, work)
        _all_lead_somewhere(work, view)
        changes = self._changes([one for one in work if not one.is_there], view)
        wrote = {one.local: one.wrote for one in work if one.local and one.wrote}
        if not changes and not wrote:
            return [Submitted(_there(one), is_new=False) for one in work]
        project = partial(self.projector.project, wrote=wrote)
        done: list[Submitted] = []

        def also(tx: sa.Connection, receipts: Sequence[Receipt]) -> None:
            same = [one for one in receipts if one.outcome == "unchanged"]
            if same:  # what a partner wrote may be all that is new
                unchanged = records.newest(tx, [(one.type, one.id) for one in same])
                self.projector.project(tx, unchanged, self.projector.clock(), wrote=wrote)
            done[:] = [_submitted(tx, one) for one in work]

        try:
            receipts = self.publisher.accept_together(
                [(record, view.versions.get(key, 0)) for key, record in changes.items()],
                correlation_id=cause,
                source=client,
                first=lambda tx: self._still(tx, work, view),
                project=project,
                also=also,
            )
        except FhirsvcError as error:
            if error.category == Category.CONFLICT and error.where in map("/".join, view.versions):
                raise _MovedError from None
            raise
        refused = [one for one in receipts if one.outcome == "refused"]
        if refused:
            raise UnfitError([finding for one in refused for finding in one.findings])
        return done

    # ---- what is there --------------------------------------------------------------------------

    def _find(self, tx: sa.Connection, one: Submission) -> _Work:
        """What a submission replaces, or creates under an id of its own."""
        kind = str(one.resource["resourceType"])
        body = {name: value for name, value in one.resource.items() if name != "id"}
        if one.unless is not None:
            matches = served_search.page(tx, replace(one.unless, count=1), None)
            if len(matches) > 1:
                raise PreconditionError("the search finds more than one", one.where or kind)
            if matches:
                found = matches[0]
                if one.is_update:
                    return _replacing(one, body, found)
                body = {**body, "id": found.id}
                return _Work(one, body, found, is_there=True, local=(kind, found.id))
            if one.is_update and one.resource.get("id") is not None:
                raise NotThereError(one.where or kind)
        if one.id is None:
            named = self.lens.named({**body, "id": self.new_id()}, US_CORE)
            aside = {}
            if "identifier" in named and self.lens.house(named, US_CORE) is None:
                # A part of something, which says who it is: no line reads another's identifier.
                aside = {"identifier": named.pop("identifier")}
            return _Work(one, named, aside=aside)
        there = served_read.one(tx, kind, one.id)
        if there is None:
            raise NotThereError(one.where or kind)
        if there.is_deleted:
            raise FhirsvcError(Category.GONE, "it is deleted", one.where or kind)
        return _replacing(one, body, there)

    def _still(self, tx: sa.Connection, work: Sequence[_Work], view: _View) -> None:
        """Nobody has written since, and searches find what they found, until the commit.

        What a partner wrote beside a record changes no record: its own version is what tells. It is
        only changed by who has locked the record.
        """
        records.current(tx, view.versions)
        replaced = {one.found.key: one.found for one in work if one.found and not one.is_there}
        heads = serving.heads(tx, replaced, [])
        if any(heads[key].version != found.version for key, found in replaced.items()):
            raise _MovedError
        for one in work:
            search = one.given.unless
            if search is None:
                continue
            serving.hold(tx, repr(search))
            found = [match.id for match in served_search.page(tx, replace(search, count=1), None)]
            if found != ([one.found.id] if one.found is not None else []):
                raise _MovedError

    def _view(self, tx: sa.Connection, work: Sequence[_Work]) -> _View:
        """The records that are replaced, and what references lead to."""
        view = _View()
        found = serving.heads(tx, [one.found.key for one in work if one.found], [])
        for one in work:
            if one.found is None or one.is_there:
                continue
            one.key = found[one.found.key].record
            if one.key not in view.versions:
                version = records.version(tx, one.key)
                record = orjson.loads(version.body)
                view.versions[one.key] = version.version
                view.stored[one.key] = record
                by_scores = self.projector.by_scores
                view.shown[one.key] = as_it_is(tx, one.key, record) if by_scores else record
        held = [orjson.loads(one.found.body) for one in work if one.found]
        wanted = {to for body in (*held, *(w.body for w in work)) for _, to in references(body)}
        for there in served_read.current(tx, wanted):
            view.served.add((there.type, there.id))
            house = self.lens.house(orjson.loads(there.body), US_CORE)
            if house is not None:
                view.known[f"{there.type}/{there.id}"] = house
        return view

    # ---- what becomes of it ---------------------------------------------------------------------

    def _changes(self, work: Sequence[_Work], view: _View) -> dict[RecordKey, dict[str, Any]]:
        """The records as they will be, by name; each work is told what is served for it."""
        for one in work:
            if one.found is not None:
                one.merged = self._merged(one, view)
        read = self._read([_taken(one) for one in work], view)
        self._refuse_news(work, read, view)
        of = {
            id(one.resource): (one.plan.file.record, str(one.root.values["id",]))
            for one in read.readings
        }
        changes = {}
        for found in read.records:
            key = (str(found["type"]), str(found["id"]))
            changes[key] = self._as_stored(key, found, view)
        for one in work:
            one.key = one.key or of.get(id(one.body))
            changed = changes.get(one.key) if one.key else None
            if changed is None:
                message = "it follows from a record, or from nothing that is known here"
                raise UnfitError([one.at(Finding("not-mapped", message, _kind(one)))])
        self._are_new(work, view)
        for one in work:
            one.made = self._will_be_made(one, changes)
            one.local = one.local or (local_of(one.made) if one.made else None)
        named = {name_of(one.body): "/".join(one.local) for one in work if one.local}
        for one in work:
            self._prove(one, lambda name: named.get(name, name))
        return changes

    def _are_new(self, work: Sequence[_Work], view: _View) -> None:
        """Records that are to be created are not there."""
        keys = {one.key: one for one in work if one.key and one.key not in view.versions}
        with self.database.read() as tx:
            there = records.present(tx, keys)
        for key in there:
            one = keys[key]
            message = "the record that it would be of is there already"
            raise FhirsvcError(Category.CONFLICT, message, one.given.where or _kind(one))

    def _will_be_made(self, one: _Work, changes: Mapping[RecordKey, Record]) -> Resource | None:
        """None where the record does not map: its check says why, when it is to be stored."""
        try:
            return self._made(changes[one.key], one) if one.key else None
        except FhirsvcError:
            return None

    def _as_stored(self, key: RecordKey, record: Record, view: _View) -> dict[str, Any]:
        """A record as it is stored; one that changes was written now."""
        before = view.stored.get(key)
        if before is None:
            return {"updated_at": self._now(), **record}
        found = dict(unjudged(before, view.shown[key], record))
        if found.get("client_id") != before.get("client_id"):
            message = "whose it is cannot be changed"
            raise UnfitError([Finding("owner", message, "subject")])
        return found if found == before else {**found, "updated_at": self._now()}

    def _now(self) -> str:
        return instant(self.projector.clock())

    def _merged(self, one: _Work, view: _View) -> Merged:
        """What a partner changed, where it may."""
        ours = self._made(view.shown[one.key], one) if one.key else None
        found = _there(one)
        if ours is None:
            raise FhirsvcError(Category.CONFLICT, "its record does not map to it now", found.type)
        held = orjson.loads(found.body)
        owners = self.lens.owners(ours, US_CORE)
        merged = merge(ours, one.body, said=ours, held=held, owners=owners)
        # What is missing is put back; what says something else would be lost.
        wrong = [step.path for step in merged.kept if step.before is not None]
        _refuse(
            [Finding("owner", "this is not a partner's to change", path) for path in wrong], one
        )
        return merged

    def _made(self, record: Record, one: _Work) -> Resource | None:
        """What is mapped of a record for the same place; None where it is not, or not told."""
        same = [
            made
            for made in self.mapper.forward(record, US_CORE)
            if made["resourceType"] == _kind(one) and one.local in (None, local_of(made))
        ]
        return same[0] if len(same) == 1 else None

    def _read(self, bodies: list[Resource], view: _View) -> Returned:
        return self.lens.read(bodies, view.shown, view.known, US_CORE)

    def _refuse_news(self, work: Sequence[_Work], read: Returned, view: _View) -> None:
        """What is not understood is refused, but for what is held like that already."""
        told = [one for one in read.findings if one.finding.severity != "information"]
        if not told:
            return
        held = self._read([orjson.loads(one.found.body) for one in work if one.found], view)
        by_name = {name_of(one.body): one for one in work}
        news = []
        for one in told:
            if one not in held.findings:
                found = replace(one.finding, severity="error")
                about = by_name.get(one.about)
                news.append(about.at(found) if about else found)
        _refuse(news)

    def _prove(self, one: _Work, name: Callable[[str], str]) -> None:
        """What will be served has all that was written; ``name`` gives references their names."""
        made = one.made
        if made is None:
            return
        sent = one.body if one.merged is None else one.merged.send
        wrote = {**_renamed(sent, name), "id": made["id"]}
        if one.aside:
            wrote["identifier"] = [*made["identifier"], *one.aside["identifier"]]
        will_be = self.lens.onto(made, wrote, US_CORE)
        owners = self.lens.owners(made, US_CORE)
        left = merge(will_be, wrote, said=will_be, held=will_be, owners=owners)
        # Of what is new, what mapping says beside what was written is no change of it.
        lost = [step.path for step in left.taken] if one.found is not None else []
        lost += unsaid({**_renamed(one.body, name), **one.aside}, will_be)
        _refuse([Finding("lost", "the record has no place for this", path) for path in lost], one)
        one.wrote = wrote


class _MovedError(Exception):
    """What was found is not what is there."""


def _replacing(one: Submission, body: Resource, found: Found) -> _Work:
    stated = one.resource.get("id")
    if stated is not None and stated != found.id:
        message = "the id is another one than is meant"
        raise FhirsvcError(Category.UNSUPPORTED, message, one.where or found.type)
    if one.expected is not None and one.expected != found.version:
        message = f"the current version is {found.version}, not {one.expected}"
        raise PreconditionError(message, one.where or found.type)
    return _Work(one, {**body, "id": found.id}, found, local=(found.type, found.id))


def _rename(work: Sequence[_Work], base: str) -> None:
    """References as this house writes them: to each other by name, and relative."""
    names = {one.given.name: name_of(one.body) for one in work if one.given.name}

    def ours(reference: str) -> str:
        is_ours = reference.startswith(base + "/") or "://" not in reference
        plain = reference.removeprefix(base + "/").split("/_history/")[0]
        return names.get(reference, plain if is_ours else reference)

    for one in work:
        one.body = _renamed(one.body, ours)
        meta = one.body.get("meta")
        if isinstance(meta, dict):  # what a version says of itself is ours to say
            own = ("versionId", "lastUpdated", "source")
            one.body["meta"] = {name: value for name, value in meta.items() if name not in own}
            if not one.body["meta"]:
                del one.body["meta"]


def _renamed(node: Any, name: Callable[[str], str]) -> Any:
    """The same with other references."""
    if isinstance(node, list):
        return [_renamed(one, name) for one in node]
    if not isinstance(node, dict):
        return node
    found = {key: _renamed(value, name) for key, value in node.items()}
    reference = found.get("reference")
    if isinstance(reference, str):
        found["reference"] = name(reference)
    return found


def _all_lead_somewhere(work: Sequence[_Work], view: _View) -> None:
    """Relative references lead to what is served, or to what is written with them."""
    there = view.served | {(_kind(one), str(one.body["id"])) for one in work}
    for one in work:
        lost = [path for path, to in references(one.body, _kind(one)) if to not in there]
        _refuse([Finding("target", "this leads to nothing here", path) for path in lost], one)


def _taken(one: _Work) -> Resource:
    """What is read into the record; the same object for one that is new."""
    return one.body if one.merged is None else {**one.merged.record, "id": one.body["id"]}


def _refuse(findings: Iterable[Finding], one: _Work | None = None) -> None:
    found = list(findings)
    if found:
        raise UnfitError(found if one is None else [one.at(finding) for finding in found])


def _kind(one: _Work) -> str:
    return str(one.body["resourceType"])


def _there(one: _Work) -> Found:
    if one.found is None:
        raise FhirsvcError(Category.FAULT, "nothing is there", _kind(one))
    return one.found


def _submitted(tx: sa.Connection, one: _Work) -> Submitted:
    found = served_read.one(tx, *one.local) if one.local else None
    if found is None:
        raise FhirsvcError(Category.INVALID, "what it makes is not served", _kind(one))
    return Submitted(found, is_new=one.found is None)
