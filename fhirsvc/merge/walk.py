"""Four bodies gone through together, element by element, each decided by its owner.

The walk goes down where both sides have something; what only the EHR has and no line writes is
kept without a look inside.
"""

from __future__ import annotations

from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.definitions import Element
from fhirsvc.merge.decide import Four, Judge, Moved, Outcomes, Pair
from fhirsvc.merge.lists import Lists
from fhirsvc.merge.owners import Owner, Place, joined
from fhirsvc.merge.values import ATOMIC, Object, choices, elements, fits

_SERVERS = frozenset({"versionId", "lastUpdated", "source"})


class Walk(Lists):
    """One walk. ``fill``: what the EHR dropped of what we said is sent again."""

    def resource(self, kind: str, owners: Place, v: Four) -> Pair:
        """A whole resource; ``id`` is the EHR's, and its narrative is no change of anything."""
        send: Object = {"resourceType": kind}
        record: Object = {"resourceType": kind}
        name = v.t.get("id") if v.t.get("id") is not None else v.o.get("id")
        if name is not None:
            send["id"] = record["id"] = name
        self.inside(kind, kind, owners, v, send, record, top=True)
        text, said = v.t.get("text"), v.o.get("text")
        if text is not None or said is not None:
            record["text"] = said if said is not None else text
            send["text"] = said if text is None or (self.fill and said is not None) else text
        return send, record

    def inside(
        self,
        kind: str,
        path: str,
        place: Place,
        v: Four,
        send: Object,
        record: Object,
        *,
        top: bool = False,
    ) -> None:
        """The elements of an object, put into what is sent and what the record gets."""
        known, groups = elements(kind), choices(kind)
        done = {"resourceType", "id", "text"} if top else set[str]()
        if kind == "Meta":
            done |= _SERVERS
            send.update((n, v.t[n]) for n in v.t if n in _SERVERS)
        for raw_name in self.names(v):
            name = raw_name[1:] if raw_name[:1] == "_" else raw_name
            if name in done:
                continue
            element = known.get(name)
            if element is None:
                self.unknown(raw_name, v, send, record)
                continue
            if element.choice is not None:
                members = groups[element.choice]
                stated = {n for x in v for n in x if n in members or n[1:] in members}
                stated = {n.lstrip("_") for n in stated}
                done |= stated
                if len(stated) > 1:
                    self.choice(
                        f"{path}.{element.choice}[x]", place, sorted(stated), v, send, record
                    )
                    continue
            done.add(name)
            self.element(element, kind, f"{path}.{name}", place, v, send, record)

    def names(self, v: Four) -> list[str]:
        """Names in the order of the EHR, then those that only this house has."""
        return list(dict.fromkeys((*v.t, *v.o)))

    def unknown(self, name: str, v: Four, send: Object, record: Object) -> None:
        """An element that R4 does not have: the EHR's own."""
        if name in v.t:
            send[name] = record[name] = v.t[name]

    def element(
        self,
        element: Element,
        kind: str,
        path: str,
        place: Place,
        around: Four,
        send: Object,
        record: Object,
    ) -> None:
        """One element of an object, its ``_twin`` included."""
        name = element.name
        v = Four(*[x.get(name) for x in around])
        twins = Four(*[x.get(f"_{name}") for x in around]) if element.primitive else _NONE
        if name == "id":
            self.identity(v, send, record)
            return
        if not (fits(element, v.t) and (twins.t is None or isinstance(twins.t, dict | list))):
            self.broken(path)
            _put(send, name, v.t, twins.t)
            _put(record, name, v.o, twins.o)
            return
        v = Four(*[x if fits(element, x) else None for x in v])
        if self.is_still(v, path) and (twins == _NONE or self.is_still(twins, path)):
            self.leave(name, v, twins, send, record)
            return
        if element.primitive and not element.many:
            below = place.below(name)
            owner = below.owner
            if kind == "CodeableConcept" and name == "text" and self.is_recoded(around):
                owner = place.below("coding").within or owner  # words of another code go with it
            pair = self.primitive(path, below, v, twins, owner)
            _put(send, name, *pair[0])
            _put(record, name, *pair[1])
            return
        if element.primitive:
            one, two = self.primitives(element, path, place.below(name), v, twins)
            _put(send, name, *one)
            _put(record, name, *two)
            return
        mine, back = self.whole(element, kind, path, place, v)
        _put(send, name, mine, None)
        _put(record, name, back, None)

    def whole(self, element: Element, kind: str, path: str, place: Place, v: Four) -> Pair:
        """An element that is no primitive."""
        if kind == "CodeableConcept" and element.name == "coding":
            return self.codings(path, place.below("coding"), v)
        if element.many:
            return self.many(element, path, place, v)
        below = place.below(element.name)
        return self.one(element.type, path, below, v, below.within)

    def one(self, kind: str, path: str, place: Place, v: Four, owner: Owner | None) -> Pair:
        """One value of a type."""
        if kind in ATOMIC:
            return self.atomic(kind, path, place, v, owner)
        return self.part(kind, path, place, v, owner)

    def dry(self) -> Walk:
        """A walk that only tells."""
        return Walk(Judge({}, {}, first=False), self.same)

    def is_still(self, v: Four, path: str) -> bool:
        """Whether it is plain at once that nobody changed an element and nothing is to be said."""
        if v.s != v.o or v.h != v.t or (self.judge.first and v.o != v.t):
            return False
        return (not self.fill or v.o is None or v.o == v.t) and not self.judge.watches(path)

    def leave(self, name: str, v: Four, twins: Four, send: Object, record: Object) -> None:
        """An element that nobody changed."""
        _put(send, name, v.t, twins.t)
        if v.o is not None or twins.o is not None:
            _put(record, name, v.o, twins.o)
        else:
            _put(record, name, v.t, twins.t)

    def identity(self, v: Four, send: Object, record: Object) -> None:
        """``Element.id``: it tells items apart and is no change of anything."""
        theirs = v.t if isinstance(v.t, str) else None
        _put(send, "id", theirs if theirs is not None or not self.fill else v.o, None)
        _put(record, "id", v.o if v.o is not None else theirs, None)

    def broken(self, path: str) -> None:
        """The EHR's JSON is not what R4 has here: it stays there, and the record as it is."""
        self.judge.told.broken.append(path)
        message = "the EHR's value is not of the shape that R4 gives this element; it is left alone"
        self.judge.told.findings.append(Finding("malformed", message, path, "warning"))

    def choice(
        self, path: str, place: Place, names: list[str], v: Four, send: Object, record: Object
    ) -> None:
        """``value[x]`` of which the sides have several types: one decision over all of them."""
        both = {*names, *(f"_{n}" for n in names)}
        sides = Four(*[{n: x[n] for n in x if n in both} or None for x in v])
        places = [place.below(n) for n in names]
        owner = joined(p.within for p in places if p.explicit)
        alike = self.same.alike
        if owner is None and sides.s is None and sides.o is None:
            found: Pair = (sides.t, sides.t)
        else:
            moved = Moved(
                not alike(sides.s, sides.o), not alike(sides.h, sides.t), alike(sides.o, sides.t)
            )
            still = self.filled(sides.t, sides.o), sides.o if sides.o is not None else sides.t
            apart = sides.t, sides.o
            out = Outcomes((sides.o, sides.o), (sides.t, sides.t), still, apart)
            found = self.judge.decide(path, owner, sides, moved, out)
        for into, value in ((send, found[0]), (record, found[1])):
            if isinstance(value, dict):
                into.update((n, x) for n, x in value.items() if x is not None)

    def part(self, kind: str, path: str, place: Place, v: Four, owner: Owner | None) -> Pair:
        """An object with elements of their own: there or not as a whole, else gone through."""
        judge = self.judge
        is_open = judge.asks(path)
        gone = v.o is None and v.s is not None
        if kind == "CodeableConcept" and v.s is None and v.o is None:
            return self.concept(path, v, owner)
        if v.t is None or gone or is_open:
            found = self.presence(kind, path, place, v, owner)
            if found is not None:
                return found
        send: Object = {}
        record: Object = {}
        whole = Four(*[x or {} for x in v])
        self.inside(kind, path, place, whole, send, record)
        return send or None, record or None

    def concept(self, path: str, v: Four, owner: Owner | None) -> Pair:
        """A concept that only the EHR has: whichever of its parts says it."""
        moved = Moved(False, not self.same.alike(v.h, v.t), v.t is None)
        out = Outcomes((None, None), (v.t, v.t), (v.t, v.t), (v.t, None))
        return self.judge.decide(path, owner, v, moved, out)

    def presence(
        self, kind: str, path: str, place: Place, v: Four, owner: Owner | None
    ) -> Pair | None:
        """Whether an object is there; None where both have it, so that its elements decide."""
        if v.o is None and v.t is None:
            return None, None
        if v.o is not None and v.t is not None:
            agree = not self.edited(kind, path, place, v.o, v.t, v.o)
            out = Outcomes((v.o, v.o), (v.t, v.t), (v.t, v.o), (v.t, v.o))
            pair = self.judge.decide(path, owner, v, Moved(True, True, agree), out)
            return None if agree else pair
        if v.t is None:
            we = v.s is None or not self.same.alike(v.s, v.o) or self.judge.watches(path)
            moved = Moved(we, v.h is not None, False)
            still = self.filled(None, v.o), v.o
            out = Outcomes((v.o, v.o), (None, None), still, (None, v.o))
        else:
            they = v.h is None or self.judge.watches(path)
            they = they or self.edited(kind, path, place, v.h, v.t, v.s)
            moved = Moved(True, they, False)
            out = Outcomes((None, None), (v.t, v.t), (v.t, v.t), (v.t, None))
        return self.judge.decide(path, owner, v, moved, out)

    def edited(
        self, kind: str, path: str, place: Place, before: Object, after: Object, mine: Object
    ) -> bool:
        """Whether the EHR changed anything of an object that some line writes."""
        if before == after:
            return False
        dry = self.dry()
        dry.one(kind, path, place, Four(mine, before, mine, after), place.within or "both")
        told = dry.judge.told
        return bool(told.taken or told.kept or told.conflicts)


_NONE = Four(None, None, None, None)


def _put(into: Object, name: str, value: Any, twin: Any) -> None:
    if value is not None:
        into[name] = value
    if twin is not None:
        into[f"_{name}"] = twin
