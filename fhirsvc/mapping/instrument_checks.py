"""What can be wrong with an instrument although each of its parts is well formed.

Names of items and subscales exist, numbers are possible, bands rise, the highest answers add up to
the highest total: so that what is counted by the file is what its scale says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import SCORINGS, Instrument, Item
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.mapping.source import Node
from fhirsvc.records.instruments import SEVERITIES

_NAME = re.compile(r"[a-z][a-z0-9.-]{0,39}")
_VERSION = re.compile(r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[0-9A-Za-z.-]+)?")
_ALERT = re.compile(r"[A-Za-z0-9.-]{1,15}")  # it joins the result's key in an id of 36
MEANINGS = ("reliable", "meaningful")
SEXES = ("male", "female")
Wrong = Callable[[str, Node], None]


def version_ok(version: str) -> bool:
    """Whether a version is one of https://semver.org, without build metadata."""
    return bool(_VERSION.fullmatch(version))


def items_of(instrument: Instrument) -> list[str]:
    """The numbers of its items."""
    return [item.n for item in instrument.items]


def sound(instrument: Instrument, root: Node, findings: list[Finding]) -> None:
    """Report what does not fit together."""

    def wrong(message: str, node: Node) -> None:
        findings.append(Finding("instrument", message, str(node.mark)))

    if not _NAME.fullmatch(instrument.name):
        wrong("a name is small letters, digits, '-' and '.', 40 at most", root.value["instrument"])
    _items(root, wrong)
    _closed(root, findings)
    if instrument.scoring == "rules":
        _rules(instrument, root, wrong)
    else:
        _range(instrument, root, wrong)
    _bands(root, instrument, wrong)
    _severities(root, findings)
    _named(instrument, root, findings)
    _numbers(instrument, root, wrong)
    _keys(root, wrong)


def _list(node: Node, key: str) -> list[Node]:
    return list(node.value[key].value) if key in node.value else []


def _items(root: Node, wrong: Wrong) -> None:
    for key, of, name in (("answers", "value", "answer"), ("items", "n", "item")):
        _twice(_list(root, key), of, name, wrong)
    for item in _list(root, "items"):
        _twice(_list(item, "answers"), "value", "answer", wrong)
        if "answers" not in root.value and "answers" not in item.value:
            wrong("items without 'answers' cannot be scored", root.value["items"])
            return


def _twice(nodes: list[Node], of: str, name: str, wrong: Wrong) -> None:
    seen: set[str] = set()
    for node in nodes:
        word = str(node.value[of].value)
        if word in seen:
            wrong(f"{name} '{word}' is here twice", node)
        seen.add(word)


def _closed(root: Node, findings: list[Finding]) -> None:
    """Words of a closed list."""
    stated: list[tuple[str, Node, tuple[str, ...]]] = []
    words: dict[str, tuple[str, ...]] = {"scoring": SCORINGS, "better": ("high", "low")}
    stated += [(key, root.value[key], words[key]) for key in words if key in root.value]
    if "missing" in root.value:
        stated.append(("then", root.value["missing"].value["then"], ("mean",)))
    stated += [("is", one.value["is"], MEANINGS) for one in _list(root, "change")]
    stated += [("sex", v.value["sex"], SEXES) for v in _list(root, "variants") if "sex" in v.value]
    for key, node, allowed in stated:
        word = str(node.value)
        if word not in allowed:
            hint = did_you_mean(word, allowed) or f"; it is one of {', '.join(allowed)}"
            findings.append(
                Finding("unknown-word", f"'{word}' is no '{key}'{hint}", str(node.mark))
            )


def _rules(instrument: Instrument, root: Node, wrong: Wrong) -> None:
    rules = _list(root, "rules")
    if not rules or "any" in rules[-1].value:
        wrong("'rules' end with one that always holds: {is: …} alone", root)
    for rule in rules[:-1]:
        if "any" not in rule.value:
            wrong("the rules after this one never apply", rule)


def _range(instrument: Instrument, root: Node, wrong: Wrong) -> None:
    if "range" not in root.value:
        wrong("'range' says the lowest and the highest total", root)
        return
    node, low, high = root.value["range"], instrument.low, instrument.high
    if low >= high:
        wrong("the range rises from the lowest total to the highest", node)
    scored = instrument.scored()
    if not scored or not all(item.options for item in scored):
        return
    if high != sum(_extreme(instrument, item, max) for item in scored):
        wrong("the highest total is not what the highest answers add up to", node)
    elif low != sum(_extreme(instrument, item, min) for item in scored):
        wrong("the lowest total is not what the lowest answers add up to", node)


def _extreme(instrument: Instrument, item: Item, pick: Callable[[Iterable[int]], int]) -> int:
    points = pick(item.points(option.value) for option in item.options)
    return int(points > 0) if instrument.scoring == "count" else points


def _bands(root: Node, instrument: Instrument, wrong: Wrong) -> None:
    for variant in _list(root, "variants"):
        if not {"sex", "setting"} & set(variant.value):
            wrong("a variant says for which 'sex' or 'setting' it holds", variant)
    if "variants" in root.value and "bands" not in root.value:
        wrong("'variants' need 'bands' that hold for everybody else", root.value["variants"])
    for bands in [_list(root, "bands"), *(_list(v, "bands") for v in _list(root, "variants"))]:
        before: int | None = None
        for band in bands:
            bound = band.value["from"].value
            if not instrument.low <= bound <= instrument.high or (
                before is not None and bound <= before
            ):
                wrong("bands rise, and each begins within the range", band)
            before = bound


def _severities(root: Node, findings: list[Finding]) -> None:
    """Every band and risk is a word of the records, and alerts name one that exists."""
    bands = _list(root, "bands") + [
        band for variant in _list(root, "variants") for band in _list(variant, "bands")
    ]
    stated = [*bands, *_list(root, "rules")]
    words = {str(one.value["is"].value) for one in stated}
    for one in stated:
        word = str(one.value["is"].value)
        if word not in SEVERITIES:
            message = f"records have no band '{word}'{did_you_mean(word, SEVERITIES)}"
            findings.append(Finding("unknown-band", message, str(one.at("is"))))
    for alert in _list(root, "alerts"):
        node = alert.value.get("severity")
        if node is not None and str(node.value) not in words:
            message = f"no band or rule is '{node.value}'{did_you_mean(str(node.value), words)}"
            findings.append(Finding("unknown-band", message, str(node.mark)))
        if ("item" in alert.value) == ("severity" in alert.value):
            message = "an alert is raised by an 'item' or by a 'severity'"
            findings.append(Finding("instrument", message, str(alert.mark)))


def _named(instrument: Instrument, root: Node, findings: list[Finding]) -> None:
    """Items and subscales that other parts name exist."""
    known = items_of(instrument)
    named: list[tuple[str, Node]] = []
    for key, of in (("rules", "any"), ("skips", "items"), ("subscales", "items")):
        named += [(str(n.value), n) for one in _list(root, key) for n in _list(one, of)]
    named += [
        (str(a.value["item"].value), a.value["item"])
        for a in _list(root, "alerts")
        if "item" in a.value
    ]
    for skip in _list(root, "skips"):
        named += [(n, node) for n, node in skip.value["when"].value.items()]
    for n, node in named:
        if n not in known:
            message = f"no item '{n}'{did_you_mean(n, known)}"
            findings.append(Finding("unknown-item", message, str(node.mark)))
    keys = [subscale.key for subscale in instrument.subscales]
    for criterion in _list(root, "criteria"):
        for key, node in criterion.value["needs"].value.items():
            if key not in keys:
                message = f"no subscale '{key}'{did_you_mean(key, keys)}"
                findings.append(Finding("unknown-item", message, str(node.mark)))


def _numbers(instrument: Instrument, root: Node, wrong: Wrong) -> None:
    """Answers and numbers of items that other parts name are possible."""
    if "missing" in root.value:
        most = root.value["missing"].value["most"]
        if not 0 < most.value < len(instrument.scored()):
            wrong("'most' is less than all of the scored items, and not none", most)
    values = {item.n: {option.value for option in item.options} for item in instrument.items}
    for skip in _list(root, "skips"):
        asked = list(skip.value["when"].value.items())
        asked += [(str(n.value), skip.value["value"]) for n in _list(skip, "items")]
        for n, node in asked:
            if n in values and node.value not in values[n]:
                wrong(f"item '{n}' has no such answer", node)
    for rule in [*_list(root, "alerts"), *_list(root, "rules")]:
        named = [rule.value["item"]] if "item" in rule.value else _list(rule, "any")
        low = rule.value["from"].value if "from" in rule.value else 1
        for node in named:
            allowed = values.get(str(node.value))
            if allowed and not min(allowed) < low <= max(allowed):
                wrong(f"item '{node.value}' cannot reach it, or always does", rule)
    rising = [one.value["points"] for one in _list(root, "change")]
    for before, after in zip([None, *rising], rising, strict=False):
        if after.value <= (before.value if before is not None else 0):
            wrong("thresholds rise, from 1 on", after)


def _keys(root: Node, wrong: Wrong) -> None:
    for part, name in (("subscales", "subscale"), ("criteria", "criterion"), ("alerts", "alert")):
        _twice(_list(root, part), "key", name, wrong)
    for alert in _list(root, "alerts"):
        if not _ALERT.fullmatch(str(alert.value["key"].value)):
            wrong("an alert's key is 1 to 15 letters, digits, '-' or '.'", alert.value["key"])
