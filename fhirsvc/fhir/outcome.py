"""Findings as an OperationOutcome: issue codes by rule, places as ``expression``, no values.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fhirsvc.errors import FhirsvcError, Finding

# Rule of a finding to https://hl7.org/fhir/R4/valueset-issue-type.html; every other is `invalid`.
ISSUE_TYPES = {
    "structure": "structure",
    "type": "structure",
    "unknown": "structure",
    "unreadable": "structure",
    "required": "required",
    "value": "value",
    "binding": "code-invalid",
    "invariant": "invariant",
    "target": "value",
}
# A FHIR path, as `expression` wants it; a JSON path or a file's place is said in the text instead.
_FHIR_PATH = re.compile(r"[A-Za-z][A-Za-z0-9]*(\[\d+\])?(\.[A-Za-z][A-Za-z0-9]*(\[\d+\]|\[x\])?)*")
_CHOICE = "[x]"


def outcome(findings: Iterable[Finding]) -> dict[str, Any]:
    """The OperationOutcome of one resource's findings; without any it says that all is well."""
    issues = [_issue(finding) for finding in findings]
    return {"resourceType": "OperationOutcome", "issue": issues or [_ALL_OK]}


def of_error(error: FhirsvcError) -> dict[str, Any]:
    """The OperationOutcome of an error, its code by the error's category."""
    issue = {"severity": "error", "code": error.meaning.issue, **_located(error.where, str(error))}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


_ALL_OK = {"severity": "information", "code": "informational", "details": {"text": "All OK"}}


def _issue(finding: Finding) -> dict[str, Any]:
    code = ISSUE_TYPES.get(finding.rule, "invalid")
    text = f"{finding.message} [{finding.rule}]"
    located = f"{finding.where}: {text}"
    return {"severity": finding.severity, "code": code, **_located(finding.where, located, text)}


def _located(where: str, located: str, text: str = "") -> dict[str, Any]:
    """``expression`` where the place is a FHIR path, else the place in front of the text."""
    if _FHIR_PATH.fullmatch(where):
        # FHIRPath names a choice by its stem: `Observation.value`, not `Observation.value[x]`.
        return {
            "details": {"text": text or located},
            "expression": [where.replace(_CHOICE, "")],
        }
    return {"details": {"text": located}}
