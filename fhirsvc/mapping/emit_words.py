"""Generated code for what a record says in words: the answers of a form, the readable narrative."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from fhirsvc.fhir.instruments import VALUES
from fhirsvc.mapping.emit_leaf import Leaves
from fhirsvc.mapping.plan import Asked, Leaf, Source, sources_of
from fhirsvc.mapping.runtime import NARRATIVE_MARK


class Words(Leaves):
    """Adds forms and narrative to the leaves."""

    def _form(self, leaf: Leaf, names: list[str]) -> str:
        made = self.temp("a")
        self.say(f"{made} = []")
        self._questions(leaf.arg, made, leaf.n, self._path)
        return made

    def _questions(self, asked: Sequence[Asked], into: str, n: int, path: str) -> None:
        """Items for the questions that the record answers, group by group."""
        for one in asked:
            q = one.question
            head = f'"linkId": {q.linkId!r}, "text": {q.text!r}'
            before = self.indent
            at = f"{path}[{{len({into})}}]"
            if q.type != "group":
                self._answer(one, head, into, n, at)
            elif one.source is None or not q.each:
                part = self.part_of([one.source, *sources_of(one.inner)]) if one.source else None
                if part is None and one.source is not None and not self.trace:
                    part = self._parts.get((one.source.depth, one.source.path[0]))
                if part:
                    self.say(f"if {part} is not EMPTY:")
                    self.indent += 1
                items = self.temp("L")
                self.say(f"{items} = []")
                self._questions(one.inner, items, n, f"{at}.item")
                self.say(f'if {items}: {into}.append({{{head}, "item": {items}}})')
            else:
                values = self.fetch(one.source, n)
                self.say(f"if {values}:")
                self.indent += 1
                self.say(f"if {values}.__class__ is not list:")
                self.say("    " + self.fault(n, one.source, "expected a list"))
                item = f"i{one.depth}"
                self.enter(one.source, one.depth)
                counted = self.trace or self.notes
                count = f"n{one.depth}, " if counted else ""
                walked = f"enumerate({values})" if counted else values
                self.say(f"for {count}{item} in {walked}:")
                self.indent += 1
                self.parts(one.depth, sources_of(one.inner))
                items = self.temp("L")
                self.say(f"{items} = []")
                self._questions(one.inner, items, n, f"{at}.item")
                if one.key is not None:
                    prefix = ".".join(one.source.path) + "."
                    head = f'"id": {prefix!r} + {self.house_id(one.key, n)}, {head}'
                with_key = f'{into}.append({{{head}, "item": {items}}})'
                self.say(f"if {items}:")
                if one.key is not None:
                    self.indent += 1
                    self.explain(f"{at}.id", one.key, n)
                    self.indent -= 1
                self.say(f"    {with_key}")
                self.leave()
                self.forget(one.depth)
            self.indent = before

    def _answer(self, one: Asked, head: str, into: str, n: int, at: str) -> None:
        source, q = one.source, one.question
        if source is None:
            return
        key, kind = VALUES[q.type]
        value = self.fetch(source, n, optional=True)
        if one.values and not q.each:  # a closed set of answers: every item is made beforehand
            items = {
                word: {
                    "linkId": q.linkId,
                    "text": q.text,
                    "answer": [{key: word.replace("_", " ")}],
                }
                for word in one.values
            }
            rows = self.constant(items, ready=False)
            self.rows.add(rows)
            self.say(f"if {value} is not None:")
            if self.trace:
                fault = self.fault(n, source, "is none of the values it may have")
                self.say(f"    if {value}.__class__ is not str or {value} not in {rows}: {fault}")
            self.indent += 1
            self.explain(f"{at}.answer[0].{key}", source, n)
            self.say(f"{into}.append({rows}[{value}])")
            self.indent -= 1
            return
        if not q.each:
            self.say(f"if {value} is not None:")
            self.indent += 1
            self.check(value, kind, source, n)
            self.explain(f"{at}.answer[0].{key}", source, n)
            self.say(f'{into}.append({{{head}, "answer": [{{"{key}": {value}}}]}})')
            self.indent -= 1
            return
        self.say(f"if {value}:")
        self.indent += 1
        self.say(f"if {value}.__class__ is not list:")
        self.say("    " + self.fault(n, source, "expected a list"))
        if kind == "string" and not self.trace:
            self.say(f"texts += {value}")
        else:
            self.say(f"for x in {value}:")
            self.indent += 1
            self.check("x", kind, source, n)
            self.indent -= 1
        if self.notes:
            self.say(f"for j in range(len({value})):")
            self.indent += 1
            self.note(f"{at}.answer[{{j}}].{key}", f"{self._at(source)}[{{j}}]", n)
            self.indent -= 1
        self.say(f'{into}.append({{{head}, "answer": [{{"{key}": x}} for x in {value}]}})')
        self.indent -= 1

    def _narrative(self, leaf: Leaf, names: list[str]) -> str:
        """The rows that the record fills; escaped and checked as one text at the end."""
        rows = self.temp("h")
        self.say(f"{rows} = []")
        for part, group in groupby(leaf.arg, lambda row: self.part_of([row[1]])):
            if part:
                self.say(f"if {part} is not EMPTY:")
                self.indent += 1
            for row in group:
                self._narrative_row(leaf, rows, *row)
            self.indent -= 1 if part else 0
        return f'{{"status": "generated", "div": narrative({rows})}}'

    @staticmethod
    def _shown(value: str, kind: str) -> str:
        """A value as a person reads it."""
        if kind in ("string", "text", "code", "date", "datetime", "id"):
            return value
        if kind == "enum":
            return f'{value}.replace("_", " ")'
        return f"said({value})"

    def _narrative_row(
        self,
        leaf: Leaf,
        rows: str,
        label: str,
        source: Source,
        inner: tuple[str, ...] | None,
        kind: str,
    ) -> None:
        value = self.fetch(source, leaf.n, optional=True)
        if inner is None:
            self.say(f"if {value} is not None:")
            shown = self._shown(value, kind)
        elif inner:
            self.say(f"if {value}:")
            item = "x" + "".join(f".get({step!r}, EMPTY)" for step in inner[:-1])
            item = f"(y := {item}.get({inner[-1]!r}))"
            shown = f'"; ".join([{self._shown("y", kind)} for x in {value} if {item} is not None])'
        else:
            self.say(f"if {value}:")
            plain_list = self._shown("x", kind) == "x"
            values = value if plain_list else f"[{self._shown('x', kind)} for x in {value}]"
            shown = f'"; ".join({values})'
        self.indent += 1
        text = self.temp("s")
        if self.trace:
            path = self.record_path(source)
            self.say(f"with located({leaf.n}, {path}):")
            self.say(f"    {text} = {shown}")
            self.say(f"    narrative([{label + NARRATIVE_MARK!r} + {text}])")
        else:
            self.say(f"{text} = {shown}")
        unless = f"if {text}: " if inner else ""  # items without the field say nothing
        self.say(f"{unless}{rows}.append({label + NARRATIVE_MARK!r} + {text})")
        self.indent -= 1
