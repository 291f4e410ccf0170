"""Where each field of a record goes, in words: what a page for reviewers is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhirsvc.mapping.forward import setting
from fhirsvc.mapping.grammar import US_CORE
from fhirsvc.mapping.library import Library
from fhirsvc.mapping.lines import Condition, Line, MappingFile
from fhirsvc.mapping.plan import Asked, Const, Each, Group, Leaf, Node, sources
from fhirsvc.mapping.resolve import resolve

_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Destination:
    """One place that a field goes to, or that it decides about."""

    file: str  # "care_plan/CarePlan.yaml"
    place: str  # file:line:col
    element: str  # "CarePlan.activity.detail.code"
    how: str  # "as a code of the table modality"
    when: str  # "where 'own words' is true"; empty: always
    owner: str | None
    sensitivity: str | None
    one_way: str | None
    codes: str | None  # table
    refers_to: str | None = None  # "staff/Practitioner", where it is a reference


@dataclass(frozen=True)
class Stated:
    """An element that a file writes whatever the record says."""

    element: str
    value: Any
    when: str


def words(name: str) -> str:
    """``lifecycleStatus`` or ``review_due`` as words: ``lifecycle status``, ``review due``."""
    return _CAPITAL.sub(" ", name).replace("_", " ").lower()


def destinations(library: Library, record: str) -> dict[str, list[Destination]]:
    """Field name (``modalities[].kind``) to where it goes, over all versions of US Core."""
    found: dict[str, dict[Destination, None]] = {}
    for file, root in _roots(library, record):
        for name, to in _walk(root, file.resource, file, _State(file)):
            found.setdefault(name, {})[to] = None
    return {name: list(of) for name, of in found.items()}


def stated(library: Library, file: MappingFile) -> list[Stated]:
    """The constants of a file: what every resource made by it says."""
    found: dict[str, Stated] = {}
    for mine, root in _roots(library, file.record):
        if mine is file:
            for node, element, when in _constants(root, file.resource, ""):
                found.setdefault(str(node.line.mark), Stated(element, node.value, when))
    return list(found.values())


def _roots(library: Library, record: str) -> Iterator[tuple[MappingFile, Group]]:
    for us_core in US_CORE:
        context = setting(library, us_core)
        for file in library.files:
            plan = resolve(file, context).plan if file.record == record else None
            if plan is not None:
                yield file, plan.root


@dataclass(frozen=True)
class _State:
    """What the lines around a node say about it."""

    file: MappingFile
    owner: str | None = None
    sensitivity: str | None = None
    when: tuple[str, ...] = ()

    def below(self, line: Line | None) -> _State:
        if line is None:
            return self
        said = condition(line.when)
        return _State(
            self.file,
            line.owner or self.owner,
            line.sensitivity or self.sensitivity,
            (*self.when, said) if said and said not in self.when else self.when,
        )


def _walk(
    node: Node, element: str, file: MappingFile, state: _State
) -> Iterator[tuple[str, Destination]]:
    inner = state.below(node.line)
    if node.test is not None and node.line is not None and not isinstance(node, Leaf):
        yield node.test.source.name, _to(node.line, element, "decides whether it is there", state)
    if isinstance(node, Each):
        if not isinstance(node.node, Leaf):
            yield node.source.name, _to(node.line, element, "makes an entry of each", inner)
        yield from _walk(node.node, element, file, inner)
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                yield from _walk(child, f"{element}.{slot.element.name}", file, inner)
    elif isinstance(node, Leaf):
        yield from _leaf(node, element, inner)


def _leaf(leaf: Leaf, element: str, state: _State) -> Iterator[tuple[str, Destination]]:
    if leaf.op == "narrative":
        for label, source, steps, _ in leaf.arg:
            name = f"{source.name}[].{'.'.join(steps)}" if steps else source.name
            yield name, _to(leaf.line, element, f"in the readable text, under “{label}”", state)
        return
    if leaf.op == "form":
        for asked in _questions(leaf.arg):
            if asked.key is not None:
                yield asked.key.name, _to(leaf.line, element, "as the entry's own key", state)
            if asked.source is not None and not asked.inner:
                how = f"as the answer to “{asked.question.text}”"
                yield asked.source.name, _to(leaf.line, element, how, state)
        return
    for source in leaf.sources:
        yield source.name, _to(leaf.line, element, _how(leaf), state)
    if leaf.op == "answers":
        for name in ("n", "value"):
            inside = f"{leaf.sources[1].name}[].{name}"
            yield inside, _to(leaf.line, element, _how(leaf), state)
    if leaf.text is not None:
        yield leaf.text.name, _to(leaf.line, element, "as the words beside the code", state)
    if leaf.test is not None:
        named = {source.name for source in leaf.sources}
        if leaf.test.source.name not in named:
            how = "decides whether it is there"
            yield leaf.test.source.name, _to(leaf.line, element, how, state)


def _questions(asked: Sequence[Asked]) -> Iterator[Asked]:
    for one in asked:
        yield one
        yield from _questions(one.inner)


def _to(line: Line, element: str, how: str, state: _State) -> Destination:
    return Destination(
        file=state.file.file,
        place=str(line.mark),
        element=element,
        how=how,
        when=" and ".join(w for w in state.when if w),
        owner=state.owner,
        sensitivity=state.sensitivity or state.file.sensitivity,
        one_way=line.one_way,
        codes=line.codes,
        refers_to=str(line.options["to"]) if line.options.get("to") else None,
    )


def _how(leaf: Leaf) -> str:
    line = leaf.line
    to = str(line.options.get("to", "")).partition("/")[2]
    unit = line.options.get("unit")
    named = {
        "identifier": f"as an identifier ({line.options.get('system')})",
        "reference": f"as a reference to the {to}",
        "text": "as words",
        "annotation": "as a note",
        "quantity": f"as an amount in {unit}" if unit else "as an amount",
        "date": "its day",
        "labels": "in words",
        "answers": "as the answers of the instrument",
        "key": "as the entry's own key",
    }
    if leaf.op in ("table", "table_text"):
        return "as a code"
    return named.get(leaf.op, "as it is")


def condition(when: Condition | None) -> str:
    """A condition in words; empty where there is none."""
    if when is None:
        return ""
    said = []
    if when.field is not None:
        name = f"“{words(when.field.removeprefix('/'))}”"
        if when.present is not None:
            said.append(f"where {name} is {'there' if when.present else 'absent'}")
        else:
            said.append(f"where {name} is {' or '.join(words(str(v)) for v in when.values)}")
    if when.us_core is not None:
        sign, version = when.us_core
        how = {"<": "before", ">=": "from", "=": ""}[sign]
        said.append(" ".join(f"for US Core {how} {version}".split()))
    return " and ".join(said)


def _constants(node: Node, element: str, when: str) -> Iterator[tuple[Const, str, str]]:
    said = condition(node.line.when) if node.line is not None else ""
    when = " and ".join(w for w in (when, said) if w)
    if isinstance(node, Const):
        yield node, element, when
    elif isinstance(node, Each):
        yield from _constants(node.node, element, when)
    elif isinstance(node, Group):
        for slot in node.slots:
            for child in slot.nodes:
                # A constant beside a field is part of that field's element, not news of its own;
                # only at the top of the resource all is said.
                if isinstance(child, Const) and "." in element and _reads(node):
                    continue
                yield from _constants(child, f"{element}.{slot.element.name}", when)


def _reads(node: Node) -> bool:
    return next(sources(node), None) is not None
