"""Mapping file to plan: every name looked up, every mistake found before anything runs.

The checker and the compiler are this one walk: what cannot be resolved is a finding with
``file:line:col`` and the rule's name, and a file with findings has no plan. It is over 300 lines
because it is one walk: its parts share the scopes, the lines and the findings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from fhirsvc.errors import Finding
from fhirsvc.fhir.definitions import Definition, Element, definition, is_resource
from fhirsvc.mapping import groups, ops, texts
from fhirsvc.mapping.constants import expand
from fhirsvc.mapping.distinct import indistinct
from fhirsvc.mapping.lines import Condition, Line, MappingFile, did_you_mean
from fhirsvc.mapping.plan import (
    Const,
    Each,
    Group,
    Leaf,
    Node,
    Plan,
    Slot,
    Source,
    Test,
    carries,
)
from fhirsvc.mapping.setting import Setting
from fhirsvc.mapping.source import Mark
from fhirsvc.records import Field


@dataclass(frozen=True)
class Resolved:
    """A file resolved: its plan (None where it has errors), findings, record paths it reads.

    Where nothing in it ``depends`` on the version of US Core, it is the same for all of them.
    """

    plan: Plan | None
    findings: list[Finding]
    used: set[str]
    depends: bool


def resolve(file: MappingFile, setting: Setting) -> Resolved:
    """Resolve one file for one US Core version."""
    walk = Resolver(file, setting)
    plan = walk.plan()
    errors = [f for f in walk.findings if f.severity == "error"]
    return Resolved(None if errors else plan, walk.findings, walk.used, walk.depends)


class Resolver:
    """One walk over one file. ``scopes[d]`` is the record path of the list item at depth ``d``."""

    def __init__(self, file: MappingFile, setting: Setting) -> None:
        self.file = file
        self.setting = setting
        self.findings: list[Finding] = []
        self.fields = setting.fields.get(file.record, {})
        self.lines: list[Line] = []
        self.scopes: list[str] = [""]
        self.keys: list[Source | None] = []  # of the items of the enclosing lists
        self.used: set[str] = set()  # record paths that some line reads
        self.depends = False  # on the version of US Core
        self.inside: list[str] = []  # parts of the record that enclosing form groups stand for
        self.present: list[str] = []  # record paths that an enclosing condition holds present

    def report(self, rule: str, message: str, mark: Mark) -> None:
        """Add a finding."""
        self.findings.append(Finding(rule, message, str(mark)))

    def plan(self) -> Plan | None:
        """Resolve the whole file."""
        if not self.fields:
            hint = did_you_mean(self.file.record, self.setting.fields)
            message = f"no record type '{self.file.record}'{hint}"
            self.report("unknown-record", message, self.file.at("record"))
            return None
        if not is_resource(self.file.resource):
            hint = did_you_mean(self.file.resource, self.resources())
            message = f"R4 has no resource '{self.file.resource}'{hint}"
            self.report("unknown-resource", message, self.file.at("resource"))
            return None
        each = None
        if self.file.each:
            each = self.list_source(self.file.each, self.file.at("each"))
            if each is None:
                return None
            self.scopes.append(each.name + "[]")
            if self.file.key:
                self.source(self.file.key, self.file.at("key"))
        test = self.test(self.file.when)
        with self.given(test):
            root = self.group(None, self.file.resource, self.file.lines, self.file.resource)
        prefix = self.file.record.replace("_", "-") + "."
        return Plan(self.file, root, tuple(self.lines), each, test, prefix)

    # ---- groups -------------------------------------------------------------------------

    def group(self, line: Line | None, type_name: str, lines: Iterable[Line], where: str) -> Group:
        """The lines below one element of ``type_name``."""
        shape = definition(type_name)
        gathered: dict[str, list[Line]] = {}
        for child in lines:
            if not self.applies(child.when):
                continue
            name = child.path[0]
            if name not in shape.elements:
                self.report(*_unknown(shape, name), child.mark)
                continue
            gathered.setdefault(name, []).append(child)
        slots = []
        for name, element in shape.elements.items():
            if name in gathered:
                nodes = self.nodes(element, gathered[name], f"{where}.{name}")
                if nodes:
                    slots.append(Slot(element, tuple(nodes)))
        n = self.number(line) if line else -1
        group = Group(line, n, type_name, tuple(slots), self.test(line.when) if line else None)
        mark = line.mark if line else self.file.mark
        groups.check_group(shape, group, where, mark, frozenset(gathered), self.report)
        return group

    def nodes(self, element: Element, lines: list[Line], where: str) -> list[Node]:
        """What fills one element. Dotted paths with the same head share one item of it."""
        deeper = [line for line in lines if len(line.path) > 1]
        direct = [line for line in lines if len(line.path) == 1]
        found: list[Node | None] = []
        if deeper and (direct or element.primitive):
            what = "has no elements" if element.primitive else "is also written as a whole"
            self.report("duplicate-path", f"{where} {what}", deeper[0].mark)
        elif deeper:
            shorter = [_shift(line) for line in deeper]
            found.append(self.group(None, element.type, shorter, where))
        found.extend(self.node(element, line, where) for line in direct)
        nodes = [node for node in found if node is not None]
        for one, other in indistinct(nodes) if element.many else ():
            place = other.line.mark if other.line else lines[-1].mark
            before = one.line.mark if one.line else lines[0].mark
            message = f"read back, nothing tells this line's {where} from those of {before}"
            self.report("indistinct", f"{message}; give one an 'id'", place)
        if not element.many and len(nodes) > 1 and any(n.always for n in nodes[:-1]):
            message = f"{where} does not repeat, and this line never applies: the one before does"
            self.report("duplicate-path", message, lines[-1].mark)
        return nodes

    def node(self, element: Element, line: Line, where: str) -> Node | None:
        """One line."""
        if line.kind == "value":
            return self.constant(element, line)
        if line.kind == "elements":
            if element.primitive:
                self.report("type", f"{where} is a {element.type} and has no elements", line.mark)
                return None
            with self.given(self.test(line.when)):
                return self.group(line, element.type, line.children, where)
        if line.kind == "each":
            return self.each(element, line, where)
        if line.kind == "narrative":
            return texts.narrative(self, element, line)
        if line.kind == "form":
            return texts.form(self, element, line)
        return self.leaf(element, line, where)

    def constant(self, element: Element, line: Line) -> Const | None:
        """A value that the file states."""
        assert line.value is not None  # noqa: S101 - the grammar gives every constant its node
        value = expand(line.value, element.type, self.setting.systems, element.codes, self.report)
        if line.text and isinstance(value, dict):
            value = {**value, "text": line.text}
        return Const(line, self.number(line), element, value, self.test(line.when))

    def each(self, element: Element, line: Line, where: str) -> Each | None:
        """A list of the record."""
        if not element.many:
            self.report("cardinality", f"{where} does not repeat; 'each' makes many", line.mark)
            return None
        source = self.list_source(line.each or "", line.mark)
        if source is None:
            return None
        self.scopes.append(source.name + "[]")
        named = line.key not in (None, ".")
        self.keys.append(self.source(line.key or "", line.mark) if named else None)
        test = self.test(line.when)
        inner: Node | None
        if line.children:
            inner = self.group(_unconditional(line), element.type, line.children, where)
        else:
            inner = self.leaf(element, _unconditional(line), where)
        depth = len(self.scopes) - 1
        if isinstance(inner, Group):
            inner = self.keyed(line, source, inner)
        self.scopes.pop()
        self.keys.pop()
        if inner is None:
            return None
        return Each(line, self.number(line), source, depth, inner, test)

    def keyed(self, line: Line, each: Source, group: Group) -> Group:
        """The group of a list item with the item's key as its ``Element.id``.

        Items are met by key on the way back; where an element below carries the key, it is there.
        Ids are unique in a resource: an item of an item has the keys around it behind its own.
        """
        element = definition(group.type).elements.get("id")
        key = self.keys[-1]
        if key is None or element is None or key.kind != "id" or carries(group, key):
            return group
        prefix = ".".join(each.path) + "."
        said = replace(line, kind="from", transform="key", each=None, children=(), when=None)
        around = tuple(k for k in reversed(self.keys[:-1]) if k is not None)
        leaf = Leaf(said, self.number(said), element, (key, *around), "key", prefix)
        return replace(group, slots=(Slot(element, (leaf,)), *group.slots))

    def leaf(self, element: Element, line: Line, where: str) -> Leaf | None:
        """A value from the record, checked by what makes it (``ops``)."""
        lists = line.transform in ("labels", "answers")
        sources = [self.source(path, line.mark, lists=lists) for path in line.source]
        text = self.source(line.text, line.mark) if line.text else None
        if not sources or any(s is None for s in sources) or (line.text and text is None):
            return None
        known = tuple(s for s in sources if s is not None)
        made = ops.choose(self, element, line, known, where)
        if made is None:
            return None
        op, arg = made
        n = self.number(line)
        return Leaf(line, n, element, known, op, arg, text, self.test(line.when))

    @contextmanager
    def given(self, test: Test | None) -> Iterator[None]:
        """Inside: what the condition says is present is as good as required."""
        before = len(self.present)
        if test is not None and test.condition.present is True:
            name = test.source.name
            while name and not name.endswith("[]"):  # and so is every part around it
                self.present.append(name)
                name = name.rpartition(".")[0]
        yield
        del self.present[before:]

    def resources(self) -> set[str]:
        """Resource types that the folder's files make or refer to."""
        made = {f.resource for f in self.setting.files if is_resource(f.resource)}
        elements = [e for name in made for e in definition(name).elements.values()]
        return made | {target for e in elements for target in e.targets}

    # ---- names --------------------------------------------------------------------------

    def number(self, line: Line) -> int:
        """Give a line its index in the plan."""
        self.lines.append(line)
        return len(self.lines) - 1

    def applies(self, condition: Condition | None) -> bool:
        """Whether a line belongs to the plan for this US Core version."""
        if condition is None or condition.us_core is None:
            return True
        self.depends = True
        sign, version = condition.us_core
        mine = self.setting.us_core
        return {"<": mine < version, ">=": mine >= version, "=": mine == version}[sign]

    def test(self, condition: Condition | None) -> Test | None:
        """A condition on a field, with the field found and its values known."""
        if condition is None or condition.field is None:
            return None
        source = self.source(condition.field, condition.mark, lists=True)
        if source is None:
            return None
        values = self.field(source.name).values
        for value in condition.values:
            if values and value not in values:
                hint = did_you_mean(str(value), values)
                message = f"'{source.name}' is never '{value}'{hint}"
                self.report("enum-value", message, condition.mark)
        return Test(condition, source)

    def field(self, name: str) -> Field:
        """A field by its resolved name."""
        return self.fields[name]

    def source(self, path: str, mark: Mark, *, lists: bool = False) -> Source | None:
        """Resolve a record path from the current scope."""
        depth = 0 if path.startswith("/") else len(self.scopes) - 1
        scope = self.scopes[depth]
        rest = path.removeprefix("/")
        part = next((p for p in reversed(self.inside) if p), "")
        if part.startswith(scope) and len(part) > len(scope):  # below a group of a form
            rest = f"{part[len(scope) :].removeprefix('.')}.{rest}"
        name = scope.removesuffix("[]") if rest == "." else f"{scope}.{rest}" if scope else rest
        found = self.fields.get(name)
        if found is None:
            near = [f.removeprefix(f"{scope}.") for f in self.fields if f.startswith(scope)]
            hint = did_you_mean(rest, near)
            message = f"{self.file.record} has no field '{name}'{hint}"
            self.report("unknown-field", message, mark)
            return None
        if found.sensitivity == "PSYTHPN":
            message = f"'{name}' never leaves (psychotherapy notes, 42 CFR 2.11); skip it"
            self.report("never-leaves", message, mark)
            return None
        self.used.add(name)
        steps = () if rest == "." else tuple(rest.split("."))
        if rest != "." and found.many and not lists:
            self.report("cardinality", f"'{name}' is a list; use 'each'", mark)
            return None
        required = rest == "." or self.required(scope, steps)
        always = required or self.required(scope, steps, given=True)
        return Source(depth, steps, name, found.kind, always, required)

    def list_source(self, path: str, mark: Mark) -> Source | None:
        """Resolve the list that ``each`` walks."""
        source = self.source(path, mark, lists=True)
        if source is not None and not self.field(source.name).many:
            self.report("each-source", f"'{source.name}' is not a list", mark)
            return None
        return source

    def required(self, scope: str, steps: tuple[str, ...], *, given: bool = False) -> bool:
        """Whether every step of a path is required, or ``given``, where its parent exists."""
        name = scope
        for step in steps:
            name = f"{name}.{step}" if name else step
            if not self.fields[name].required and not (given and name in self.present):
                return False
        return True


def _shift(line: Line) -> Line:
    return replace(line, path=line.path[1:])


def _unconditional(line: Line) -> Line:
    return replace(line, when=None)


def _unknown(shape: Definition, name: str) -> tuple[str, str]:
    """Rule and message for what R4 does not have; a choice without its type is the usual slip."""
    choice = shape.choices().get(name.removesuffix("[x]"))
    if choice:
        return "choice", f"say which of {', '.join(e.name for e in choice)}"
    hint = did_you_mean(name, shape.elements)
    return "unknown-element", f"{shape.name} has no '{name}'{hint}"
