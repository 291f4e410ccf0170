"""Each case of fixtures/<record>/<case>: the record becomes exactly these resources.

To write the files anew after a wanted change: ``FHIRSVC_UPDATE_GOLDENS=1 pytest tests/mapping``,
then read the difference. A golden file proves sameness, not truth; truth is for test_laws.py,
the differential test and the HL7 validator (``make interop``).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from shipped_clinic import ROOT, mappings

CASES = sorted(p.parent for p in (ROOT / "fixtures").glob("*/*/record.json"))


def _name(resource: dict[str, Any], alone: bool) -> str:
    """``CarePlan.json``; several of a type carry their local id after the record's."""
    kind = str(resource["resourceType"])
    return f"{kind}.json" if alone else f"{kind}.{resource['id'].split('.', 2)[-1]}.json"


def _text(resource: dict[str, Any]) -> str:
    return json.dumps(resource, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_golden(case: Path):
    """The resources of a case are the files beside its record, no more and no fewer."""
    record = json.loads((case / "record.json").read_text())
    made = mappings().forward(record)
    kinds = [r["resourceType"] for r in made]
    expected = {_name(r, kinds.count(r["resourceType"]) == 1): _text(r) for r in made}
    if os.environ.get("FHIRSVC_UPDATE_GOLDENS"):
        for stale in case.glob("*.json"):
            if stale.name != "record.json":
                stale.unlink()
        for name, text in expected.items():
            (case / name).write_text(text)

    found = {p.name: p.read_text() for p in case.glob("*.json") if p.name != "record.json"}

    assert expected == found


def test_every_mapped_record_type_has_a_case():
    """No mapping ships without a golden."""
    assert set(mappings().records()) == {case.parent.name for case in CASES}
