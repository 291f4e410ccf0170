"""What reading a resource yields: values by scope, what matched, what is left, what was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.errors import Finding, Severity
from fhirsvc.mapping.inverse import Unread, Words, fitting, same
from fhirsvc.mapping.links import House, Links
from fhirsvc.mapping.plan import Leaf, Plan, Source

Path = tuple[str, ...]
Address = tuple[tuple[str, int, str | None], ...]  # (element, line, key of the item) from the top


@dataclass(frozen=True)
class Tie:
    """An element that several lines could have written; the record says which one did."""

    nodes: tuple[Leaf, ...]
    value: Any
    at: str


@dataclass(frozen=True)
class Label:
    """A text that is the labels of house words, or stands in their place."""

    leaf: Leaf
    value: str


@dataclass
class Scope:
    """What a resource says of a record, or of one item of a list of it."""

    values: dict[Path, Any] = field(default_factory=dict)  # Words where a code leaves some open
    weak: dict[Path, tuple[Any, ...]] = field(default_factory=dict)  # what conditions allow
    hits: dict[int, Any] = field(default_factory=dict)  # line → the element it read
    asked: set[str] = field(default_factory=set)  # questions of a form that were answered
    items: dict[Path, dict[str, Scope]] = field(default_factory=dict)  # lists by key
    loose: dict[Path, list[Scope]] = field(default_factory=dict)  # items that came without a key
    ties: list[Tie] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    partial: set[Path] = field(default_factory=set)  # lists of which an item was not understood

    def list_at(self, path: Path) -> dict[str, Scope]:
        """The items of a list, by key."""
        return self.items.setdefault(path, {})


@dataclass(frozen=True)
class Left:
    """Something of the resource that no line reads: it survives where the resource is kept."""

    address: Address  # of the object it is in
    name: str
    raw: Any
    item: bool  # an item of a list that has others; otherwise a whole element


@dataclass
class Reading:
    """One resource, read by one plan."""

    plan: Plan
    resource: dict[str, Any]
    root: Scope
    house: House | None
    findings: list[Finding] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    places: dict[Address, dict[str, Any]] = field(default_factory=dict)
    carried: int = 0  # elements read


@dataclass(frozen=True)
class Known:
    """What reading asks of the caller: what references name, and other URLs of code systems."""

    links: Links
    also: dict[str, str]


class Notes:
    """Keeps evidence and findings of one reading."""

    def __init__(
        self, reading: Reading, known: Known, record: Mapping[str, Any] | None = None
    ) -> None:
        self.reading = reading
        self.known = known
        self.record = record or {}  # what the resource will be put onto
        stated = reading.resource.get("contained")
        resources = stated if isinstance(stated, list) else []
        self.contained = {
            str(one.get("id")): one for one in resources if isinstance(one, dict) and "id" in one
        }

    def find(self, rule: str, message: str, at: str, severity: Severity = "warning") -> None:
        """Add a finding; it names the element, never its value."""
        self.reading.findings.append(Finding(rule, message, at, severity))

    def unread(self, problem: Unread, at: str) -> None:
        """A value that could not be understood."""
        self.find(problem.rule, problem.message, at)

    def leave(self, address: Address, name: str, raw: Any, at: str, *, item: bool = False) -> None:
        """Something that no line reads."""
        self.reading.left.append(Left(address, name, raw, item))
        self.find("not-carried", "no line of the mapping reads this", at, "information")

    def put(self, scopes: list[Scope], source: Source, value: Any, at: str) -> bool:
        """Note what a field is; whether it fits the field and what is known of it."""
        try:
            value = fitting(source.kind, value)
        except Unread as problem:
            self.unread(problem, at)
            return False
        values = scopes[source.depth].values
        before = values.get(source.path)
        if before is None:
            values[source.path] = value
            return True
        found = agreed(source.kind, before, value)
        if found is None:
            self.find("disagrees", f"another element says otherwise of '{source.name}'", at)
            return False
        values[source.path] = found
        return True

    def hint(self, scopes: list[Scope], source: Source) -> str | None:
        """What an id is likely to be: read already, or in the record."""
        value = scopes[source.depth].values.get(source.path)
        if value is None and source.depth == 0 and len(source.path) == 1:
            value = self.record.get(source.path[0])
        return value if isinstance(value, str) else None

    def weakly(self, scopes: list[Scope], source: Source, values: tuple[Any, ...]) -> None:
        """Note what follows from a condition; a value says more."""
        scopes[source.depth].weak.setdefault(source.path, values)


def agreed(kind: str, a: Any, b: Any) -> Any:
    """What two pieces of evidence say together, or None where they contradict each other."""
    if isinstance(a, Words) and isinstance(b, Words):
        both = a.both(b)
        return both if both.words else None
    if isinstance(a, Words):
        return b if b in a.words else None
    if isinstance(b, Words):
        return a if a in b.words else None
    return a if same(kind, a, b) else None
