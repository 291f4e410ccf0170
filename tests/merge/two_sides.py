"""A record here and the same resources at an EHR, both edited, kept in step by merges.

The house: forward, merge, put back. The EHR: stores what it is sent, in its own way (``Stores``).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import shipped_clinic as clinic

from fhirsvc.mapping.back import Back
from fhirsvc.mapping.owners import PathOwners, for_resource
from fhirsvc.mapping.owners import owners as owners_by_file
from fhirsvc.merge import Merged, Owners, Resolution, merge, said_next, take, untaken

BASE = "https://ehr.example/fhir/"
Body = dict[str, Any]
Name = tuple[str, str]  # resource type and id
Stores = Callable[[Body], Body]


@cache
def back() -> Back:
    """The way back of the shipped mappings."""
    return Back.of(clinic.mappings().library)


@cache
def _by_file() -> dict[str, PathOwners]:
    return dict(owners_by_file(clinic.mappings().library))


@cache
def _owners(file: str) -> Owners:
    plain = _by_file()[file]
    return Owners(plain.lines, plain.constants, plain.lists, plain.deep)


def owners_of(resource: Body) -> Owners:
    """The owners of a resource of ours."""
    found = for_resource(_by_file(), back(), resource)
    assert found is not None
    return _owners(found.file)


def forward(record: Body) -> dict[Name, Body]:
    """The resources of a record that are read back, as they arrive."""
    found: list[Body] = json.loads(json.dumps(clinic.mappings().forward(record)))
    return {(r["resourceType"], r["id"]): r for r in found if back().reads(r)}


@dataclass
class Told:
    """What one round said of one resource, with the bodies that it was about."""

    merged: Merged
    said: Body | None  # None at a first meeting
    held: Body
    ours: Body
    theirs: Body
    after: Body  # the EHR's


@dataclass
class History:
    """The state of both sides between rounds."""

    record: Body
    stores: Stores
    ehr: dict[Name, Body] = field(default_factory=dict)
    said: dict[Name, Body | None] = field(default_factory=dict)
    held: dict[Name, Body] = field(default_factory=dict)
    disputed: dict[Name, dict[str, Any]] = field(default_factory=dict)
    removed: dict[Name, set[str]] = field(default_factory=dict)  # lists that lost items here

    def start(self) -> None:
        """Write everything once."""
        for name, body in forward(self.record).items():
            self.create(name, body)

    def create(self, name: Name, body: Body) -> None:
        """The EHR stores something new."""
        self.said[name] = body
        self.ehr[name] = self.held[name] = self.stores(copy.deepcopy(body))

    def round(self, resolve: Resolution | None = None) -> dict[Name, Told]:
        """One sync; what was told of each resource. ``resolve``: every open conflict so."""
        ours = forward(self.record)
        told: dict[Name, Told] = {}
        for name, body in ours.items():
            if name in self.ehr:
                told[name] = self.meet(name, body, resolve)
        moved = any(one.merged.taken or one.merged.set_aside for one in told.values())
        refused = moved and not self.put(told)
        now = forward(self.record)
        for name, one in told.items():
            has = now.get(name, one.ours)
            owners = owners_of(has)
            said = said_next(one.merged, ours=one.ours, now=has, owners=owners)
            more: dict[str, Any] = {"owners": owners, "refused": refused, "base": BASE}
            for left in untaken(one.merged, now=has, said=said, **more):
                self.disputed[name][left.path] = left.base
            self.said[name] = said
            self.held[name] = one.after
        for name in [n for n in self.ehr if n not in now]:  # no resource of the record any longer
            for kept in (self.ehr, self.said, self.held, self.disputed):
                kept.pop(name, None)
        for name, body in now.items():
            if name not in self.ehr:
                self.create(name, body)
        return told

    def meet(self, name: Name, ours: Body, resolve: Resolution | None) -> Told:
        """Merge one resource and let the EHR store it."""
        said, held, theirs = self.said[name], self.held[name], self.ehr[name]
        open_ = self.disputed.get(name, {})
        before = copy.deepcopy((ours, theirs, said, held))
        both: dict[str, Any] = {"said": said, "held": held, "owners": owners_of(ours)}
        if resolve is not None:
            chosen = dict.fromkeys(open_, resolve)
            merged = take(chosen, ours, theirs, disputed=open_, **both)
        else:
            merged = merge(ours, theirs, disputed=open_, **both)
        assert (ours, theirs, said, held) == before  # nothing given is changed
        if not merged.is_quiet:
            self.ehr[name] = self.stores(copy.deepcopy(merged.send))
        gone = {one.path for one in merged.sent if one.after is None}
        self.removed.setdefault(name, set()).update(re.sub(r"\[.*?\]", "", one) for one in gone)
        self.disputed[name] = {one.path: one.base for one in merged.conflicts}
        return Told(merged, said, held, ours, theirs, self.ehr[name])

    def put(self, told: dict[Name, Told]) -> bool:
        """The record takes what was merged, if it is a record then; else a person has to look."""
        bodies = [copy.deepcopy(one.merged.record) for one in told.values()]
        found = read_onto(bodies, self.record)
        if found is not None:
            self.record = found
        return found is not None


def read_onto(bodies: list[Body], record: Body) -> Body | None:
    """A record with resources put onto it; None if it is none then."""
    key = (record["type"], record["id"])
    (found,) = back().records(bodies, onto={key: record}, base=BASE).records
    assert (found["type"], found["id"]) == key
    return None if clinic.mappings().check(found) else found
