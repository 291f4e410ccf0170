"""Each op of ``ops`` the other way: an element's value to what it says of the record's fields.

A value is read as it is met, not as guides promise it: codings in any order, a code system under
another of its URLs, numbers as numbers, Quantities or decimal-like text. What cannot be understood
is told by ``Unread`` and becomes a finding; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from fhirsvc.mapping import paths
from fhirsvc.mapping.plan import Leaf
from fhirsvc.mapping.tables import Table

ONE_WAY = frozenset({"narrative", "labels", "date", "end"})  # ops that say nothing of one field
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_HOUSE_ID = re.compile(r"[A-Za-z0-9.-]{1,36}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})T[0-9:.]+(?:Z|[+-][0-9:]{5})")


class Unread(Exception):  # noqa: N818 - it becomes a finding
    """A value that cannot be understood: rule and message, without the value."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(rule, message)
        self.rule = rule
        self.message = message


@dataclass(frozen=True)
class Words:
    """House words that one code may stand for; ``preferred`` is the one the table names."""

    words: tuple[str, ...]
    preferred: str | None = None

    def both(self, other: Words) -> Words:
        """The words that both leave open; a preference that is among them stays."""
        words = tuple(w for w in self.words if w in other.words)
        wished = [p for p in (other.preferred, self.preferred) if p in words]
        return Words(words, wished[0] if wished else words[0] if len(words) == 1 else None)

    def settled(self, has: object = None) -> str | None:
        """The word: the one that is there already, the only one, or the preferred one."""
        if has in self.words:
            return str(has)
        return self.words[0] if len(self.words) == 1 else self.preferred


class Inverse:
    """A code table read backwards, in the shape the line writes it.

    :param rows: house word to what the line writes; None or empty where the word has no code.
    """

    def __init__(self, rows: Mapping[str, Any], table: Table | None, also: Mapping[str, str]):
        self.rows = rows
        self.also = also
        self._prefer = table.prefer if table is not None else {}

    @cached_property
    def silent(self) -> tuple[str, ...]:
        """Words without a code of their own: only words tell them, if anything does."""
        return tuple(w for w, v in self.rows.items() if not _targets(v))

    @cached_property
    def _words(self) -> dict[object, Words]:
        found: dict[object, list[str]] = {}
        for word, value in self.rows.items():
            for target in _targets(value):
                found.setdefault(target, []).append(word)
        return {t: self._shared(t, words) for t, words in found.items()}

    def _shared(self, target: object, words: list[str]) -> Words:
        name = target[1] if isinstance(target, tuple) else str(target)
        wish = self._prefer.get(name)
        return Words(tuple(words), wish if wish in words else None)

    def code(self, value: object) -> Words | None:
        """The words of a plain code."""
        return self._words.get(value) if isinstance(value, str) else None

    def codings(self, codings: Iterable[object]) -> Words | None:
        """The words of codings, in any order; those that the table does not have are passed over.

        :raises Unread: two codings name different words.
        """
        found: Words | None = None
        for coding in codings:
            one = self._words.get(coding_key(coding, self.also))
            if one is None:
                continue
            found = one if found is None else found.both(one)
            if not found.words:
                raise Unread("disagrees", "the codings name different things")
        return found

    def text(self, text: object) -> Words | None:
        """The words whose row is only a text, this one."""
        return self._words.get(("", text)) if isinstance(text, str) else None

    def texts(self) -> Words:
        """The words that a concept of text alone may stand for: those without a code."""
        coded = {w for t, ws in self._words.items() if not _is_text(t) for w in ws.words}
        words = tuple(w for w in self.rows if w not in coded)
        return Words(words, words[0] if len(words) == 1 else None)

    def own_text(self, words: Words) -> set[str]:
        """The texts that the rows of these words write by themselves."""
        values = (self.rows.get(w) for w in words.words)
        return {str(v["text"]) for v in values if isinstance(v, dict) and "text" in v}


def _is_text(target: object) -> bool:
    return isinstance(target, tuple) and target[0] == ""


def _targets(value: Any) -> list[object]:
    """What names a row: its code, its codings, or the text of a row without codings."""
    if not value:
        return []
    if isinstance(value, str):
        return [value]
    if "coding" in value:
        return [(c.get("system"), c.get("code")) for c in value["coding"]]
    if "code" in value:
        return [(value.get("system"), value["code"])]
    return [("", value["text"])] if "text" in value else []


def coding_key(coding: object, also: Mapping[str, str]) -> tuple[str, str] | None:
    """``(system, code)`` of a Coding, the system under its first URL; None where one is absent."""
    if not isinstance(coding, dict):
        return None
    system, code = coding.get("system"), coding.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        return None
    return also.get(system, system), code


def number(value: object) -> int | float:
    """A score as it is met: Quantity, integer, decimal, or decimal-like text (not more).

    :raises Unread: it is no number.
    """
    if isinstance(value, dict):
        if value.get("comparator"):
            raise Unread("comparator", "a value with a comparator is no single number")
        value = value.get("value")
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        text = value.strip()
        return float(text) if "." in text else int(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unread("type", "this is no number")
    return value


def same_unit(a: object, b: object) -> bool:
    """Whether two UCUM codes are one unit; ``1`` and annotations in braces are all no unit.

    https://ucum.org/ucum (section 2.1, curly braces)
    """
    return a == b or (_plain(a) and _plain(b))


def _plain(code: object) -> bool:
    return code == "1" or (isinstance(code, str) and code.startswith("{") and code.endswith("}"))


def words_of(value: object) -> str:
    """The text of a CodeableConcept, or else the display of its first coding that has one.

    :raises Unread: it has neither.
    """
    if isinstance(value, dict):
        text = value.get("text")
        if isinstance(text, str) and text:
            return text
        for coding in value.get("coding") or ():
            if isinstance(coding, dict) and isinstance(coding.get("display"), str):
                return str(coding["display"])
    raise Unread("type", "there are no words to read")


def fitting(kind: str, value: object) -> Any:
    """A value for a field of ``kind``.

    :raises Unread: it is of another kind, or less precise than the field wants.
    """
    if isinstance(value, Words):
        return value
    if kind == "boolean":
        if isinstance(value, bool):
            return value
    elif kind in ("integer", "decimal"):
        found = number(value)
        if kind == "decimal" or found == int(found):
            return int(found) if kind == "integer" else found
    elif isinstance(value, str) and value:
        return _text(kind, value)
    raise Unread("type", f"expected a value for a field of kind {kind}")


def _text(kind: str, value: str) -> str:
    if kind == "id" and not _HOUSE_ID.fullmatch(value):
        raise Unread("id", "this is no id of the house")
    if kind == "date":
        if _DAY.fullmatch(value):
            return value
        moment = _MOMENT.fullmatch(value)
        if moment is None:
            raise Unread("precision", "a whole date is wanted")
        return moment[1]
    if kind == "datetime" and not _MOMENT.fullmatch(value):
        raise Unread("precision", "a date with its time and offset is wanted")
    return value


def same(kind: str, a: object, b: object) -> bool:
    """Whether two values of a field say the same: moments whatever their offset, else equal."""
    if a == b:
        return type(a) is type(b) or (not isinstance(a, bool) and not isinstance(b, bool))
    if kind != "datetime" or not isinstance(a, str) or not isinstance(b, str):
        return False
    try:
        return datetime.fromisoformat(a) == datetime.fromisoformat(b)
    except ValueError:
        return False


def instrument_of(leaf: Leaf, items: object) -> str | None:
    """The instrument that a response answers, told by its items: all of them are there.

    Of instruments that share items (AUDIT-C is the first three of AUDIT) the longest; None where
    two are as long.
    """
    there = set(_links(items))
    whole = {
        name: len(links)
        for name, links in answers_of(leaf).items()
        if links and links.keys() <= there
    }
    longest = max(whole.values(), default=0)
    names = [name for name, count in whole.items() if count == longest]
    return names[0] if len(names) == 1 else None


def _links(items: object) -> Iterator[str]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield str(item.get("linkId"))
            yield from _links(item.get("item"))


def answers_of(leaf: Leaf) -> dict[str, dict[str, tuple[str, dict[object, int]]]]:
    """An ``answers`` line inverted: instrument → linkId → (item number, answer → value)."""
    found: dict[str, dict[str, tuple[str, dict[object, int]]]] = {}
    for instrument, items in leaf.arg.items():
        links: dict[str, tuple[str, dict[object, int]]] = {}
        for n, options in items.items():
            for value, item in options.items():
                known = links.setdefault(item["linkId"], (n, {}))[1]
                coding = item["answer"][0].get("valueCoding", {})
                known[coding.get("system"), coding.get("code")] = value
        found[instrument] = links
    return found


def put_label(leaf: Leaf, value: str, record: dict[str, Any], *, many: bool) -> None:
    """The words that have no code are told by their label; other text is a person's own."""
    source = leaf.sources[0]
    has = paths.at(record, source.path)
    words = has if isinstance(has, list) else [] if has is None else [has]
    if ", ".join(str(leaf.arg.get(w)) for w in words) == value:
        if leaf.text is not None:
            paths.drop(record, leaf.text.path)
        return
    by_label = {said: word for word, said in leaf.arg.items()}
    told = [by_label.get(part) for part in value.split(", ")]
    if all(told):
        paths.put(record, source.path, told if many else told[0])
    elif leaf.text is not None:
        paths.put(record, leaf.text.path, value)
