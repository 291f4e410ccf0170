"""The guides' own examples read in: without a crash, and a page says what of each was carried.

``FHIRSVC_UPDATE_GOLDENS=1 pytest tests/mapping/test_examples.py`` writes the page again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import shipped_clinic as clinic

from fhirsvc.mapping.back import Back, Returned

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT.parent / "shared" / "examples"
PAGE = ROOT / "docs" / "examples-read.md"
GUIDES = {"us-core-8.0.0": "US Core 8.0.0", "gravity": "Gravity SDOH Clinical Care"}
_ENVELOPE = {"resourceType", "id", "meta", "text", "implicitRules", "contained"}

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no ../shared/examples here")


def _read(guide: str) -> tuple[list[dict[str, Any]], Returned]:
    """A guide's examples, read together as a server would hand them over."""
    files = sorted((EXAMPLES / guide).glob("*.json"))
    resources = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    assert len(resources) > 50
    return resources, Back.of(clinic.mappings().library).records(resources)


def _page() -> str:
    lines = [
        "# What is read of the guides' examples",
        "",
        "Each example of US Core 8.0.0 and of Gravity's SDOH Clinical Care, read by the shipped",
        "mappings without a record to put it onto (`fhirsvc map back`). *Carried* names elements",
        "that are in the record; *reported* the places that were not understood or that no line",
        "reads, with the rule ([mapping-rules.md](mapping-rules.md)). Nothing is guessed: a",
        "reference to somebody unknown is reported, and the record is partial. Written by",
        "`tests/mapping/test_examples.py`.",
    ]
    for guide, title in GUIDES.items():
        resources, returned = _read(guide)
        lines += ["", f"## {title}", "", "| Example | Record | Carried | Reported |"]
        lines += ["|---|---|---|---|"]
        lines += [_row(resource, returned) for resource in resources]
    return "\n".join(lines) + "\n"


def _row(resource: dict[str, Any], returned: Returned) -> str:
    kind = resource["resourceType"]
    about = f"{kind}/{resource.get('id')}"
    told = [located.finding for located in returned.findings if located.about == about]
    reading = next((r for r in returned.readings if r.resource is resource), None)
    reported: dict[str, str] = {}
    for finding in told:
        place = finding.where.removeprefix(f"{kind}.") if finding.where != kind else "(all of it)"
        reported.setdefault(place, finding.rule)
    carried = []
    if reading is not None:
        missed = {place.split(".")[0].split("[")[0] for place in reported}
        whole = [n for n in resource if n not in _ENVELOPE and n not in missed]
        part = [n for n in resource if n in missed and _deep(n, reported)]
        carried = [*whole, *(f"{name} in part" for name in part)]
    record = reading.plan.file.record if reading is not None else "none"
    said = "; ".join(f"{place} {rule}" for place, rule in reported.items()) or "nothing"
    return f"| {about} | {record} | {', '.join(carried) or 'nothing'} | {said} |"


def _deep(name: str, reported: dict[str, str]) -> bool:
    """Whether only something inside the element is reported, not the element or an item of it."""
    return name not in reported and not any(
        place.startswith(f"{name}[") and "." not in place for place in reported
    )


def test_every_example_is_read_and_the_page_says_how():
    """docs/examples-read.md is what reading them yields today."""
    page = _page()
    if os.environ.get("FHIRSVC_UPDATE_GOLDENS"):
        PAGE.write_text(page, encoding="utf-8")
    assert page == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("guide", GUIDES)
def test_no_finding_repeats_a_value(guide: str):
    """Findings name places and rules: no text of an example is in them."""
    resources, returned = _read(guide)
    names = {
        name[key]
        for resource in resources
        if resource["resourceType"] in ("Patient", "Practitioner", "RelatedPerson")
        for name in resource.get("name", [])
        for key in ("family", "text")
        if key in name
    }
    said = " ".join(f"{f.finding.message} {f.finding.where}" for f in returned.findings)
    assert not [name for name in names if name in said]


def test_scores_are_read_as_they_are_met():
    """A PHQ-9 total sent as text is a number; an AUDIT-C total in units of 1 is one, too."""
    _, returned = _read("us-core-8.0.0")
    results = [r for record in returned.records for r in record.get("instruments", ())]
    totals = {(r["instrument"], r["total"]) for r in results if "total" in r}
    assert {("phq-9", 12), ("audit-c", 0)} <= totals
    answered = next(r for r in results if r["instrument"] == "phq-9" and "items" in r)
    assert [2, 2, 2, 2, 1, 1, 2, 0, 0] == [i["value"] for i in answered["items"]][:9]
