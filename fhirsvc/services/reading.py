"""One reading of one resource type of an EHR: what changed since, or everything that is linked.

    by time       Type?_lastUpdated=ge…, from a while before the last reading, page by page
    in full       what is linked is looked for by its identifiers: gone, changed, there twice
    a change      is read again by id before it is taken in: what a search shows may be old

Paging follows only links of the connection's own origin (:class:`fhirsvc.ehr.client.Client`), and
not the same one twice. It is over 300 lines because the two ways of reading share every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fhirsvc.ehr.client import Answer
from fhirsvc.ehr.content import remote_fingerprint
from fhirsvc.ehr.decide import Decision
from fhirsvc.ehr.protocol import Wanted, take_away_doubles
from fhirsvc.ehr.search import Reader, Remote, identity, matches, names, next_page, token
from fhirsvc.errors import Category
from fhirsvc.services.arranging import capabilities_of
from fhirsvc.services.inbound import Inbound
from fhirsvc.services.receive import Taken
from fhirsvc.store import agreements, connections, inbox, links
from fhirsvc.store.connections import Connection
from fhirsvc.store.cursors import Cursor
from fhirsvc.store.links import Link

if TYPE_CHECKING:
    from fhirsvc.services.pull import Puller

PAGES = 2000  # of one reading
COUNT = 100  # resources on a page
TOGETHER = 20  # identifiers in one search


@dataclass
class Pulled:
    """What a reading of one type came to."""

    resource_type: str
    seen: int = 0
    states: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    is_whole: bool = True

    def count(self, taken: Taken) -> None:
        """Count what became of one resource."""
        self.states[taken.state] = self.states.get(taken.state, 0) + 1


class FailedError(Exception):
    """A reading cannot go on."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.action)
        self.decision = decision


@dataclass
class Reading:
    """One reading of one type of a connection."""

    puller: Puller
    connection: Connection
    cursor: Cursor
    how: Inbound
    correlation_id: str

    def __post_init__(self) -> None:
        self.kind = self.cursor.resource_type
        self.pulled = Pulled(self.kind)
        self.capabilities = capabilities_of(self.connection)
        client = self.puller.client_for(self.connection)
        self.reader = Reader(
            client, self.correlation_id, self.puller.clock, luck=self.puller.luck()
        )
        self.taken: set[str] = set()

    @property
    def by_time(self) -> bool:
        """Whether the EHR says what changed since a time."""
        return self.capabilities.can(self.kind, "search-type") and self.capabilities.finds(
            self.kind, "_lastUpdated"
        )

    # ---- what changed since ---------------------------------------------------------------------

    def changed(self) -> float | None:
        """Take in what changed since the watermark; the new one, by the EHR's own clock."""
        began: float | None = None
        for params in self._questions():
            for answer in self.pages(params):
                began = began if began is not None else _time_of(answer, self.puller.clock())
                for remote in self._remotes(answer):
                    self.pulled.seen += 1
                    self.look(remote)
        return began if began is not None else self.cursor.watermark

    def _questions(self) -> Iterator[dict[str, str]]:
        since = self.cursor.watermark
        asked = {"_count": str(COUNT)}
        if since is not None:
            moment = datetime.fromtimestamp(since - self.how.overlap_s, UTC)
            asked["_lastUpdated"] = f"ge{moment.strftime('%Y-%m-%dT%H:%M:%SZ')}"
        elif self.kind not in self.how.new:
            # Nothing was read yet: what is ours is compared, and what came before is not wanted.
            moment = datetime.fromtimestamp(self.puller.clock() - self.how.overlap_s, UTC)
            asked["_lastUpdated"] = f"ge{moment.strftime('%Y-%m-%dT%H:%M:%SZ')}"
        if self.how.by == "system":
            yield asked
            return
        after = 0
        with_patient = "patient" if self.kind != "Patient" else "_id"
        while listed := self._links("Patient", after):
            for one in listed:
                yield {**asked, with_patient: str(one.remote_id)}
            after = listed[-1].id

    def _links(self, kind: str, after: int) -> list[Link]:
        with self.puller.database.read() as tx:
            return links.page(tx, self.connection.id, kind, after, TOGETHER)

    def pages(self, params: Mapping[str, str]) -> Iterator[Answer]:
        """The pages of a search, each one once."""
        path, asked = self.kind, dict(params)
        seen = {path + repr(sorted(asked.items()))}
        for _ in range(PAGES):
            answer = self.reader.send("GET", path, params=asked or None, headers=_FRESH)
            decision = self.reader.decided(answer)
            if decision is not None:
                raise FailedError(decision)
            if (answer.body or {}).get("resourceType") != "Bundle":
                raise FailedError(_unreadable("no Bundle"))
            yield answer
            following = next_page(answer.body or {})
            if following is None:
                return
            if following in seen:
                raise FailedError(_unreadable("its pages go round in a circle"))
            seen.add(following)
            path, asked = following, {}
        raise FailedError(_unreadable(f"more than {PAGES} pages"))

    def _remotes(self, answer: Answer) -> Iterator[Remote]:
        for resource in matches(answer.body or {}):
            if resource.get("resourceType") == self.kind:
                remote = self.reader.remote(resource)
                if remote is not None:
                    yield remote

    def look(self, remote: Remote) -> None:
        """Take in one resource that a search showed, when it is not what was last seen."""
        if remote.id in self.taken:
            return
        self.taken.add(remote.id)
        name = (self.kind, remote.id)
        with self.puller.database.read() as tx:
            link = links.by_remote(tx, self.connection.id, [name]).get(name)
        if link is not None and link.remote_hash == remote_fingerprint(remote.body):
            self.pulled.count(Taken("echo"))
            return
        lens = self.puller.lens
        is_strange = link is None and lens.house(remote.body, self.connection.us_core) is None
        if is_strange and self.kind not in self.how.new:
            self.pulled.count(Taken("passed"))
            return
        found = self.reader.by_id(self.kind, remote.id)
        if isinstance(found, Remote):
            self.take(found, "poll")
        elif found.category != Category.GONE:
            raise FailedError(found)

    def take(self, remote: Remote, source: str) -> None:
        """Take in what was just read."""
        taken = self.puller.receiver.take(
            self.connection, self.kind, remote, source, self.correlation_id
        )
        self.pulled.count(taken)

    # ---- everything that is linked --------------------------------------------------------------

    def compare(self) -> None:
        """Look at all that is linked: what changed, what has gone, what is there twice."""
        after = 0
        while listed := self._links(self.kind, after):
            after = listed[-1].id
            found = self._by_identifiers(listed)
            for link in listed:
                self._compare_one(link, found)

    def _by_identifiers(self, listed: Iterable[Link]) -> dict[str, list[Remote]] | None:
        """What the EHR finds under the identifiers of links; None where it cannot be asked."""
        param = identity(self.kind)
        if not self.capabilities.finds(self.kind, param):
            return None
        tokens = [token(one.identifier_system, one.identifier_value) for one in listed]
        found: dict[str, list[Remote]] = {}
        params = {param: ",".join(tokens), "_count": str(COUNT)}
        for answer in self.pages(params):
            for remote in self._remotes(answer):
                for name in names(remote.body):
                    if all(one.id != remote.id for one in found.get(name, [])):
                        found.setdefault(name, []).append(remote)
        return found

    def _compare_one(self, link: Link, found: dict[str, list[Remote]] | None) -> None:
        name = token(link.identifier_system, link.identifier_value)
        under = (found or {}).get(name, [])
        mine = next((one for one in under if one.id == link.remote_id), None)
        if len(under) > 1:
            self._repair(link, under)
        self.pulled.seen += 1
        if mine is not None and link.remote_hash == remote_fingerprint(mine.body):
            self.pulled.count(Taken("echo"))
            return
        if link.remote_id in self.taken:
            return
        read = self.reader.by_id(self.kind, str(link.remote_id))
        if isinstance(read, Remote):
            self.take(read, "compare")
        elif read.category == Category.GONE:
            receiver = self.puller.receiver
            self.pulled.count(receiver.gone(self.connection, link, "compare", self.correlation_id))
        else:
            raise FailedError(read)

    def _check(self) -> None:
        with self.puller.database.read() as tx:
            if connections.state_of(tx, self.connection.id) != "active":
                raise FailedError(Decision("retry", Category.BUSY, detail="it was stopped"))

    def _repair(self, link: Link, under: list[Remote]) -> None:
        """Take away the doubles of a linked resource, where they hold only what we sent."""
        with self.puller.database.read() as tx:
            agreement = agreements.of(tx, link.id)
        bodies = [agreement.said, agreement.held] if agreement else []
        named = (self.kind, link.identifier_system, link.identifier_value)
        sent = [Wanted(*named, body, "", 0) for body in bodies]
        kept = take_away_doubles(self.reader, under, sent, self._check, link.remote_id)
        if isinstance(kept, Remote):
            self.pulled.states["repaired"] = self.pulled.states.get("repaired", 0) + 1
            return
        extra = next(one for one in under if one.id != link.remote_id)
        arrival = inbox.Arrival(
            self.connection.id,
            self.kind,
            extra.id,
            remote_fingerprint(extra.body),
            extra.etag,
            "compare",
            self.correlation_id,
        )
        key = (link.record_type, link.record_id)
        now = self.puller.clock()
        self.puller.database.run(
            lambda tx: inbox.note(
                tx, arrival, "review", now, reason=kept.detail, record=key, body=extra.body
            )
        )
        self.pulled.count(Taken("review"))


_FRESH = {"Cache-Control": "no-cache"}


def _unreadable(detail: str) -> Decision:
    return Decision("retry", Category.UNAVAILABLE, 60.0, detail=detail)


def _time_of(answer: Answer, now: float) -> float:
    """When the EHR answered, by its own clock; ours where it does not say."""
    stated = ((answer.body or {}).get("meta") or {}).get("lastUpdated")
    try:
        if isinstance(stated, str):
            return datetime.fromisoformat(stated).timestamp()
        return parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except (ValueError, TypeError):
        return now
