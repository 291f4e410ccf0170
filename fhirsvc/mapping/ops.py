"""How a value from the record becomes an element: the closed set, and what each one demands.

``choose`` turns a line into ``(op, argument)`` for the compiler. Every op has an inverse except
``date``, ``labels``, ``narrative`` and those the file marks ``one_way``.

    copy        the value itself                    identifier  {system, value}; parts joined by "/"
    table       a code table                        reference   to a record's resource, or its part
    text        CodeableConcept {text}              annotation  Annotation {text}
    quantity    {value, unit, system, code}         date        the day of a date and time (one way)
    answers     the items of an instrument          labels      displays of a code table (one way)
    time        a clock's hh:mm with its seconds    end         start and minutes to its end
    tag         Coding {system, code}; parts joined by "/", the identity of what has no identifier
    narrative   readable text (one way)             form        the answers of a form
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fhirsvc.fhir.definitions import Element
from fhirsvc.mapping.lines import Line, MappingFile, did_you_mean
from fhirsvc.mapping.plan import Source
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
_JOINS = frozenset({"identifier", "reference", "answers", "tag", "end"})  # take more than one field
_WORDS = frozenset({"string", "text", "code"})
_MAKES = {
    "identifier": ("Identifier", frozenset({"id", "string", "code"})),
    "reference": ("Reference", frozenset({"id"})),
    "text": ("CodeableConcept", _WORDS),
    "annotation": ("Annotation", _WORDS),
    "quantity": ("Quantity", frozenset({"integer", "decimal"})),
    "tag": ("Coding", frozenset({"id"})),
}


def choose(
    r: Resolver, element: Element, line: Line, sources: tuple[Source, ...], where: str
) -> Made:
    """The op of a line and its argument, or None with findings reported."""
    if len(sources) > 1 and line.transform not in _JOINS:
        message = f"{where} takes one field; {' and '.join(sorted(_JOINS))} take several"
        r.report("cardinality", message, line.mark)
        return None
    if line.transform == "labels":
        return _labels(r, element, line, sources[0], where)
    if line.codes:
        return _table(r, element, line, sources[0], where)
    if line.transform is None:
        return _copy(r, element, line, sources[0], where)
    special = {"answers": _answers, "date": _date, "time": _time, "end": _end}.get(line.transform)
    if special is None and line.transform not in _MAKES:
        return None  # the grammar has said so
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
    argument = {"identifier": _identifier, "quantity": _unit, "tag": _tag}.get(line.transform)
    return line.transform, argument(r, line) if argument else None


def _labels(r: Resolver, element: Element, line: Line, source: Source, where: str) -> Made:
    if element.type != "string" or not line.codes or not line.one_way:
        message = "'labels' writes the displays of 'codes' as a string; it is 'one_way'"
        r.report("type", f"{message}: {where}", line.mark)
        return None
    table = r.setting.tables.get(line.codes)
    if table is None:
        hint = did_you_mean(line.codes, r.setting.tables)
        r.report("unknown-table", f"no code table '{line.codes}'{hint}", line.mark)
        return None
    for word, row in table.rows.items():
        if row.some and not row.text and not (row.codings and "display" in row.coding()):
            r.report("type", f"'{word}' has no display that {where} could say", row.mark)
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


def _time(
    r: Resolver, element: Element, line: Line, sources: tuple[Source, ...], where: str
) -> Made:
    if element.type == "time" and sources[0].kind == "string":
        return "time", None
    r.report("type", f"'time' makes a time of 'hh:mm'; {where} or its field differs", line.mark)
    return None


def _end(
    r: Resolver, element: Element, line: Line, sources: tuple[Source, ...], where: str
) -> Made:
    kinds = [source.kind for source in sources]
    if (
        element.type in ("instant", "dateTime")
        and kinds == ["datetime", "integer"]
        and line.one_way
    ):
        return "end", element.type
    message = "'end' makes a moment of [start, minutes]; it is 'one_way'"
    r.report("type", f"{message}: {where}", line.mark)
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
        bare = next((row for row in table.rows.values() if row.some and not row.codings), None)
        if bare is not None:
            r.report("type", f"{where} is a Coding; this row has no code", bare.mark)
            return None
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
        r.report("reference", _no_target(r, f"{record}/{resource}", files), line.mark)
        return None
    refers = r.field(sources[0].name).refers_to
    if refers is not None and refers != record:
        r.report("reference", f"'{sources[0].name}' names a {refers}, not a {record}", line.mark)
        return None
    return "reference", (f"{resource}/", record.replace("_", "-") + ".", part)


def _no_target(r: Resolver, to: str, files: list[MappingFile]) -> str:
    if not files:
        known = {f"{f.record}/{f.resource}" for f in r.setting.files}
        return f"no mapping makes '{to}'{did_you_mean(to, known)}"
    ways = [
        f"'from' {'[record id, item key]' if f.each else 'the record id'}"
        + (f" and 'part: {f.part}'" if f.part else "")
        for f in files
    ]
    return f"'{to}' is made otherwise; it is referred to with {' or '.join(ways)}"


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


def _tag(r: Resolver, line: Line) -> dict[str, str]:
    return {"system": _url(r, line, str(line.options.get("system", "")))}


def _url(r: Resolver, line: Line, alias: str) -> str:
    url = r.setting.systems.url(alias)
    if not alias:
        r.report("missing-key", f"'{line.transform}' needs 'system'", line.mark)
    elif url is None:
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
