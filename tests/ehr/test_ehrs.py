"""What each of four EHRs gets, as ``connect plan`` prints it, and the tables of ``docs/ladder.md``.

To write both anew after a wanted change, run this file with ``FHIRSVC_UPDATE_GOLDENS=1``; then read
the difference.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from shipped_clinic import ROOT
from statements import EHRS

from fhirsvc.cli import main
from fhirsvc.ehr.equivalents import ALTERNATIVES

GOLDEN = Path(__file__).parent / "golden"
PAGE = ROOT / "docs" / "ladder.md"
UPDATE = bool(os.environ.get("FHIRSVC_UPDATE_GOLDENS"))
TITLES = {
    "epic": "Epic",
    "oracle": "Oracle Health",
    "meditech": "MEDITECH",
    "athena": "athenahealth",
}


@cache
def plan(name: str, *options: str) -> str:
    """What ``connect plan`` prints of one of the EHRs."""
    given = json.dumps(EHRS[name])
    arguments = ["connect", "plan", "--capability", "-", *options]
    return CliRunner().invoke(main, arguments, input=given).stdout


def compact(text: str) -> str:
    """A golden of every rung: fields with one fate are named together."""
    lines = []
    for rung in json.loads(text):
        for fate, said in (("downgraded", "how"), ("dropped", "why")):
            groups: dict[str, list[str]] = {}
            for row in rung[fate]:
                groups.setdefault(row[said], []).append(row["field"])
            rung[fate] = groups
        lines.append(json.dumps(rung, ensure_ascii=False))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", list(EHRS))
def test_golden_plan(name):
    """Each rung with every field, as JSON."""
    made = compact(plan(name, "--json"))
    path = GOLDEN / f"{name}.ndjson"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(made, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == made


@pytest.mark.parametrize("name", list(EHRS))
def test_no_plan_writes_a_plan_or_a_goal(name):
    """No hospital lets a client write CarePlan or Goal, and none gets one."""
    rungs = json.loads(plan(name, "--json"))
    made = {one["rung"] for one in rungs if one["resource"] in ("CarePlan", "Goal")}
    assert made == {"document" if name in ("epic", "oracle") else "hold"}


def generated() -> str:
    """The tables of the page: the equivalents, and what each EHR gets."""
    parts = [_equivalents()]
    for name, title in TITLES.items():
        parts += [f"### {title}", "", _table(name), ""]
    return "\n".join(parts).rstrip() + "\n"


def _equivalents() -> str:
    rows = ["| Resource | Instead, best first | Why |", "|---|---|---|"]
    for resource, ways in ALTERNATIVES.items():
        listed = "; ".join(_via(way.via, resource) for way in ways)
        why = "; ".join(dict.fromkeys(way.why for way in ways if way.why))
        rows.append(f"| {resource} | {listed} | {why} |")
    return "\n".join([*rows, ""])


def _via(via: str, resource: str) -> str:
    return via.format(resource=resource.rpartition("/")[2])


def _table(name: str) -> str:
    rows = [
        "| Record | Resource | Rung | How | Carried | Downgraded | Dropped |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in json.loads(plan(name, "--json")):
        how = one["via"] + (
            f" ({_later(one['later'])})" if one["later"] not in ("", "update") else ""
        )
        counts = [str(len(one[fate])) for fate in ("carried", "downgraded", "dropped")]
        rung = one["rung"] if one["rung"] != "hold" or one["blocks"] else "left out"
        rows.append("| " + " | ".join([one["record"], one["resource"], rung, how, *counts]) + " |")
    return "\n".join(rows)


def _later(word: str) -> str:
    return {
        "document": "later versions as a document",
        "hold": "later versions held",
        "stays": "there are no later versions",
    }[word]


BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def test_the_page_says_what_the_code_does():
    """The tables of docs/ladder.md are those of the code."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"{BEGIN}\n(.*?){END}", text, re.S)
    assert found is not None
    if UPDATE:
        text = text[: found.start(1)] + generated() + text[found.end(1) :]
        PAGE.write_text(text, encoding="utf-8")
        found = re.search(rf"{BEGIN}\n(.*?){END}", text, re.S)
    assert found is not None
    assert found[1] == generated()
