"""Resources as a page that people read: headings, rows and tables, from what was mapped alone.

What the mappings leave out is in no resource and so on no page; links between its resources, ids
and what stands at its head are not repeated. How it looks: ``narrative_html``, ``narrative_pdf``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from fhirsvc.ehr.narrative_layout import COLUMNS, HEADINGS, LABELS, NEVER, NOT_OF, PARTS, Columns
from fhirsvc.ehr.narrative_text import is_said, plain, written
from fhirsvc.ehr.phrases import Names, concept, extensions, name, typed, words
from fhirsvc.fhir.definitions import definition

Resource = Mapping[str, Any]
Row = tuple[str, str]  # label, words


@dataclass(frozen=True)
class Table:
    """Rows under one head; ``title`` may be empty."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Part:
    """What is said under one heading; ``pictures`` are what each shows in words, and its SVG."""

    title: str
    rows: tuple[Row, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Page:
    """A document to read: its title, who it is about, and its parts."""

    title: str
    about: tuple[Row, ...]
    parts: tuple[Part, ...]
    footer: str = ""


_REST = "More"
_ORDER = {kind: place for place, kind in enumerate(HEADINGS)}


@dataclass(frozen=True)
class _Said:
    """One value: where it stands below its resource or entry, and its words."""

    path: str
    label: str
    value: str


def page(
    title: str,
    about: Sequence[Row],
    resources: Sequence[Resource],
    names: Names,
    *,
    titles: Mapping[str, str] | None = None,
    footer: str = "",
) -> Page:
    """The page of some resources.

    ``names`` says what a Reference leads to, ``titles`` what a form is called, by canonical URL.
    """
    ranked = sorted(resources, key=rank)
    parts: list[Part] = []
    for kind, group in groupby(ranked, key=lambda one: str(one.get("resourceType"))):
        if kind == "QuestionnaireResponse":
            parts += [_response(one, titles or {}, names) for one in group]
        else:
            parts += _parts(kind, list(group), names)
    return Page(title, tuple(row for row in about if row[1]), tuple(parts), footer)


def rank(resource: Resource) -> int:
    """The place of a resource on a page: what it is chiefly about comes first."""
    return _ORDER.get(str(resource.get("resourceType")), len(_ORDER))


def _parts(kind: str, group: list[Resource], names: Names) -> Iterator[Part]:
    one, several = HEADINGS.get(kind, (words(kind), words(kind)))
    listed = group if kind == "Observation" or len(group) > 1 else []
    simple = [r for r in listed if kind in COLUMNS and _is_flat(r)]
    if simple:
        yield Part(several, tables=(_listed(kind, simple, names),))
    for resource in group:
        if not any(resource is other for other in simple):
            yield _one(resource, one, names)


def _is_flat(resource: Resource) -> bool:
    """Whether it fits a row: it has no table of its own."""
    kind = resource["resourceType"]
    return not any(f"{kind}.{key}" in COLUMNS for key in resource)


def _listed(kind: str, group: list[Resource], names: Names) -> Table:
    entries = [list(_told(kind, resource, names, _skipped(kind))) for resource in group]
    return _table("", COLUMNS[kind], entries)


def _skipped(kind: str) -> set[str]:
    return set(NEVER) | NOT_OF.get(kind, set()) - ({"code"} if kind == "Task" else set())


def _one(resource: Resource, heading: str, names: Names) -> Part:
    kind = str(resource["resourceType"])
    skip = set(NEVER) | NOT_OF.get(kind, set())
    tables = []
    for key, value in resource.items():
        columns = COLUMNS.get(f"{kind}.{key}")
        if columns and isinstance(value, list):
            skip.add(key)
            inner = definition(kind).elements[key].type
            unsaid = NOT_OF.get(f"{kind}.{key}", set())
            entries = [list(_told(inner, entry, names, unsaid)) for entry in value]
            tables.append(_table(_TITLES.get(key, words(key)), columns, entries))
    rows = [(one.label, one.value) for one in _told(kind, resource, names, skip)]
    said = plain([*(value for _, value in rows), *_cells(tables)])
    rows += [row for row in written(resource) if row[0] != "Status" and not is_said(row[1], said)]
    title = "" if _tracks(resource) else _title(resource)
    heading = "Where it stands" if _tracks(resource) else heading
    rows = [row for row in rows if row[1] != title]
    return Part(f"{heading}: {title}" if title else heading, tuple(_joined(rows)), tuple(tables))


_TITLES = {
    "activity": "Activities",
    "target": "Objectives",
    "participant": "Members",
    "component": "Details",
    "output": "What came of it",
    "input": "What is needed",
}


def _tracks(resource: Resource) -> bool:
    """Whether it is the Task that says where a request stands, and nothing of its own."""
    return str(resource.get("resourceType")) == "Task" and "groupIdentifier" in resource


def _joined(rows: Sequence[Row]) -> Iterator[Row]:
    """Rows with the same label as one."""
    by_label: dict[str, list[str]] = {}
    for label, value in rows:
        if value not in by_label.setdefault(label, []):
            by_label[label].append(value)
    yield from ((label, "\n".join(values)) for label, values in by_label.items())


def _title(resource: Resource) -> str:
    for key in ("title", "name"):
        value = resource.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            return name(value[0])
    code = resource.get("code") or resource.get("description")
    return concept(code) if isinstance(code, Mapping) else ""


def display_of(resource: Resource) -> str:
    """What a resource is called where it is only named; empty where it has no words for itself."""
    return _title(resource) or str(resource.get("description") or "")


def kind_of(resource: Resource) -> str:
    """What is said of a resource of the page that has no words for itself: ``Care team``."""
    return HEADINGS.get(kind := str(resource.get("resourceType")), (words(kind),))[0]


# ---- values -----------------------------------------------------------------------------------


def _values(
    kind: str,
    body: Mapping[str, Any],
    names: Names,
    path: str = "",
    skip: frozenset[str] | set[str] = frozenset(),
) -> Iterator[_Said]:
    """Every value below a resource or a part of one, in the order of the specification."""
    elements = definition(kind).elements
    for key in sorted(body, key=lambda name: (name == "extension", _place(elements, name))):
        if key in skip or key.startswith("_") or key in ("resourceType", "id"):
            continue
        here = f"{path}.{key}" if path else key
        if key == "extension":
            for label, value in extensions(body, names):
                yield _Said(here, label, value)
            continue
        element = elements.get(key)
        listed = body[key] if isinstance(body[key], list) else [body[key]]
        label = _label(element.choice or key if element else key)
        if element is not None and _is_backbone(kind, element.type):
            for one in listed:
                inner = _values(element.type, one, names, here)
                yield from (replace(v, label=PARTS[key]) for v in inner) if key in PARTS else inner
        else:
            of = element.type if element else "string"
            said = [text for one in listed if (text := typed(of, one, names))]
            if said:
                yield _Said(here, label, _list(said, of))


def _label(key: str) -> str:
    return LABELS.get(key) or words(key)


def _told(kind: str, body: Mapping[str, Any], names: Names, skip: set[str]) -> Iterator[_Said]:
    """The values below a resource or part, without the elements and paths to skip."""
    yield from (one for one in _values(kind, body, names, skip=skip) if one.path not in skip)


def _place(elements: Mapping[str, Any], key: str) -> int:
    known = list(elements)
    return known.index(key) if key in known else len(known)


def _is_backbone(kind: str, inner: str) -> bool:
    return inner.startswith(kind) or inner in ("Dosage",)


def _list(said: list[str], kind: str) -> str:
    is_long = kind in ("Annotation", "Address") or any(len(one) > 40 for one in said)
    return "\n".join(said) if is_long else ", ".join(said)


def _table(title: str, columns: Columns, entries: list[list[_Said]]) -> Table:
    rows = [_cells_of(columns, entry) for entry in entries]
    used = [i for i in range(len(columns) + 1) if any(row[i] for row in rows)]
    head = [*(column[0] for column in columns), _REST]
    return Table(
        title,
        tuple(head[i] for i in used),
        tuple(tuple(row[i] for i in used) for row in rows),
    )


def _cells_of(columns: Columns, entry: list[_Said]) -> list[str]:
    cells: list[list[str]] = [[] for _ in range(len(columns) + 1)]
    for one in entry:
        at = next(
            (i for i, (_, starts) in enumerate(columns) if f"{one.path}$".startswith(starts)),
            len(columns),
        )
        said = one.value if at < len(columns) else f"{one.label}: {one.value}"
        if said not in cells[at]:
            cells[at].append(said)
    return [
        "\n".join(cell) if i == len(columns) else ", ".join(cell) for i, cell in enumerate(cells)
    ]


def _response(response: Resource, titles: Mapping[str, str], names: Names) -> Part:
    """A form as the questions that were answered."""
    asked = tuple(_asked(response.get("item", ()), names, ""))
    skip = set(NEVER) | {"item"}
    rows = [
        (s.label, s.value) for s in _values("QuestionnaireResponse", response, names, skip=skip)
    ]
    url = str(response.get("questionnaire", "")).partition("|")[0]
    form = titles.get(url) or words(url.rpartition(":")[2])
    table = Table("", ("Question", "Answer"), asked)
    return Part(f"Answers: {form}", tuple(rows), (table,) if asked else ())


def _asked(items: Sequence[Resource], names: Names, above: str) -> Iterator[tuple[str, ...]]:
    for item in items:
        text = str(item.get("text") or item.get("linkId", ""))
        said = [
            typed(key.removeprefix("value"), value, names)
            for answer in item.get("answer", ())
            for key, value in answer.items()
            if key.startswith("value")
        ]
        if said:
            yield (f"{above}{text}", ", ".join(said))
        yield from _asked(item.get("item", ()), names, f"{text}: " if not said else above)
        for answer in item.get("answer", ()):
            yield from _asked(answer.get("item", ()), names, f"{text}: ")


def _cells(tables: Sequence[Table]) -> list[str]:
    return [cell for table in tables for row in table.rows for cell in row]
