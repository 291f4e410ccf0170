"""Values of FHIR types in words that a person reads: names, dates, amounts, timings. Pure.

Displays and texts, not codes; a value that has no words of its own is shown as it is, so that
nothing is lost. https://hl7.org/fhir/R4/datatypes.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from fhirsvc.ehr.narrative_layout import LABELS

Names = Callable[[Mapping[str, Any]], str]  # of what a Reference leads to
_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_DAYS = dict(
    zip(
        "mon tue wed thu fri sat sun".split(),
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
        strict=True,
    )
)
_UNITS = {"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month"}
_UNITS["a"] = "year"
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")


def words(name: str) -> str:
    """``scheduledTiming``, ``in-progress`` or ``met_on`` as words, the first one with a capital."""
    plain = re.sub(r"[-_]+", " ", _CAPITAL.sub(" ", name)).strip().lower()
    return plain[:1].upper() + plain[1:]


def moment(value: object) -> str:
    """A date, dateTime or instant: ``June 25, 2026, 3:10 PM (UTC-04:00)``; else the text itself."""
    text = str(value)
    if "T" in text:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        hour = f"{at.hour % 12 or 12}:{at.minute:02} {'PM' if at.hour >= 12 else 'AM'}"
        zone = at.strftime("%z")
        shown = f" (UTC{zone[:3]}:{zone[3:5]})" if zone and zone != "+0000" else ""
        return f"{_day(at)}, {hour}{shown or (' (UTC)' if zone else '')}"
    found = _DATE.fullmatch(text)
    if found is None or not 1 <= int(found[2] or 1) <= 12:
        return text
    if found[3]:
        try:
            return _day(date.fromisoformat(text))
        except ValueError:
            return text
    return f"{_MONTHS[int(found[2]) - 1]} {found[1]}" if found[2] else found[1]


def _day(at: date) -> str:
    return f"{_MONTHS[at.month - 1]} {at.day}, {at.year}"


# Codes that go out without a display, by system: HL7's BSeR 2.0.0, TaskBusinessStatusCS.
_WORDS = {
    "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS": {
        "2.0": "created",
        "3.0": "accepted",
        "4.0": "declined",
        "5.1.1": "event scheduled",
        "5.1.2": "event unattended",
        "5.1.3": "event cancelled",
        "5.1.4": "event completed",
        "5.2": "cancellation requested",
        "6.0": "fulfilment cancelled",
        "7.0": "fulfilment completed",
    }
}


def coding(value: Mapping[str, Any]) -> str:
    """Its display, or the code itself."""
    code = str(value.get("code") or "")
    known = _WORDS.get(str(value.get("system")), {})
    return str(value.get("display") or known.get(code) or code)


def concept(value: Mapping[str, Any]) -> str:
    """Its text and the displays that say something else; the code where there are no words."""
    listed = [one for one in value.get("coding", ()) if isinstance(one, Mapping)]
    shown = [str(one["display"]) for one in listed if one.get("display")]
    text = str(value.get("text") or "")
    if not text:
        return ", ".join(dict.fromkeys(shown)) or ", ".join(filter(None, map(coding, listed)))
    more = [one for one in shown if one.casefold() not in text.casefold()]
    return f"{text} ({', '.join(dict.fromkeys(more))})" if more else text


def quantity(value: Mapping[str, Any]) -> str:
    """``at least 9 h``, ``12``: a score's unit says nothing to a reader."""
    unit = str(value.get("unit") or value.get("code") or "")
    number = value.get("value")
    shown = "" if number is None else f"{number}"
    sign = str(value.get("comparator") or "")
    plain = "" if unit.startswith("{") else unit
    return " ".join(filter(None, [sign, shown, plain]))


def period(value: Mapping[str, Any]) -> str:
    """From when until when."""
    start, end = value.get("start"), value.get("end")
    if start and end:
        return f"{moment(start)} to {moment(end)}"
    if start:
        return f"from {moment(start)}"
    return f"until {moment(end)}" if end else ""


def timing(value: Mapping[str, Any]) -> str:
    """``2 times a week, 60 minutes each, Tuesday, Thursday at 17:30, from May 1, 2026``."""
    repeat = value.get("repeat") or {}
    said = [_often(repeat), _long(repeat)]
    days = [_DAYS.get(str(day), str(day)) for day in repeat.get("dayOfWeek", ())]
    times = [str(time)[:5] for time in repeat.get("timeOfDay", ())]
    said.append(" at ".join(filter(None, [", ".join(days), ", ".join(times)])))
    bounds = repeat.get("boundsPeriod")
    said.append(period(bounds) if isinstance(bounds, Mapping) else "")
    said += [moment(one) for one in value.get("event", ())]
    code = value.get("code")
    said.append(concept(code) if isinstance(code, Mapping) else "")
    return ", ".join(filter(None, said))


def _often(repeat: Mapping[str, Any]) -> str:
    frequency, count = repeat.get("frequency"), repeat.get("period")
    unit = _UNITS.get(str(repeat.get("periodUnit")), str(repeat.get("periodUnit") or ""))
    if frequency is None or not unit:
        return ""
    every = f"a {unit}" if count in (None, 1) else f"every {count} {unit}s"
    times = "once" if frequency == 1 else "twice" if frequency == 2 else f"{frequency} times"
    return f"{times} {every}"


def _long(repeat: Mapping[str, Any]) -> str:
    duration = repeat.get("duration")
    if duration is None:
        return ""
    unit = _UNITS.get(str(repeat.get("durationUnit")), "")
    each = " each" if (repeat.get("frequency") or 1) != 1 else ""
    return f"{duration} {unit}{'' if duration == 1 else 's'}{each}"


def name(value: Mapping[str, Any]) -> str:
    """A person's name as it is said."""
    parts = [*value.get("prefix", ()), *value.get("given", ()), value.get("family")]
    shown = value.get("text") or " ".join(str(part) for part in parts if part)
    suffix = ", ".join(map(str, value.get("suffix", ())))
    whole = str(shown) if value.get("text") or not suffix else f"{shown}, {suffix}"
    use = {"usual": " (name in use)", "old": " (former name)"}.get(str(value.get("use")), "")
    return f"{whole}{use}" if whole else ""


def address(value: Mapping[str, Any]) -> str:
    """An address on one line."""
    place = " ".join(str(value[key]) for key in ("state", "postalCode") if value.get(key))
    parts = [*value.get("line", ()), value.get("city"), place, value.get("country")]
    said = ", ".join(str(part) for part in parts if part)
    text = str(value.get("text") or "")
    return said if not text or text in said else f"{said}; {text}" if said else text


def contact(value: Mapping[str, Any]) -> str:
    """``phone 330-555-0106``."""
    note = extensions(value, lambda _: "")
    shown = " ".join(str(value[key]) for key in ("system", "value") if value.get(key))
    return f"{shown} ({'; '.join(one for _, one in note)})" if shown and note else shown


def annotation(value: Mapping[str, Any], names: Names) -> str:
    """The text, and who said it when."""
    who = value.get("authorString")
    reference = value.get("authorReference")
    if isinstance(reference, Mapping):
        who = names(reference)
    when = moment(value["time"]) if value.get("time") else ""
    by = ", ".join(str(one) for one in (who, when) if one)
    more = "; ".join(f"{label}: {said}" for label, said in extensions(value, names))
    said = " ".join(filter(None, [str(value.get("text", "")), f"({more})" if more else ""]))
    return f"{said} — {by}" if by else said


def extensions(value: Mapping[str, Any], names: Names) -> list[tuple[str, str]]:
    """The label and words of every extension; those inside one belong to it."""
    found = []
    for one in value.get("extension", ()):
        last = re.split(r"[:/]", str(one.get("url", "")))[-1]
        label = LABELS.get(last) or words(last)
        inner = extensions(one, names)
        if inner:
            found.append((label, ", ".join(f"{key.lower()}: {said}" for key, said in inner)))
        for key, given in one.items():
            if key.startswith("value") and (said := typed(key.removeprefix("value"), given, names)):
                found.append((label, said))
    return found


def typed(kind: str, value: Any, names: Names) -> str:
    """A value of a FHIR type in words; ``kind`` is the type (``Period``, ``dateTime``)."""
    said = _TYPED.get(kind[:1].lower() + kind[1:])
    if said is not None:
        return said(value, names)
    if isinstance(value, Mapping):
        listed = (typed("string", one, names) for key, one in value.items() if key != "id")
        return ", ".join(filter(None, listed))
    if isinstance(value, list):
        return ", ".join(filter(None, (typed(kind, one, names) for one in value)))
    return str(value)


def _truth(value: Any, names: Names) -> str:
    return "yes" if value else "no"


_TYPED: dict[str, Callable[[Any, Names], str]] = {
    "boolean": _truth,
    "date": lambda value, names: moment(value),
    "dateTime": lambda value, names: moment(value),
    "instant": lambda value, names: moment(value),
    "time": lambda value, names: str(value)[:5],
    "code": lambda value, names: words(str(value)),
    "coding": lambda value, names: coding(value),
    "codeableConcept": lambda value, names: concept(value),
    "quantity": lambda value, names: quantity(value),
    "duration": lambda value, names: quantity(value),
    "age": lambda value, names: quantity(value),
    "period": lambda value, names: period(value),
    "timing": lambda value, names: timing(value),
    "humanName": lambda value, names: name(value),
    "address": lambda value, names: address(value),
    "contactPoint": lambda value, names: contact(value),
    "annotation": annotation,
    "reference": lambda value, names: names(value),
    "identifier": lambda value, names: str(value.get("value", "")),
}
