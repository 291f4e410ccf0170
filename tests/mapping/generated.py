"""Records made up: a record of the demo clinic, changed in as many places as wished, still valid.

Every field of every type is a candidate: it is set, replaced or left out, whole parts and list
items included, with texts that break careless code. A change that the schema refuses is not made.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fhirsvc.records import Field, check, fields

DEMO = Path(__file__).resolve().parents[2] / "fixtures" / "demo"
NASTY = (
    'she said "no" {twice}',
    "line one\nline two\r\n\ttabbed",
    "🌱 growing 👩‍👧‍👦 together",
    "שלום עולם ومرحبا \u202eabc\u202c",
    "<b>bold</b> & <script>alert('x')</script> &amp; &#x41;",
    "${jndi} {{ moustache }} %s {0} \\n \\u0041 $.path[0]",
    "ends with a blank ",
    " begins with one",
    "combining e\u0301 and é, ligature ﬁ, \u00a0nbsp, \u2028line separator",
    "Member of the care team",
    "objective",
    "true",
    "0",
    "-",
    "\U0010ffff edge of Unicode \u200b",
    "x" * 300,
)
_IDS = ("x", "client-01", "staff-lindqvist", "a.b", "a.b.c", "p-1.d", "Z" * 36, "0", "goal-01-1")
_KEYS = ("k1", "k2", "a.b", "-", "9.", "K" * 20, "modalities.m1")


@cache
def _demo(type_name: str) -> str:
    path = DEMO / f"{type_name}.ndjson"
    return json.dumps([json.loads(line) for line in path.read_text().splitlines()])


@cache
def _pool(type_name: str) -> dict[str, list[Any]]:
    """The values that the demo clinic has for each field."""
    pool: dict[str, list[Any]] = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for name, value in node.items():
                walk(value, f"{path}.{name}" if path else name)
        elif isinstance(node, list):
            for value in node:
                walk(value, f"{path}[]" if isinstance(value, dict) else path)
        elif node not in pool.setdefault(path, []):
            pool[path].append(node)

    for record in json.loads(_demo(type_name)):
        walk(record, "")
    return pool


def texts() -> st.SearchStrategy[str]:
    """Free text, as people and programs that mean harm write it."""
    return st.sampled_from(NASTY) | st.text(min_size=1, max_size=40)


def _scalar(field: Field, type_name: str) -> st.SearchStrategy[Any]:
    pool = _pool(type_name).get(field.path, [])
    fresh: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(0, 60),
        "decimal": st.integers(0, 60) | st.integers(0, 400).map(lambda n: n / 4),
        "date": st.dates().map(str),
        "datetime": st.datetimes().map(lambda d: d.isoformat(timespec="seconds") + "-05:00"),
        "id": st.sampled_from(_IDS if field.refers_to or field.path == "id" else _KEYS),
        "enum": st.sampled_from(field.values or ("none",)),
    }
    made = fresh.get(field.kind, texts())
    return st.sampled_from(pool) | made if pool else made


class _Maker:
    """Builds values for the fields of one type."""

    def __init__(self, type_name: str, draw: Any) -> None:
        self.type_name = type_name
        self.fields = fields(type_name)
        self.draw = draw

    def value(self, field: Field) -> Any:
        """A value for a field, whole lists and parts included."""
        if not field.many:
            return self.one(field)
        count = self.draw(st.integers(1, 3))
        items = [self.one(field) for _ in range(count)]
        if field.key:
            keys = self.draw(st.permutations(_KEYS))
            for item, key in zip(items, keys, strict=False):
                item[field.key] = key
        return items

    def one(self, field: Field) -> Any:
        """One value, or one part with what it must have and some of what it may have."""
        if field.kind != "object":
            return self.draw(_scalar(field, self.type_name))
        prefix = field.path + ("[]." if field.many else ".")
        part = {}
        for path, inner in self.fields.items():
            name = path.removeprefix(prefix)
            if not path.startswith(prefix) or "." in name or "[]" in name:
                continue
            if inner.required or self.draw(st.integers(0, 2)) == 0:
                part[name] = self.value(inner)
        if not part:  # a part that says nothing is not what anybody writes
            simple = [
                f
                for p, f in self.fields.items()
                if p.startswith(prefix) and "." not in p[len(prefix) :] and f.kind != "object"
            ]
            chosen = simple[self.draw(st.integers(0, len(simple) - 1))]
            part[chosen.path.removeprefix(prefix)] = self.value(chosen)
        return part

    def change(self, record: dict[str, Any]) -> None:
        """Set, replace or leave out one field, somewhere in the record."""
        field = self.fields[self.draw(st.sampled_from([p for p in self.fields if p != "type"]))]
        node: Any = record
        *steps, last = field.path.split(".")
        for step in steps:
            node = node.get(step.removesuffix("[]"))
            if step.endswith("[]") and node:
                node = node[self.draw(st.integers(0, len(node) - 1))]
            if not isinstance(node, dict):
                return
        if last in node and self.draw(st.booleans()):
            del node[last]
        else:
            node[last] = self.value(field)


@st.composite
def records(draw: Any, type_name: str, changes: int = 10) -> dict[str, Any]:
    """Valid records of one type."""
    record: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(json.loads(_demo(type_name)))))
    maker = _Maker(type_name, draw)
    for _ in range(draw(st.integers(0, changes))):
        changed = copy.deepcopy(record)
        maker.change(changed)
        if not check(changed):
            record = changed
    return record
