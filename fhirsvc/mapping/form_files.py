"""Reads a form of ``instruments/``: questions, and the fields of a record that answer them."""

from __future__ import annotations

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Form, Question
from fhirsvc.mapping.instrument_grammar import BASE, QUESTION_TYPES
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.mapping.source import Node


def read_form(root: Node, findings: list[Finding]) -> Form:
    """The form of a file that has the shape of one."""
    raw = root.value
    name = str(raw["form"].value)
    seen: set[str] = set()  # linkIds are unique in a whole Questionnaire
    return Form(
        name=name,
        version=str(raw["version"].value),
        title=str(raw["title"].value),
        url=BASE + name,
        questions=tuple(_question(node, findings, seen) for node in _below(raw)),
    )


def _question(node: Node, findings: list[Finding], seen: set[str]) -> Question:
    raw: dict[str, Node] = node.value
    link = str(raw["linkId"].value)
    if link in seen:
        message = f"linkId '{link}' is here twice"
        findings.append(Finding("duplicate-key", message, str(raw["linkId"].mark)))
    seen.add(link)
    kind = str(raw["type"].value) if "type" in raw else "group" if "items" in raw else "text"
    if kind not in QUESTION_TYPES:
        hint = did_you_mean(kind, QUESTION_TYPES) or f"; it is one of {', '.join(QUESTION_TYPES)}"
        message = f"no question type '{kind}'{hint}"
        findings.append(Finding("unknown-type", message, str(raw["type"].mark)))
        kind = "group"  # what answers it cannot be asked of an unknown type
    if not {"from", "each", "items"} & set(raw):
        message = "a question has 'from', 'each' or 'items': something answers it"
        findings.append(Finding("line-kind", message, str(node.mark)))
    return Question(
        linkId=link,
        text=str(raw["text"].value),
        type=kind,
        source=str(raw["from"].value) if "from" in raw else None,
        each=str(raw["each"].value) if "each" in raw else None,
        mark=node.mark,
        questions=tuple(_question(n, findings, seen) for n in _below(raw)),
    )


def _below(raw: dict[str, Node]) -> list[Node]:
    return list(raw["items"].value) if "items" in raw else []
