"""The turn of a deleted record: what the EHR holds of it is called wrong there, or deleted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import sqlalchemy as sa

from fhirsvc.ehr.content import fingerprint, lasting
from fhirsvc.ehr.decide import Decision
from fhirsvc.ehr.protocol import Stopped, Wanted, Written
from fhirsvc.ehr.search import Remote
from fhirsvc.ehr.withdrawn import NEVER, is_withdrawn, withdrawn
from fhirsvc.errors import Category
from fhirsvc.services.turn import Turn, known, names
from fhirsvc.store import agreements, links
from fhirsvc.store.deliveries import Change, Ending
from fhirsvc.store.links import Link


@dataclass
class Withdrawal(Turn):
    """A turn that takes back what earlier versions sent: the last made goes first.

    A resource whose type has a word for it is updated to entered-in-error, another one is deleted.
    People and organizations stay, and what the EHR does not let us delete is told.
    """

    left: set[tuple[str, str]] = field(default_factory=set)

    def run(self) -> Change | Ending:
        """Take back what is there; how the turn ends."""
        with self.deliverer.database.read() as tx:
            every = links.of_record(tx, self.connection.id, self.taken.record)
            self.attempts = links.open_attempts(tx, [one.id for one in every]) if every else {}
        self.links = {one.local: one for one in every}
        for link in reversed(every):
            is_there = link.remote_id is not None and link.standing == "live"
            if not is_there and link.id not in self.attempts:
                continue
            decision = self._take_back(link)
            if decision is None:
                continue
            self.stops.append((link.local, decision))
            if decision.action == "retry":
                return self.retry(decision)
        return self.end()

    def _take_back(self, link: Link) -> Decision | None:
        if link.resource_type in NEVER:
            self.left.add(link.local)
            return None
        with self.deliverer.database.read() as tx:
            agreement = agreements.of(tx, link.id)
        held = agreement.held if agreement else {"resourceType": link.resource_type}
        if is_withdrawn(held):
            return None
        body = withdrawn(held) if agreement else None
        remembered = known(link, self.attempts.get(link.id))
        identifier = (link.identifier_system, link.identifier_value)
        sent = lasting(body or held)
        wanted = Wanted(
            link.resource_type, *identifier, sent, fingerprint(sent), self.taken.version, sent
        )
        journal = self._journal(link.local, identifier, link, link.rung)
        writer = self.writer(journal, link.resource_type, partial(_with_theirs, wanted))
        if body is None or link.remote_id is None:
            stopped = writer.remove(wanted, remembered)
            if stopped is None or stopped.decision.category != Category.UNSUPPORTED:
                return stopped.decision if stopped else None
            self.left.add(link.local)  # nobody can say of it that it is wrong, nor delete it
            return None
        result = writer.write(wanted, remembered)
        if not isinstance(result, Stopped):
            return None
        return self._gone(link) if result.decision.category == Category.GONE else result.decision

    def _gone(self, link: Link) -> Decision | None:
        """An answer said that it is not there: so it may be, but it is looked for."""
        reader = self._reader(self.deliverer.luck())
        found = reader.by_id(link.remote_type, str(link.remote_id))
        if isinstance(found, Remote):
            return Decision("hold", Category.CONFLICT, detail="said to be gone, and is there")
        if found.category != Category.GONE:
            return found
        self.deliverer.database.run(lambda tx: links.stand(tx, link.id, "gone"))
        return None

    def _left_behind(self, _tx: sa.Connection) -> str:
        return f"stays at the EHR: {names(self.left)}" if self.left else ""


def _with_theirs(wanted: Wanted, found: Remote) -> Wanted | Written:
    """What somebody wrote into it meanwhile stays in it, and it is called wrong all the same."""
    if is_withdrawn(found.body):
        return Written(found)
    return replace(wanted, body=lasting(withdrawn(found.body) or found.body))
