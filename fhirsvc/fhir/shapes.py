"""The quick yes: resources checked by functions made for each shape of object that turns up.

An object's shape is its element names in order. Which elements are known, mandatory, exclusive, and
every invariant that asks only what is there, is the same for all objects of a shape: it is settled
when the shape is first seen. What is left, the values, is one generated expression per shape.
Shapes are kept up to a bound; past it an object is left to the slow walk in ``validate``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from fhirsvc.fhir import leaves
from fhirsvc.fhir.definitions import Element, definition, is_resource
from fhirsvc.fhir.invariants import INVARIANTS, Invariant

MAX_SHAPES = 5_000
FEW = 4  # elements of an object
LONG = 40  # characters from which writing a text is quicker than looking at each of them
MAX_INLINED = 40  # objects asked in place in one function
Check = Callable[[Any], bool]
Look = Callable[[tuple[str, ...]], Check | None]

_REMEMBERED = {
    "date": leaves.DATES,
    "dateTime": leaves.DATETIMES,
    "id": leaves.IDS,
    "code": set[object](),
    "uri": set[object](),
    "canonical": set[object](),
}
_count = 0


def good(resource: object) -> bool:
    """Whether a resource is R4 beyond doubt. False means: look closer."""
    try:
        return _resource(resource)
    except (TypeError, AttributeError, KeyError, ValueError, RecursionError):
        return False


def _resource(resource: Any) -> bool:
    name = resource["resourceType"]
    known = _types.get(name)
    if known is None:
        if not is_resource(name):
            return False
        known = _type(name)
    look, learn = known
    return (look(tuple(resource)) or learn)(resource)


def target_ok(reference: dict[str, Any], targets: tuple[str, ...] | frozenset[str]) -> bool:
    """Whether a literal reference names an allowed type.

    ``Type/id`` (with or without a base before it) says its type; a urn, a fragment or a logical
    reference does not, unless ``type`` is given.
    """
    literal = reference.get("reference")
    kind = None
    if isinstance(literal, str) and "/" in literal and not literal.startswith(("urn:", "#")):
        parts = literal.split("/_history/")[0].rsplit("/", 2)
        kind = parts[-2]
    elif isinstance(reference.get("type"), str):
        kind = reference["type"]
    return kind is None or not targets or kind in targets or not is_resource(kind)


def _many(look: Look, learn: Check, values: Any) -> bool:
    if values.__class__ is not list or not values:
        return False
    for value in values:  # noqa: SIM110 - all() costs a generator on the hottest path
        if not (look(tuple(value)) or learn)(value):
            return False
    return True


def _refers(reference: Any, targets: frozenset[str]) -> bool:
    literal = reference.get("reference")
    if literal is not None and len(reference) == 1:  # by far the most frequent form
        known = literal[: literal.find("/")] in targets and leaves.text_ok(literal)
        if known:
            return True
    look, learn = _types.get("Reference") or _type("Reference")
    if not (look(tuple(reference)) or learn)(reference):
        return False
    return target_ok(reference, targets)


def _remembered(known: set[object], check: Check) -> Check:
    def look(value: object) -> bool:
        if value in known:
            return True
        if not check(value):
            return False
        if len(known) >= 10_000:
            known.clear()
        known.add(value)
        return True

    return look


_NAMESPACE: dict[str, Any] = {
    "dumps": orjson.dumps,
    "many": _many,
    "refers": _refers,
    "resource_ok": _resource,
    **{f"{name}_ok": check for name, check in leaves.CHECKS.items()},
    **{f"{name}_seen": known for name, known in _REMEMBERED.items()},
    **{
        f"{name}_ok": _remembered(known, leaves.CHECKS[name]) for name, known in _REMEMBERED.items()
    },
}
_types: dict[str, tuple[Look, Check]] = {}


def _type(name: str) -> tuple[Look, Check]:
    """For a type: the look-up of a shape's function, and what learns a shape not seen before."""
    shapes: dict[tuple[str, ...], Check] = {}

    def learn(value: Any) -> bool:
        if value.__class__ is not dict:
            return False
        shape = tuple(value)
        found = _shape(name, value)
        if found is None:
            return False
        shapes[shape] = found
        return found(value)

    _types[name] = (shapes.get, learn)
    return _types[name]


def _settle(name: str, names: tuple[str, ...]) -> tuple[tuple[str, ...], list[Invariant]] | None:
    """What is left to ask of objects with these elements: which values, which invariants.

    None when no object with just these elements is good.
    """
    known = definition(name)
    inner = names[1:] if known.kind == "resource" and names[:1] == ("resourceType",) else names
    if not inner or any(n not in known.elements for n in inner):
        return None
    there = dict.fromkeys(inner)
    for element in known.elements.values():
        if element.required and element.name not in there:
            return None
    for members in known.choices().values():
        present = sum(m.name in there for m in members)
        if present > 1 or (members[0].choice_required and not present):
            return None
    rules = [r for r in INVARIANTS.get(name, ()) if r.needs <= there.keys()]
    if any(r.static and not r.ok(there) for r in rules):
        return None
    return inner, [r for r in rules if not r.static]


def _shape(name: str, example: dict[str, Any]) -> Check | None:
    """The function for the shape of an example; None for a shape never good, or one too many."""
    global _count  # noqa: PLW0603 - one bound for the process, whatever the type
    settled = _settle(name, tuple(example))
    if _count >= MAX_SHAPES or settled is None:
        return None
    _count += 1
    return _Maker(name).function(settled, example)


class _Maker:
    """Writes one function. Objects inside are asked in place when they look as in the example."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.scope = dict(_NAMESPACE)
        self.inlined = 0

    def function(
        self, settled: tuple[tuple[str, ...], list[Invariant]], example: dict[str, Any]
    ) -> Check:
        """``f(o)``: whether the values of an object of this shape are good."""
        inner, rules = settled
        known = definition(self.name)
        tests = [self.test(known.elements[n], f"v{i}", example[n]) for i, n in enumerate(inner)]
        tests += [f"{self.keep(rule.ok)}(o)" for rule in rules]
        values = "".join(f"v{i}, " for i in range(len(inner)))
        head = "_, " if len(example) > len(inner) else ""
        body = f"    {head}{values}= o.values()\n    return {' and '.join(tests)}\n"
        code = compile(f"def f(o):\n{body}", f"<{self.name}>", "exec")
        exec(code, self.scope)  # noqa: S102 - element names of R4 only
        made: Check = self.scope["f"]
        return made

    def keep(self, value: Any) -> str:
        """A global name for a value."""
        name = f"k{len(self.scope)}"
        self.scope[name] = value
        return name

    def test(self, element: Element, name: str, value: Any) -> str:
        """The expression that holds for a good value of an element."""
        if not element.many:
            return self.one(element, name, value)
        if element.type == "Resource":
            return f"{name}.__class__ is list and {name} != [] and all(map(resource_ok, {name}))"
        first = value[0] if isinstance(value, list) and value else None
        if element.primitive or (element.type == "Reference" and element.targets):
            each = self.one(element, "x", first)
            return f"{name}.__class__ is list and {name} != [] and all([{each} for x in {name}])"
        one = self.object(element.type, f"{name}[0]", first)
        look, learn = (self.keep(f) for f in _types.get(element.type) or _type(element.type))
        several = f"many({look}, {learn}, {name})"
        return f"{name}.__class__ is list and ({one} if len({name}) == 1 else {several})"

    def one(self, element: Element, name: str, value: Any) -> str:
        """The expression for one value."""
        if element.codes:
            return f"{name} in {self.keep(frozenset(element.codes))}"
        if element.type in ("string", "markdown"):
            plain = f"{name}.isprintable()"
            if isinstance(value, str) and len(value) > LONG:  # JSON with nothing to escape
                plain = f"len(dumps({name})) == len({name}) + 2"
            return f'({name} > "!" and {plain} or string_ok({name}))'
        if element.type in _REMEMBERED:
            return f"({name} in {element.type}_seen or {element.type}_ok({name}))"
        if element.primitive:
            return f"{element.type}_ok({name})"
        if element.type == "Resource":
            return f"resource_ok({name})"
        if element.type == "Reference" and element.targets:
            allowed = self.keep(frozenset(element.targets))
            easy = f"len({name}) == 1 and (r := {name}.get('reference')) is not None"
            known = f"r[: r.find('/')] in {allowed} and r.isprintable()"
            return f"({easy} and {known} or refers({name}, {allowed}))"
        return self.object(element.type, name, value)

    def object(self, kind: str, name: str, example: Any) -> str:
        """The expression for an object: in place for the example's shape, else by its own."""
        look, learn = (self.keep(f) for f in _types.get(kind) or _type(kind))
        settled = _settle(kind, tuple(example)) if isinstance(example, dict) else None
        if settled is None or self.inlined >= MAX_INLINED:
            return f"({look}(tuple({name})) or {learn})({name})"
        self.inlined += 1
        held = f"c{self.inlined}"
        known = definition(kind)
        tests = []
        for i, n in enumerate(settled[0]):
            value = f"{held}_{i}"
            test = self.test(known.elements[n], value, example[n])
            tests.append(test.replace(value, f"({value} := {held}['{n}'])", 1))
        tests += [f"{self.keep(rule.ok)}({held})" for rule in settled[1]]
        if len(example) <= FEW:  # asking for each name is quicker than listing them
            names = " and ".join(f"{n!r} in {held}" for n in settled[0])
            alike = f"len({held} := {name}) == {len(example)} and {names}"
        else:
            alike = f"tuple({held} := {name}) == {self.keep(tuple(example))}"
        other = f"({look}(tuple({held})) or {learn})({held})"
        return f"({' and '.join(tests)} if {alike} else {other})"
