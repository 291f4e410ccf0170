"""Which elements of a record's resources are sensitive, and with what label.

A label comes from one of six places, and all that is derived from there inherits it:

| from | labels |
|---|---|
| the record's own ``sensitivity`` | every resource of the record |
| a field that its schema labels (``substance_use``) | what is made of the field |
| the same, a truth that holds (``mat: true``) | all that stands beside it |
| a house word whose row of a code table is labelled | all that stands beside it |
| a code that ``codes/sensitive.csv`` lists | all that stands beside it |
| a reference to an organization whose name reveals something | all that stands beside it |
| a line, group or file with ``sensitivity`` | what it makes |

"Beside" is the part or list item the field stands in: one activity of a care plan, a whole goal.
A resource made of a list item is labelled whole with it. Words that people write freely are not
read: a record that says in a note what its codes do not say carries its own ``sensitivity``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from fhirsvc.mapping.explained import Traced
from fhirsvc.mapping.forward import Mappings
from fhirsvc.mapping.plan import Plan
from fhirsvc.mapping.watched import Watched, narrated, watched

Labels = frozenset[str]
Marks = Mapping[str, Labels]
NOTHING: Marks = {}
_NONE: Labels = frozenset()
_INDEX = re.compile(r"\[\d+\]")
_REMEMBERED = 20_000  # paths recur from record to record


@dataclass(frozen=True)
class Marked:
    """A resource and what its elements say: FHIR path → labels, FHIR path → kinds.

    The path of all of it is its type (``Goal``); a path stands for all below it.
    """

    resource: dict[str, Any]
    labels: Marks = field(default_factory=dict)
    kinds: Marks = field(default_factory=dict)


@dataclass
class Revealed:
    """What a record reveals: JSON paths with the labels of all below them."""

    scopes: dict[str, set[str]] = field(default_factory=dict)  # whatever stands there
    fields: dict[str, set[str]] = field(default_factory=dict)  # just this field

    def __bool__(self) -> bool:
        return bool(self.scopes or self.fields)

    @property
    def paths(self) -> list[str]:
        """Where something sensitive stands."""
        return [*self.scopes, *self.fields]

    @property
    def inside(self) -> bool:
        """Whether some elements carry what others do not."""
        return bool(self.fields) or bool(self.scopes.keys() - {"$"})

    def all(self) -> Labels:
        """Every label, wherever it is."""
        return frozenset().union(*self.scopes.values(), *self.fields.values())


class Sensitivity:
    """Marks the resources of records. What to look for is settled once per record type.

    :param organizations: labels of the organizations whose name reveals something, by record id;
        see :meth:`organizations`.
    """

    def __init__(
        self, mappings: Mappings, organizations: Mapping[str, Labels] | None = None
    ) -> None:
        self.mappings = mappings
        self.known = organizations or {}
        self._watched: dict[tuple[str, int], Watched] = {}

    def organizations(
        self, records: Iterable[Mapping[str, Any]], *, part2: bool = False
    ) -> dict[str, Labels]:
        """The labels of organization records, for those that have any.

        :param part2: whether being a Part 2 program reveals substance use by itself: true of a
            site whose Part 2 programs treat nothing else.
        """
        found = {}
        for record in records:
            labels = self.revealed(record).all()
            if part2 and record.get("part2_program") is True:
                labels |= {"SUD"}
            if labels:
                found[str(record["id"])] = labels
        return found

    def revealed(self, record: Mapping[str, Any], us_core: int = 8) -> Revealed:
        """What a record reveals, by JSON path; empty for most records, and cheap then."""
        found = Revealed()
        self._of(record["type"], us_core).find(record, self.known, found.scopes, found.fields)
        whole = found.scopes.get("$")
        if whole:  # what all of it carries needs no second mark inside
            found.fields = {at: of for at, of in found.fields.items() if not of <= whole}
            inside = {at: of for at, of in found.scopes.items() if at != "$" and not of <= whole}
            found.scopes = {"$": whole, **inside}
        return found

    def marked(
        self,
        record: Mapping[str, Any],
        us_core: int = 8,
        kinds: Mapping[str, str] | None = None,
    ) -> list[Marked]:
        """The resources of a record as ``Mappings.forward`` makes them, and their marks.

        :param kinds: kinds of information by field of the record (``crisis_plan``); what is made
            of such a field, or of one below it, is of that kind.
        :raises FhirsvcError: as ``Mappings.forward``.
        """
        known = self._of(record["type"], us_core)
        revealed = self.revealed(record, us_core)
        told = {name: kind for name, kind in (kinds or {}).items() if _there(record, name)}
        if not revealed.inside and not known.lines and not told:  # no element differs from the rest
            made = self.mappings.forward(record, us_core)
            return [Marked(one, _whole(one, revealed), NOTHING) for one in made]
        traced = self.mappings.traced(record, us_core)
        return [_marked(plan, one, revealed, known, told) for plan, one in traced]

    def _of(self, record_type: str, us_core: int) -> Watched:
        key = (record_type, us_core)
        if key not in self._watched:
            plans = self.mappings.plans(record_type, us_core)
            self._watched[key] = watched(record_type, plans, self.mappings.library)
        return self._watched[key]


def _whole(resource: Mapping[str, Any], revealed: Revealed) -> Marks:
    if "$" not in revealed.scopes:
        return NOTHING
    return {str(resource["resourceType"]): frozenset(revealed.scopes["$"])}


def _there(record: Mapping[str, Any], name: str) -> bool:
    part: Any = record
    for step in name.split("."):
        part = part.get(step) if isinstance(part, dict) else None
    return part is not None and part != []


def _marked(
    plan: Plan, traced: Traced, revealed: Revealed, known: Watched, kinds: Mapping[str, str]
) -> Marked:
    resource = traced.resource
    root = str(resource["resourceType"])
    labels = {root: set(of) for root, of in _whole(resource, revealed).items()}
    if plan.file.sensitivity is not None:
        labels.setdefault(root, set()).add(plan.file.sensitivity)
    inside = [(p, of) for p, of in (*revealed.scopes.items(), *revealed.fields.items()) if p != "$"]
    of_kind: dict[str, set[str]] = {}
    if plan.each is not None and (kind := _kind(plan.each.name, kinds)) is not None:
        of_kind[root] = {kind}
    leaves: list[str] = []
    for step in traced.trace:
        lined = known.lines.get(step.place, ())
        if lined:
            labels.setdefault(step.element, set()).update(lined)
        if step.field is None:
            continue
        leaves.append(step.element)
        for path, found in inside:
            if _is_below(step.field, path):
                labels.setdefault(step.element, set()).update(found)
                if plan.each is not None and path in revealed.scopes:
                    labels.setdefault(root, set()).update(found)
        kind = _kind(step.field, kinds)
        if kind is not None:
            of_kind.setdefault(step.element, set()).add(kind)
    if "text" in resource:
        _narrated(plan, f"{root}.text", revealed, kinds, labels, of_kind)
    return Marked(resource, _gathered(labels, leaves, root), _gathered(of_kind, leaves, root))


def _is_below(path: str, above: str) -> bool:
    return path.startswith(above) and path[len(above) : len(above) + 1] in ("", ".", "[")


def _kind(path: str, kinds: Mapping[str, str]) -> str | None:
    if kinds:
        for name in _names(path):
            if name in kinds:
                return kinds[name]
    return None


@lru_cache(maxsize=_REMEMBERED)
def _names(path: str) -> tuple[str, ...]:
    """A field by name and those around it: ``$.a[0].b`` → ``a.b``, ``a``."""
    steps = _INDEX.sub("", path.removeprefix("$.")).split(".")
    return tuple(".".join(steps[:end]) for end in range(len(steps), 0, -1))


def _narrated(
    plan: Plan,
    path: str,
    revealed: Revealed,
    kinds: Mapping[str, str],
    labels: dict[str, set[str]],
    of_kind: dict[str, set[str]],
) -> None:
    """The readable text says all of its fields at once: it has every label and kind of them."""
    names = [f"$.{name}" for name in narrated(plan)]
    for at, found in (*revealed.scopes.items(), *revealed.fields.items()):
        plain = _INDEX.sub("", at)
        said = any(_is_below(name, plain) or _is_below(plain, name) for name in names)
        if said and at != "$":
            labels.setdefault(path, set()).update(found)
    told = {kind for name in names if (kind := _kind(name, kinds)) is not None}
    if told:
        of_kind.setdefault(path, set()).update(told)


def _gathered(marks: Mapping[str, set[str]], leaves: Iterable[str], root: str) -> Marks:
    """Marks on elements, gathered on the group whose every field carries the same ones.

    So the constants of a group go with it: of an activity about substance use nothing is left.
    """
    if not marks:
        return NOTHING
    found = {path: frozenset(of) for path, of in marks.items()}
    below: dict[str, set[Labels | None]] = {}
    for leaf in leaves:
        own = found.get(leaf)
        for above in _above(leaf, root):
            below.setdefault(above, set()).add(own)
    groups: dict[str, Labels] = {}
    for path, said in below.items():
        only = next(iter(said)) if len(said) == 1 else None
        if only is not None:
            groups[path] = only
    found = {**found, **{path: found.get(path, _NONE) | of for path, of in groups.items()}}
    return {path: of for path, of in found.items() if not _said_above(path, of, found, root)}


def _said_above(path: str, of: Labels, found: Marks, root: str) -> bool:
    return path != root and any(of <= found.get(a, _NONE) for a in (root, *_above(path, root)))


@lru_cache(maxsize=_REMEMBERED)
def _above(path: str, root: str) -> tuple[str, ...]:
    """The groups around an element, below the resource: ``Goal.target[0]``, ``Goal.target``."""
    found: list[str] = []
    while True:
        path = path[: path.rindex("[")] if path.endswith("]") else path.rpartition(".")[0]
        if len(path) <= len(root):
            return tuple(found)
        found.append(path)
