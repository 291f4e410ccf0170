"""Plan to Python source: the mapping, its checks and, in the traced form, its explanation.

Everything that can be settled before a record arrives is settled here (constants, shapes, code
rows, local-id prefixes), so that a record costs the building of its dicts and a check per value.
The output shares constants between resources: treat what a mapping returns as frozen.
It is over 300 lines because one writer holds the code's indentation, names and traces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from fhirsvc.mapping.emit_group import Groups
from fhirsvc.mapping.explained import Said, said
from fhirsvc.mapping.plan import Plan, Source, sources
from fhirsvc.mapping.runtime import refer_written


@dataclass(frozen=True)
class Emitted:
    """Source of ``make(record, out, traces)`` and the constants it refers to."""

    source: str
    names: dict[str, Any]
    ready: set[str]
    rows: set[str]
    plain: bool = False  # a check looks into values: nothing may be text before its time

    def written(self) -> dict[str, Any]:
        """The constants already serialized, for output that is JSON text at once."""
        if self.plain:
            return dict(self.names)
        found = {k: {} if k.startswith("refs") else v for k, v in self.names.items()}
        found["refer"] = refer_written
        for name in self.ready:
            found[name] = orjson.Fragment(orjson.dumps(self.names[name]))
        for name in self.rows:
            found[name] = _rows(self.names[name])
        return found


def _rows(rows: dict[Any, Any]) -> dict[Any, Any]:
    """A table with its values serialized; an instrument's answers are tables of tables."""
    return {
        word: value
        if isinstance(value, str | None)
        else _rows(value)
        if not value or not any(isinstance(v, str | list) for v in value.values())
        else orjson.Fragment(orjson.dumps(value))
        for word, value in rows.items()
    }


def emit(plan: Plan, *, trace: bool = False, notes: bool = False) -> Emitted:
    """Write the function for a plan.

    :param trace: faults say where they are.
    :param notes: every element is noted with its origin.
    """
    emitter = Emitter(plan, trace, notes)
    emitter.resource()
    text = "\n".join(emitter.text) + "\n"
    if emitter.plain:
        return Emitted(text, emitter.names, set(), set(), plain=True)
    return Emitted(text, emitter.names, emitter.ready, emitter.rows)


class Emitter(Groups):
    """Writes the function of one plan."""

    def __init__(self, plan: Plan, trace: bool, notes: bool) -> None:
        super().__init__(trace, notes)
        self.plan = plan

    def resource(self) -> None:
        """The whole function."""
        plan = self.plan
        read = list(sources(plan.root))
        outer, inner = self.apart(plan.test, 1)
        with self.under("def make(r, out, traces):"), self.when(outer):
            self.parts(0, read)
            if plan.each is None:
                self.body()
                return
            items = self.fetch(plan.each, -1)
            with self.under(f"if {items}:"):
                body = self.conditioned(inner, self.body)
                self.loop(plan.each, items, 1, -1, body, read=read)

    def said(self, element: str, where: str | None, n: int) -> Said:
        """What is said of a line's elements."""
        return said(self.plan, element, where, n)

    def body(self) -> None:
        """One resource, appended to ``out``."""
        plan = self.plan
        if self.notes:
            self.say("t = []")
        if not self.trace:
            self.say("texts = []")
            self.say("text = texts.append")
        ident = self.local_id()
        first = [f'"resourceType": "{plan.file.resource}"', f'"id": {ident}']
        made = self.group(plan.root, plan.file.resource, first)
        if not self.trace:
            self.say("if texts and not texts_ok(texts): raise Fault(-1)")
        self.say(f"out.append({made})")
        if self.notes:
            self.say("traces.append(t)")

    def local_id(self) -> str:
        """The name that holds the resource's local id."""
        plan, parts = self.plan, []
        rid = self.house_id(Source(0, ("id",), "id", "id", True), -1)
        if plan.file.part:
            parts.append(repr(plan.file.part))
        if plan.each is not None and plan.file.key:
            key = Source(1, (plan.file.key,), f"{plan.each.name}[].{plan.file.key}", "id", True)
            parts.append(self.house_id(key, -1))
        name = self.temp("id")
        if parts:
            self.say(f"{name} = {plan.id_prefix!r} + {self.part_name([rid, *parts])}")
        else:
            self.say(f"{name} = {plan.id_prefix!r} + {rid}")
        return name
