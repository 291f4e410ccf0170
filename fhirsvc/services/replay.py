"""Replays: what a delivery sent is sent again as it was, and how that differs from now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.ehr.content import holds, lasting
from fhirsvc.ehr.decide import Decision
from fhirsvc.ehr.protocol import Reconcile, Stopped, Wanted, Written
from fhirsvc.ehr.search import Remote
from fhirsvc.errors import Category
from fhirsvc.services.turn import Turn, known
from fhirsvc.store import agreements, links
from fhirsvc.store.deliveries import Change, Ending
from fhirsvc.store.links import Link

LARGEST = 500  # differences of one resource that are told


@dataclass
class Repetition(Turn):
    """A turn that sends what its delivery sent the last time, whatever the mappings say by now."""

    def run(self) -> Change | Ending:
        """Send it; how the turn ends."""
        with self.deliverer.database.read() as tx:
            sent = agreements.dispatches(tx, self.taken.id)
            every = {
                one.id: one for one in links.of_record(tx, self.connection.id, self.taken.record)
            }
            self.attempts = links.open_attempts(tx, every) if every else {}
        self.links = {one.local: one for one in every.values()}
        for one in sent:
            link = every[one.link_id]
            name = (link.identifier_system, link.identifier_value)
            wanted = Wanted(
                link.resource_type,
                *name,
                one.body,
                one.hash,
                self.taken.version,
                one.body,
                link.local_id,
            )
            writer = self.writer(
                self._journal(link.local, name, link),
                link.resource_type,
                self._unless(wanted, link),
            )
            result = writer.write(wanted, known(link, self.attempts.get(link.id)))
            if isinstance(result, Stopped):
                self.stops.append((link.local, result.decision))
                if result.decision.action == "retry":
                    return self.retry(result.decision)
        return self.end()

    def _unless(self, wanted: Wanted, link: Link) -> Reconcile:
        """Send it as it was, unless somebody has changed it at the EHR since we agreed."""
        with self.deliverer.database.read() as tx:
            agreement = agreements.of(tx, link.id)

        def reconcile(found: Remote) -> Wanted | Written | Decision:
            if holds(found.body, wanted.body):
                return Written(found)
            if agreement is not None and lasting(found.body) == lasting(agreement.held):
                return wanted
            return Decision("hold", Category.CONFLICT, detail="changed at the EHR since")

        return reconcile


@dataclass(frozen=True)
class Difference:
    """One place where two bodies differ; None where it is not there."""

    path: str  # a JSON pointer (RFC 6901)
    then: Any
    now: Any


def differences(then: Any, now: Any) -> list[Difference]:
    """Where two bodies differ, in the order of the first; at most :data:`LARGEST` places."""
    found: list[Difference] = []
    for one in _differences(then, now, ""):
        found.append(one)
        if len(found) == LARGEST:
            break
    return found


def _differences(then: Any, now: Any, at: str) -> Iterator[Difference]:
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*then, *now]):
            yield from _differences(then.get(name), now.get(name), f"{at}/{_escaped(name)}")
    elif isinstance(then, list) and isinstance(now, list):
        for index in range(max(len(then), len(now))):
            yield from _differences(_at(then, index), _at(now, index), f"{at}/{index}")
    elif then != now or isinstance(then, bool) != isinstance(now, bool):
        yield Difference(at, then, now)


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else None


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
