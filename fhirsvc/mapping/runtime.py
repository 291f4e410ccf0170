"""What generated code calls: faults, ids, narrative escapes, answers.

Generated code comes in two forms from one plan. The fast form says only *that* a value is wrong;
the traced form is run again over the same record to say *where*, and to explain every element.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import orjson

from fhirsvc.fhir import leaves

EMPTY: dict[str, Any] = {}
NARRATIVE_MARK = "\x02"  # no text of a record may have it
_OPEN = '<div xmlns="http://www.w3.org/1999/xhtml">'
_HOUSE_ID = re.compile(r"[A-Za-z0-9.-]{1,36}")
_KNOWN_IDS: set[object] = set()
_REMEMBERED = 1_000  # ids and references kept, of each kind


class Fault(Exception):  # noqa: N818 - it is not reported as it is; forward() makes the error
    """A record value that cannot become FHIR: line of the plan, record path, what was expected."""

    def __init__(self, n: int, path: str = "", problem: str = "") -> None:
        super().__init__(n, path, problem)
        self.n = n
        self.path = path
        self.problem = problem


def house_id_ok(value: object) -> bool:
    """Whether ``value`` is the id of a record or the key of a list item, 36 characters at most."""
    if not isinstance(value, str) or not _HOUSE_ID.fullmatch(value):
        return False
    if len(_KNOWN_IDS) >= _REMEMBERED:
        _KNOWN_IDS.clear()
    _KNOWN_IDS.add(value)
    return True


def end_of(start: str, minutes: int) -> str | None:
    """The moment ``minutes`` after ``start``, at its offset; None beyond the calendar."""
    try:
        return (datetime.fromisoformat(start) + timedelta(minutes=minutes)).isoformat()
    except OverflowError:
        return None


def refer(known: dict[str, Any], prefix: str, value: str) -> dict[str, str]:
    """A reference to a record's resource, kept for the next time.

    :raises ValueError: ``value`` is no id.
    """
    if not house_id_ok(value):
        raise ValueError("id")
    if len(known) >= _REMEMBERED:
        known.clear()
    made = known[value] = {"reference": prefix + value}
    return made


def refer_written(known: dict[str, Any], prefix: str, value: str) -> orjson.Fragment:
    """As ``refer``, serialized."""
    refer(known, prefix, value)
    made = orjson.Fragment(f'{{"reference":"{prefix}{value}"}}')  # ids need no escape
    known[value] = made
    return made


def shorter(name: str) -> str:
    """A part's name too long for a FHIR id (64 with the record type before it), as a digest."""
    return hashlib.sha256(name.encode()).hexdigest()[:40]


def local_name(parts: list[str]) -> str:
    """A part's name below its record: ``plan-1.dx-2``, or a digest where that is too long."""
    name = ".".join(parts)
    return name if len(parts) == 1 or len(name) <= 48 else shorter(name)


def texts_ok(texts: list[str]) -> bool:
    """Whether all texts of a resource are good, seen quickly when they are plain.

    JSON of an ASCII string is two quotes longer than the string, unless something in it had to be
    escaped; what is printable in Unicode has no control characters either. "!" follows the blank,
    so a text that is greater is neither empty nor starts with one.

    :raises TypeError: one of them is no text.
    """
    together = "".join(texts)
    if min(texts) > "!" and (
        len(orjson.dumps(together)) == len(together) + 2 or together.isprintable()
    ):
        return True
    return all(map(leaves.text_ok, texts))


def said(value: object) -> str:
    """A number or a truth as a person reads it."""
    if value is True or value is False:
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        raise TypeError
    return str(value)


def narrative(rows: list[str]) -> str:
    """An XHTML ``div`` of rows ``label MARK text``; texts are escaped, labels are the file's own.

    :raises ValueError: a text has a character that FHIR does not allow.
    """
    if not rows:
        return f"{_OPEN}<p>-</p></div>"
    text = "\x01".join(rows)
    written = text.encode()
    marks = 2 * len(rows) - 1  # one within each row, one between two: any other is the record's
    if len(written) - len(written.translate(None, leaves.CONTROLS)) != marks:
        raise ValueError("text")
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    text = text.replace(NARRATIVE_MARK, ":</b> ").replace("\x01", "</p><p><b>")
    return f"{_OPEN}<p><b>{text}</p></div>"


def answers(
    by: dict[str, dict[str, dict[int, Any]]], instrument: str, items: list[Any]
) -> list[Any]:
    """The QuestionnaireResponse items of an instrument's answers.

    :raises KeyError, TypeError: the traced form says which answer is none of the instrument's.
    """
    known, found = by[instrument], []
    for item in items:
        value = item.get("value")
        if value is None:  # asked, not answered: SDC leaves the item out
            continue
        if value.__class__ is not int:  # True would pass for 1
            raise TypeError
        found.append(known[item["n"]][value])
    return found


def answers_located(
    by: dict[str, dict[str, dict[int, Any]]], instrument: object, items: object, n: int, path: str
) -> list[Any]:
    """As ``answers``; the first that is wrong is named by its path."""
    if not isinstance(instrument, str) or instrument not in by:
        raise Fault(n, path, "no instrument that this project knows")
    if not isinstance(items, list):
        raise Fault(n, path, "expected a list")
    found = []
    for index, item in enumerate(items):
        at = f"{path}[{index}]"
        if isinstance(item, dict) and item.get("value") is None:
            continue
        key = (item.get("n"), item.get("value")) if isinstance(item, dict) else None
        if key is None or not isinstance(key[0], str) or type(key[1]) is not int:
            raise Fault(n, at, "expected an answer {n, value}")
        if key[1] not in by[instrument].get(key[0], EMPTY):
            raise Fault(n, at, f"{instrument} has no such item or no such answer")
        found.append(by[instrument][key[0]][key[1]])
    return found


def dig(scope: object, steps: tuple[str, ...], n: int, path: str) -> Any:
    """The value at ``steps`` below ``scope``, or None."""
    for step in steps:
        if scope is None:
            return None
        if not isinstance(scope, dict):
            raise Fault(n, path, "expected an object around it")
        scope = scope.get(step)
    return scope


@contextmanager
def located(n: int, path: str) -> Iterator[None]:
    """Give a value refused inside narrative text its place."""
    try:
        yield
    except (ValueError, TypeError, AttributeError):
        raise Fault(n, path, "cannot be shown as text") from None


NAMESPACE: dict[str, Any] = {
    "Fault": Fault,
    "EMPTY": EMPTY,
    "DATES": leaves.DATES,
    "DATETIMES": leaves.DATETIMES,
    "CODES": leaves.CODES,
    "HOUSE_IDS": _KNOWN_IDS,
    "house_id_ok": house_id_ok,
    "refer": refer,
    "end_of": end_of,
    "shorter": shorter,
    "narrative": narrative,
    "said": said,
    "texts_ok": texts_ok,
    "answers": answers,
    "answers_located": answers_located,
    "dig": dig,
    "located": located,
    **{f"{name}_ok": check for name, check in leaves.CHECKS.items()},
}
