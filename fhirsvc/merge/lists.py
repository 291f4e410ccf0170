"""Lists: their items met by key, each decided alone, in the EHR's order with ours behind."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from fhirsvc.fhir.definitions import Element
from fhirsvc.merge.decide import Four, Moved, Outcomes, Pair
from fhirsvc.merge.keys import told
from fhirsvc.merge.match import Cluster, Item, Pairing, clusters
from fhirsvc.merge.owners import Owner, Place
from fhirsvc.merge.result import Step
from fhirsvc.merge.units import Units

Listed = tuple[float, int, Any]  # place in the EHR's list, else in ours; and the item


@dataclass(frozen=True)
class Own:
    """What of a list decides about items that only the EHR has."""

    place: Place
    claimed: bool  # lines tell such items from others
    stays: set[Hashable]  # where there is one item of each sort: those that the record has
    goes: set[Hashable]  # and those that it has no longer


class Lists(Units):
    """Decides lists."""

    @abstractmethod
    def one(self, kind: str, path: str, place: Place, v: Four, owner: Owner | None) -> Pair:
        """One value of a type; ``Walk`` has it."""

    def many(self, element: Element, path: str, place: Place, v: Four) -> Pair:
        """A list of objects. Items that lines tell apart are lists of their own."""
        send: list[Listed] = []
        record: list[Listed] = []
        for name, below, kind, parts in self._sorted(element, place, v):
            if kind is None or (below.owner is None and below.within is None and not _any(parts)):
                self._foreign(parts, send, record)
                continue
            known = name is not None and below.explicit
            self._group(element, path, below, parts, send, record, claimed=known)
        return _listed(send), _listed(record)

    def _sorted(
        self, element: Element, place: Place, v: Four
    ) -> Iterator[tuple[str | None, Place, str | None, Four]]:
        """The items by the lines that may have written them, each with its index.

        The kind is None for what is no item at all, and for those of which no line knows.
        """
        groups: dict[str | None, Four] = {}
        odd = Four([], [], [], [])
        apart = element.type == "Extension"
        for side, items in enumerate(v):
            for i, item in enumerate(items or ()):
                if not isinstance(item, dict):
                    odd[side].append((i, item))
                    continue
                name = told(element, item)
                if name is not None and not apart and not place.tells(element.name, name):
                    name = None
                groups.setdefault(name, Four([], [], [], []))[side].append((i, item))
        if odd.t:
            yield None, place, None, odd
        for name, parts in groups.items():
            below = place.below(element.name, name)
            known = below.explicit if apart else True
            yield name, below, element.type if known or _any(parts) else None, parts

    def _foreign(self, parts: Four, send: list[Listed], record: list[Listed]) -> None:
        """Items of which no line knows: the EHR's own."""
        send += [(i, 0, x) for i, x in parts.t]
        record += [(i, 1, x) for i, x in parts.t]

    def _group(
        self,
        element: Element,
        path: str,
        place: Place,
        parts: Four,
        send: list[Listed],
        record: list[Listed],
        *,
        claimed: bool,
    ) -> None:
        kind, closed = element.type, place.items is None
        items = Four(*[[Item(x, kind, self.keys, place) for _, x in side] for side in parts])
        items.s.extend(self._open(kind, path, items, place))
        found = clusters(*items, closed=closed, first=self.judge.first)
        names = self._names(kind, path, items, found, place)
        self._force(items, found, names)
        mine = [one for one in found if not self._is_own(one, names)]
        others = Counter(items.h[c.h].sort for c in found if _theirs(c) and c.h is not None)
        stays: set[Hashable] = set()
        goes: set[Hashable] = set()
        for one in mine:
            v, name = _values(one, items), names[id(one)]
            sent, back = self._item(kind, name, place, v)
            if one.o is not None:
                sort = items.o[one.o].sort
                (goes if back is None else stays).add(sort)
                dropped = v.h is None and v.t is None and v.s == v.o
                if dropped and others[sort] and not self.judge.watches(name):
                    others[sort] -= 1
                    sent = None  # the EHR may have stored it as something else: nothing twice
            _put(send, record, sent, back, one, parts)
        if goes and kind == "CodeableConcept":  # a line may write codes of several systems
            goes |= {items.t[one.t].sort for one in found if _theirs(one) and one.t is not None}
        own = Own(place, claimed, stays if closed else set(), goes - stays if closed else set())
        for one in found:
            if one.t is not None and self._is_own(one, names):
                sort = items.t[one.t].sort
                sent, back = self._own(names[id(one)], _values(one, items), own, sort)
                _put(send, record, sent, back, one, parts)

    def _is_own(self, one: Cluster, names: dict[int, str]) -> bool:
        return _theirs(one) and not self.judge.watches(names[id(one)])

    def _open(self, kind: str, path: str, items: Four, place: Place) -> list[Item]:
        """Items of open conflicts that are gone here, as both once agreed on them."""
        if not self.judge.disputed:
            return []
        known = {self.keys.name(kind, x.value, place) for x in (*items.s, *items.o)}
        found = []
        for at, base in self.judge.disputed.items():
            if at.startswith(f"{path}[") and isinstance(base, dict):
                name = self.keys.name(kind, base, place)
                if at == f"{path}[{name}]" and name not in known:
                    found.append(Item(base, kind, self.keys, place))
        return found

    def _item(self, kind: str, path: str, place: Place, v: Four) -> Pair:
        """One item: who owns it depends on whether it comes, goes or changes."""
        both = v.o is not None and v.t is not None
        owner = place.within if both or place.items is None else place.items
        return self.one(kind, path, place, v, owner)

    def _own(self, path: str, v: Four, own: Own, sort: Hashable) -> Pair:
        """An item that only the EHR has.

        In a list that a line fills from a list it is an item for the record. In any other list it
        is the EHR's own, unless lines tell such items apart; the record reads it where the element
        is not ours alone, and the record says none of that sort, or does no longer.
        """
        told, first, listed = self.judge.told, self.judge.first, own.place.items
        owner = own.place.within if listed is None else listed
        came = v.h is None
        known = listed is not None or own.claimed  # a line would read it
        ours = owner == "us" and not (first and known)
        if came and ours and known:
            told.kept.append(Step(path, v.t, None))
            return None, None
        if ours or sort in own.stays:
            return v.t, None
        if came or sort in own.goes or not self.same.alike(v.h, v.t):
            told.taken.append(Step(path, None, v.t))
            return v.t, v.t
        return v.t, None if listed is None else v.t

    def _names(
        self, kind: str, path: str, items: Four, found: list[Cluster], place: Place
    ) -> dict[int, str]:
        """What each thing is called, ours first, so that names are the same in every round."""
        end = len(items.o) + len(items.s)

        def order(one: Cluster) -> tuple[int, int]:
            mine = one.o if one.o is not None else one.s
            theirs = one.t if one.t is not None else one.h
            return end if mine is None else mine, theirs or 0

        counts: dict[str, int] = {}
        names = {}
        for one in sorted(found, key=order):
            sides = ((one.o, items.o), (one.s, items.s), (one.h, items.h), (one.t, items.t))
            item = next(side[i].value for i, side in sides if i is not None)
            name = self.keys.name(kind, item, place)
            counts[name] = counts.get(name, 0) + 1
            more = f"#{counts[name]}" if counts[name] > 1 else ""
            names[id(one)] = f"{path}[{name}{more}]"
        return names

    def _force(self, items: Four, found: list[Cluster], names: dict[int, str]) -> None:
        """Items of open conflicts meet what is most like them: neither may come or go."""
        judge = self.judge
        if not judge.watched:
            return
        alone = [
            c for c in found
            if c.h is None and c.t is None and c.o is not None and judge.watches(names[id(c)])
        ]  # fmt: skip
        theirs = [c for c in found if _theirs(c) and c.t is not None]
        if not alone or not theirs:
            return
        pairing = Pairing(
            [items.o[c.o] for c in alone], [items.t[c.t] for c in theirs], frozenset()
        )
        pairing.best(range(len(alone)), range(len(theirs)), 0.0, ties=True)
        for i, j in pairing.found.items():
            alone[i].h, alone[i].t = theirs[j].h, theirs[j].t
            found.remove(theirs[j])

    # ---- lists of primitives ------------------------------------------------------------

    def primitives(self, element: Element, path: str, place: Place, v: Four, twins: Four) -> Pair:
        """A list of primitives, each met by its value; each side is the values and the twins."""
        if v.s is None and v.o is None and not place.explicit:
            return (v.t, twins.t), (v.t, twins.t)
        beside = twins.t if isinstance(twins.t, list) else []
        items = Four(*[[Item(x, element.type, self.keys, place) for x in side or ()] for side in v])
        owner = place.owner if place.items is None else place.items
        send: list[Listed] = []
        record: list[Listed] = []
        for one in clusters(*items, closed=False, first=self.judge.first):
            four = _values(one, items)
            if four == (None,) * 4:  # a place that has only extensions
                if one.t is not None:
                    _add(send, (None, _at(beside, one.t)), one.t, None)
                continue
            name = f"{path}[{self.keys.name(element.type, _first(four), place)}]"
            moved = Moved(four.s != four.o, four.h != four.t, four.o == four.t)
            still = self.filled(four.t, four.o), four.o if four.o is not None else four.t
            out = Outcomes((four.o,) * 2, (four.t,) * 2, still, (four.t, four.o))
            mine, back = self.judge.decide(name, owner, four, moved, out)
            if mine is not None:
                twin = _at(beside, one.t) if one.t is not None else None
                _add(send, (mine, twin), one.t, one.o)
            if back is not None:
                _add(record, (back, None), one.o, one.t)
        return _twins(send), _twins(record)


def _any(parts: Four) -> bool:
    return bool(parts.s or parts.o)


def _theirs(one: Cluster) -> bool:
    return one.s is None and one.o is None


def _values(one: Cluster, items: Four) -> Four:
    places = (one.s, one.h, one.o, one.t)
    return Four(
        *[None if i is None else side[i].value for i, side in zip(places, items, strict=True)]
    )


def _first(four: Four) -> Any:
    return next(x for x in (four.o, four.s, four.t, four.h) if x is not None)


def _at(items: list[Any], i: int) -> Any:
    return items[i] if i < len(items) else None


def _put(
    send: list[Listed], record: list[Listed], sent: Any, back: Any, one: Cluster, parts: Four
) -> None:
    """An item where each side has it."""
    theirs = None if one.t is None else parts.t[one.t][0]
    ours = None if one.o is None else parts.o[one.o][0]
    _add(send, sent, theirs, ours)
    _add(record, back, ours, theirs)


def _add(into: list[Listed], value: Any, first: int | None, then: int | None) -> None:
    """Put an item where one side has it, else behind, in the order of the other side."""
    if value is None:
        return
    into.append((first, 0, value) if first is not None else (float("inf"), then or 0, value))


def _listed(found: list[Listed]) -> list[Any] | None:
    found.sort(key=lambda one: one[:2])
    return [value for _, _, value in found] or None


def _twins(found: list[Listed]) -> tuple[Any, Any]:
    pairs = _listed(found) or []
    values, twins = [value for value, _ in pairs], [twin for _, twin in pairs]
    return values or None, twins if any(twin is not None for twin in twins) else None
