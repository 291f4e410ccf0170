"""How a value from the record becomes an element: the closed set, and what each one demands.

``choose`` turns a line into ``(op, argument)`` for the compiler. Every op has an inverse except
``date``, ``labels``, ``narrative`` and those the file marks ``one_way``.

    copy        the value itself                    identifier  {system, value}; parts joined by "/"
    table       a code table                        reference   to a record's resource, or its part
    text        CodeableConcept {text}              annotation  Annotation {text}
    quantity    {value, unit, system, code}         date        the day of a date and time (one way)
    answers     the items of an instrument          labels      displays of a code table (one way)
    narrative   readable text (one way)             form        the answers of a form
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fhirsvc.fhir.definitions import Definition, Element
from fhirsvc.fhir.instruments import Question
from fhirsvc.mapping.constants import Report
from fhirsvc.mapping.grammar import Line, did_you_mean
from fhirsvc.mapping.plan import Asked, Const, Group, Leaf, Node, Source, Test
from fhirsvc.mapping.source import Mark
from fhirsvc.mapping.tables import Table

if TYPE_CHECKING:
    from fhirsvc.mapping.resolve import Resolver

Made = tuple[str, Any] | None
LIST_OPS = frozenset({"answers", "form"})  # these make the whole list of a repeating element

# Kinds of record field that each FHIR primitive takes as they are.
COPIES: dict[str, frozenset[str]] = {
    "boolean": frozenset({"boolean"}),
    "canonical": frozenset({"code"}),
    "code": frozenset({"code", "id", "enum"}),
    "date": frozenset({"date"}),
    "dateTime": frozenset({"date", "datetime"}),
    "decimal": frozenset({"integer", "decimal"}),
    "id": frozenset({"id"}),
    "instant": frozenset({"datetime"}),
    "integer": frozenset({"integer"}),
    "markdown": frozenset({"string", "text", "code"}),
    "positiveInt": frozenset({"integer"}),
    "string": frozenset({"string", "text", "code", "id"}),
    "time": frozenset({"time"}),
    "unsignedInt": frozenset({"integer"}),
    "uri": frozenset({"code"}),
}
_ANSWERED = {"text": "string"} | {
    t: t for t in ("string", "integer", "decimal", "boolean", "date", "dateTime")
}
_WORDS = frozenset({"string", "text", "code"})
_MAKES = {
    "identifier": ("Identifier", frozenset({"id", "string", "code"})),
    "reference": ("Reference", frozenset({"id"})),
    "text": ("CodeableConcept", _WORDS),
    "annotation": ("Annotation", _WORDS),
    "quantity": ("Quantity", frozenset({"integer", "decimal"})),
}


def choose(
    r: Resolver, element: Element, line: Line, sources: tuple[Source, ...], where: str
) -> Made:
    """The op of a line and its argument, or None with findings reported."""
    if line.transform == "labels":
        return _labels(r, element, line, sources[0], where)
    if line.codes:
        return _table(r, element, line, sources[0], where)
    if line.transform is None:
        return _copy(r, element, line, sources[0], where)
    special = {"answers": _answers, "date": _date}.get(line.transform)
    if special is not None:
        return special(r, element, line, sources, where)
    makes, kinds = _MAKES[line.transform]
    if element.type != makes or any(s.kind not in kinds for s in sources):
        got = ", ".join(s.kind for s in sources)
        message = f"'{line.transform}' makes a {makes} from {' or '.join(sorted(kinds))}"
        r.report("type", f"{message}; {where} is a {element.type}, the field a {got}", line.mark)
        return None
    if line.transform == "reference":
        return _reference(r, element, line, sources, where)
    argument = {"identifier": _identifier, "quantity": _unit}.get(line.transform)
    return line.transform, argument(r, line) if argument else None


def _labels(r: Resolver, element: Element, line: Line, source: Source, where: str) -> Made:
    table = r.setting.tables.get(line.codes or "")
    if element.type != "string" or table is None or not line.one_way:
        message = "'labels' writes the displays of 'codes' as a string; it is 'one_way'"
        r.report("type", f"{message}: {where}", line.mark)
        return None
    words = {
        word: row.text or row.coding()["display"] if row.some else word.replace("_", " ")
        for word, row in table.rows.items()
    }
    return "labels", words


def _date(
    r: Resolver, element: Element, line: Line, sources: tuple[Source, ...], where: str
) -> Made:
    if element.type in ("date", "dateTime") and sources[0].kind == "datetime":
        return "date", None
    r.report("type", f"'date' makes a day of a date and time; {where} differs", line.mark)
    return None


def _unit(r: Resolver, line: Line) -> dict[str, str]:
    fixed: dict[str, str] = {k: str(line.options[k]) for k in ("unit", "code") if k in line.options}
    if "system" in line.options:
        fixed["system"] = _url(r, line, str(line.options["system"]))
    return fixed


def _copy(r: Resolver, element: Element, line: Line, source: Source, where: str) -> Made:
    if not element.primitive:
        message = f"{where} is a {element.type}; say 'as' or 'codes', or write its elements"
        r.report("type", message, line.mark)
        return None
    if source.kind not in COPIES.get(element.type, frozenset()):
        message = f"{where} is a {element.type}; '{source.name}' is a {source.kind}"
        r.report("type", message + ("; use 'codes'" if source.kind == "enum" else ""), line.mark)
        return None
    if element.codes:
        strange = [v for v in r.field(source.name).values if v not in element.codes]
        if strange or source.kind != "enum":
            r.report("binding", f"{where} has a required binding; use 'codes'", line.mark)
            return None
    return "copy", element.type


def _table(r: Resolver, element: Element, line: Line, source: Source, where: str) -> Made:
    table = r.setting.tables.get(line.codes or "")
    if table is None:
        hint = did_you_mean(line.codes or "", r.setting.tables)
        r.report("unknown-table", f"no code table '{line.codes}'{hint}", line.mark)
        return None
    values = r.field(source.name).values
    for word in values:
        if word not in table.rows:
            message = f"'{source.name}' may be '{word}', which table '{table.name}' does not have"
            r.report("table-coverage", message, line.mark)
    for word, row in table.rows.items():
        if values and word not in values:
            message = f"'{source.name}' is never '{word}'{did_you_mean(word, values)}"
            r.report("table-coverage", message, row.mark)
    return _shaped(r, element, line, table, where)


def _shaped(r: Resolver, element: Element, line: Line, table: Table, where: str) -> Made:
    """The rows of a table in the shape of the element."""
    plain = table.shape() == "code"
    if plain != element.primitive or (
        not plain and element.type not in ("Coding", "CodeableConcept")
    ):
        message = f"table '{table.name}' gives a {table.shape()}; {where} is a {element.type}"
        r.report("type", message, line.mark)
        return None
    if plain:
        for row in table.rows.values():
            if row.some and element.codes and row.code not in element.codes:
                hint = did_you_mean(str(row.code), element.codes)
                message = f"'{row.code}' is not in the required binding of {where}{hint}"
                r.report("binding", message, row.mark)
        return "table", {word: row.code for word, row in table.rows.items()}
    if element.type == "Coding":
        rows = table.rows.items()
        return "table", {word: row.coding() if row.some else None for word, row in rows}
    if line.text:
        return "table_text", {word: row.concept() for word, row in table.rows.items()}
    return "table", {word: row.concept() or None for word, row in table.rows.items()}


def _reference(
    r: Resolver, element: Element, line: Line, sources: tuple[Source, ...], where: str
) -> Made:
    record, _, resource = str(line.options.get("to", "")).partition("/")
    if element.targets and resource not in element.targets:
        allowed = ", ".join(element.targets)
        r.report("target", f"{where} refers to {allowed}; not to '{resource}'", line.mark)
        return None
    part = line.options.get("part")
    shape = (len(sources) == 2, part)
    files = r.setting.targets(record, resource)
    if not any((f.each is not None, f.part) == shape for f in files):
        known = sorted({f"{f.record}/{f.resource}" for f in r.setting.files})
        hint = did_you_mean(f"{record}/{resource}", known)
        message = f"no mapping makes '{line.options.get('to')}' with these parts{hint}"
        r.report("reference", message, line.mark)
        return None
    refers = r.field(sources[0].name).refers_to
    if refers is not None and refers != record:
        r.report("reference", f"'{sources[0].name}' names a {refers}, not a {record}", line.mark)
        return None
    return "reference", (f"{resource}/", record.replace("_", "-") + ".", part)


def _identifier(r: Resolver, line: Line) -> dict[str, Any]:
    fixed: dict[str, Any] = {}
    if "use" in line.options:
        fixed["use"] = str(line.options["use"])
    if isinstance(line.options.get("type"), dict):
        coding = dict(line.options["type"])
        coding["system"] = _url(r, line, str(coding.get("system", "")))
        fixed["type"] = {"coding": [coding]}
    fixed["system"] = _url(r, line, str(line.options.get("system", "")))
    return fixed


def _url(r: Resolver, line: Line, alias: str) -> str:
    url = r.setting.systems.url(alias)
    if url is None:
        hint = did_you_mean(alias, r.setting.systems.urls)
        r.report("unknown-system", f"no code system is called '{alias}'{hint}", line.mark)
    return url or alias


def _answers(
    r: Resolver, element: Element, line: Line, sources: tuple[Source, ...], where: str
) -> Made:
    if element.type != "QuestionnaireResponseItem" or len(sources) != 2:
        message = "'answers' makes QuestionnaireResponse items from [instrument, items]"
        r.report("type", f"{message}; {where} is a {element.type}", line.mark)
        return None
    r.used.update(f"{sources[1].name}[].{field}" for field in ("n", "value"))
    return "answers", {name: i.answers() for name, i in r.setting.instruments.items()}


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
    depth = len(r.scopes) - 1
    if inside and scope:
        r.scopes.pop()
    values = r.field(source.name).values if source is not None else ()
    return Asked(question, source, depth, values, tuple(inner))


def narrative(r: Resolver, element: Element, line: Line) -> Leaf | None:
    """The readable text: ``label: field`` or ``label: list[].field`` rows under a heading."""
    rows: list[tuple[str, Source, tuple[str, ...] | None, str]] = []
    node = line.value
    if element.type != "Narrative" or node is None or not isinstance(node.value, dict):
        r.report("type", "'narrative' fills 'text' with rows {label: field}", line.mark)
        return None
    for label, child in node.value.items():
        head, is_list, rest = str(child.value).partition("[]")
        source = r.source(head, child.mark, lists=bool(is_list))
        if source is None:
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


def exclusive(nodes: Sequence[Node]) -> bool:
    """Whether at most one of the nodes can apply to a record."""
    tests = [getattr(node, "test", None) for node in nodes]
    return all(_disjoint(a, b) for i, a in enumerate(tests) for b in tests[i + 1 :])


def _disjoint(a: Test | None, b: Test | None) -> bool:
    if a is None or b is None or a.source.name != b.source.name:
        return False
    one, two = a.condition, b.condition
    if one.present is not None and two.present is not None:
        return one.present != two.present
    if one.values and two.values:
        return not set(one.values) & set(two.values)
    return one.present is False or two.present is False


def _complete(nodes: Sequence[Node]) -> bool:
    """Whether one of the nodes always applies, alone or as present and absent together."""
    if any(node.always for node in nodes):
        return True
    known = {
        (t.source.name, t.condition.present)
        for node in nodes
        if (t := getattr(node, "test", None)) is not None and t.condition.present is not None
    }
    return any((name, not present) in known for name, present in known)


def check_group(shape: Definition, group: Group, where: str, mark: Mark, report: Report) -> None:
    """Mandatory elements, choices and the invariants that a mapping can break by its shape."""
    slots = {slot.element.name: slot for slot in group.slots}
    moving = [s for s in group.slots if not all(_fixed(n) for n in s.nodes)]
    for name, members in shape.choices().items():
        present = [slots[m.name] for m in members if m.name in slots]
        if len(present) > 1 and not exclusive([n for s in present for n in s.nodes]):
            report("choice", f"{where}.{name}[x] is written as more than one type", mark)
        if not present and members[0].choice_required:
            report("required", f"{where}.{name}[x] is mandatory", mark)
    for element in shape.elements.values():
        if not element.required:
            continue
        slot = slots.get(element.name)
        if slot is None:
            report("required", f"{where}.{element.name} is mandatory and no line writes it", mark)
        elif not _complete(slot.nodes) and moving != [slot]:
            message = f"{where}.{element.name} is mandatory; its field may be missing in a record"
            report("required", message, getattr(slot.nodes[0].line, "mark", None) or mark)
    if shape.name == "CarePlanActivity" and {"reference", "detail"} <= slots.keys():
        report("invariant", f"{where} has reference or detail, not both (cpl-3)", mark)
    detailed = any(name.startswith("detail") for name in slots)
    if shape.name == "GoalTarget" and detailed and "measure" not in slots:
        report("invariant", f"{where}.measure is needed with detail (gol-1)", mark)


def _fixed(node: Node) -> bool:
    return isinstance(node, Const) or (isinstance(node, Group) and node.constant)
