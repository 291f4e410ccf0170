"""Elements that are decided as one thing: primitives with their twins, atomic types, codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from fhirsvc.fhir.definitions import Element
from fhirsvc.merge.decide import Four, Judge, Moved, Outcomes, Pair
from fhirsvc.merge.keys import Keys
from fhirsvc.merge.owners import Owner, Place
from fhirsvc.merge.values import (
    COMPANIONS,
    WHOLE,
    Object,
    Sameness,
    coding_key,
    elements,
    twin_kept,
)

_APART = frozenset({"id", "extension"})  # what an atomic value has and is not decided with it


class Units(ABC):
    """Decides single values.

    :param fill: what the EHR dropped of what we said is sent again.
    """

    def __init__(self, judge: Judge, same: Sameness, *, fill: bool = False) -> None:
        self.judge = judge
        self.same = same
        self.keys = Keys(same)
        self.fill = fill

    @abstractmethod
    def many(self, element: Element, path: str, place: Place, v: Four) -> Pair:
        """A list; ``Lists`` has it."""

    @abstractmethod
    def dry(self) -> Units:
        """A walk that only tells; ``Walk`` has it."""

    def filled(self, theirs: Any, ours: Any) -> Any:
        """What the EHR has, or what it dropped where that is sent again."""
        return ours if theirs is None and self.fill else theirs

    # ---- primitives ---------------------------------------------------------------------

    def primitive(self, path: str, place: Place, v: Four, twins: Four, owner: Owner | None) -> Pair:
        """A primitive; each side of the answer is its value and its ``_twin``."""
        ours, theirs = (v.o, twins.o), (v.t, twins.t)
        said = v.s is not None or twins.s is not None
        mine = said or ours != (None, None)
        if not mine and not place.explicit:
            return theirs, theirs
        alike = self.same.alike
        beside = twins.s is not None or twins.o is not None
        moved = Moved(
            not alike(v.s, v.o) or twins.s != twins.o,
            not alike(v.h, v.t) or (beside and twins.h != twins.t),
            alike(v.o, v.t) and (not beside or twins.o == twins.t),
        )
        kept = twins.o
        if kept is None and v.o is not None:
            kept = twins.t if alike(v.o, v.t) else twin_kept(twins.t)
        still = self.filled(None, ours) if theirs == (None, None) else theirs
        out = Outcomes(
            ours=((v.o, kept), ours),
            theirs=(theirs, theirs),
            still=(still or (None, None), ours if ours != (None, None) else theirs),
            apart=(theirs, ours),
        )
        found = self.judge.decide(path, owner, v, moved, out)
        return _twinned(found[0]), _twinned(found[1])

    # ---- types that are one thing -------------------------------------------------------

    def atomic(self, kind: str, path: str, place: Place, v: Four, owner: Owner | None) -> Pair:
        """A value of an atomic type. What the EHR adds to it stays; another value leaves behind
        what was said of the one before.
        """
        if v.s is None and v.o is None and not place.explicit:
            return v.t, v.t
        if v.o is None and v.t is None:
            return None, None
        names = self._core(place, v)
        core = Four(*[_only(x, names) for x in v])
        same = self.same.same
        lost = set[str]() if self.judge.asks(path) else self._lost(v)
        moved = Moved(
            not same(kind, core.s, core.o),
            not same(kind, core.h, core.t),
            same(kind, _only(core.o, names - lost), _only(core.t, names - lost)),
        )
        if v.o is None or v.t is None:
            return self._there(kind, path, place, v, moved, owner)
        extension = self._extension(kind, path, place, v)
        stale = COMPANIONS.get(kind, frozenset()) if kind not in WHOLE else frozenset(v.t)
        stale = frozenset() if moved.agree else stale
        extras = {n: x for n, x in v.t.items() if n not in names | _APART | stale}
        added = {n: x for n, x in v.o.items() if self.fill and n not in v.t and n in lost}
        here = {n: x for n, x in v.o.items() if n not in _APART}
        there = {n: x for n, x in v.t.items() if n not in _APART}
        sent, back = _beside(v, extension, self.fill)
        out = Outcomes(
            ours=({**sent, **extras, **here}, {**back, **extras, **here}),
            theirs=({**sent, **there}, {**back, **there}),
            still=({**sent, **there, **added}, {**back, **extras, **here}),
            apart=({**sent, **there}, {**back, **here}),
        )
        return self.judge.decide(path, owner, v, moved, out)

    def _lost(self, v: Four) -> set[str]:
        """Elements that we say as before, and that the EHR never kept."""
        if v.s is None or v.h is None or v.o is None:
            return set()
        alike = self.same.alike
        return {n for n, x in v.s.items() if n not in v.h and alike(x, v.o.get(n))}

    def _core(self, place: Place, v: Four) -> frozenset[str]:
        """The elements of a value that this house says, or that a line would read."""
        mine = {*(v.s or ()), *(v.o or ())}
        every = mine | {*(v.h or ()), *(v.t or ())}
        if mine:
            every = {n for n in every if n in mine or place.below(n).explicit}
        return frozenset(every - _APART)

    def _there(
        self, kind: str, path: str, place: Place, v: Four, moved: Moved, owner: Owner | None
    ) -> Pair:
        """A value that one side does not have."""
        we, they = moved.we, moved.they
        if v.o is not None and v.s is not None:
            we = we or not self.same.alike(v.s.get("extension"), v.o.get("extension"))
        if v.o is None and v.s is not None and v.h is not None and not they:
            dry = self.dry()
            dry._extension(kind, path, place, Four(v.s, v.h, v.s, v.t))
            they = bool(dry.judge.told.taken or dry.judge.told.kept)
        still = self.filled(v.t, v.o), v.o if v.o is not None else v.t
        out = Outcomes((v.o, v.o), (v.t, v.t), still, (v.t, v.o))
        return self.judge.decide(path, owner, v, Moved(we, they, agree=False), out)

    def _extension(self, kind: str, path: str, place: Place, v: Four) -> Pair:
        """The extensions of an atomic value, which are decided one by one."""
        lists = Four(*[x.get("extension") if x else None for x in v])
        element = elements(kind).get("extension")
        if element is None or not any(isinstance(x, list) for x in lists):
            return lists.t, lists.o if lists.o is not None else lists.t
        if not (lists.t is None or isinstance(lists.t, list)):
            return lists.t, lists.o
        lists = Four(*[x if isinstance(x, list) else None for x in lists])
        return self.many(element, f"{path}.extension", place, lists)

    # ---- the codes of a concept ---------------------------------------------------------

    def is_recoded(self, concept: Four) -> bool:
        """Whether a side gave a CodeableConcept another code than both sides had."""
        lists = [x.get("coding") for x in concept]
        s, h, o, t = [_coded(x if isinstance(x, list) else None) for x in lists]
        return s.keys() != o.keys() or bool((s.keys() & h.keys()) - t.keys())

    def codings(self, path: str, place: Place, v: Four) -> Pair:
        """``CodeableConcept.coding``: which codes say it. A translation beside is no change."""
        if v.s is None and v.o is None and not place.explicit:
            return v.t, v.t
        s, h, o, t = [_coded(x) for x in v]
        kept = v.h is None or self.judge.asks(path)
        lost = set[Any]() if kept else s.keys() - h.keys()
        gone = s.keys() - o.keys()
        mine = s.keys() & h.keys()
        wanted = o.keys() - lost
        agree = (bool(wanted) and wanted <= t.keys()) or not (o or t)
        agree = agree and not (gone & t.keys())
        they = bool(mine - t.keys()) if mine else h.keys() != t.keys()
        moved = Moved(s.keys() != o.keys(), they, agree)
        ours: Any = v.o
        # Still one concept: its translations stay. Once disputed, they may be of the other one.
        if s.keys() & o.keys() and not self.judge.asks(path):
            stays = [c for k, c in t.items() if k in h and k not in gone]
            ours = [*stays, *(c for k, c in o.items() if k not in t or k not in h)] or None
        back = v.o if v.o is not None else v.t
        shown = {c.get("display") for c in t.values() if "code" not in c}  # its code was dropped
        lacks = {k: c for k, c in o.items() if k not in t}
        dropped = [c for k, c in lacks.items() if k in lost]
        again = [c for c in dropped if self.fill and c.get("display") not in shown - {None}]
        still = [*(v.t or ()), *again] or None
        if v.t is None and not moved.we:
            still = self.filled(None, v.o)
        out = Outcomes((ours, v.o), (v.t, v.t), (still, back), (v.t, v.o))
        owner = place.within
        if self.judge.first and owner != "ehr" and _goes_with(o, t):
            owner = "us"  # the same concept: our codes for it go along
            together = [*(v.t or ()), *lacks.values()]
            out = Outcomes((together, v.o), (v.t, v.t), (still, back), (v.t, v.o))
        return self.judge.decide(path, owner, v, moved, out)


def _only(value: Object | None, names: frozenset[str] | set[str]) -> Object | None:
    return None if value is None else {n: x for n, x in value.items() if n in names}


def _beside(v: Four, extension: Pair, fill: bool) -> tuple[Object, Object]:
    """Id and extensions, for the EHR and for the record."""
    sent: Object = {}
    back: Object = {}
    theirs, ours = v.t.get("id"), v.o.get("id")
    name = theirs if theirs is not None or not fill else ours
    if name is not None:
        sent["id"] = name
    if ours is not None or theirs is not None:
        back["id"] = ours if ours is not None else theirs
    for into, value in ((sent, extension[0]), (back, extension[1])):
        if value is not None:
            into["extension"] = value
    return sent, back


def _coded(codings: list[Any] | None) -> dict[Any, Any]:
    """Codings by system and code; what is none is left out."""
    return {key: c for c in codings or () if (key := coding_key(c)) is not None}


def _goes_with(ours: dict[Any, Any], theirs: dict[Any, Any]) -> bool:
    """Whether two sets of codes say one thing: they share one, and no system says two."""
    mine, other = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
    shared = bool(ours.keys() & theirs.keys())
    return shared and not {key[0] for key in mine} & {key[0] for key in other}


def _twinned(value: Any) -> tuple[Any, Any]:
    return value if isinstance(value, tuple) else (value, None)
