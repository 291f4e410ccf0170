"""Is this resource R4? Structure, primitive values, required bindings, invariants, targets.

Two readings of the same definitions: ``shapes`` says quickly that all is well; where it cannot,
the walk here says what is wrong and where (FHIR path). What is not checked here: profiles, slicing,
and terminology beyond required bindings (``make interop`` runs the HL7 validator for those).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir import shapes
from fhirsvc.fhir.definitions import Definition, Element, definition, is_resource
from fhirsvc.fhir.invariants import INVARIANTS
from fhirsvc.fhir.leaves import CHECKS

MAX_FINDINGS = 100
MAX_DEPTH = 60


def validate(resource: object) -> list[Finding]:
    """What is wrong with a resource, at most 100 findings; nothing when it is R4.

    Messages name elements and types, never the values found there.
    """
    if shapes.good(resource):
        return []
    found = []
    for finding in _resource(resource, "", 0):
        found.append(finding)
        if len(found) >= MAX_FINDINGS:
            break
    return found


def _resource(resource: object, path: str, depth: int) -> Iterator[Finding]:
    if not isinstance(resource, dict):
        yield Finding("structure", "a resource is an object", path or "$")
        return
    name = resource.get("resourceType")
    if not is_resource(name):
        where = f"{path}.resourceType" if path else "resourceType"
        yield Finding("structure", "no R4 resource type", where)
        return
    body = {key: value for key, value in resource.items() if key != "resourceType"}
    yield from _object(definition(str(name)), body, path or str(name), depth)


def _object(shape: Definition, body: dict[str, Any], path: str, depth: int) -> Iterator[Finding]:
    if depth > MAX_DEPTH:
        yield Finding("structure", f"nested deeper than {MAX_DEPTH}", path)
        return
    if not body:
        yield Finding("structure", "an element has a value or children (ele-1)", path)
        return
    for key, value in body.items():
        name = key.removeprefix("_")
        element = shape.elements.get(name)
        if element is None or (key != name and not element.primitive):
            yield Finding("structure", f"{shape.name} has no element '{_safe(key)}'", path)
        elif key != name:
            yield from _extended(element, value, body.get(name), f"{path}.{name}", depth)
        else:
            yield from _element(element, value, f"_{name}" in body, f"{path}.{name}", depth)
    yield from _presence(shape, body, path)
    for rule in INVARIANTS.get(shape.name, ()):
        if rule.needs <= body.keys() and not rule.ok(body):
            yield Finding("invariant", f"{rule.text} ({rule.key})", path)


def _safe(key: str) -> str:
    """An unknown name may be a value gone astray: show it only where it looks like an element."""
    return (
        key if key.isascii() and key.isidentifier() and len(key) <= 40 else "(not an element name)"
    )


def _presence(shape: Definition, body: dict[str, Any], path: str) -> Iterator[Finding]:
    for element in shape.elements.values():
        there = element.name in body or (element.primitive and f"_{element.name}" in body)
        if element.required and not there:
            yield Finding("required", "mandatory element is missing", f"{path}.{element.name}")
    for base, members in shape.choices().items():
        names = [m.name for m in members if m.name in body or f"_{m.name}" in body]
        if len(names) > 1:
            yield Finding("structure", f"{base}[x] has more than one type", path)
        elif not names and members[0].choice_required:
            yield Finding("required", "mandatory element is missing", f"{path}.{base}[x]")


def _element(
    element: Element, value: object, extended: bool, path: str, depth: int
) -> Iterator[Finding]:
    if not element.many:
        yield from _value(element, value, path, depth)
        return
    if not isinstance(value, list) or not value:
        yield Finding("structure", "expected a list that is not empty", path)
        return
    for i, item in enumerate(value):
        if not (item is None and extended and element.primitive):
            yield from _value(element, item, f"{path}[{i}]", depth)


def _value(element: Element, value: object, path: str, depth: int) -> Iterator[Finding]:
    if element.primitive:
        if not CHECKS[element.type](value):
            yield Finding("value", f"this is no {element.type}", path)
        elif element.codes and value not in element.codes:
            allowed = ", ".join(element.codes)
            yield Finding("binding", f"not in the required binding: {allowed}", path)
    elif element.type == "Resource":
        yield from _resource(value, path, depth + 1)
    elif not isinstance(value, dict):
        yield Finding("structure", f"expected an object ({element.type})", path)
    else:
        yield from _object(definition(element.type), value, path, depth + 1)
        if element.type == "Reference" and not shapes.target_ok(value, element.targets):
            allowed = ", ".join(element.targets)
            yield Finding("target", f"refers to something else than {allowed}", path)


def _extended(
    element: Element, value: object, plain: object, path: str, depth: int
) -> Iterator[Finding]:
    """The ``_name`` beside a primitive: its id and extensions, item by item where it repeats."""
    if element.many:
        if not isinstance(value, list) or not value:
            yield Finding("structure", "expected a list that is not empty", path)
            return
        if isinstance(plain, list) and len(plain) != len(value):
            yield Finding("structure", "values and their extensions differ in number", path)
        items = [(f"{path}[{i}]", item) for i, item in enumerate(value) if item is not None]
    else:
        items = [(path, value)]
    for at, item in items:
        if isinstance(item, dict):
            yield from _object(definition("Element"), item, at, depth + 1)
        else:
            yield Finding("structure", "expected an object (Element)", at)
