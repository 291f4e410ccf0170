"""Who may change which element: the owners that mapping lines name, looked up by path.

A path is element names without indexes, ``("activity", "detail", "status")``. Where the items of a
list are told apart by what they are (an extension by its url, an identifier by its system) the step
says so after a colon, ``("extension:http://…", "valueDate")``; a step without one is for all of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Owner = Literal["us", "ehr", "both"]
Path = tuple[str, ...]


def joined(owners: Iterable[Owner | None]) -> Owner | None:
    """The owner of what several lines write: theirs if they agree, else ``both``."""
    found = {owner for owner in owners if owner is not None}
    return next(iter(found)) if len(found) == 1 else "both" if found else None


class Place:
    """One element, as the lines see it. Places below are made when first asked for."""

    __slots__ = ("_below", "_within", "constant", "deep", "inherited", "items", "known", "line")

    def __init__(self, inherited: Owner | None = None, *, deep: bool = False) -> None:
        self.inherited = inherited  # of the nearest line above
        self.deep = deep  # a line above writes all that is below
        self.known = False  # a line writes this element, or one below it
        self.line: Owner | None = None
        self.constant: Owner | None = None
        self.items: Owner | None = None  # who may add and remove items; None: each line has one
        self._below: dict[str, Place] = {}
        self._within: Owner | None = None

    @property
    def owner(self) -> Owner | None:
        """Whoever owns this element by the deepest line at or above it."""
        return joined((self.line, self.constant)) or self.inherited

    @property
    def explicit(self) -> bool:
        """Whether a line says this very element, not only one that it is part of."""
        return self.known or self.deep

    @property
    def within(self) -> Owner | None:
        """The owner of the element as one thing. What is constant decides only if all is."""
        if self._within is None:
            moving, fixed = self._all()
            self._within = joined(moving) or joined(fixed) or self.inherited
        return self._within

    @property
    def is_constant(self) -> bool:
        """Whether only constants are written here."""
        moving, fixed = self._all()
        return joined(moving) is None and joined(fixed) is not None

    def _all(self) -> tuple[list[Owner | None], list[Owner | None]]:
        moving, fixed = [self.line], [self.constant]
        for place in self._below.values():
            if place.known:
                more, constants = place._all()
                moving += more
                fixed += constants
        return moving, fixed

    def below(self, name: str, told: str | None = None) -> Place:
        """An element of this one; ``told`` says what an item of a list is."""
        found = self._below.get(f"{name}:{told}") if told is not None else None
        found = found or self._below.get(name)
        if found is None:
            found = Place(self.owner, deep=self.deep)
            self._below[name] = found
        return found

    def tells(self, name: str, told: str) -> bool:
        """Whether lines know items of this kind apart from the others of the list."""
        return f"{name}:{told}" in self._below

    def grow(self, step: str) -> Place:
        """The place below that a line is about to fill."""
        self.known = True
        found = self._below.get(step)
        if found is None:
            found = self._below[step] = Place()
        found.known = True
        return found

    def settle(self, inherited: Owner | None, *, deep: bool) -> None:
        """Hand down what lines say of all that is below them."""
        self.inherited, self.deep = inherited, deep or self.deep
        for place in self._below.values():
            place.settle(self.owner, deep=self.deep)


class Owners:
    """Who owns which element of one mapping's resource.

    :param lines: path to owner, of lines whose value comes from the record.
    :param constants: the same of constants. A constant beside other lines in one element that is
        decided as one thing (the system of a code) has no say in it.
    :param lists: of lists that lines fill from a list of the record: who may add and remove items.
        An item that the EHR adds to another list is the EHR's own.
    :param deep: paths of lines that write whatever is below (the items of a form).
    """

    def __init__(
        self,
        lines: Mapping[Path, Owner],
        constants: Mapping[Path, Owner] | None = None,
        lists: Mapping[Path, Owner] | None = None,
        deep: Iterable[Path] = (),
    ) -> None:
        self.root = Place()
        for path, owner in lines.items():
            self._at(path).line = owner
        for path, owner in (constants or {}).items():
            self._at(path).constant = owner
        for path, owner in (lists or {}).items():
            self._at(path).items = owner
        for path in deep:
            self._at(path).deep = True
        self.root.settle(None, deep=False)

    def _at(self, path: Path) -> Place:
        place = self.root
        for step in path:
            place = place.grow(step)
        return place

    def of(self, path: Path) -> Owner | None:
        """The owner by the deepest line at or above a path; None where no line writes it."""
        place = self.root
        for step in path:
            name, _, told = step.partition(":")
            place = place.below(name, told or None)
        return place.owner
