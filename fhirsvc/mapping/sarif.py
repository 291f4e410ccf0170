"""Findings as SARIF 2.1.0, which code review and editors show beside the line.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fhirsvc.errors import Finding

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PLAIN = re.compile(rb"[A-Za-z0-9._~/-]")  # bytes that a relative reference holds as they are
_LEVELS = {"information": "note"}  # the rest are called the same
BASE = "MAPPINGS"  # what files are relative to, where no folder was named
_PLACE = re.compile(r"(?P<file>.+?):(?P<line>[0-9]+):(?P<col>[0-9]+)")


def sarif(
    findings: Iterable[Finding], rules: Mapping[str, str], folder: str, version: str, site: str = ""
) -> dict[str, Any]:
    """Return one run with the findings as a SARIF log.

    :param rules: rule name to what it holds, in order; every finding's rule is one of them.
    :param folder: what the files of findings stand in, as a viewer finds it; empty: not known.
    :param version: of this program.
    :param site: another folder, whose name findings in it begin with.
    """
    order = {name: index for index, name in enumerate(rules)}
    driver = {
        "name": "fhirsvc",
        "semanticVersion": version,
        "rules": [{"id": name, "shortDescription": {"text": says}} for name, says in rules.items()],
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, order[finding.rule], folder, site) for finding in findings],
    }
    if not folder:
        said = "The folder of mappings that was checked"
        run["originalUriBaseIds"] = {BASE: {"description": {"text": said}}}
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _result(finding: Finding, index: int, folder: str, site: str) -> dict[str, Any]:
    place = _PLACE.fullmatch(finding.where)
    file = place["file"] if place else finding.where
    found: dict[str, Any] = {"artifactLocation": _artifact(file, folder, site)}
    if place:
        found["region"] = {"startLine": int(place["line"]), "startColumn": int(place["col"])}
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS.get(finding.severity, finding.severity),
        "message": {"text": finding.message},
        "locations": [{"physicalLocation": found}],
    }


def _artifact(file: str, folder: str, site: str) -> dict[str, str]:
    if site and file.startswith(f"{site.rstrip('/')}/"):
        return {"uri": _quoted(file)}
    if folder:
        return {"uri": _quoted(f"{folder.rstrip('/')}/{file}")}
    return {"uri": _quoted(file), "uriBaseId": BASE}


def _quoted(path: str) -> str:
    """A path as a URI reference (RFC 3986)."""
    signs = (bytes([sign]) for sign in path.encode())
    return "".join(s.decode() if _PLAIN.match(s) else f"%{s[0]:02X}" for s in signs)
