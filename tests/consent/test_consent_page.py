"""docs/consent.md says of every rule what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from fhirsvc.consent.rules import RULES, SECOND, STANDARD

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "consent.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (4\d CFR [^|]+) \| `([^`]+)` \| `([^`]+)` \| ([^|]+) \|$", re.M)


def test_the_table_of_rules_is_that_of_the_code():
    """Paragraph, name, function and where it was read, row by row."""
    marks = {
        SECOND: "not read in the primary source (1)",
        STANDARD: "not read in the primary source (2)",
    }
    of_code = {
        (
            rule.paragraph,
            rule.name,
            f"{rule.ask.__module__.rpartition('.')[2]}.{rule.ask.__name__}",
            marks.get(rule.read, rule.read),
        )
        for rule in RULES
    }
    assert set(ROW.findall(PAGE)) == of_code
    assert len(ROW.findall(PAGE)) == len(RULES)
