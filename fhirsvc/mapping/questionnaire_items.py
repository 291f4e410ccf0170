"""The questions of a FHIR Questionnaire as items of an instrument, and what is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.questionnaire import LOINC, ORDINAL
from fhirsvc.fhir.response import whole
from fhirsvc.mapping.codes import loinc_ok

Node = dict[str, Any]
_WORTH = (ORDINAL, "http://hl7.org/fhir/StructureDefinition/itemWeight")
_CALCULATED = (
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-calculatedExpression"
)
_NUMBERS = ("integer", "decimal", "quantity")
_YES_NO = (("LA32-8", "No"), ("LA33-6", "Yes"))
_SCORE = re.compile(r"\bscore\b", re.IGNORECASE)
_DEEPEST = 20


@dataclass
class Notes:
    """The codes that were taken over, and findings."""

    codes: set[tuple[str, str]] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether one of the findings is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    def wrong(self, message: str, where: str, rule: str = "questionnaire") -> None:
        """Something without which nothing can be written."""
        self.findings.append(Finding(rule, message, where))

    def left(self, message: str, where: str) -> None:
        """Something that is not taken over."""
        self.findings.append(Finding("left-out", message, where, "warning"))


def line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def objects(value: object) -> list[Node]:
    """The objects of what should be a list of them."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def code_of(codings: list[Node], where: str, notes: Notes) -> Node | None:
    """The LOINC code among some codings; one whose check digit does not fit is an error."""
    for coding in codings:
        code = coding.get("code")
        if not isinstance(code, str) or coding.get("system") not in (LOINC, None):
            continue
        if not loinc_ok(code):
            if coding.get("system") == LOINC:
                notes.wrong("no LOINC code: its check digit does not fit", where, "check-digit")
            continue
        notes.codes.add((LOINC, code))
        found = {"code": code}
        if isinstance(coding.get("display"), str):
            found["display"] = line(coding["display"])
        return found
    return None


class Asked:
    """One walk over the items of a Questionnaire."""

    def __init__(self, notes: Notes, resource: Node) -> None:
        self.notes = notes
        self.items: list[Node] = []
        self.total: Node | None = None
        self._contained = {
            f"#{one['id']}": one
            for one in objects(resource.get("contained"))
            if isinstance(one.get("id"), str)
        }

    def walk(self, parent: Node, path: str, depth: int) -> None:
        """Take over the questions below ``parent``, in order, groups opened."""
        if depth > _DEEPEST:
            self.notes.wrong(f"nested deeper than {_DEEPEST}", path)
            return
        for index, item in enumerate(objects(parent.get("item"))):
            here = f"{path}.item[{index}]"
            kind = item.get("type")
            if kind in _NUMBERS and _is_total(item):
                self.total = self._coded(item, here) or self.total
            elif kind in ("choice", "coding", "open-choice", "boolean"):
                self._question(item, here)
            elif kind not in ("group", "display"):
                message = "a question that is no choice is not counted, and left out"
                self.notes.left(message, here)
            self.walk(item, here, depth + 1)

    def _coded(self, item: Node, path: str) -> Node | None:
        link = item.get("linkId")
        codings = objects(item.get("code"))
        if not codings and isinstance(link, str):
            codings = [{"code": link.removeprefix("/")}]
        return code_of(codings, f"{path}.code", self.notes)

    def _question(self, item: Node, path: str) -> None:
        found: Node = {"n": str(len(self.items) + 1)}
        coded = self._coded(item, path)
        if coded is not None:
            found |= coded
        else:
            self.notes.left("no LOINC code: a local item", path)
        if isinstance(item.get("text"), str) and item["text"].strip():
            found["text"] = line(item["text"])
        answers, counted = self._answers(item, path)
        if not answers:
            self.notes.wrong("has no answers to choose from here", path)
            return
        if not counted:
            found["scored"] = False
        self.items.append({**found, "answers": answers})

    def _answers(self, item: Node, path: str) -> tuple[list[Node], bool]:
        """The answers of a question, and whether they count: each has an ordinal value."""
        if item.get("type") == "boolean":
            self.notes.codes.update((LOINC, code) for code, _ in _YES_NO)
            yes_no = [
                {"value": n, "code": code, "display": shown}
                for n, (code, shown) in enumerate(_YES_NO)
            ]
            return yes_no, False
        options = self._options(item, path)
        worths = [_worth(option) for option, _, _ in options]
        counted = bool(options) and None not in worths
        if not counted and any(worth is not None for worth in worths):
            message = "some answers have an ordinalValue and some have none: not counted"
            self.notes.left(message, path)
        found: dict[int, Node] = {}
        for place, ((_, coding, where), worth) in enumerate(zip(options, worths, strict=True)):
            number = whole(worth) if counted else place
            if number is None or number < 0:
                self.notes.wrong("an ordinalValue is a whole number from 0", where)
                continue
            answer = self._answer(number, coding, where)
            if answer is None:
                continue
            if number in found:
                message = "counts as another answer does: it is read as that one"
                self.notes.left(message, where)
                alias = {k: answer[k] for k in ("system", "code") if k in answer}
                found[number].setdefault("also", []).append(alias)
            else:
                found[number] = answer
        return list(found.values()), counted

    def _options(self, item: Node, path: str) -> list[tuple[Node, Node, str]]:
        """Each option with its coding and its place."""
        found = []
        for index, option in enumerate(objects(item.get("answerOption"))):
            where = f"{path}.answerOption[{index}]"
            coding = option.get("valueCoding")
            if isinstance(coding, dict):
                found.append((option, coding, where))
            else:
                message = "is no coding: records cannot carry it as an answer of an instrument"
                self.notes.wrong(message, where)
        named = item.get("answerValueSet")
        if named is not None:
            values = self._contained.get(str(named))
            if values is None:
                message = "is not contained: its answers are not in this file"
                self.notes.wrong(message, f"{path}.answerValueSet")
            else:
                found += [(one, one, f"{path}.answerValueSet") for one in _concepts(values)]
        return found

    def _answer(self, number: int, coding: Node, where: str) -> Node | None:
        code, system = coding.get("code"), coding.get("system")
        if not isinstance(code, str):
            self.notes.wrong("an answer has a code", where)
            return None
        found: Node = {"value": number}
        if system in (LOINC, None) and loinc_ok(code):
            self.notes.codes.add((LOINC, code))
        elif system == LOINC:
            self.notes.wrong("no LOINC code: its check digit does not fit", where, "check-digit")
            return None
        elif isinstance(system, str) and ":" in system:
            found["system"] = system
            self.notes.codes.add((system, code))
        else:
            self.notes.wrong("an answer's code has a system", where)
            return None
        found["code"] = code
        if isinstance(coding.get("display"), str):
            found["display"] = line(coding["display"])
        return found


def _is_total(item: Node) -> bool:
    urls = [one.get("url") for one in objects(item.get("extension"))]
    return _CALCULATED in urls or bool(_SCORE.search(str(item.get("text", ""))))


def _concepts(values: Node) -> list[Node]:
    """The concepts of a contained ValueSet, each with the system of its part."""
    expansion = values.get("expansion")
    if isinstance(expansion, dict) and objects(expansion.get("contains")):
        return objects(expansion["contains"])
    compose = values.get("compose")
    parts = objects(compose.get("include")) if isinstance(compose, dict) else []
    return [
        {"system": part.get("system"), **concept}
        for part in parts
        for concept in objects(part.get("concept"))
    ]


def _worth(option: Node) -> object:
    """The ordinal value of an option, on it or on its coding."""
    coding = option.get("valueCoding")
    for holder in (option, coding if isinstance(coding, dict) else {}):
        for extension in objects(holder.get("extension")):
            if extension.get("url") in _WORTH:
                return extension.get("valueDecimal", extension.get("valueInteger"))
    return None
