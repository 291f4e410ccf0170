"""Every mistake of mistakes.py is found where it stands; the shipped folder has none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
from mistakes import MISTAKES, Mistake
from shipped_clinic import texts

from fhirsvc.errors import Finding
from fhirsvc.mapping import grammar, instrument_files, tables
from fhirsvc.mapping.forward import Mappings, MappingsError, check
from fhirsvc.mapping.library import read_library
from fhirsvc.mapping.source import Node, parse

PLACE = re.compile(r"(?P<file>[^:]+):(?P<line>[0-9]+):(?P<col>[0-9]+)")
# What another file or field suffers from a mistake, told beside it.
FOLLOWS = {
    "must-support",
    "not-mapped",
    "reference",
    "required",
    "skipped-and-mapped",
    "table-coverage",
    "unknown-form",
    "unknown-table",
}
WARNINGS = {"must-support"}


@pytest.fixture(scope="module", autouse=True)
def _unchanged_files_are_parsed_once() -> Iterator[None]:
    """A folder differs from the shipped one in one file; parsing the others again takes minutes."""

    @cache
    def once(text: str, file: str) -> tuple[Node | None, tuple[Finding, ...]]:
        root, findings = parse(text, file)
        return root, tuple(findings)

    def parsed(text: str, file: str) -> tuple[Node | None, list[Finding]]:
        root, findings = once(text, file)
        return root, list(findings)

    with pytest.MonkeyPatch.context() as patch:
        for module in (grammar, tables, instrument_files):
            patch.setattr(module, "parse", parsed)
        yield


def _findings(folder: dict[str, str]) -> list[Finding]:
    read, findings = read_library(folder)
    return findings + check(read)


def _with(mistake: Mistake) -> dict[str, str]:
    """The shipped folder with one mistake in it."""
    folder = dict(texts())
    new = mistake.new.replace("‸", "")
    if not mistake.old:
        folder[mistake.file] = new
        return folder
    assert mistake.old in folder[mistake.file], "the shipped file no longer has what is changed"
    folder[mistake.file] = folder[mistake.file].replace(mistake.old, new, 1)
    return folder


def _place(mistake: Mistake, folder: dict[str, str]) -> str:
    """``file:line:col`` of the mark."""
    file, marked = mistake.at or (mistake.file, mistake.new)
    text, before = folder[file], marked.index("‸")
    at = text.index(marked.replace("‸", "")) + before
    return f"{file}:{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"


def test_the_shipped_folder_has_no_finding():
    """Nothing is wrong with the mappings that ship."""
    assert [] == _findings(dict(texts()))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_a_mistake_is_told_where_it_stands(mistake: Mistake):
    """One finding with the rule, the place and the words; nothing unrelated; never a traceback."""
    folder = _with(mistake)
    findings = _findings(folder)
    told = [f for f in findings if (f.rule, f.where) == (mistake.rule, _place(mistake, folder))]

    assert any(mistake.says in f.message for f in told), "\n".join(map(str, findings))
    assert {f.rule for f in findings} <= {mistake.rule, *FOLLOWS, *_beside(mistake)}
    assert {f.rule for f in findings if f.severity != "error"} <= WARNINGS


def _beside(mistake: Mistake) -> set[str]:
    """A key that is misspelt is also missed: as a key, a test of a condition, a preference."""
    return {"missing-key", "when", "inverse"} if mistake.rule == "unknown-key" else {"unknown-key"}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m.name)
def test_every_place_exists(mistake: Mistake):
    """Whatever is told about a folder is told at a character that one of its files has."""
    folder = _with(mistake)
    for finding in _findings(folder):
        place = PLACE.fullmatch(finding.where)
        assert place is not None, finding
        lines = folder[place["file"]].split("\n")
        assert 1 <= int(place["line"]) <= len(lines), finding
        assert 1 <= int(place["col"]) <= len(lines[int(place["line"]) - 1]) + 1, finding
        assert "Node(" not in finding.message
        assert "None" not in finding.message


BROKEN = {m.rule: m for m in MISTAKES if m.rule not in WARNINGS}.values()


@pytest.mark.parametrize("mistake", BROKEN, ids=lambda m: m.rule)
def test_a_folder_with_a_mistake_does_not_run(mistake: Mistake):
    """Nothing is mapped by a folder that is not proven, whichever rule it breaks."""
    with pytest.raises(MappingsError):
        Mappings.load(_with(mistake))


def test_a_must_support_element_is_a_warning():
    """What US Core wants of a server does not stop a site that has no such data."""
    mistake = next(m for m in MISTAKES if m.rule == "must-support")
    assert {"warning"} == {f.severity for f in _findings(_with(mistake))}
    assert Mappings.load(_with(mistake)).records()


def test_the_names_of_the_mistakes_are_unique():
    """Each says what it is."""
    assert len(MISTAKES) == len({m.name for m in MISTAKES})
