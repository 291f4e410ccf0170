"""A QuestionnaireResponse read as answers to an instrument, whoever wrote it.

Answers come as codings, numbers, truths or ordinal values; totals as numbers or text. What cannot
be read is a finding with its FHIR path, and never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import Instrument, Item
from fhirsvc.fhir.questionnaire import ORDINAL
from fhirsvc.fhir.scoring import NOWHERE, Context, score

Resource = dict[str, Any]
_DEEPEST = 20  # groups in groups
_WEIGHT = "http://hl7.org/fhir/StructureDefinition/itemWeight"  # ordinalValue's successor


def instrument_of(response: Resource, instruments: Mapping[str, Instrument]) -> Instrument | None:
    """The instrument a response answers: by its canonical, else by the codes of its items.

    Others name the same form by URLs of their own; where every coded and scored item of an
    instrument is asked, that is it (of several, the one with the most items).
    """
    url = str(response.get("questionnaire", "")).partition("|")[0]
    for instrument in instruments.values():
        if url in (instrument.url, instrument.derived_from.partition("|")[0] or instrument.url):
            return instrument
    asked = {str(item.get("linkId", "")).removeprefix("/") for item, _ in _items(response)}
    fitting = []
    for instrument in instruments.values():
        codes = {i.coding["code"] for i in instrument.scored() if i.coding is not None}
        if codes and codes <= asked:
            fitting.append(instrument)
    return max(fitting, key=lambda i: len(i.items), default=None)


def answers_in(instrument: Instrument, response: Resource) -> tuple[dict[str, int], list[Finding]]:
    """The answers of a response by item number, and those that are none of the instrument's."""
    by_link = {item.linkId: item for item in instrument.items}
    by_link |= {i.coding["code"]: i for i in instrument.items if i.coding is not None}
    found: dict[str, int] = {}
    findings = []
    for given, path in _items(response):
        link = str(given.get("linkId", ""))
        item = by_link.get(link) or by_link.get(link.removeprefix("/"))
        answers = given.get("answer")
        if item is None or not isinstance(answers, list) or not answers:
            continue
        value = _value(item, answers[0]) if len(answers) == 1 else None
        if value is None:
            message = "is no answer of this instrument"
            findings.append(Finding("unknown-answer", message, f"{path}.answer", "warning"))
        else:
            found[item.n] = value
    return found, findings


def recount_response(
    response: Resource, instruments: Mapping[str, Instrument], context: Context = NOWHERE
) -> list[Finding]:
    """What a response claims and its answers do not bear out; every finding is a warning.

    A total stands in it as an item with the total's code. Nothing is corrected.
    """
    instrument = instrument_of(response, instruments)
    if instrument is None:
        return []
    answers, findings = answers_in(instrument, response)
    counted = score(instrument, answers, context)
    stated, where = stated_total(instrument, response)
    if None not in (stated, counted.total) and stated != counted.total:
        message = "is not what the answers count"
        findings.append(Finding("total-mismatch", message, where, "warning"))
    if response.get("status") in ("completed", "amended") and counted.missing and answers:
        message = f"{len(counted.missing)} scored items have no answer"
        findings.append(Finding("incomplete", message, "QuestionnaireResponse.item", "warning"))
    return findings


def stated_total(instrument: Instrument, response: Resource) -> tuple[int | None, str]:
    """The total that a response states in an item of its own, and its FHIR path."""
    links = {instrument.total["code"]} if instrument.items else {instrument.total["code"], "total"}
    for given, path in _items(response):
        if str(given.get("linkId", "")).removeprefix("/") in links:
            for index, answer in enumerate(_list(given.get("answer"))):
                number = _number(answer) if isinstance(answer, dict) else None
                if number is not None:
                    return number, f"{path}.answer[{index}]"
    return None, ""


def _items(response: Resource) -> Iterator[tuple[Resource, str]]:
    """Every item at whatever depth, with its FHIR path."""
    yield from _below(response, "QuestionnaireResponse", 0)


def _below(parent: Resource, path: str, depth: int) -> Iterator[tuple[Resource, str]]:
    if depth > _DEEPEST:
        return
    for index, item in enumerate(_list(parent.get("item"))):
        if isinstance(item, dict):
            here = f"{path}.item[{index}]"
            yield item, here
            yield from _below(item, here, depth + 1)
            for at, answer in enumerate(_list(item.get("answer"))):
                if isinstance(answer, dict):
                    yield from _below(answer, f"{here}.answer[{at}]", depth + 1)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _value(item: Item, answer: object) -> int | None:
    """The value of an answer, or None where it is none of the item's."""
    if not isinstance(answer, dict):
        return None
    coding = answer.get("valueCoding")
    if isinstance(coding, dict):
        return _coded(item, coding)
    if isinstance(answer.get("valueBoolean"), bool):
        number: int | None = int(answer["valueBoolean"])
    else:
        number = _number(answer)
    return number if number in {option.value for option in item.options} else None


def _coded(item: Item, coding: Resource) -> int | None:
    given = (coding.get("system"), coding.get("code"))
    for option in item.options:
        for known in (option.coding, *option.also):
            if given[1] == known["code"] and given[0] in (known["system"], None):
                return option.value
    for extension in _list(coding.get("extension")):
        if isinstance(extension, dict) and extension.get("url") in (ORDINAL, _WEIGHT):
            worth = whole(extension.get("valueDecimal"))
            turned = (o.value for o in item.options if item.points(o.value) == worth)
            return next(turned, None)
    return None


def _number(answer: Resource) -> int | None:
    for name in ("valueInteger", "valueDecimal", "valueQuantity", "valueString"):
        value = answer.get(name)
        number = whole(value.get("value") if isinstance(value, dict) else value)
        if number is not None:
            return number
    return None


def whole(value: object) -> int | None:
    """A whole number written as number or text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and re.fullmatch(r"\s*\d{1,6}(\.0+)?\s*", value):
        return int(float(value))
    return None
