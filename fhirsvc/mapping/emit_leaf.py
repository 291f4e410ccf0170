"""Generated code for one value: what each op of ``ops`` becomes."""

from __future__ import annotations

from collections.abc import Callable

from fhirsvc.mapping.emit_base import Statements
from fhirsvc.mapping.plan import Leaf


class Leaves(Statements):
    """Reads the fields of a leaf, checks them and gives the expression of its element."""

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

    def _key(self, leaf: Leaf, names: list[str]) -> str:
        made = [f"{leaf.arg!r} + {names[0]}"]
        for name, source in zip(names, leaf.sources, strict=True):
            self.check_id(name, source, leaf.n)
        for name, source in zip(names[1:], leaf.sources[1:], strict=True):
            around = source.name.rpartition("[].")[0].rpartition("[].")[2]
            made.append(f"{f'/{around}.'!r} + {name}")
        return " + ".join(made)

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

    def _tag(self, leaf: Leaf, names: list[str]) -> str:
        for name, source in zip(names, leaf.sources, strict=True):
            self.check_id(name, source, leaf.n)
        joined = ' + "/" + '.join(names)
        return f'{{"system": {leaf.arg["system"]!r}, "code": {joined}}}'

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

    def _time(self, leaf: Leaf, names: list[str]) -> str:
        self.check(names[0], "string", leaf.sources[0], leaf.n)
        made = self.temp("c")
        self.say(f'{made} = {names[0]} + ":00"')
        self.check(made, "time", leaf.sources[0], leaf.n)
        return made

    def _end(self, leaf: Leaf, names: list[str]) -> str:
        self.check(names[0], leaf.arg, leaf.sources[0], leaf.n)
        self.check(names[1], "integer", leaf.sources[1], leaf.n)
        made = self.temp("c")
        self.say(f"{made} = end_of({names[0]}, {names[1]})")
        fault = self.fault(leaf.n, leaf.sources[1], "ends after the last day there is")
        self.say(f"if {made} is None: {fault}")
        return made

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
