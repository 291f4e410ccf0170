"""Kill -9, again and again, while records are changed: one scenario for every kind of database.

It knows the installation by four things that can be killed (:class:`Installation`), and what became
of the records from outside: from the answers its clients got, ``/api/v1`` and the EHRs.
"""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import requests
import sqlalchemy as sa
from kill import wired_is_done
from remembering_ehr import RememberingFhir, edition_of
from retrying_client import RetryingClient, names, resource_name
from started_house import House, answers

from fhirsvc.store.tables import delivery
from fhirsvc.wiring import Wiring

# What was on its way when something was killed came from before: not what comes after.
GRACE_S = 0.05
LONGEST_S = 90.0  # how long anything may take to come back: no measure, a bound
LIMITS_S = {"takeover": 15.0}  # of a recovery, printed beside it; 3 s on one host


@dataclass(frozen=True)
class Installation:
    """What is killed: ``kinds`` by name, each told to kill; ``wipe`` empties the engine's tables.

    ``kill_all`` kills everything, ``heal`` brings back what is not a process of the house.
    """

    house: House
    wired: Wiring
    urls: Sequence[str]
    kinds: Mapping[str, Callable[[random.Random], None]]
    heal: Callable[[], None]
    wipe: Callable[[], None]
    workers: Sequence[str] = ()  # slots of workers where several share the work


@dataclass
class Found:
    """What became of it all. Each list names records or resources, and is empty when all is well.

    ``lost``: answered 2xx and not in the store, or not at an EHR in its newest version.
    ``doubled``: there more than once. ``repeated``: written though it was there already.
    ``backwards``: an older version was written over a newer one. ``unfinished``: deliveries left.
    ``recovered``: seconds from a kill to the next delivery, by kind; ``taken``: to the next record
    that is taken.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    backwards: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    recovered: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    taken: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    said: list[str] = field(default_factory=list)


class Scenario:
    """Clients that change records, EHRs that are never killed, and an installation that is."""

    def __init__(
        self, installation: Installation, ehrs: Sequence[RememberingFhir], seed: int
    ) -> None:
        self.at = installation
        self.ehrs = list(ehrs)
        self.dice = random.Random(seed)
        self.clients = [
            RetryingClient(self.at.urls[n:] + self.at.urls[:n], names(5, 3, f"k{n}"), seed + n)
            for n in range(2)
        ]
        self.found = Found()

    def run(self, kills: int, longest_s: float) -> Found:
        """Kill ``kills`` times, or as often as ``longest_s`` seconds allow, and compare."""
        house, began = self.at.house, time.monotonic()
        for url in self.at.urls:
            house.wait(lambda url=url: answers(url), "a server does not answer", LONGEST_S)
        for one in self.clients:
            one.start()
        self._wait(lambda: len(self._writes()) > 20, "nothing is delivered")
        cycle = list(self.at.kinds)
        for number in range(kills):
            if time.monotonic() - began > longest_s:
                break
            self._kill(cycle[number % len(cycle)], is_hasty=self.dice.random() < 0.2)
            if number == 1:
                self._wipe()
            if self.at.workers and number % 20 == 2:
                self._take_over()
            if self.at.workers and number == 3:
                self._freeze()
        self._settle()
        self._compare()
        self.found.said.append(f"{time.monotonic() - began:.0f} s in all")
        return self.found

    # ---- what is done to it ---------------------------------------------------------------------

    def _kill(self, kind: str, *, is_hasty: bool) -> None:
        self.at.house.rest(self.dice.uniform(0.0, 1.0))
        self.at.kinds[kind](self.dice)
        at = time.time()
        self.found.kills[kind] += 1
        self.at.heal()
        if is_hasty:  # the next one comes while this one is being recovered from
            return
        self._recover(kind, at)

    def _recover(self, kind: str, at: float) -> None:
        since = at + GRACE_S
        said = f"no delivery after {kind} was killed"
        self._wait(lambda: self._delivered(since) is not None, said)
        said = f"no record is taken after {kind} was killed"
        self._wait(lambda: self._taken(since) is not None, said)
        self.found.recovered[kind].append((self._delivered(since) or at) - at)
        self.found.taken[kind].append((self._taken(since) or at) - at)

    def _wait(self, holds: Callable[[], bool], otherwise: str) -> None:
        self.at.house.wait(lambda: holds() or bool(self._wrong()), otherwise, LONGEST_S)
        assert not self._wrong(), self._wrong()

    def _wrong(self) -> list[str]:
        return [said for one in self.clients for said in one.wrong]

    def _delivered(self, since: float) -> float | None:
        found = [one for ehr in self.ehrs if (one := ehr.first_made(since)) is not None]
        return min(found, default=None)

    def _taken(self, since: float) -> float | None:
        return min(
            (at for one in self.clients for at in one.at[-200:] if at >= since), default=None
        )

    def _wipe(self) -> None:
        """The engine's tables go while everything is down."""
        self.at.house.kill_everything()
        at = time.time()
        self.at.wipe()
        self.found.kills["engine wiped"] += 1
        self._recover("engine wiped", at)

    def _take_over(self) -> None:
        """A worker is killed with deliveries in hand and stays down until another one has them."""
        name = self.dice.choice(list(self.at.workers))
        slot, house = self.at.house.slots[name], self.at.house
        house.wait(lambda: bool(self._in_hand(slot.pid)), "a worker has nothing to do", LONGEST_S)
        pid, slot.wanted = slot.pid, False
        house.kill(name)
        at = time.time()
        self.found.kills["takeover"] += 1
        if self._in_hand(pid):
            house.wait(lambda: not self._in_hand(pid), "nobody takes over", LONGEST_S)
            self.found.recovered["takeover"].append(time.time() - at)
        slot.wanted = True

    def _freeze(self) -> None:
        """A worker stands still for longer than others wait for it, and then goes on."""
        slot, house = self.at.house.slots[self.at.workers[0]], self.at.house
        house.wait(lambda: bool(self._in_hand(slot.pid)), "a worker has nothing to do", LONGEST_S)
        pid = slot.pid
        os.kill(pid, signal.SIGSTOP)
        frozen = self._in_hand(pid)
        house.rest(self.at.wired.settings.dead_after_s + 3.0)
        house.wait(lambda: not self._in_hand(pid), "nobody takes over", LONGEST_S)
        os.kill(pid, signal.SIGCONT)
        self.found.said.append(
            f"frozen and revived: {len(frozen)} in hand, which another had when it went on"
        )
        house.rest(3.0)

    # ---- how it ends ----------------------------------------------------------------------------

    def _settle(self) -> None:
        for one in self.clients:
            one.stop.set()
        self.at.house.wait(
            lambda: not any(one.is_alive() for one in self.clients), "a client hangs", LONGEST_S * 2
        )
        self.at.house.wait(lambda: wired_is_done(self.at.wired), "it is never done", LONGEST_S * 2)
        time.sleep(0.5)  # the search index of the EHRs lags

    def _compare(self) -> None:
        found = self.found
        found.wrong = self._wrong()
        held = [ehr.held() for ehr in self.ehrs]
        records = 0
        for client in self.clients:
            for key, taken in client.taken.items():
                records += len(taken.every)
                found.lost += self._lost_here(key, taken.every)
                name = resource_name(key)
                for one in held:
                    if max(one.get(name, [0])) != taken.edition:
                        found.lost.append(f"{name}: {one.get(name)} for {taken.edition}")
        for ehr, one in zip(self.ehrs, held, strict=True):
            found.doubled += [name for name, editions in one.items() if len(editions) > 1]
            found.backwards += ehr.backwards()
            found.repeated += ehr.repeated()
        with self.at.wired.database.read() as tx:
            left = sa.select(delivery.c.record_id, delivery.c.state, delivery.c.reason).where(
                delivery.c.state.not_in(("delivered", "superseded"))
            )
            found.unfinished = [f"{one[0]} {one[1]}: {one[2]}" for one in tx.execute(left)]
        found.tracebacks = self.at.house.tracebacks()
        twice = sum(ehr.made_twice() for ehr in self.ehrs)
        made = sum(one.is_made for one in self._writes())
        found.said.append(
            f"{records} versions taken, {made} writes made of {len(self._writes())} asked for, "
            f"{twice} made twice and taken away again"
        )
        said = sum((one.answers for one in self.clients), start=type(self.clients[0].answers)())
        found.said.append("answers: " + ", ".join(f"{n} of {c}" for c, n in sorted(said.items())))

    def _lost_here(self, key: tuple[str, str], every: Mapping[int, int]) -> list[str]:
        """Versions that were answered 2xx and are not what the store has of a record."""
        url = f"{self.at.urls[0]}/api/v1/records/{key[0]}/{key[1]}/history"
        listed = requests.get(url, timeout=30).json()
        there = {one["version"]: edition_of(repr(one["record"]).encode()) for one in listed}
        wrong = [version for version, edition in every.items() if there.get(version) != edition]
        if max(there) != max(every):
            wrong.append(max(there))
        return [f"{'/'.join(key)} version {one}" for one in wrong]

    def _writes(self) -> list:  # type: ignore[type-arg]
        return [one for ehr in self.ehrs for one in ehr.writes]

    def _in_hand(self, pid: int) -> list[int]:
        """The deliveries that a process has in hand, as the database says."""
        mine = delivery.c.owner.contains(f":{pid}:")
        with self.at.wired.database.read() as tx:
            rows = tx.execute(sa.select(delivery.c.id).where(delivery.c.state == "sending", mine))
            return list(rows.scalars())


def told(found: Found, title: str) -> list[str]:
    """The lines that say what was measured, with the limit beside it."""
    lines = [f"{title}: {sum(found.kills.values())} kills"]
    lines += [f"  {one}" for one in found.said]
    for kind, count in found.kills.items():
        limit = LIMITS_S.get(kind, 3.0)
        parts = [f"  {kind}: {count} kills"]
        for name, seconds in (("delivery", found.recovered), ("record taken", found.taken)):
            if seconds.get(kind):
                parts.append(f"next {name} p50 {_p(seconds[kind], 50)} p95 {_p(seconds[kind], 95)}")
        lines.append("; ".join(parts) + f" (limit {limit:.0f} s)")
    every = [one for kind, many in found.recovered.items() if kind != "takeover" for one in many]
    if every:
        lines.append(f"  all on one host: p50 {_p(every, 50)} p95 {_p(every, 95)} (limit 3 s)")
    return lines


def _p(seconds: Sequence[float], share: int) -> str:
    if len(seconds) == 1:
        return f"{seconds[0]:.2f} s"
    return f"{statistics.quantiles(seconds, n=100, method='inclusive')[share - 1]:.2f} s"
