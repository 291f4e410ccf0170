"""The quick yes: resources checked by functions made for each shape of object that turns up.

An object's shape is its element names in order. Which elements are known, mandatory, exclusive, and
every invariant that asks only what is there, is the same for all objects of a shape: it is settled
when the shape is first seen. What is left, the values, is one generated expression per shape.
Shapes are kept up to a bound; past it an object is left to the slow walk in ``validate``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhirsvc.fhir import leaves
from fhirsvc.fhir.definitions import Element, definition, is_resource
from fhirsvc.fhir.invariants import INVARIANTS

MAX_SHAPES = 20_000
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
        if len(known) >= 50_000:
            known.clear()
        known.add(value)
        return True

    return look


_NAMESPACE: dict[str, Any] = {
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
        found = _shape(name, shape)
        if found is None:
            return False
        shapes[shape] = found
        return found(value)

    _types[name] = (shapes.get, learn)
    return _types[name]


def _shape(name: str, names: tuple[str, ...]) -> Check | None:
    """The function for one shape; None for a shape that is never good or one too many."""
    global _count  # noqa: PLW0603 - one bound for the process, whatever the type
    known = definition(name)
    inner = names[1:] if known.kind == "resource" and names[:1] == ("resourceType",) else names
    if _count >= MAX_SHAPES or not inner or any(n not in known.elements for n in inner):
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
    _count += 1
    scope = dict(_NAMESPACE)
    tests = [_test(known.elements[n], f"v{i}", scope) for i, n in enumerate(inner)]
    for i, rule in enumerate(r for r in rules if not r.static):
        scope[f"rule{i}"] = rule.ok
        tests.append(f"rule{i}(o)")
    values = "".join(f"v{i}, " for i in range(len(inner)))
    head = "_, " if inner is not names else ""
    source = f"def f(o):\n    {head}{values}= o.values()\n    return {' and '.join(tests)}\n"
    exec(compile(source, f"<{name}>", "exec"), scope)  # noqa: S102 - element names of R4 only
    made: Check = scope["f"]
    return made


def _test(element: Element, name: str, scope: dict[str, Any]) -> str:
    """The expression that holds for a good value of an element."""
    if not element.many:
        return _one(element, name, scope)
    if element.primitive:
        each = _one(element, "x", scope)
        return f"{name}.__class__ is list and {name} != [] and all([{each} for x in {name}])"
    if element.type == "Resource":
        return f"{name}.__class__ is list and {name} != [] and all(map(resource_ok, {name}))"
    if element.type == "Reference" and element.targets:
        each = _one(element, "x", scope)
        return f"{name}.__class__ is list and {name} != [] and all([{each} for x in {name}])"
    kind = _known(element.type, scope)
    one = f"(look_{kind}(tuple({name}[0])) or learn_{kind})({name}[0])"
    several = f"many(look_{kind}, learn_{kind}, {name})"
    return f"{name}.__class__ is list and ({one} if len({name}) == 1 else {several})"


def _one(element: Element, name: str, scope: dict[str, Any]) -> str:
    if element.codes:
        allowed = f"codes{len(scope)}"
        scope[allowed] = frozenset(element.codes)
        return f"{name} in {allowed}"
    if element.type in ("string", "markdown"):
        return f'({name} > "!" and {name}.isprintable() or string_ok({name}))'
    if element.type in _REMEMBERED:
        return f"({name} in {element.type}_seen or {element.type}_ok({name}))"
    if element.primitive:
        return f"{element.type}_ok({name})"
    if element.type == "Resource":
        return f"resource_ok({name})"
    if element.type == "Reference" and element.targets:
        allowed = f"targets{len(scope)}"
        scope[allowed] = frozenset(element.targets)
        return f"refers({name}, {allowed})"
    kind = _known(element.type, scope)
    return f"(look_{kind}(tuple({name})) or learn_{kind})({name})"


def _known(name: str, scope: dict[str, Any]) -> str:
    look, learn = _types.get(name) or _type(name)
    scope[f"look_{name}"], scope[f"learn_{name}"] = look, learn
    return name
