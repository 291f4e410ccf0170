"""Every rule that is told is listed, explained, on the page and has a mistake."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import clinic_site
from mistakes import MISTAKES

import fhirsvc.mapping
from fhirsvc.mapping.grammar import read
from fhirsvc.mapping.rules import BACK, CODES, MAPPING, RULES, TAKEN

MODULES = sorted(Path(fhirsvc.mapping.__file__).parent.glob("*.py"))
PAGE = Path(__file__).parents[2] / "docs" / "mapping-rules.md"
TELL = {"Finding", "report", "add", "find", "Unread"}  # what is called with a rule's name first
# Made of two parts: f"unknown-{key}" of the grammar's closed sets.
COMPOSED = {"unknown-as", "unknown-owner", "unknown-sensitivity"}


def _told() -> set[str]:
    """The names that calls of TELL and pairs ``(rule, message)`` begin with, in the source."""
    found = set()
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            first = None
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                first = node.args[0] if name in TELL else None
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                if not node.value.elts:
                    continue
                first = node.value.elts[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found


def test_every_rule_that_a_checker_tells_is_listed():
    """A finding's rule is one of the table, so a page and a SARIF log can explain it."""
    words = {rule for rule in _told() if re.fullmatch(r"[a-z]+(-[a-z]+)*", rule)}
    assert words >= {"yaml", "choice", "check-digit", "not-mapped"}
    assert RULES.keys() >= COMPOSED
    ops = set("copy date labels reference answers table table_text prefer text time end".split())
    assert words - RULES.keys() <= ops, "told by a checker, and not in rules.py"


def test_every_listed_rule_is_told():
    """No rule is explained that nothing asks."""
    source = "".join(module.read_text(encoding="utf-8") for module in MODULES)
    for rule in RULES.keys() - COMPOSED:
        assert source.count(f'"{rule}"') >= 2, f"{rule} stands in rules.py alone"


def test_every_rule_of_map_check_has_a_mistake():
    """The suite of seeded mistakes leaves none out."""
    seeded = {mistake.rule for mistake in MISTAKES} | {
        mistake[0] for mistake in clinic_site.MISTAKES
    }
    assert MAPPING.keys() - seeded == set()
    assert len(MISTAKES) >= 190


def test_the_page_is_the_table():
    """docs/mapping-rules.md: every rule in order, with what it holds."""
    rows = re.findall(r"^\| `([\w-]+)` \| (.*?) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert [*MAPPING.items(), *CODES.items(), *BACK.items(), *TAKEN.items()] == rows


def test_a_reason_may_be_given_for_an_absent_element():
    """The grammar keeps it with its place."""
    head = "record: goal\nresource: Goal\nversion: 1.0.0\nelements: {}\nabsent:\n"
    file, findings = read(f"{head}  target: nobody asks\n", "goal/Goal.yaml")
    assert [] == findings
    assert file is not None
    assert ("nobody asks", "goal/Goal.yaml:6:3") == (
        file.absent["target"][0],
        str(file.absent["target"][1]),
    )
