"""What the pages say is what the code has: keywords, commands, settings, links, examples."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from shipped_clinic import ROOT, mappings, texts

from fhirsvc.cli import COMMANDS, main
from fhirsvc.ehr.options import OPTIONS
from fhirsvc.fhir.definitions import is_resource
from fhirsvc.mapping import grammar, instrument_grammar, tables
from fhirsvc.mapping.forward import check
from fhirsvc.mapping.library import read_library
from fhirsvc.mapping.shape import Each, Keys
from fhirsvc.mapping.tables import Systems, read_table
from fhirsvc.records import TYPES
from fhirsvc.settings import Settings

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "mappings" / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "mappings" / "README.md"])
HEAD = "record: goal\nresource: Goal\nversion: 1.0.0\n"


def _section(page: str, title: str) -> str:
    """The text below a heading, up to the next."""
    found = re.search(rf"^## {re.escape(title)}.*?\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert found is not None, title
    return found[1]


def _spans(text: str) -> list[str]:
    """Everything in backticks, fences left out."""
    return re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def _first_cells(text: str) -> Iterator[str]:
    """The first cell of every row of the tables of a text."""
    for row in re.findall(r"^\| (.*?) \|", text, re.M):
        yield from _spans(row)


def _words(text: str) -> set[str]:
    """Keywords that a text shows: words in backticks, and keys in spans and fences."""
    fences = re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
    spans = _spans(text)
    words = {word for span in spans if re.fullmatch(r"[A-Za-z_]+", span) for word in [span]}
    return words.union(*(re.findall(r"([A-Za-z_]+)(?=:)", s) for s in [*spans, *fences]))


# ---- mappings/README.md: the grammar ------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "keywords"),
    [
        ("A file", grammar._FILE_KEYS),
        ("A line", [*grammar.KINDS, *grammar._COMMON, *grammar.OWNERS, "mandatory", "key"]),
        ("Transforms", grammar.TRANSFORMS),
        ("Transforms", grammar._LEAF[3:-1]),
        ("Conditions", grammar._WHEN_KEYS),
    ],
)
def test_every_keyword_is_on_the_page(title: str, keywords: list[str]):
    """What the grammar accepts is explained where one looks for it."""
    on_page = _words(_section(PAGE, title)) | _words(_section(PAGE, "A line"))
    assert set(keywords) - on_page == set()


def test_no_keyword_of_a_line_is_missing_from_the_page():
    """All of them together, wherever they stand."""
    known = {key for keys in grammar._LINE_KEYS.values() for key in keys}
    assert known - _words(PAGE) == set()


def test_every_key_of_the_page_is_accepted():
    """The tables of keys name only keys that the grammar knows."""
    assert set(_first_cells(_section(PAGE, "A file"))) == set(grammar._FILE_KEYS)
    keys = [c for c in _first_cells(_section(PAGE, "A line")) if not c.startswith("{")]
    assert set(keys) == set(grammar._COMMON)
    named = [c for c in _first_cells(_section(PAGE, "Transforms")) if c != "as"]
    assert sorted(named) == sorted(grammar.TRANSFORMS)


LINES = [c.replace("…", "a: b") for c in _first_cells(_section(PAGE, "A line")) if c[0] == "{"]


@pytest.mark.parametrize("line", LINES)
def test_every_line_of_the_page_reads(line: str):
    """The examples of lines are lines."""
    line = line.replace("display: a: b", "display: b").replace("elements: {a: b}", "elements: {}")
    file, findings = grammar.read(f"{HEAD}elements:\n  identifier: {line}\n", "page.yaml")
    assert [] == findings
    assert file is not None
    assert len(file.lines) == 1


CONDITIONS = [s for s in _spans(_section(PAGE, "Conditions")) if s.startswith(("{", "when:"))]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_of_the_page_reads(condition: str):
    """The examples of conditions are conditions."""
    condition = condition.removeprefix("when: ")
    line = f"{HEAD}when: {condition}\nelements: {{}}\n"
    assert [] == grammar.read(line, "page.yaml")[1]
    assert len(CONDITIONS) >= 4


def test_the_table_of_the_page_reads():
    """The example of a code table is one, and has a row of each shape."""
    fence = re.findall(r"^```yaml\n(table:.*?)^```", PAGE, re.M | re.S)[0]
    systems = Systems({"delivery": "urn:delivery"}, frozenset({"urn:delivery"}))

    table, findings = read_table(fence, "codes/delivery.yaml", systems)

    assert [] == findings
    assert table is not None
    assert ["individual", "group", "other"] == list(table.rows)
    assert not table.rows["other"].some


def _accepted(shape: object) -> set[str]:
    """Every key that a shape accepts, whatever its depth."""
    if isinstance(shape, Each):
        return _accepted(shape.item) if shape.item is not instrument_grammar.QUESTION else set()
    if not isinstance(shape, Keys):
        return set()
    below = {**shape.needed, **shape.also}
    return set(below).union(*(_accepted(inner) for inner in below.values()))


def test_every_key_of_instruments_and_forms_is_on_the_page():
    """What a file of instruments/ may say is explained."""
    section = _section(PAGE, "Instruments and forms")
    shown = set(re.findall(r"[a-zA-Z]+", " ".join(_spans(section))))
    known = set().union(
        *map(_accepted, (*instrument_grammar.KINDS.values(), instrument_grammar.QUESTION)),
        instrument_grammar.QUESTION_TYPES,
    )
    assert len(known) > 25
    assert known - shown == set()


def test_every_key_of_tables_is_on_the_page():
    """What a file of codes/ may say is explained."""
    shown = _words(_section(PAGE, "Code tables"))
    assert _accepted(tables._TABLE) | _accepted(tables._ROW) | {"url", "local"} <= shown


# ---- README.md: commands, settings, targets -----------------------------------------------


def _commands(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from _commands(found, f"{name} {below}")
    else:
        yield name


def _documented() -> set[str]:
    """``fhirsvc map run`` of ``fhirsvc map run FILE…``."""
    cells = _first_cells(_section(README, "Commands"))
    return {re.sub(r" (?:[A-Z]|\[).*", "", cell) for cell in cells if cell.startswith("fhirsvc ")}


def test_the_table_of_commands_is_complete_and_true():
    """Every command is in README, and every command of README exists."""
    assert set(_commands(main, "fhirsvc")) == _documented()


def test_commands_in_running_text_exist():
    """Nothing sends a reader to a command that is not there."""
    known = set(_commands(main, "fhirsvc")) | {f"fhirsvc {group}" for group in COMMANDS}
    for page in PAGES:
        for span in _spans(page.read_text(encoding="utf-8")):
            if span.startswith("fhirsvc "):
                words = span.replace("\n", " ").split()
                assert {" ".join(words[:2]), " ".join(words[:3])} & known, f"{page.name}: {span}"


def test_every_setting_is_in_the_readme_with_its_default():
    """The table of settings is the class of settings."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", _section(README, "Settings"), re.M))
    fields = Settings.model_fields
    assert list(rows) == list(fields)
    for name, field in fields.items():
        said = rows[name].strip("`").replace("empty", "").replace("false", "0")
        assert float(said) == field.default if said[:1].isdigit() else said == field.default, name


def test_every_make_target_is_in_the_readme():
    """The targets of the Makefile, and no others."""
    makefile = ROOT / "Makefile"
    phony = re.search(r"^\.PHONY: (.*)$", makefile.read_text(encoding="utf-8"), re.M)
    assert phony is not None
    named = set(re.findall(r"(?:`|^)make (\w+)", README, re.M))
    assert named == set(phony[1].split()) - {"help"}


def test_the_table_of_exit_codes_is_the_commands():
    """README and ``fhirsvc --help`` say the same of exit codes."""
    said = "0 fine, 1 findings, 2 usage, 3 the other side failed"
    assert said in README
    assert said in " ".join((main.help or "").split())


def test_the_mapping_read_aloud_is_the_shipped_one():
    """Each line of README's example stands in mappings/goal/Goal.yaml."""
    fence = re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S)[0]
    shipped = {line.strip() for line in texts()["goal/Goal.yaml"].splitlines()}
    assert [] == [line for line in fence.splitlines() if line.strip() not in shipped]
    assert fence.count("\n") >= 15


def test_the_finding_and_the_trace_of_the_readme_are_true():
    """The places that README shows are those of today's file."""
    changed = texts()["goal/Goal.yaml"].replace("{from: statement,", "{from: statment,")
    read, findings = read_library({**texts(), "goal/Goal.yaml": changed})
    told = [str(f) for f in [*findings, *check(read)]]
    assert any(line in README for line in told)
    record = (ROOT / "fixtures/goal/met/record.json").read_text(encoding="utf-8")
    steps = mappings().explain(json.loads(record))[0].trace
    status = next(s for s in steps if s.element == "Goal.lifecycleStatus")
    for word in (status.field or "", status.place, status.version, status.transform):
        assert word in README


def test_the_record_types_without_mapping_are_named():
    """README's list of what is not there yet is today's."""
    absent = [t for t in TYPES if t not in mappings().records()]
    for name in absent:
        assert f"`{name}`" in _section(README, "The promises, and what is true today")


# ---- all pages ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path):
    """Relative links, and paths in backticks, are files of the checkout."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    for span in _spans(text):
        if re.fullmatch(r"(?:fhirsvc|mappings|fixtures|tests|docs)/[\w./-]+", span):
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_resource_names_are_resources(page: Path):
    """A mapping file that a page names exists under its resource's name."""
    for name in re.findall(r"\w+/([A-Z]\w+)\.yaml", page.read_text(encoding="utf-8")):
        assert is_resource(name) or name == "Resource"


def test_the_licence_is_the_one_the_package_declares():
    """Apache-2.0, whole, and its notice beside it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    assert "LOINC" in (ROOT / "NOTICE").read_text(encoding="utf-8")


def test_the_changelog_has_what_is_to_come():
    """Changes are written down before they are released."""
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


# ---- docs/connections.md --------------------------------------------------------------------

CONNECTIONS = (ROOT / "docs" / "connections.md").read_text(encoding="utf-8")


def test_every_option_of_a_connection_is_on_its_page():
    """The table of options is the table that is checked, with the auths that know each."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", _section(CONNECTIONS, "Logins"), re.M)
    assert {name: re.findall(r"oauth2|smart", said) for name, said in rows} == {
        name: list(option.auths) for name, option in OPTIONS.items()
    }


def test_the_commands_of_the_page_are_commands():
    """Each option that a worked command uses is one of that command."""
    fences = re.findall(r"^```\n(.*?)^```", CONNECTIONS, re.M | re.S)
    lines = [line for fence in fences for line in fence.replace("\\\n", "").splitlines()]
    assert len(lines) >= 7
    for line in lines:
        words = shlex.split(line, comments=True)
        command = main
        for word in words[1:3]:
            found = command.get_command(click.Context(command), word)
            assert found is not None, line
            command = found
        known = {name for one in command.params for name in one.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_check_is_on_the_page():
    """What a run can say is explained, and what is explained can be said."""
    said = set()
    for path in (ROOT / "fhirsvc" / "ehr").glob("probe*.py"):
        text = path.read_text(encoding="utf-8")
        said |= set(
            re.findall(r'(?:note\(\s*|id_, title = |id_, title, shown = )f?"([^"]+)"', text)
        )
    said = {one.replace("{name}", "TYPE") for one in said} - {"read", "write", "parameter.TYPE"}
    shown = set(_first_cells(_section(CONNECTIONS, "connect test")))
    cells = re.findall(r"^\| (`.*?) \|", _section(CONNECTIONS, "connect test"), re.M)
    shown |= {span for cell in cells for span in _spans(cell)}
    assert shown == said | {"parameter._id", "parameter._lastUpdated"}
