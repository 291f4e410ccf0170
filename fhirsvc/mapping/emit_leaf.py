"""The part of code generation that reads one value, checks it and shapes it.

It is over 300 lines because it is one method for each op of ``ops``, side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from fhirsvc.fhir.instruments import VALUES
from fhirsvc.mapping.plan import Asked, Leaf, Source, sources_of
from fhirsvc.mapping.runtime import NARRATIVE_MARK

_TEXT = frozenset({"string", "markdown"})
_REMEMBERED = {"date": "DATES", "dateTime": "DATETIMES"}


class Leaves:
    """Statement writer with fetch, check and shape; ``Emitter`` adds groups and lists."""

    def __init__(self, trace: bool) -> None:
        self.trace = trace
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
        """Note where an element came from."""
        if self.trace:
            where = self.record_path(source) if source else "None"
            self.say(f't.append((f"{element_path}", {where}, {n}))')

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
        if self.trace:
            return
        scope = "r" if depth == 0 else f"i{depth}"
        for source in sources:
            if (source.depth, source.kind) == (depth, "id") and source.required and source.path:
                if source.name not in self._ids:
                    self._ids[source.name] = (depth, self.house_id(source, -1))
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
            self.say(f"if not {fhir_type}_ok({name}): {fault}")

    # ---- shaping ------------------------------------------------------------------------

    def leaf(self, leaf: Leaf, path: str, put: Callable[[str], str]) -> None:
        """A value that may be absent."""
        if leaf.op in ("form", "narrative"):
            value = self._shape(leaf, [], path)
            with_if = leaf.op == "form"
            self.say(f"if {value}: {put(value)}" if with_if else put(value))
            return
        names, deeper = [], 0
        for source in leaf.sources:
            name = self.fetch(source, leaf.n)
            names.append(name)
            if not source.always:
                extra = f" and {name} != []" if leaf.op == "answers" else ""
                self.say(f"if {name} is not None{extra}:")
                self.indent += 1
                deeper += 1
        if leaf.op == "table" and None in leaf.arg.values():  # a word without a code
            made = self.temp("c")
            self.say(f"{made} = {self._row(leaf, names[0])}")
            self.say(f"if {made} is not None:")
            self.indent += 1
            deeper += 1
            self.explain(path, leaf.sources[0], leaf.n)
            self.say(put(made))
        else:
            value = self._shape(leaf, names, path)
            self.say(f"if {value}: {put(value)}" if leaf.op == "answers" else put(value))
        self.indent -= deeper

    def leaf_value(self, leaf: Leaf, path: str) -> str:
        """The expression of a value that every record has."""
        return self._shape(leaf, [self.fetch(s, leaf.n) for s in leaf.sources], path)

    def _shape(self, leaf: Leaf, names: list[str], path: str) -> str:
        """Check the fetched values and return the expression of the element."""
        self._path = path
        made: str = getattr(self, f"_{leaf.op}")(leaf, names)
        source = leaf.sources[0] if leaf.sources else None
        self.explain(path, source, leaf.n)
        return made

    def _copy(self, leaf: Leaf, names: list[str]) -> str:
        self.check(names[0], leaf.arg, leaf.sources[0], leaf.n)
        return names[0]

    def _row(self, leaf: Leaf, name: str) -> str:
        rows = self.constant(leaf.arg, ready=False)
        if leaf.op == "table":
            self.rows.add(rows)
        if self.trace:
            fault = self.fault(leaf.n, leaf.sources[0], f"is not in table '{leaf.line.codes}'")
            self.say(f"if {name}.__class__ is not str or {name} not in {rows}: {fault}")
        return f"{rows}[{name}]"

    def _table(self, leaf: Leaf, names: list[str]) -> str:
        return self._row(leaf, names[0])

    def _table_text(self, leaf: Leaf, names: list[str]) -> str:
        assert leaf.text is not None  # noqa: S101 - the op is chosen because of it
        made = self.temp("c")
        self.say(f"{made} = {self._row(leaf, names[0])}")
        text = self.fetch(leaf.text, leaf.n)
        self.say(f"if {text} is not None:")
        self.indent += 1
        self.check(text, "string", leaf.text, leaf.n)
        self.say(f'{made} = {{**{made}, "text": {text}}}')
        self.indent -= 1
        return made

    def _reference(self, leaf: Leaf, names: list[str]) -> str:
        kind, prefix, part = leaf.arg
        parts = [repr(part)] if part else []
        parts += names[1:]
        if not parts and not self.trace:
            return self.reference(kind + prefix, names[0])
        for name, source in zip(names, leaf.sources, strict=True):
            self.check_id(name, source, leaf.n)
        if not parts:
            return f'{{"reference": {kind + prefix!r} + {names[0]}}}'
        return f'{{"reference": {kind + prefix!r} + {self.part_name([names[0], *parts])}}}'

    def _identifier(self, leaf: Leaf, names: list[str]) -> str:
        for name, source in zip(names, leaf.sources, strict=True):
            if source.kind == "id":
                self.check_id(name, source, leaf.n)
            else:
                self.check(name, "string", source, leaf.n)
        fixed = "".join(f'"{k}": {self.constant(v)}, ' for k, v in leaf.arg.items())
        joined = ' + "/" + '.join(names)
        return f'{{{fixed}"value": {joined}}}'

    def reference(self, prefix: str, name: str) -> str:
        """A reference from the memory of its kind: the same people recur in most records."""
        known = self._memories.setdefault(prefix, f"refs{len(self._memories)}")
        self.names.setdefault(known, {})
        return f"({known}.get({name}) or refer({known}, {prefix!r}, {name}))"

    @staticmethod
    def part_name(names: list[str]) -> str:
        """The expression of a part's name below its record: ``cp-001.dx1``."""
        joined = ' + "." + '.join(names)
        return f"(w if len(w := {joined}) <= 48 else shorter(w))"

    def _text(self, leaf: Leaf, names: list[str]) -> str:
        self.check(names[0], "string", leaf.sources[0], leaf.n)
        return f'{{"text": {names[0]}}}'

    _annotation = _text

    def _quantity(self, leaf: Leaf, names: list[str]) -> str:
        self.check(names[0], "decimal", leaf.sources[0], leaf.n)
        fixed = "".join(f', "{k}": {v!r}' for k, v in leaf.arg.items())
        return f'{{"value": {names[0]}{fixed}}}'

    def _labels(self, leaf: Leaf, names: list[str]) -> str:
        rows, made = self.constant(leaf.arg, ready=False), self.temp("c")
        many = f"({names[0]} if {names[0]}.__class__ is list else [{names[0]}])"
        if self.trace:
            fault = self.fault(leaf.n, leaf.sources[0], f"is not in table '{leaf.line.codes}'")
            self.say(f"if any(x.__class__ is not str or x not in {rows} for x in {many}): {fault}")
        self.say(f'{made} = ", ".join([{rows}[x] for x in {many}])')
        if leaf.text is not None:
            text = self.fetch(leaf.text, leaf.n)
            self.say(f"if {text} is not None:")
            self.indent += 1
            self.check(text, "string", leaf.text, leaf.n)
            self.say(f"{made} = {text}")
            self.indent -= 1
        return made

    def _date(self, leaf: Leaf, names: list[str]) -> str:
        self.check(names[0], "dateTime", leaf.sources[0], leaf.n)
        return f"{names[0]}[:10]"

    def _answers(self, leaf: Leaf, names: list[str]) -> str:
        by = self.constant(leaf.arg, ready=False)
        self.rows.add(by)
        made = self.temp("a")
        if self.trace:
            path = self.record_path(leaf.sources[1])
            self.say(f"{made} = answers_located({by}, {names[0]}, {names[1]}, {leaf.n}, {path})")
        else:
            self.say(f"{made} = answers({by}, {names[0]}, {names[1]})")
        return made

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
                count = f"n{one.depth}, " if self.trace else ""
                walked = f"enumerate({values})" if self.trace else values
                self.say(f"for {count}{item} in {walked}:")
                self.indent += 1
                self.parts(one.depth, sources_of(one.inner))
                items = self.temp("L")
                self.say(f"{items} = []")
                self._questions(one.inner, items, n, f"{at}.item")
                self.say(f'if {items}: {into}.append({{{head}, "item": {items}}})')
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
            self.say(f"for j, x in enumerate({value}):")
            self.indent += 1
            self.check("x", kind, source, n)
            if self.trace:
                where = f'f"{self._at(source)}[{{j}}]"'
                self.say(f't.append((f"{at}.answer[{{j}}].{key}", {where}, {n}))')
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
        if self.trace:
            path = self.record_path(source)
            self.say(f"with located({leaf.n}, {path}):")
            self.say(f"    narrative([{label + NARRATIVE_MARK!r} + {shown}])")
        self.say(f"{rows}.append({label + NARRATIVE_MARK!r} + {shown})")
        self.indent -= 1
