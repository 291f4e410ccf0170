"""SARIF: what the standard requires is there, and places are the findings' own."""

from __future__ import annotations

import jsonschema
import pytest

from fhirsvc.errors import Finding
from fhirsvc.mapping.rules import RULES
from fhirsvc.mapping.sarif import sarif

# The required parts and closed words of the OASIS schema for what we write.
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
REGION = {
    "type": "object",
    "required": ["startLine"],
    "properties": {
        "startLine": {"type": "integer", "minimum": 1},
        "startColumn": {"type": "integer", "minimum": 1},
    },
    "additionalProperties": False,
}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "properties": {
                        "uri": {"type": "string", "pattern": r"^[\w./%~-]+$"},
                        "uriBaseId": {"type": "string"},
                    },
                    "additionalProperties": False,
                },
                "region": REGION,
            },
            "additionalProperties": False,
        }
    },
}
RESULT = {
    "type": "object",
    "required": ["ruleId", "ruleIndex", "message", "locations"],
    "properties": {
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "locations": {"type": "array", "items": LOCATION, "minItems": 1},
    },
}
DRIVER = {
    "type": "object",
    "required": ["name", "rules"],
    "properties": {
        "name": {"type": "string"},
        "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "rules": {
            "type": "array",
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["id", "shortDescription"],
                "properties": {"shortDescription": TEXT},
            },
        },
    },
}
LOG = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {"required": ["driver"], "properties": {"driver": DRIVER}},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
            },
        },
    },
}  # fmt: skip
FINDINGS = [
    Finding("unknown-field", "no field 'x'", "goal/Goal.yaml:13:3"),
    Finding("must-support", "is must-support", "staff/Practitioner Role.yaml:6:1", "warning"),
]  # fmt: skip


@pytest.mark.parametrize("folder", ["", "mappings", "my site/mappings/"])
def test_what_the_standard_requires_is_there(folder):
    """For findings in a named folder and in the shipped one."""
    jsonschema.validate(sarif(FINDINGS, RULES, folder, "0.1.0"), LOG)


def test_a_result_is_the_finding():
    """Rule, level, words and place; the index leads to the rule."""
    run = sarif(FINDINGS, RULES, "mappings/", "0.1.0")["runs"][0]
    wrong, warned = run["results"]
    for finding, result in zip(FINDINGS, (wrong, warned), strict=True):
        rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
        assert (finding.rule, finding.severity) == (result["ruleId"], result["level"])
        assert finding.rule == rule["id"]
        assert RULES[finding.rule] == rule["shortDescription"]["text"]
    place = wrong["locations"][0]["physicalLocation"]
    assert {"startLine": 13, "startColumn": 3} == place["region"]
    assert {"uri": "mappings/goal/Goal.yaml"} == place["artifactLocation"]
    quoted = warned["locations"][0]["physicalLocation"]["artifactLocation"]
    assert "mappings/staff/Practitioner%20Role.yaml" == quoted["uri"]


def test_files_of_the_shipped_folder_are_relative_to_a_named_base():
    """Their folder lies inside an installed package: no viewer could open it by a path."""
    run = sarif(FINDINGS, RULES, "", "0.1.0")["runs"][0]
    base = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uriBaseId"]
    assert base in run["originalUriBaseIds"]
