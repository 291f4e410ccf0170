"""Any FHIR Questionnaire with LOINC codes and ordinal values, written as an instrument file.

What a form asks and how it counts is taken over; bands, thresholds and alerts are no part of a
Questionnaire and are the clinic's to add. What cannot be taken over is a warning with its FHIR
path; where nothing could be counted, an error. Codes are looked for as LForms writes them, too:
``linkId: "/44250-9"``, and codings without a system.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from fhirsvc.mapping.questionnaire_items import Asked, Node, Notes, code_of, line, objects

_NOTE = "# A Questionnaire has no bands, alerts or thresholds: add them from what is published."


@dataclass
class Written(Notes):
    """An instrument as the content of its file, the codes it names, and what was not taken over."""

    name: str = ""
    content: Node = field(default_factory=dict)

    def text(self, source: str) -> str:
        """The file, headed by what it was read from."""
        body = yaml.safe_dump(
            self.content, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
        )
        return f"# Read from {source}.\n{_NOTE}\n{body}"


def written(resource: object, name: str = "") -> Written:
    """A Questionnaire as an instrument.

    :param name: the instrument's; without it the resource's own, made a name of this house.
    """
    made = Written()
    if not isinstance(resource, dict) or resource.get("resourceType") != "Questionnaire":
        made.wrong("expected a Questionnaire", "resourceType")
        return made
    panel = code_of(objects(resource.get("code")), "Questionnaire.code", made)
    if panel is None and not made.findings:
        message = "no LOINC code: it names the panel that the scores belong to"
        made.wrong(message, "Questionnaire.code")
    made.name = name or _slug(resource)
    asked = Asked(made, resource)
    asked.walk(resource, "Questionnaire", 0)
    if not any(item.get("scored", True) for item in asked.items) and not made.failed:
        message = "no answer has an ordinalValue: there is nothing to count"
        made.wrong(message, "Questionnaire.item")
    if panel is None or made.failed:
        return made
    made.content = _content(made, resource, panel, asked)
    return made


def _content(made: Written, resource: Node, panel: Node, asked: Asked) -> Node:
    scored = [item for item in asked.items if item.get("scored", True)]
    values = [[answer["value"] for answer in item["answers"]] for item in scored]
    content: Node = {
        "instrument": made.name,
        "version": _version(str(resource.get("version", ""))),
        "title": line(str(resource.get("title") or resource.get("name") or made.name)),
        "panel": panel,
    }
    if asked.total is not None:
        content["total"] = asked.total
    content["range"] = [sum(map(min, values)), sum(map(max, values))]
    if isinstance(resource.get("copyright"), str):
        content["copyright"] = line(resource["copyright"])
    if isinstance(resource.get("url"), str):
        version = resource.get("version")
        content["derivedFrom"] = resource["url"] + (f"|{version}" if version else "")
    shared = asked.items[0]["answers"]
    if all(item["answers"] == shared for item in asked.items):
        content["answers"] = shared
        for item in asked.items:
            del item["answers"]
    return {**content, "items": asked.items}


def _slug(resource: Node) -> str:
    """The first of id, name and title that can be a name of this house."""
    for key in ("id", "name", "title"):
        slug = re.sub(r"[^a-z0-9]+", "-", str(resource.get(key, "")).lower())
        slug = slug.strip("-")[:40].strip("-")
        if slug[:1].isalpha():
            return slug
    return ""


def _version(stated: str) -> str:
    """Semver as near as can be: ``8.0`` is ``8.0.0``, and what is no number is ``1.0.0``."""
    if not re.fullmatch(r"\d+(\.\d+){0,2}", stated):
        return "1.0.0"
    parts = [str(int(part)) for part in stated.split(".")]
    return ".".join([*parts, "0", "0"][:3])
