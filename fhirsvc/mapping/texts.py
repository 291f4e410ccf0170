"""Lines that are more than one value: the answers of a form, the readable text of a resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhirsvc.fhir.definitions import Element
from fhirsvc.fhir.instruments import Question
from fhirsvc.mapping.lines import Line, did_you_mean
from fhirsvc.mapping.ops import COPIES
from fhirsvc.mapping.plan import Asked, Leaf, Source

if TYPE_CHECKING:
    from fhirsvc.mapping.resolve import Resolver

# Kinds of question and the FHIR primitive that carries the answer.
_ANSWERED = {"text": "string"} | {
    t: t for t in ("string", "integer", "decimal", "boolean", "date", "dateTime")
}


def form(r: Resolver, element: Element, line: Line) -> Leaf | None:
    """The answers of a form, one item per question that the record answers."""
    found = r.setting.forms.get(line.form or "")
    if found is None:
        hint = did_you_mean(line.form or "", r.setting.forms)
        r.report("unknown-form", f"no form '{line.form}'{hint}", line.mark)
        return None
    asked = [a for q in found.questions if (a := _ask(r, q)) is not None]
    return Leaf(line, r.number(line), element, (), "form", asked, None, r.test(line.when))


def _ask(r: Resolver, question: Question) -> Asked | None:
    """A question with the field that answers it."""
    own = question.each or question.source
    source = r.source(own, question.mark, lists=True) if own else None
    if own and source is None:
        return None
    if source is not None and question.type != "group":
        kinds = COPIES[_ANSWERED[question.type]] | {"enum"}
        if source.kind not in kinds:
            message = f"the answer is a {question.type}; '{source.name}' is a {source.kind}"
            r.report("type", message, question.mark)
        if r.field(source.name).many != bool(question.each):
            r.report("each-source", f"'{source.name}' and 'each' disagree", question.mark)
    scope = source.name if source is not None else None
    inside = question.each and question.questions
    if inside and scope:
        r.scopes.append(f"{scope}[]")
    part = scope if question.source and question.questions else None
    r.inside.append(part or "")
    inner = [a for q in question.questions if (a := _ask(r, q)) is not None]
    r.inside.pop()
    depth, key = len(r.scopes) - 1, None
    if inside and source is not None:
        name = r.field(source.name).key
        key = Source(depth, (name,), f"{scope}[].{name}", "id", True, True) if name else None
        if key is not None:
            r.used.add(key.name)
        r.scopes.pop()
    values = r.field(source.name).values if source is not None else ()
    return Asked(question, source, depth, values, tuple(inner), key)


def narrative(r: Resolver, element: Element, line: Line) -> Leaf | None:
    """The readable text: ``label: field`` or ``label: list[].field`` rows under a heading."""
    rows: list[tuple[str, Source, tuple[str, ...] | None, str]] = []
    node = line.value
    if element.type != "Narrative" or node is None or not isinstance(node.value, dict):
        r.report("type", "'narrative' fills 'text' with rows {label: field}", line.mark)
        return None
    for label, child in node.value.items():
        if not isinstance(child.value, str):
            r.report("type", f"'{label}' names a field", child.mark)
            continue
        head, is_list, rest = child.value.partition("[]")
        source = r.source(head, child.mark, lists=bool(is_list))
        if source is None:
            continue
        if is_list and not r.field(source.name).many:
            r.report("each-source", f"'{source.name}' is not a list", child.mark)
            continue
        inner = tuple(rest.removeprefix(".").split(".")) if rest else ()
        if is_list and inner and f"{source.name}[].{'.'.join(inner)}" not in r.fields:
            r.report("unknown-field", f"'{source.name}' has no '{rest[1:]}'", child.mark)
            continue
        if inner:
            r.used.add(f"{source.name}[].{'.'.join(inner)}")
        kind = r.fields[f"{source.name}[].{'.'.join(inner)}"].kind if inner else source.kind
        rows.append((label, source, inner if is_list else None, kind))
    return Leaf(line, r.number(line), element, (), "narrative", rows)
