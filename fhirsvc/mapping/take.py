"""What generated reading code calls. What it does not expect is ``Unusual``: ``reader`` reads it.

The fast form reads what mappings write, in the order they write it: the same elements, codings and
constants. It decides nothing that the reader would decide otherwise; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhirsvc.mapping import paths
from fhirsvc.mapping.inverse import Inverse, Unread, Words, fitting, put_label
from fhirsvc.mapping.links import Aim, House, local_ids
from fhirsvc.mapping.plan import Leaf
from fhirsvc.mapping.runtime import _KNOWN_IDS, EMPTY, house_id_ok

_REMEMBERED = 10_000
DAYS: set[str] = set()
MOMENTS: set[str] = set()


class Unusual(Exception):  # noqa: N818 - no error: the other form reads it
    """Something that the fast form does not read."""


MISFITS = (Unusual, KeyError, TypeError, AttributeError, ValueError, IndexError)


def day_ok(value: object) -> bool:
    """Whether a value is a whole date, kept for the next time."""
    return _kept("date", value, DAYS)


def moment_ok(value: object) -> bool:
    """Whether a value is a date with time and offset."""
    return _kept("datetime", value, MOMENTS)


def _kept(kind: str, value: object, known: set[str]) -> bool:
    try:
        found = fitting(kind, value)
    except Unread:
        return False
    if found != value:  # a moment where a day is wanted
        return False
    if len(known) >= _REMEMBERED:
        known.clear()
    known.add(found)
    return True


def agree(part: dict[str, Any], name: str, value: Any, later: list[Any]) -> None:
    """Set a field that other elements tell of, too."""
    before = part.get(name)
    if value.__class__ is Words or before.__class__ is Words:
        if before is None:
            part[name] = value
            later.append((part, name))
        elif before.__class__ is Words and value.__class__ is Words:
            part[name] = both = before.both(value)
            if not both.words:
                raise Unusual
        elif before.__class__ is Words:
            if value not in before.words:
                raise Unusual
            part[name] = value
        elif before not in value.words:
            raise Unusual
    elif before is None:
        part[name] = value
    elif before != value or before.__class__ is not value.__class__:
        raise Unusual


def coded(rows: dict[Any, list[tuple[Any, Any]]], value: dict[str, Any]) -> Any:
    """The word (or Words) of a Coding or CodeableConcept written as the table writes it."""
    if "coding" in value:
        first = value["coding"][0]
        key = first["system"], first["code"]
    else:
        key = (value["system"], value["code"]) if "code" in value else ("", value["text"])
    for row, word in rows[key]:
        if row == value:
            return word
    raise Unusual


def coded_text(rows: dict[Any, list[tuple[Any, Any]]], value: dict[str, Any]) -> tuple[Any, Any]:
    """The same with a text of its own beside the codings."""
    first = value["coding"][0]
    for row, word in rows[first["system"], first["code"]]:
        if row == value:
            return word, None
        if {**row, "text": value.get("text")} == value:
            return word, value["text"]
    raise Unusual


def inverse_rows(inverse: Inverse) -> dict[Any, list[tuple[Any, Any]]]:
    """A table by the first coding of its rows: what the row is, and the words that have it."""
    found: dict[Any, list[tuple[Any, Any]]] = {}
    for value in inverse.rows.values():
        if not isinstance(value, dict) or not value:
            continue
        codings = value.get("coding", [value] if "code" in value else [])
        key = (codings[0].get("system"), codings[0]["code"]) if codings else ("", value["text"])
        rows = found.setdefault(key, [])
        words = inverse.codings(codings) if codings else inverse.text(value["text"])
        if words is not None and all(value != row for row, _ in rows):
            rows.append((value, words.words[0] if len(words.words) == 1 else words))
    return found


def inverse_codes(inverse: Inverse) -> dict[str, Any]:
    """A table of plain codes."""
    found = {}
    for value in inverse.rows.values():
        words = inverse.code(value)
        if words is not None:
            found[value] = words.words[0] if len(words.words) == 1 else words
    return found


def known_code(rows: dict[Any, Any], value: Any) -> bool:
    """Whether the first coding is one of the table's."""
    codings = value.get("coding")
    first = codings[0] if codings else value
    return (first.get("system"), first.get("code")) in rows


def refer_back(
    memory: dict[str, tuple[str, ...]], value: dict[str, Any], aim: Aim, known: Mapping[str, House]
) -> tuple[str, ...]:
    """The ids of a reference that has nothing but itself."""
    reference = value["reference"]
    if len(value) != 1:
        raise Unusual
    if known:
        house = known.get(reference)
        if house is not None:
            if (house.record, house.part) != (aim.record, aim.part):
                raise Unusual
            if len(house.ids) != 1 + aim.keyed:
                raise Unusual
            return house.ids
    found = memory.get(reference)
    if found is None:
        found = local_ids(reference, aim, (None, None))
        if found is None or not all(map(house_id_ok, found)):
            raise Unusual
        if len(memory) >= _REMEMBERED:
            memory.clear()
        memory[reference] = found
    return found


def may(word: Any, values: tuple[Any, ...]) -> bool:
    """Whether a field that is known, or not yet, may have one of these values."""
    if word is None:
        return True
    if word.__class__ is Words:
        return not set(word.words).isdisjoint(values)
    return word in values


def keep_item(
    part: dict[str, Any], name: str, key: str, item: dict[str, Any], later: list[Any]
) -> None:
    """Put an item into a list that several lines fill."""
    items = part.get(name)
    if items is None:
        items = part[name] = []
    for there in items:
        if there[key] == item[key]:
            for field, value in item.items():
                agree(there, field, value, later)
            for n, entry in enumerate(later):
                if entry[0] is item:
                    later[n] = (there, *entry[1:])
            return
    items.append(item)


def settle(later: list[Any], record: dict[str, Any]) -> None:
    """Decide what one element alone could not: words that a code left open, labels, conditions."""
    weak = []
    for entry in later:
        if entry[0].__class__ is Leaf:
            put_label(entry[0], entry[1], record, many=entry[2])
        elif len(entry) == 3:
            weak.append(entry)
        else:
            part, name = entry
            value = part.get(name)
            if value.__class__ is Words:
                word = value.settled()
                if word is None:
                    raise Unusual
                part[name] = word
    for part, path, value in weak:
        if paths.at(part, path) is None:
            paths.put(part, path, value)


NAMESPACE: dict[str, Any] = {
    "DAYS": DAYS,
    "EMPTY": EMPTY,
    "HOUSE_IDS": _KNOWN_IDS,
    "MOMENTS": MOMENTS,
    "Unusual": Unusual,
    "Words": Words,
    "agree": agree,
    "coded": coded,
    "coded_text": coded_text,
    "day_ok": day_ok,
    "house_id_ok": house_id_ok,
    "keep_item": keep_item,
    "known_code": known_code,
    "may": may,
    "moment_ok": moment_ok,
    "refer_back": refer_back,
}
