"""What a merge says: the two bodies, and each change with what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fhirsvc.errors import Finding
from fhirsvc.merge.owners import Owner

Resource = dict[str, Any]


@dataclass(frozen=True)
class Conflict:
    """An element that both sides changed differently, or that one removed and the other changed.

    ``path`` is readable and the same in every round: ``CarePlan.activity[k1].detail.status``. Its
    keys are ids, codes, systems or digests. The values are JSON; None where the element is absent.
    """

    path: str
    owner: Owner
    base: Any
    ours: Any
    theirs: Any


@dataclass(frozen=True)
class Step:
    """One element that changes; None where it is absent."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Value:
    """A resolution that is neither side's: what the element is to be; None removes it."""

    value: Any


Resolution = Literal["ours", "theirs"] | Value


@dataclass(frozen=True)
class Merged:
    """What became of two sides. The bodies share parts with those given: treat them as frozen."""

    send: Resource  # what the EHR should hold
    record: Resource  # what is put onto the record
    is_quiet: bool  # the EHR holds ``send`` already
    taken: tuple[Step, ...] = ()  # their changes that go into the record
    sent: tuple[Step, ...] = ()  # our changes that go to the EHR
    kept: tuple[Step, ...] = ()  # their changes of what is ours, set back
    set_aside: tuple[Step, ...] = ()  # our changes of what is theirs, given up
    conflicts: tuple[Conflict, ...] = ()
    settled: tuple[str, ...] = ()  # disputed paths that are open no longer
    findings: tuple[Finding, ...] = ()


@dataclass
class Told:
    """What a walk has to say as it goes."""

    taken: list[Step] = field(default_factory=list)
    sent: list[Step] = field(default_factory=list)
    kept: list[Step] = field(default_factory=list)
    set_aside: list[Step] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # paths where the EHR's JSON has another shape
    findings: list[Finding] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether anything is a reason to write to the EHR."""
        return bool(self.sent or self.kept)
