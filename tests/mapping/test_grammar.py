"""What a line of a mapping file reads as; reading any text ends in findings, not an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shipped_clinic import texts

from fhirsvc.mapping import grammar
from fhirsvc.mapping.library import read_library
from fhirsvc.mapping.source import parse

HEAD = "record: goal\nresource: Goal\nversion: 1.0.0\n"


def _line(text: str) -> Any:
    """The one line of a file that is otherwise empty."""
    file, findings = grammar.read(f"{HEAD}elements:\n  note: {text}\n", "goal/Goal.yaml")
    assert [] == findings
    assert file is not None
    (line,) = file.lines
    return line


def test_a_file_reads_with_its_names_and_places():
    """Record, resource, version, part, key, skipped fields and where each stands."""
    text = HEAD + "part: task\neach: notes\nkey: note_id\nelements: {}\nskipped:\n  a: not ours\n"
    file, findings = grammar.read(text, "goal/Goal.yaml")
    assert [] == findings
    assert file is not None
    assert ("goal", "Goal", "1.0.0", "task", "notes", "note_id") == (
        file.record, file.resource, file.version, file.part, file.each, file.key
    )  # fmt: skip
    reason, mark = file.skipped["a"]
    assert ("not ours", "goal/Goal.yaml:9:3") == (reason, str(mark))
    assert "goal/Goal.yaml:5:1" == str(file.at("each"))
    assert "goal/Goal.yaml:1:1" == str(file.at("when"))


def test_a_field_reads_with_its_transform_and_options():
    """from, as, and the options that belong to a transform."""
    line = _line("{from: id, as: identifier, system: goal, use: official, owner: us}")
    assert ("from", ("id",), "identifier", "us") == (
        line.kind, line.source, line.transform, line.owner
    )  # fmt: skip
    assert {"system": "goal", "use": "official"} == line.options


def test_a_list_of_fields_reads_in_order():
    """A reference to an item of another record takes two."""
    line = _line("{each: diagnosis_ids, from: [/care_plan_id, .], as: reference, to: a/B}")
    assert ("each", "diagnosis_ids") == (line.kind, line.each)
    assert ("/care_plan_id", ".") == line.source


def test_a_dotted_name_reads_as_a_path():
    """``a.b.c`` is an element of an element of an element."""
    file, _ = grammar.read(f"{HEAD}elements: {{a.b.c: {{value: 1}}}}\n", "f.yaml")
    assert file is not None
    assert ("a", "b", "c") == file.lines[0].path


def test_lines_of_one_element_stay_in_order():
    """The first that applies is written, so their order is kept."""
    text = f"{HEAD}elements:\n  note: [{{from: a}}, {{from: b}}, {{value: c}}]\n"
    file, _ = grammar.read(text, "f.yaml")
    assert file is not None
    assert ["from", "from", "value"] == [line.kind for line in file.lines]
    assert ["f.yaml:5:10", "f.yaml:5:21", "f.yaml:5:32"] == [str(line.mark) for line in file.lines]


@pytest.mark.parametrize(
    ("text", "field", "values", "present", "us_core"),
    [
        ("{field: a, is: b}", "a", ("b",), None, None),
        ("{field: a, is: true}", "a", (True,), None, None),
        ("{field: a, in: [b, c]}", "a", ("b", "c"), None, None),
        ("{field: a, present: false}", "a", (), False, None),
        ('{us_core: "<9"}', None, (), None, ("<", 9)),
        ('{us_core: ">=7", field: a, present: true}', "a", (), True, (">=", 7)),
    ],
)
def test_a_condition_reads(text: str, field: Any, values: Any, present: Any, us_core: Any):
    """A field's value, one of several, its presence, and the receiver's US Core."""
    when = _line(f"{{value: x, when: {text}}}").when
    assert (field, values, present, us_core) == (
        when.field, when.values, when.present, when.us_core
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [("no", "no"), ("2026-01-01", "2026-01-01"), ("1.0.0", "1.0.0"), ("010", "010"), ("7", 7),
     ("-1.5", -1.5), ("true", True), ("~", None), ("'7'", "7"), ("0x10", "0x10"), ("1_0", "1_0")],
)  # fmt: skip
def test_words_are_not_taken_for_something_else(text: str, value: object):
    """YAML 1.2's core: ``no`` is a word and a date is text, unlike in YAML 1.1."""
    root, findings = parse(f"a: {text}", "f.yaml")
    assert [] == findings
    assert root is not None
    assert {"a": value} == root.plain()
    assert type(value) is type(root.plain()["a"])


_SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(
    [*grammar.TRANSFORMS, *grammar.OWNERS, "client_id", "status", "client/Patient", ".", "/id", "",
     "goal", "loinc", "<9", "note_id", "notes"]
)  # fmt: skip
_KEYS = st.sampled_from(
    sorted({k for keys in grammar._LINE_KEYS.values() for k in keys} | set(grammar._WHEN_KEYS))
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=8,
)


def _yaml(tree: Any) -> str:
    """A tree as flow YAML."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k}: {_yaml(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, list):
        return "[" + ", ".join(map(_yaml, tree)) + "]"
    if isinstance(tree, bool):
        return "true" if tree else "false"
    return "~" if tree is None else f'"{tree}"' if isinstance(tree, str) else str(tree)


@given(st.dictionaries(_KEYS, _TREES, max_size=5))
def test_any_line_of_known_words_is_read_or_told(tree: dict[str, Any]):
    """However the words are put together: a line or findings, each with a place."""
    text = f"{HEAD}elements:\n  note: {_yaml(tree)}\n"
    file, findings = grammar.read(text, "goal/Goal.yaml")
    assert file is not None
    assert all(f.where.startswith("goal/Goal.yaml:") for f in findings)
    assert findings or file.lines


@given(
    st.sampled_from(
        [
            "goal/Goal.yaml",
            "codes/delivery.yaml",
            "instruments/phq-9.yaml",
            "codes/systems.yaml",
            "instruments/assessment-core.yaml",
        ]
    ),
    st.data(),
)
def test_any_damage_to_a_file_is_told(name: str, data: st.DataObject):
    """A piece cut out of a shipped file, or noise put in: never an error of the reader's own."""
    text = texts()[name]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 60)))
    noise = data.draw(st.text("{}[],:-'\"&*!|>%@`# \n\tax01", max_size=6))
    folder = {"codes/systems.yaml": texts()["codes/systems.yaml"], name: text}
    folder[name] = text[:start] + noise + text[end:]

    _, findings = read_library(folder)

    assert all(f.where.startswith(tuple(folder)) for f in findings)
