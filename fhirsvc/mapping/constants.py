"""Constants of a mapping file: short forms written out, checked against R4 as they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fhirsvc.fhir.definitions import PRIMITIVES, definition
from fhirsvc.fhir.leaves import CHECKS
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.mapping.source import Mark, Node
from fhirsvc.mapping.tables import Systems

Report = Callable[[str, str, Mark], None]  # rule, message, place
_CODING = frozenset({"system", "code", "display", "text", "version"})


def expand(
    node: Node, type_name: str, systems: Systems, codes: tuple[str, ...], report: Report
) -> Any:
    """The JSON of a constant for an element of ``type_name``.

    ``{system, code, display, text}`` stands for a Coding or a CodeableConcept with one coding;
    ``system`` may be an alias. Everything else is written as FHIR writes it: ``_value`` holds the
    extensions of a primitive ``value``, https://hl7.org/fhir/R4/json.html#primitive.
    """
    if type_name in PRIMITIVES:
        return _primitive(node, type_name, codes, report)
    if not isinstance(node.value, dict):
        report("type", f"{type_name} is written as a set of elements", node.mark)
        return None
    if type_name == "CodeableConcept" and "coding" not in node.value:
        return _concept(node, systems, report)
    shape = definition(type_name)
    found: dict[str, Any] = {}
    for name, child in node.value.items():
        element = shape.elements.get(name)
        beside = shape.elements.get(name.removeprefix("_"))
        if element is None and beside is not None and beside.primitive and not beside.many:
            found[name] = expand(child, "Element", systems, (), report)
            continue
        if element is None:
            hint = did_you_mean(name, shape.elements)
            report("unknown-element", f"{type_name} has no '{name}'{hint}", node.at(name))
            continue
        if name == "system" and element.type == "uri":
            found[name] = _system(child, systems, report)
            continue
        items = child.value if element.many and isinstance(child.value, list) else [child]
        values = [expand(item, element.type, systems, element.codes, report) for item in items]
        found[name] = values if element.many else values[0]
    for element in shape.elements.values():
        if element.required and not {element.name, f"_{element.name}"} & found.keys():
            report("required", f"{type_name}.{element.name} is mandatory", node.mark)
    return found


def _primitive(node: Node, type_name: str, codes: tuple[str, ...], report: Report) -> Any:
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool) and type_name in _TEXTUAL:
        value = str(value)
    if not CHECKS[type_name](value):
        report("type", f"this is no {type_name}", node.mark)
    elif codes and value not in codes:
        hint = did_you_mean(str(value), codes) or f"; it is one of {', '.join(codes)}"
        report("binding", f"'{value}' is not in the required binding{hint}", node.mark)
    return value


def _concept(node: Node, systems: Systems, report: Report) -> dict[str, Any]:
    for name in node.value:
        if name not in _CODING:
            hint = did_you_mean(name, _CODING)
            report("unknown-element", f"a coded constant has no '{name}'{hint}", node.at(name))
    if not {"code", "text"} & set(node.value):
        report("required", "a coded constant has 'code' or 'text'", node.mark)
    for name, child in node.value.items():
        if name in _CODING and isinstance(child.value, dict | list | None):
            report("type", f"'{name}' is a word", node.at(name))
            return {}
    found: dict[str, Any] = {}
    if "code" in node.value:
        coding = {"code": str(node.value["code"].value)}
        if "system" in node.value:
            coding = {"system": _system(node.value["system"], systems, report), **coding}
        if "display" in node.value:
            coding["display"] = str(node.value["display"].value)
        found["coding"] = [coding]
    if "text" in node.value:
        found["text"] = str(node.value["text"].value)
    return found


def _system(node: Node, systems: Systems, report: Report) -> str:
    url = systems.url(str(node.value))
    if url is None:
        hint = did_you_mean(str(node.value), systems.urls)
        report("unknown-system", f"no code system is called '{node.value}'{hint}", node.mark)
    return url or str(node.value)


_TEXTUAL = frozenset({"string", "code", "markdown", "id", "uri", "canonical", "date", "dateTime"})
