"""One element decided: from who changed it and who owns it to what each side holds.

| changed by | us            | ehr       | both     | no line |
|------------|---------------|-----------|----------|---------|
| us         | send          | set aside | send     | send    |
| them       | keep (ours)   | take      | take     | theirs  |
| both alike | nothing       | nothing   | nothing  | nothing |
| both       | keep (ours)   | set aside | conflict | send    |

At a first meeting nobody is known to have changed anything: what only one has, both get, and what
differs is the owner's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from fhirsvc.merge.owners import Owner
from fhirsvc.merge.result import Conflict, Resolution, Step, Told, Value

Verdict = Literal["nothing", "send", "take", "keep", "set aside", "conflict", "theirs"]
Pair = tuple[Any, Any]  # what the EHR should hold, what is put onto the record


class Four(NamedTuple):
    """One element as each body has it; None where it is absent."""

    s: Any  # said: ours when both agreed
    h: Any  # held: the EHR's then
    o: Any  # ours now
    t: Any  # theirs now


class Moved(NamedTuple):
    """Who changed an element since both agreed, and whether both say the same now."""

    we: bool
    they: bool
    agree: bool


@dataclass(frozen=True)
class Outcomes:
    """What an element becomes: each is the EHR's and the record's value."""

    ours: Pair
    theirs: Pair
    still: Pair  # nobody changed it
    apart: Pair  # each side keeps its own


def verdict(owner: Owner | None, v: Four, moved: Moved, *, first: bool) -> Verdict:
    """The table above. ``owner`` None: no line writes the element."""
    if moved.agree:
        return "nothing"
    if owner is None:
        if v.s is None and v.o is None:
            return "theirs"
        owner = "us"
    if first:
        if v.o is None or v.t is None:
            return "take" if v.o is None else "send"
        return {"us": "send", "ehr": "take", "both": "conflict"}[owner]  # type: ignore[return-value]
    if not moved.they:
        if not moved.we:
            return "nothing"
        return "set aside" if owner == "ehr" else "send"
    if owner == "us":
        return "keep"
    if not moved.we:
        return "take"
    return "set aside" if owner == "ehr" else "conflict"


class Judge:
    """Decides elements and tells what it decided.

    :param disputed: paths of conflicts that are open, with the value both once agreed on.
    :param resolved: what a person decided of a path.
    """

    def __init__(
        self, disputed: Mapping[str, Any], resolved: Mapping[str, Resolution], *, first: bool
    ) -> None:
        self.told = Told()
        self.first = first
        self.disputed = disputed
        self.resolved = resolved
        self.watched = (*disputed, *resolved)

    def watches(self, path: str) -> bool:
        """Whether something at a path or below it is disputed or resolved."""
        return bool(self.watched) and any(is_at(one, path) for one in self.watched)

    def asks(self, path: str) -> bool:
        """Whether just this element is disputed or resolved: then only equal values agree."""
        return bool(self.watched) and (path in self.disputed or path in self.resolved)

    def decide(self, path: str, owner: Owner | None, v: Four, moved: Moved, out: Outcomes) -> Pair:
        """One element."""
        told = self.told
        if self.watched and path in self.resolved:
            return self._resolve(path, v, moved, out)
        if self.watched and path in self.disputed:
            if moved.agree:
                told.settled.append(path)
                return out.still
            return self._conflict(path, owner, v, out)
        said = verdict(owner, v, moved, first=self.first)
        if said == "conflict":
            return self._conflict(path, owner, v, out)
        if said == "nothing":
            return out.still
        if said == "theirs":
            return out.theirs
        if said == "take":
            told.taken.append(Step(path, v.o, v.t))
            return out.theirs
        if said == "set aside":
            told.set_aside.append(Step(path, v.o, v.t))
            return out.theirs
        (told.sent if said == "send" else told.kept).append(Step(path, v.t, v.o))
        return out.ours

    def _conflict(self, path: str, owner: Owner | None, v: Four, out: Outcomes) -> Pair:
        base = v.h if v.s is None else v.s
        base = self.disputed.get(path, base)
        if base is None and v.o is None:
            base = v.s  # of a first meeting, and gone here since: what it was tells it again
        self.told.conflicts.append(Conflict(path, owner or "both", base, v.o, v.t))
        return out.apart

    def _resolve(self, path: str, v: Four, moved: Moved, out: Outcomes) -> Pair:
        told, choice = self.told, self.resolved[path]
        told.resolved.append(path)
        if path in self.disputed:
            told.settled.append(path)
        if isinstance(choice, Value):
            told.taken.append(Step(path, v.o, choice.value))
            told.sent.append(Step(path, v.t, choice.value))
            return choice.value, choice.value
        if moved.agree:
            return out.still
        if choice == "ours":
            told.sent.append(Step(path, v.t, v.o))
            return out.ours
        told.taken.append(Step(path, v.o, v.t))
        return out.theirs


def is_at(path: str, around: str) -> bool:
    """Whether a path is at another one, or below it."""
    return path.startswith(around) and path[len(around) : len(around) + 1] in ("", ".", "[")
