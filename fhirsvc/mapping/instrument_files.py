"""Reads ``instruments/``: instruments, forms, and the wording that a clinic adds to an instrument.

What each file may say is below as shapes; whether its parts fit together is asked by
``instrument_checks``. ``mappings/README.md`` explains the words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.fhir.instruments import (
    Alert,
    Criterion,
    Form,
    Instrument,
    Item,
    Option,
    Rule,
    Skip,
    Subscale,
    Threshold,
    Variant,
)
from fhirsvc.mapping.form_files import read_form
from fhirsvc.mapping.instrument_checks import items_of, sound, version_ok
from fhirsvc.mapping.instrument_grammar import BASE, KINDS
from fhirsvc.mapping.lines import did_you_mean
from fhirsvc.mapping.shape import fits
from fhirsvc.mapping.source import Mark, Node, parse
from fhirsvc.mapping.tables import Systems
from fhirsvc.records.shapes import SENSITIVITIES

SUBSCALES = "urn:fhirsvc:CodeSystem:subscale"
FOLDER = "instruments/"


@dataclass
class Asked:
    """What the files of ``instruments/`` say, where each name stands and what is wrong."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    marks: dict[str, Mark] = field(default_factory=dict)  # "instrument phq-9" → its file
    findings: list[Finding] = field(default_factory=list)

    def once(self, what: str, name: str, mark: Mark) -> None:
        """A finding when another file has the same name for the same thing."""
        first = self.marks.setdefault(f"{what} {name}", mark)
        if first is not mark:
            message = f"{what} '{name}' is also in {first.file}"
            self.findings.append(Finding("duplicate-name", message, str(mark)))


def read_asked(texts: Mapping[str, str], systems: Systems) -> Asked:
    """Read the files of ``instruments/``, given as texts by path in the mappings folder."""
    asked = Asked()
    wordings = []
    for name, text in sorted(texts.items()):
        root, findings = parse(text, name)
        asked.findings += findings
        if root is None:
            continue
        given = root.value if isinstance(root.value, dict) else {}
        kind = next((k for k in KINDS if k in given), None)
        if kind is None:
            message = "a file here starts with 'instrument' or 'form' (or 'wording')"
            asked.findings.append(Finding("grammar", message, f"{name}:1:1"))
        elif fits(root, KINDS[kind], asked.findings):
            asked.once(kind, str(given[kind].value), root.mark)
            if kind == "wording":
                wordings.append(root)
            else:
                _take(asked, kind, root, systems)
    for root in wordings:
        _reword(asked, root)
    return asked


def _take(asked: Asked, kind: str, root: Node, systems: Systems) -> None:
    if not version_ok(str(root.value["version"].value)):
        message = "a version is written 1.0.0 (semver): responses name it"
        asked.findings.append(Finding("version", message, str(root.value["version"].mark)))
    if kind == "form":
        form = read_form(root, asked.findings)
        asked.forms[form.name] = form
        return
    instrument = _instrument(root, systems, asked.findings)
    asked.instruments[instrument.name] = instrument
    sound(instrument, root, asked.findings)


def _reword(asked: Asked, root: Node) -> None:
    """Put a clinic's wording into the instrument it is for."""
    raw = root.value
    name = str(raw["wording"].value)
    instrument = asked.instruments.get(name)
    if instrument is None:
        message = f"no instrument '{name}'{did_you_mean(name, asked.instruments)}"
        asked.findings.append(Finding("unknown-instrument", message, str(raw["wording"].mark)))
        return
    texts = {n: str(node.value) for n, node in raw["items"].value.items()}
    shown = {c: str(node.value) for c, node in _named(raw, "answers").items()}
    codes = {o.coding["code"] for item in instrument.items for o in item.options}
    for at, words, known in (("items", texts, items_of(instrument)), ("answers", shown, codes)):
        for word in words:
            if word not in known:
                message = f"{name} has no such {at[:-1]} '{word}'{did_you_mean(word, known)}"
                asked.findings.append(Finding("unknown-item", message, str(raw[at].at(word))))
    items = tuple(
        replace(
            item,
            text=texts.get(item.n, item.text),
            options=tuple(_shown(option, shown) for option in item.options),
        )
        for item in instrument.items
    )
    notice = str(raw["copyright"].value) if "copyright" in raw else instrument.copyright
    asked.instruments[name] = replace(instrument, items=items, copyright=notice)


def _shown(option: Option, texts: dict[str, str]) -> Option:
    text = texts.get(option.coding["code"])
    return replace(option, coding={**option.coding, "display": text}) if text else option


def _coding(node: Node, systems: Systems, findings: list[Finding]) -> dict[str, str]:
    raw = node.plain()
    url = systems.url(str(raw.get("system", "loinc")))
    if url is None:
        hint = did_you_mean(str(raw.get("system")), systems.urls)
        findings.append(Finding("unknown-system", f"no such code system{hint}", str(node.mark)))
    found = {"system": url or "", "code": str(raw.get("code", ""))}
    if "display" in raw:
        found["display"] = str(raw["display"])
    return found


def _options(raw: dict[str, Node], systems: Systems, findings: list[Finding]) -> tuple[Option, ...]:
    return tuple(
        Option(
            int(node.value["value"].value),
            _coding(node, systems, findings),
            tuple(_coding(also, systems, findings) for also in _list(node.value, "also")),
        )
        for node in _list(raw, "answers")
    )


def _item(
    node: Node, options: tuple[Option, ...], systems: Systems, findings: list[Finding]
) -> Item:
    given = node.plain()
    n = str(given["n"])
    coding = _coding(node, systems, findings) if "code" in given else None
    return Item(
        n=n,
        linkId=f"/{given['code']}" if coding else n,
        text=str(given.get("text", f"Item {n}")),
        coding=coding,
        options=_options(node.value, systems, findings) if "answers" in given else options,
        scored=bool(given.get("scored", True)),
        reversed=bool(given.get("reversed", False)),
        weight=int(given.get("weight", 1)),
    )


def _instrument(root: Node, systems: Systems, findings: list[Finding]) -> Instrument:
    raw: dict[str, Node] = root.value
    plain = root.plain()
    name = str(plain["instrument"])
    options = _options(raw, systems, findings)
    panel = _coding(raw["panel"], systems, findings)
    low, high = plain.get("range", (0, 0))
    return Instrument(
        name=name,
        version=str(plain["version"]),
        title=str(plain["title"]),
        url=BASE + name,
        panel=panel,
        total=_coding(raw["total"], systems, findings) if "total" in raw else panel,
        low=low,
        high=high,
        bands=_bands(raw),
        items=tuple(_item(n, options, systems, findings) for n in _list(raw, "items")),
        copyright=str(plain.get("copyright", "")),
        scoring=plain.get("scoring", "sum"),
        variants=tuple(
            Variant(_bands(v.value), v.plain().get("sex"), v.plain().get("setting"))
            for v in _list(raw, "variants")
        ),
        rules=tuple(
            Rule(str(r["is"]), _words(r.get("any")), r.get("from", 1))
            for r in plain.get("rules", ())
        ),
        skips=tuple(
            Skip(s["when"], _words(s["items"]), s["value"]) for s in plain.get("skips", ())
        ),
        may_miss=plain.get("missing", {}).get("most", 0),
        subscales=tuple(_subscale(s, name, systems, findings) for s in _list(raw, "subscales")),
        criteria=tuple(
            Criterion(str(c["key"]), str(c["text"]), c["rated"], c["needs"])
            for c in plain.get("criteria", ())
        ),
        change=tuple(
            Threshold(t["points"], str(t["is"]), str(t["source"])) for t in plain.get("change", ())
        ),
        higher_is_better=plain.get("better") == "high",
        alerts=tuple(_alert(a) for a in plain.get("alerts", ())),
        derived_from=str(plain.get("derivedFrom", "")),
        sensitivity=_label(raw, findings),
    )


def _label(raw: dict[str, Node], findings: list[Finding]) -> str | None:
    if "sensitivity" not in raw:
        return None
    label = str(raw["sensitivity"].value)
    if label not in SENSITIVITIES:
        hint = did_you_mean(label, SENSITIVITIES) or f"; it is one of {', '.join(SENSITIVITIES)}"
        message = f"'{label}' is no 'sensitivity'{hint}"
        findings.append(Finding("unknown-sensitivity", message, str(raw["sensitivity"].mark)))
    return label


def _subscale(node: Node, name: str, systems: Systems, findings: list[Finding]) -> Subscale:
    given = node.plain()
    local = {"system": SUBSCALES, "code": f"{name}.{given['key']}", "display": str(given["text"])}
    coding = _coding(node, systems, findings) if "code" in given else local
    return Subscale(str(given["key"]), str(given["text"]), _words(given["items"]), coding)


def _alert(given: dict[str, Any]) -> Alert:
    item = str(given["item"]) if "item" in given else None
    key, text, low = str(given["key"]), str(given["text"]), given.get("from", 1)
    return Alert(key, text, item, low, given.get("severity"))


def _words(values: list[Any] | None) -> tuple[str, ...]:
    return tuple(str(value) for value in values or ())


def _bands(raw: dict[str, Node]) -> tuple[tuple[int, str], ...]:
    return tuple((b["from"], str(b["is"])) for b in (n.plain() for n in _list(raw, "bands")))


def _list(raw: dict[str, Node], key: str) -> list[Node]:
    return list(raw[key].value) if key in raw else []


def _named(raw: dict[str, Node], key: str) -> dict[str, Node]:
    return dict(raw[key].value) if key in raw else {}
