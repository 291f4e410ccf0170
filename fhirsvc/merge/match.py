"""Which items of four lists are the same thing: by key and likeness, never by place.

Every stage looks keys up in an index, and likeness only counts what few items share, so that a
thousand items cost about a thousand times what one costs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fhirsvc.merge.keys import REFERS, Keys
from fhirsvc.merge.owners import Place

_SMALL = 1024  # pairs that are compared one by one
_RARE = 16  # items that may share a fact that counts
_ALIKE = 0.5  # of the facts of the smaller one


class Item:
    """An item of a list and what it is met by, made when asked for."""

    def __init__(self, value: Any, kind: str, keys: Keys, place: Place) -> None:
        self.value = value
        self._place = place
        self.kind = kind
        self._keys = keys
        name = value.get("id") if isinstance(value, dict) else None
        self.id = name if isinstance(name, str) and "resourceType" not in value else None
        link = value.get("linkId") if isinstance(value, dict) else None
        self.link = link if isinstance(link, str) else None  # of a form: the question, always

    @cached_property
    def keys(self) -> tuple[Hashable | None, ...]:
        """What it is known by, best first."""
        return self._keys.of(self.kind, self.value)

    @cached_property
    def bare(self) -> bytes | None:
        """All that it says."""
        return self._keys.bare(self.value)

    @cached_property
    def facts(self) -> frozenset[int]:
        """What it says, piece by piece."""
        return self._keys.facts(self.value)

    @cached_property
    def sort(self) -> Hashable | None:
        """What kind of thing it is."""
        return self._keys.sort_of(self.kind, self.value, self._place)


Items = Sequence[Item]


@dataclass
class Cluster:
    """One thing as each of the four lists has it, by index."""

    s: int | None = None
    h: int | None = None
    o: int | None = None
    t: int | None = None


class Pairing:
    """Pairs the items of two lists, each once."""

    def __init__(
        self,
        a: Items,
        b: Items,
        own: frozenset[str],
        *,
        both_ours: bool = False,
        strangers: bool = False,
    ) -> None:
        self.a, self.b = a, b
        self.strangers = strangers  # nothing says yet that anything of both lists is the same
        self.own = own  # ids that this house gave
        self.both_ours = both_ours
        self.found: dict[int, int] = {}
        self.left_a = dict.fromkeys(range(len(a)))
        self.left_b = dict.fromkeys(range(len(b)))

    def put(self, i: int, j: int) -> None:
        """Two items are the same thing."""
        self.found[i] = j
        del self.left_a[i], self.left_b[j]

    def may(self, i: int, j: int) -> bool:
        """Whether ids allow it: what this house calls by two ids is two things."""
        if self.a[i].link != self.b[j].link:
            return False
        one, two = self.a[i].id, self.b[j].id
        if self.both_ours:
            return one == two
        if self.strangers and one is not None and two is not None:
            return one == two
        return one == two or not (one in self.own and two in self.own)

    def by(self, key: Callable[[Item], Hashable | None], *, alone: bool) -> None:
        """Pair items with the same key; ``alone``: only where each list has one."""
        if not self.left_a or not self.left_b:
            return
        theirs: dict[Hashable, list[int]] = {}
        for j in self.left_b:
            if (name := key(self.b[j])) is not None:
                theirs.setdefault(name, []).append(j)
        ours: dict[Hashable, list[int]] = {}
        for i in self.left_a:
            if (name := key(self.a[i])) is not None and name in theirs:
                ours.setdefault(name, []).append(i)
        for name, mine in ours.items():
            other = theirs[name]
            if len(mine) == len(other) == 1:
                if self.may(mine[0], other[0]):
                    self.put(mine[0], other[0])
            elif not alone:
                self.best(mine, other, 0.0)
                self.in_turn(mine, other)

    def in_turn(self, mine: list[int], other: list[int]) -> None:
        """What is equal in every way that is asked is paired as it comes."""
        j_left = [j for j in other if j in self.left_b]
        for i in [i for i in mine if i in self.left_a]:
            j = next((j for j in j_left[:_RARE] if self.may(i, j)), None)
            if j is not None:
                self.put(i, j)
                j_left.remove(j)

    def best(
        self, mine: Sequence[int], other: Sequence[int], least: float, *, ties: bool = False
    ) -> None:
        """Pair what is most alike, where nothing else is as much alike; ``ties``: even then."""
        few = len(mine) * len(other) <= _SMALL
        having: dict[int, list[int]] = {}
        for j in other:
            for fact in self.b[j].facts:
                having.setdefault(fact, []).append(j)
        ranked: list[tuple[float, int, int]] = []
        for i in mine:
            shared: dict[int, int] = {}
            for fact in self.a[i].facts:
                those = having.get(fact, ())
                if few or len(those) <= _RARE:
                    for j in those:
                        shared[j] = shared.get(j, 0) + 1
            for j, count in shared.items():
                size = min(len(self.a[i].facts), len(self.b[j].facts))
                if count >= least * size and self.may(i, j):
                    ranked.append((-count, i, j))
        ranked.sort()
        self._unique(ranked, ties=ties)

    def _unique(self, ranked: list[tuple[float, int, int]], *, ties: bool) -> None:
        top_a: dict[int, list[float]] = {}
        top_b: dict[int, list[float]] = {}
        for score, i, j in ranked:
            top_a.setdefault(i, []).append(score)
            top_b.setdefault(j, []).append(score)
        for score, i, j in ranked:
            if i not in self.left_a or j not in self.left_b:
                continue
            if not ties and top_a[i].count(score) > 1 and top_b[j].count(score) > 1:
                continue  # equal to another pair from both ends
            self.put(i, j)

    def run(self, *, loose: bool, kinds: bool) -> dict[int, int]:
        """All stages. ``loose``: likeness counts; ``kinds``: there is one item of each sort."""
        if [x.value for x in self.a] == [x.value for x in self.b]:
            return {i: i for i in range(len(self.a))}
        self.by(lambda x: x.id if x.id in self.own or self.both_ours else None, alone=True)
        if self.both_ours:
            self.by(lambda x: (x.id, x.bare), alone=False)
        else:
            self.by(lambda x: x.bare, alone=False)
            self.by(lambda x: x.id, alone=True)
        for stage in range(3):
            self.by(lambda x, n=stage: _nth(x.keys, n), alone=stage > 0)  # type: ignore[misc]
        if kinds:
            # Between strangers an id of one may be what tells it from the other.
            self.by(lambda x: (x.id if self.strangers else None, x.sort), alone=True)
        named = self.strangers and any(x.kind in REFERS for x in self.a)
        if loose and not named:  # nor is one code or reference another that resembles it
            self.best(list(self.left_a), list(self.left_b), _ALIKE)
        return self.found


def _nth(keys: tuple[Hashable | None, ...], n: int) -> Hashable | None:
    return keys[n] if n < len(keys) else None


def clusters(s: Items, h: Items, o: Items, t: Items, *, closed: bool, first: bool) -> list[Cluster]:
    """The things that four lists are of: theirs in the EHR's order, then the others in ours.

    :param closed: there is one item of each sort (no line fills the list from a list).
    :param first: nothing was said yet: what both have is met as well as it can be.
    """
    own = frozenset(x.id for x in (*s, *o) if x.id is not None)
    s_o = Pairing(s, o, own, both_ours=True).run(loose=False, kinds=closed)
    h_t = Pairing(h, t, own).run(loose=True, kinds=closed)
    s_h = Pairing(s, h, own).run(loose=True, kinds=closed)
    found = [Cluster(s=i, o=s_o.get(i), h=s_h.get(i)) for i in range(len(s))]
    met = set(s_h.values())
    found += [Cluster(h=j) for j in range(len(h)) if j not in met]
    for one in found:
        one.t = None if one.h is None else h_t.get(one.h)
    seen_o, seen_t = set(s_o.values()), set(h_t.values())
    found += [Cluster(o=i) for i in range(len(o)) if i not in seen_o]
    found += [Cluster(t=j) for j in range(len(t)) if j not in seen_t]
    found = _meet(found, s, h, o, t, own, loose=first, kinds=first and closed)
    end = len(t) + len(o)
    return sorted(
        found,
        key=lambda c: c.t if c.t is not None else len(t) + (c.o if c.o is not None else end),
    )


def _meet(
    found: list[Cluster],
    s: Items,
    h: Items,
    o: Items,
    t: Items,
    own: frozenset[str],
    *,
    loose: bool,
    kinds: bool,
) -> list[Cluster]:
    """What only this house has and what only the EHR has, where it is one thing after all."""
    ours = [c for c in found if c.h is None and c.t is None and c.o is not None]
    theirs = [c for c in found if c.s is None and c.o is None and c.t is not None]
    if not ours or not theirs:
        return found
    a = [o[c.o] for c in ours if c.o is not None]
    b = [t[c.t] for c in theirs if c.t is not None]
    gone = set()
    pairs = Pairing(a, b, own, strangers=True).run(loose=loose, kinds=kinds)
    for i, j in pairs.items():
        if ours[i].s is not None and theirs[j].h is not None:
            continue  # both were there before, and were not one thing then
        # New here and the EHR's own before: nothing of it was agreed yet, all of it is new to us.
        ours[i].h = None if ours[i].s is None else theirs[j].h
        ours[i].t = theirs[j].t
        gone.add(id(theirs[j]))
    return [c for c in found if id(c) not in gone]
