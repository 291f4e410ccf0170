"""``map docs``: every field is on the page with what becomes of it; the page stands alone."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from shipped_clinic import mappings

from fhirsvc.mapping.coverage import HOUSEKEEPING
from fhirsvc.mapping.derived import known_fields
from fhirsvc.mapping.destinations import condition, destinations, stated, words
from fhirsvc.mapping.docs_page import SENSITIVITY, page
from fhirsvc.mapping.lines import Condition
from fhirsvc.mapping.source import Mark
from fhirsvc.records.shapes import SENSITIVITIES

VOID = {"meta", "br", "hr", "img", "input", "link"}


class _Page(HTMLParser):
    """The text of each row by its field, and what a page must have."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.rows: list[str] = []
        self.headings: list[int] = []
        self.scopeless = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]))
        self.sources += [str(given[name]) for name in ("src", "srcset", "data") if name in given]
        if tag == "link":
            self.sources.append(str(given))
        if tag == "tr":
            self.rows.append("")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.scopeless += tag == "th" and "scope" not in given

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "tr" in self.open:
            self.rows[-1] += data


@cache
def _text() -> str:
    return page(mappings().library, "0.0")


@cache
def _parsed() -> _Page:
    found = _Page()
    found.feed(_text())
    return found


def test_the_page_stands_alone():
    """Nothing is loaded: no script, no address outside the page, no style but its own."""
    assert [] == _parsed().sources
    assert "<script" not in _text()
    assert "url(" not in _text()
    assert "@import" not in _text()
    assert {link[0] for link in _parsed().links} == {"#"}


def test_the_page_is_sound_and_accessible():
    """Tags nest, ids are unique, links lead somewhere, tables have headers, headings no gaps."""
    found = _parsed()
    assert [] == found.open
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert 0 == found.scopeless
    assert 1 == found.headings[0] == found.headings.count(1)
    assert all(b <= a + 1 for a, b in pairwise(found.headings))
    assert '<html lang="en">' in _text()
    assert 'name="viewport"' in _text()


@pytest.mark.parametrize("record", mappings().records())
def test_every_field_is_on_the_page(record: str):
    """With where it goes or why it does not; nobody is left to wonder."""
    section = _text().split(f'<section id="{record}"')[1].split("</section>")[0]
    files = [f for f in mappings().library.files if f.record == record]
    skipped = {name for file in files for name in file.skipped}
    to = destinations(mappings().library, record)
    for name, field in known_fields(record).items():
        if name in HOUSEKEEPING:
            continue
        row = next(r for r in section.split("<tr") if f"<code>{name}</code>" in r)
        plain = name.replace("[]", "")
        if name in to:
            assert "<li>" in row, name
        elif any(plain == s or plain.startswith(f"{s}.") for s in skipped):
            assert "Does not go out:" in row, name
        else:
            assert field.kind == "object", name


def test_every_word_of_every_table_is_on_the_page():
    """With its display or that nothing is written."""
    for table in mappings().library.tables.values():
        part = _text().split(f'id="t-{table.name}"')[1].split("</details>")[0]
        for word, row in table.rows.items():
            (line,) = [r for r in part.split("<tr") if f"<code>{word}</code>" in r]
            if not row.some:
                assert "nothing is written" in line
            for coding in row.codings:
                assert coding["code"] in line


def test_a_goal_is_explained():
    """Where a clinician looks: the words, the code, the owner, the condition."""
    to = {name: [(d.element, d.how, d.when, d.owner) for d in of] for name, of in
          destinations(mappings().library, "goal").items()}  # fmt: skip
    assert ("Goal.description.text", "as it is", "", "both") in to["statement"]
    assert ("Goal.lifecycleStatus", "as a code", "", "both") in to["lifecycle"]
    wanted = (
        "Goal.expressedBy",
        "as a reference to the Patient",
        "where “own words” is true",
        None,
    )
    assert wanted in to["client_id"]


def test_lines_for_some_versions_of_us_core_say_so():
    """And what every resource says is told once."""
    plan = next(f for f in mappings().library.files if f.file == "care_plan/CarePlan.yaml")
    said = {(s.element, s.when) for s in stated(mappings().library, plan)}
    assert ("CarePlan.intent", "") in said
    assert ("CarePlan.category", "for US Core before 9") in said


def test_conditions_and_names_in_words():
    """As a person would say them."""
    mark = Mark("f", 1, 1)
    assert "" == condition(None)
    assert "where “deceased at” is absent" == condition(Condition(mark, "deceased_at", (), False))
    asked = Condition(mark, "/kind", ("intake", "weekly_review"), None, (">=", 9))
    assert "where “kind” is intake or weekly review and for US Core from 9" == condition(asked)
    assert "lifecycle status" == words("lifecycleStatus")


def test_text_is_escaped():
    """What a mapping file says cannot become markup."""
    library = mappings().library
    goal = next(f for f in library.files if f.file == "goal/Goal.yaml")
    spoilt = replace(goal, skipped={**goal.skipped, "asam_dimension": ("<b>none</b>", goal.mark)})
    files = tuple(spoilt if f is goal else f for f in library.files)
    assert "&lt;b&gt;none&lt;/b&gt;" in page(replace(library, files=files), "0.0")


def test_every_label_has_words():
    """The closed list of the house, explained."""
    assert SENSITIVITY.keys() == set(SENSITIVITIES)
