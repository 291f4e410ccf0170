"""Codes that reveal something sensitive wherever a record states one: ``codes/sensitive.csv``.

A code table labels its own rows; this list is for codes that come as they are (a diagnosis, a
billing code). A site adds rows in its own ``codes/sensitive.csv``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from fhirsvc.errors import Finding
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.records.shapes import SENSITIVITIES

FILE = "codes/sensitive.csv"
COLUMNS = ("system", "code", "match", "sensitivity", "source")
MATCHES = ("exact", "prefix")


@dataclass(frozen=True)
class Revealing:
    """Labels of codes: of just this one, and of all that begin so (ICD-10-CM has such blocks)."""

    exact: Mapping[tuple[str, str], str] = field(default_factory=dict)
    prefixes: tuple[tuple[str, str, str], ...] = ()  # system URL, beginning, label; longest first

    def label(self, system: str, code: str) -> str | None:
        """The label of a code, by its system's URL; of several beginnings the longest decides."""
        found = self.exact.get((system, code))
        if found is not None:
            return found
        for url, beginning, label in self.prefixes:
            if url == system and code.upper().startswith(beginning):
                return label
        return None


NOTHING = Revealing()


def read_revealing(texts: Mapping[str, str]) -> tuple[Revealing, list[Finding]]:
    """Read the list and a site's beside it; ``texts`` are those of a mappings folder by path.

    Findings are ``missing-key`` for a column, ``unknown-sensitivity`` for a label and ``grammar``
    for the rest, each at ``file:line:1``.
    """
    exact: dict[tuple[str, str], str] = {}
    prefixes: dict[tuple[str, str], str] = {}
    findings: list[Finding] = []
    for name in (FILE, f"site/{FILE}"):
        rows = csv.DictReader(io.StringIO(texts.get(name, ",".join(COLUMNS))))
        missing = [one for one in COLUMNS if one not in (rows.fieldnames or ())]
        for one in missing:
            findings.append(Finding("missing-key", f"column '{one}' is missing", f"{name}:1:1"))
        for row in rows if not missing else ():
            wrong = _wrong(row, f"{name}:{rows.line_num}:1")
            findings += wrong
            if not wrong:
                target = exact if row["match"] == "exact" else prefixes
                target[row["system"], row["code"]] = row["sensitivity"]
    longest = sorted(prefixes.items(), key=lambda one: -len(one[0][1]))
    return Revealing(exact, tuple((*key, label) for key, label in longest)), findings


def _wrong(row: Mapping[str, str | None], where: str) -> list[Finding]:
    found = []
    label = row["sensitivity"] or ""
    if label not in SENSITIVITIES:
        hint = did_you_mean(label, SENSITIVITIES)
        found.append(Finding("unknown-sensitivity", f"'{label}' is no 'sensitivity'{hint}", where))
    if row["match"] not in MATCHES:
        found.append(Finding("grammar", f"'match' is one of {', '.join(MATCHES)}", where))
    if not row["system"] or not row["code"] or not row["source"]:
        found.append(Finding("grammar", "a row has a system, a code and a source", where))
    return found
