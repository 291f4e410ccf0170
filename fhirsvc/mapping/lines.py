"""What a mapping file says, line by line, before any name in it is looked up."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.mapping.source import Mark, Node


@dataclass(frozen=True)
class Condition:
    """When a line, a group or a whole file applies."""

    mark: Mark
    field: str | None = None
    values: tuple[Any, ...] = ()  # the field is one of these
    present: bool | None = None
    us_core: tuple[str, int] | None = None  # ("<", 9)


@dataclass(frozen=True)
class Line:
    """One line of a mapping: a lens between an element and a field of the record."""

    mark: Mark
    path: tuple[str, ...]  # element path below the enclosing group
    kind: str
    value: Node | None = None
    source: tuple[str, ...] = ()  # record paths; a leading "/" starts at the record
    transform: str | None = None
    codes: str | None = None
    options: dict[str, Any] = field(default_factory=dict)  # to, part, system, type, use, unit, code
    text: str | None = None
    each: str | None = None
    key: str | None = None
    form: str | None = None
    children: tuple[Line, ...] = ()
    when: Condition | None = None
    owner: str | None = None
    sensitivity: str | None = None
    one_way: str | None = None
    mandatory: bool = False  # a group that constants alone may make


@dataclass(frozen=True)
class MappingFile:
    """One file: how one record type becomes one resource type."""

    file: str
    mark: Mark
    record: str
    resource: str
    version: str
    lines: tuple[Line, ...]
    each: str | None = None
    key: str | None = None
    part: str | None = None
    when: Condition | None = None
    sensitivity: str | None = None
    skipped: dict[str, tuple[str, Mark]] = field(default_factory=dict)
    absent: dict[str, tuple[str, Mark]] = field(default_factory=dict)  # US Core asks for these
    keys: dict[str, Mark] = field(default_factory=dict)  # where each key of the file stands

    def at(self, key: str) -> Mark:
        """Where ``key`` stands, or the file itself."""
        return self.keys.get(key, self.mark)


@dataclass(frozen=True)
class Overlay:
    """One file of a site: what it changes in a shipped mapping file."""

    file: str
    mark: Mark
    extends: str  # "care_plan/CarePlan"
    version: str  # of the shipped file, when this was written
    lines: tuple[Line, ...] = ()  # in place of the shipped lines of the same path
    also: tuple[Line, ...] = ()  # beside them, where the element repeats
    fields: Node | None = None
    skipped: dict[str, tuple[str, Mark]] = field(default_factory=dict)
    absent: dict[str, tuple[str, Mark]] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)

    def at(self, key: str) -> Mark:
        """Where ``key`` stands, or the file itself."""
        return self.keys.get(key, self.mark)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
