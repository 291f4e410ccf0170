"""A site's folder: its fields, lines and codes are checked, mapped, traced and read back."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
import pytest
from clinic_site import MISTAKES, PLAN, SYSTEMS, TEXTS, TRACK, WELLNESS
from shipped_clinic import ROOT, mappings, texts

from fhirsvc.errors import Finding
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.back import Back
from fhirsvc.mapping.codes import lint
from fhirsvc.mapping.docs_page import page
from fhirsvc.mapping.forward import Mappings, check
from fhirsvc.mapping.library import read_library
from fhirsvc.mapping.map_schema import SCHEMAS
from fhirsvc.mapping.source import parse

KEY = ("care_plan", "plan-02")
SITE = {"track": "evening", "case_number": "C-77", "languages": ["es", "en"], "intake_score": "3"}


@cache
def _mappings() -> Mappings:
    return Mappings.load({**texts(), **TEXTS})


def _plan(**site: Any) -> dict[str, Any]:
    path = ROOT / "fixtures" / "care_plan" / "trauma-dbt" / "record.json"
    return {**json.loads(path.read_text(encoding="utf-8")), "site": {**SITE, **site}}


def _care_plan(record: dict[str, Any], by: Mappings) -> dict[str, Any]:
    return next(r for r in by.forward(record) if r["resourceType"] == "CarePlan")


def _findings(**changes: tuple[str, str]) -> list[Finding]:
    """What is told when one text of the site's files is changed: ``file=(old, new)``."""
    mine = dict(TEXTS)
    for name, (old, new) in changes.items():
        file = {"plan": PLAN, "track": TRACK, "systems": SYSTEMS, "wellness": WELLNESS}[name]
        assert old in mine[file]
        mine[file] = mine[file].replace(old, new, 1)
    library, findings = read_library({**texts(), **mine})
    return findings + check(library)


def test_the_folder_has_no_finding():
    """What the other tests change is sound."""
    assert [] == _findings()


def test_lines_are_added_and_replaced():
    """Beside the shipped ones under ``also``, in their place under ``elements``."""
    made, shipped = _care_plan(_plan(), _mappings()), _care_plan(_plan(), mappings())
    assert shipped["identifier"] == made["identifier"][:1]
    assert {"system": "https://county.example/case", "value": "C-77"} == made["identifier"][1]
    assert shipped["category"] == made["category"][:-1]
    assert "evening" == made["category"][-1]["coding"][0]["code"]
    assert "Evening track" == made["description"] != shipped["description"]
    assert ["es", "en"] == [e.get("valueString") for e in made["extension"]][-2:]
    assert [] == validate(json.loads(json.dumps(made)))


def test_nothing_else_changes():
    """What the overlay does not name is made as before."""
    lines = {name: text for name, text in TEXTS.items() if name != WELLNESS}
    made = _care_plan(_plan(), Mappings.load({**texts(), **lines}))
    shipped = _care_plan(_plan(), mappings())
    touched = {"identifier", "category", "description", "extension"}
    assert {k: v for k, v in shipped.items() if k not in touched} == {
        k: v for k, v in made.items() if k not in touched
    }


def test_a_trace_leads_into_the_overlay():
    """File and line of the site's own file, the field under ``site``, the version with the site."""
    traced = next(
        t for t in _mappings().explain(_plan()) if t.resource["resourceType"] == "CarePlan"
    )
    (step,) = [s for s in traced.trace if s.field == "$.site.case_number"]
    line = (
        TEXTS[PLAN]
        .splitlines()
        .index("  identifier: {from: site.case_number, as: identifier, system: county-case}")
    )
    assert f"{PLAN}:{line + 1}:3" == step.place
    assert "1.0.0+site" == step.version
    shipped = next(s for s in traced.trace if s.element == "CarePlan.status")
    assert shipped.place.startswith("care_plan/CarePlan.yaml:")


def test_the_lines_are_read_back():
    """Get-put: the resources put onto their record leave it as it is; alone they bring it back."""
    record = _plan()
    back = Back.of(_mappings().library)
    resources = [json.loads(json.dumps(r)) for r in _mappings().forward(record)]
    assert [record] == back.records(resources, {KEY: record}).records
    alone = back.records(resources).records[0]
    assert {k: v for k, v in SITE.items() if k != "intake_score"} == alone["site"]


def test_a_change_at_the_other_side_is_read():
    """Put-get on a line of the overlay."""
    record = _plan()
    resources = [json.loads(json.dumps(r)) for r in _mappings().forward(record)]
    plan = next(r for r in resources if r["resourceType"] == "CarePlan")
    plan["identifier"][1]["value"] = "C-78"
    (changed,) = Back.of(_mappings().library).records(resources, {KEY: record}).records
    assert _plan(case_number="C-78") == changed


@pytest.mark.parametrize(
    ("site", "where", "says"),
    [
        ({"track": "night"}, "$.site.track", "expected one of"),
        ({"trak": "day"}, "$.site.trak", "did you mean 'track'?"),
        ({"case_number": 7}, "$.site.case_number", "expected"),
        ({"languages": "es"}, "$.site.languages", "expected a list"),
    ],
)
def test_a_sites_fields_are_checked(site: dict[str, Any], where: str, says: str):
    """As any field: kind, words, names; never with the value."""
    (finding,) = _mappings().check(_plan(**site))
    assert where == finding.where
    assert says in finding.message
    assert "night" not in finding.message


def test_fields_that_no_site_declares_are_refused():
    """Without the overlay, of another record type, and where ``site`` is no object."""
    assert ["$.site"] == [f.where for f in mappings().check(_plan())]
    assert ["$.site"] == [f.where for f in _mappings().check({**_plan(), "site": []})]
    goal = json.loads((ROOT / "fixtures/goal/met/record.json").read_text(encoding="utf-8"))
    assert ["$.site"] == [f.where for f in _mappings().check({**goal, "site": {}})]
    assert [] == _mappings().check(_plan())


@pytest.mark.parametrize(("rule", "file", "line", "says", "change"), MISTAKES)
def test_a_mistake_is_told_in_the_sites_own_file(
    rule: str, file: str, line: int, says: str, change: dict[str, tuple[str, str]]
):
    """With its rule and line; nothing is said to be wrong with the shipped files' lines."""
    told = _findings(**change)
    mine = [f for f in told if f.rule == rule and f.where.startswith(f"{file}:{line}:")]
    assert any(says in f.message for f in mine), "\n".join(map(str, told))


def test_two_overlays_of_one_record_may_not_declare_a_field_twice():
    """The second is told; so is a second overlay of the same file."""
    team = "site/overlays/care_plan/CareTeam.yaml"
    again = (
        "extends: care_plan/CareTeam\nversion: 1.0.0\nfields:\n  track: {kind: text, doc: Again}\n"
    )
    told = read_library({**texts(), **TEXTS, team: again})[1]
    assert [("duplicate-name", f"{team}:4:3")] == [(f.rule, f.where) for f in told]
    twice = "site/overlays/care_plan/Second.yaml"
    told = read_library(
        {**texts(), **TEXTS, twice: "extends: care_plan/CarePlan\nversion: 1.0.0\n"}
    )[1]
    assert [("duplicate-name", f"{twice}:1:1")] == [(f.rule, f.where) for f in told]


def test_rows_extend_a_shipped_table():
    """The word's own row in place of the shipped one; the others stay."""
    tables, shipped = _mappings().library.tables, mappings().library.tables
    assert "fresh-air" == tables["wellness"].rows["other"].coding()["code"]
    assert shipped["wellness"].rows["yoga"] == tables["wellness"].rows["yoga"]


def test_codes_of_a_site_need_a_source_too():
    """Standard codes in the site's tables are linted with the sites' sources.csv."""
    mine = {**texts(), **TEXTS}
    mine[TRACK] = mine[TRACK].replace(
        "{system: county-track, code: day,", "{system: sct, code: 228557008,"
    )
    assert [] == lint(mine)
    mine[TRACK] = mine[TRACK].replace("228557008", "720174008")
    assert ["no-source"] == [f.rule for f in lint(mine) if f.severity == "error"]
    source = "system,code,level,source\nhttp://snomed.info/sct,720174008,B,read by the site\n"
    assert [] == [
        f for f in lint({**mine, "site/codes/sources.csv": source}) if f.severity == "error"
    ]


@pytest.mark.parametrize("name", [PLAN, TRACK, WELLNESS, SYSTEMS])
def test_editors_know_a_sites_files(name: str):
    """``map schema overlay`` accepts the overlay and refuses a slip in it."""
    kind = {PLAN: "overlay", SYSTEMS: "systems"}.get(name, "codes")
    validator = jsonschema.Draft7Validator(SCHEMAS[kind](mappings().library))
    root, _ = parse(TEXTS[name], name)
    assert root is not None
    assert [] == [e.message for e in validator.iter_errors(root.plain())]
    if name == PLAN:
        for old, new in (
            ("also:", "alos:"),
            ("identifier:", "identifer:"),
            ("kind: code", "kind: cod"),
        ):
            spoilt, _ = parse(TEXTS[name].replace(old, new, 1), name)
            assert spoilt is not None
            assert list(validator.iter_errors(spoilt.plain())), new


def test_reviewers_see_a_sites_fields():
    """On the page of ``map docs``: where they go, or why they stay."""
    shown = page(_mappings().library, "0.0")
    for name in SITE:
        assert f"<code>site.{name}</code>" in shown
    assert "stays with the house" in shown
    assert "Evening track" in shown
    assert "site.track" not in page(mappings().library, "0.0")
