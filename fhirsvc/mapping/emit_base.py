"""Generated code, statement by statement: names, places, reading a field, checking a value."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from fhirsvc.mapping.explained import Said
from fhirsvc.mapping.plan import Source

_PLACES = re.compile(r"\{([^}]*)\}")
_TEXT = frozenset({"string", "markdown"})
_REMEMBERED = {"date": "DATES", "dateTime": "DATETIMES", "code": "CODES"}
_INTEGER = "{v}.__class__ is not int or not %s <= {v} <= 2147483647"
_AT_ONCE = {  # a value is wrong, without a call where most are good
    "boolean": "{v} is not True and {v} is not False",
    "decimal": "{v}.__class__ is not int and not decimal_ok({v})",
    "instant": "({v} not in DATETIMES or 'T' not in {v}) and not instant_ok({v})",
    "integer": _INTEGER % "-2147483648",
    "positiveInt": _INTEGER % "1",
    "unsignedInt": _INTEGER % "0",
}


class Statements(ABC):
    """Writes statements; what they say of elements comes in the classes built on it."""

    def __init__(self, trace: bool, notes: bool) -> None:
        self.trace = trace  # every read and check says where it is: for errors
        self.notes = notes  # every element says where it came from
        self.text: list[str] = []
        self.indent = 0
        self.names: dict[str, Any] = {}
        self.ready: set[str] = set()  # names of constants that go out as they stand
        self.rows: set[str] = set()  # names of tables whose values do
        self._temps = 0
        self._scopes = ["$"]  # record path of each scope, as the inside of an f-string
        self._path = ""  # of the element being made
        self._memories: dict[str, str] = {}  # prefix of a reference to the name of its memory
        self._ids: dict[str, tuple[int, str]] = {}  # ids read and checked once per scope
        self._parts: dict[tuple[int, str], str] = {}  # (depth, field) of a part to its local name

    # ---- writing ------------------------------------------------------------------------

    def say(self, statement: str) -> None:
        """Add a statement."""
        self.text.append("    " * self.indent + statement)

    def temp(self, letter: str) -> str:
        """A fresh local name."""
        self._temps += 1
        return f"{letter}{self._temps}_"

    def constant(self, value: Any, *, ready: bool = True) -> str:
        """A name (or a literal) for a constant; ``ready`` when it goes out as it stands."""
        if value is None or isinstance(value, str | int | float | bool):
            return repr(value)
        name = f"k{len(self.names)}"
        self.names[name] = value
        if ready:
            self.ready.add(name)
        return name

    # ---- places -------------------------------------------------------------------------

    def enter(self, source: Source, depth: int) -> None:
        """The scope of a list's items."""
        self._scopes.append(f"{self._at(source)}[{{n{depth}}}]")

    def leave(self) -> None:
        """Back to the enclosing scope."""
        self._scopes.pop()

    def _at(self, source: Source) -> str:
        return ".".join((self._scopes[source.depth], *source.path))

    def record_path(self, source: Source | None) -> str:
        """A Python expression for the JSON path of a source."""
        if source is None:
            return "'$'"
        path = self._at(source)
        return f'f"{path}"' if "{" in path else repr(path)

    def fault(self, n: int, source: Source | None, problem: str) -> str:
        """The statement that refuses a value; located only in the traced form."""
        if not self.trace:
            return f"raise Fault({n})"
        return f"raise Fault({n}, {self.record_path(source)}, {problem!r})"

    def explain(self, element_path: str, source: Source | None, n: int) -> None:
        """Note where an element came from; ``element_path`` is the inside of an f-string."""
        if self.notes:
            self.note(element_path, self._at(source) if source else None, n)

    def note(self, element: str, where: str | None, n: int) -> None:
        """The statement that notes an origin: made once, or once for each place in its lists."""
        places = list(dict.fromkeys(_PLACES.findall(element + (where or ""))))
        for at, place in enumerate(places):
            element = element.replace("{" + place + "}", "{" + str(at) + "}")
            where = where.replace("{" + place + "}", "{" + str(at) + "}") if where else None
        said = self.said(element, where, n)
        name = f"k{len(self.names)}"
        if not places:
            self.names[name] = said.at(())
            self.say(f"t.append({name})")
            return
        self.names[name] = said
        key = f"({', '.join(places)},)"
        self.say(f"t.append({name}.known.get(z := {key}) or {name}.at(z))")

    @abstractmethod
    def said(self, element: str, where: str | None, n: int) -> Said:
        """What is said of a line's elements; the writer of a plan knows the lines."""

    # ---- reading ------------------------------------------------------------------------

    def fetch(self, source: Source, n: int, *, optional: bool | None = None) -> str:
        """Read a value into a local name. A required one that is missing is a fault."""
        always = source.always if optional is None else not optional
        scope = "r" if source.depth == 0 else f"i{source.depth}"
        if not source.path:
            return scope
        if source.name in self._ids and optional is None:
            return self._ids[source.name][1]
        name = self.temp("v")
        if self.trace:
            path = self.record_path(source)
            self.say(f"{name} = dig({scope}, {source.path!r}, {n}, {path})")
            if always:
                self.say(f"if {name} is None: raise Fault({n}, {path}, 'is missing')")
        elif always:
            self.say(f"{name} = {scope}" + "".join(f"[{step!r}]" for step in source.path))
        else:
            steps = source.path[:-1]
            if steps and (source.depth, steps[0]) in self._parts:
                scope, steps = self._parts[source.depth, steps[0]], steps[1:]
            for step in steps:
                scope = f"({scope}.get({step!r}) or EMPTY)"
            self.say(f"{name} = {scope}.get({source.path[-1]!r})")
        return name

    def parts(self, depth: int, sources: Iterable[Source]) -> None:
        """Read each part of the scope once (``preferences`` of ``preferences.style``)."""
        scope = "r" if depth == 0 else f"i{depth}"
        for source in sources:
            if (source.depth, source.kind) == (depth, "id") and source.required and source.path:
                if source.name not in self._ids:
                    self._ids[source.name] = (depth, self.house_id(source, -1))
                continue
            if self.trace:
                continue
            key = (depth, source.path[0] if len(source.path) > 1 else "")
            if source.depth == depth and key[1] and key not in self._parts:
                self._parts[key] = self.temp("p")
                self.say(f"{self._parts[key]} = {scope}.get({key[1]!r}) or EMPTY")

    def forget(self, depth: int) -> None:
        """Leave a scope: what was read in it is no longer there."""
        self._parts = {k: v for k, v in self._parts.items() if k[0] != depth}
        self._ids = {k: v for k, v in self._ids.items() if v[0] != depth}

    def part_of(self, sources: Iterable[Source]) -> str | None:
        """The part that all of these fields are in, if they share one."""
        keys = {(s.depth, s.path[0] if len(s.path) > 1 else "") for s in sources}
        return self._parts.get(keys.pop()) if len(keys) == 1 else None

    def house_id(self, source: Source, n: int) -> str:
        """Read and check an id of the house."""
        name = self.fetch(source, n)
        self.check_id(name, source, n)
        return name

    # ---- checking -----------------------------------------------------------------------

    def check_id(self, name: str, source: Source, n: int) -> None:
        """An id of a record, or the key of a list item."""
        if any(name == known for _, known in self._ids.values()):
            return
        fault = self.fault(n, source, "is no id that this project takes")
        known = "" if self.trace else f"{name} not in HOUSE_IDS and "
        self.say(f"if {known}not house_id_ok({name}): {fault}")

    def check(self, name: str, fhir_type: str, source: Source, n: int) -> None:
        """A value of a FHIR primitive type."""
        fault = self.fault(n, source, f"is no {fhir_type}")
        if self.trace:
            self.say(f"if not {fhir_type}_ok({name}): {fault}")
        elif fhir_type in _TEXT:  # looked at together, once the resource is made
            self.say(f"text({name})")
        elif fhir_type in _REMEMBERED:
            known = _REMEMBERED[fhir_type]
            self.say(f"if {name} not in {known} and not {fhir_type}_ok({name}): {fault}")
        else:
            unless = _AT_ONCE.get(fhir_type, "not {t}_ok({v})").format(v=name, t=fhir_type)
            self.say(f"if {unless}: {fault}")
