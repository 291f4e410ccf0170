"""Records that say every house word and fill every field, made from the schemas.

No story of the clinic has all the words. ``records(type)`` makes, for
a type, one record with every field and list items of every word, and one slim record for each
further word of its single fields. What a schema's rules about several fields refuse is mended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from shipped_clinic import mappings

from fhirsvc.records import TYPES, check, schema_for
from fhirsvc.records.kinds import (
    Boolean,
    Date,
    DateTime,
    Decimal,
    Enum,
    Integer,
    Kind,
    Ref,
)
from fhirsvc.records.shapes import Many, Object

# Tried in turn for kinds whose values have a form.
FORMS = (
    "1 H0015 en 09:00 10:00 2.1 F33.1 +1-555-0100 someone@clinic.example 1234567893 99213".split()
)
# Words of code systems that schemas do not list.
SAMPLES = {"state": "MN", "country": "US"}
# Made to fit by the stories alone: answers are those of one instrument.
OMITTED = {("InstrumentResult", "items"), ("InstrumentResult", "item_flags")}
# What the rules refuse together: part, field, word → fields left out beside it.
APART = {("Diagnosis", "verification", "error"): ("clinical_status",)}  # con-5
# Words that stand alone in their list: a record of VARIANTS says each.
ALONE = {"race": ("unknown", "declined")}  # us-core-23
# Lists that the slim records have too: what is made of them depends on the record's own words.
ANSWERED = {
    "result_id": "r1",
    "instrument": "phq-9",
    "administered_at": "2026-03-02T09:00:00-05:00",
    "items": [{"n": "9", "value": 2}],
}
AT = "2026-03-02T09:00:00-05:00"
SIGNED = [
    {"signature_id": "s1", "role": "guardian", "name": "Robin Sample", "signed_at": AT},
    {"signature_id": "s2", "role": "witness", "signed_at": AT},
]
BESIDE: dict[str, dict[str, Any]] = {
    "assessment": {"instruments": [ANSWERED]},
    "care_plan": {
        "care_team": [{"member_id": "m1", "is_client": True}],
        "schedule": {"hours_per_week": 9, "days": ["monday"]},
        "family_involvement": {"sessions_per_month": 2},
    },
}
# What neither stories nor schemas lead to: type → changes to the first slim record, None to drop.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "aftercare_plan": [
        {"authored_at": AT, "discharge_type": None, "end_reason": None, "signatures": SIGNED},
    ],
    "assessment": [{"started_at": AT}],
    "care_plan": [
        {
            "plan_version": 2,
            "care_team": [{"member_id": "m1", "organization_id": "organization-w00"}],
            "step_down": {"steps": [{"step_id": "s1", "level_of_care": "outpatient"}]},
            "certification": {"certified_on": "2026-03-02"},
            "preferences": {"modality_style": "In a group"},
            "signatures": SIGNED,
            "medication_support": {
                "medications": [
                    {
                        "medication_id": "rx1",
                        "text": "A tablet",
                        "status": "stopped",
                        "adherence": "not_taking",
                        "prescriber_text": "A family doctor",
                    }
                ]
            },
        }
    ],
    "client": [
        {"deceased": True, "race": ["unknown"]},
        {"race": ["declined"], "name": {"text": "Somebody"}},
    ],
    "goal": [{"author_id": "staff-w00", "own_words": False}],
}
_NAMES = re.compile(r"(?:one|two) of: (.*)")


def records(type: str) -> list[dict[str, Any]]:
    """Return the records of a type; each is valid, and ids differ."""
    schema = schema_for(type)
    count = max(_words(name, field) for name, field in schema.fields.items())
    made = [_part(schema, 0, slim=False)]
    slim = [_part(schema, k, slim=True) | BESIDE.get(type, {}) for k in range(count)]
    made += slim + [_changed(slim[0], change) for change in VARIANTS.get(type, [])]
    for k, record in enumerate(made):
        record.update(type=type, id=f"{type.replace('_', '-')}-w{k:02}")
        mend(record)
    return made


def _changed(record: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A record with some fields changed; None leaves one out."""
    return {name: value for name, value in (record | change).items() if value is not None}


def _values(name: str, field: Any) -> tuple[str, ...]:
    """The words of a field: the schema's, or those that files of the mappings give it."""
    if name == "instrument":
        return tuple(mappings().library.instruments)
    return tuple(field.values)


def _words(name: str, field: Any) -> int:
    """How many values it takes to say every word of a field, lists left out."""
    if isinstance(field, Many):
        return 1
    if isinstance(field, Object):
        return max(_words(inner, of) for inner, of in field.schema.fields.items())
    return len(_values(name, field)) or 1


def _part(schema: Any, k: int, *, slim: bool) -> dict[str, Any]:
    found = {}
    for at, (name, field) in enumerate(schema.fields.items()):
        if (type(schema).__name__, name) in OMITTED:
            continue
        if slim and not (
            field.required or (not isinstance(field, Many) and _words(name, field) > 1)
        ):
            continue
        found[name] = _value(name, field, k, at, slim)
    for (part, name, word), others in APART.items():
        if part == type(schema).__name__ and found.get(name) == word:
            for other in others:
                found.pop(other, None)
    return found


def _bare(schema: Any) -> dict[str, Any]:
    """A part with nothing but what it must have."""
    required = ((n, at, f) for at, (n, f) in enumerate(schema.fields.items()) if f.required)
    return {name: _value(name, field, 0, at, slim=True) for name, at, field in required}


def _value(name: str, field: Any, k: int, at: int, slim: bool) -> Any:
    if isinstance(field, Many):
        return _items(name, field, k, at, slim)
    if isinstance(field, Object):
        return _part(field.schema, k, slim=slim)
    return _single(name, field, k, at)


def _items(name: str, field: Many, k: int, at: int, slim: bool) -> list[Any]:
    inner = field.of
    if isinstance(inner, Object):
        count = 1 if slim else max(_words(n, f) for n, f in inner.schema.fields.items())
        items = [_part(inner.schema, k + j, slim=slim) for j in range(count)]
        items += [] if slim else [_bare(inner.schema)]
        key = inner.schema.fields[str(field.key)]
        if not key.values and not key.wrong("k1"):
            for j, item in enumerate(items):
                item[str(field.key)] = f"k{j + 1}"
        return list({item[str(field.key)]: item for item in reversed(items)}.values())[::-1]
    if isinstance(inner, Enum):
        return [word for word in inner.values if word not in ALONE.get(name, ())]
    return [_single(f"{name} {j}", inner, j, at) for j in range(2)]


def _single(name: str, field: Kind, k: int, at: int) -> Any:
    if name in SAMPLES:
        return SAMPLES[name]
    said = _values(name, field)
    if said:
        return said[k % len(said)]
    if isinstance(field, Boolean):
        return k % 2 == 0
    if isinstance(field, Integer | Decimal):
        return int(min(max(field.low, 9), field.high))
    if isinstance(field, Date):
        return f"2026-{1 + at // 28:02}-{1 + at % 28:02}"
    if isinstance(field, DateTime):
        return f"2026-{1 + at // 28:02}-{1 + at % 28:02}T09:00:00-05:00"
    if isinstance(field, Ref):
        return f"{str(field.refers_to).replace('_', '-')}-w{k:02}"
    words = name.replace("_", " ")
    return next((v for v in (words, words.replace(" ", "-"), *FORMS) if not field.wrong(v)), words)


def mend(record: dict[str, Any]) -> None:
    """Add or leave out what rules about several fields ask, until they ask nothing."""
    schema = schema_for(record["type"])
    for turn in range(400):
        findings = check(record)
        if not findings:
            return
        owner, part, name = _owner(record, schema, findings[0].where)
        among = _NAMES.search(findings[0].message)
        if among is not None:
            if isinstance(name, str):
                owner, part = owner[name], part.fields[name].schema
            _one_of(owner, part, among[1].split(", "), turn)
        elif name in owner:
            owner.pop(name)
        else:
            owner[name] = _value(name, part.fields[name], 0, 30, slim=True)
    raise AssertionError(f"cannot be mended: {check(record)[0]}")


def _one_of(part: dict[str, Any], schema: Any, names: list[str], turn: int) -> None:
    """Keep one of the names, or add one; which one differs from item to item, from turn to turn."""
    there = [name for name in names if name in part]
    if not there:
        name = names[turn % len(names)]
        part[name] = _value(name, schema.fields[name], 0, 30, slim=True)
        return
    kept = there[sum(map(ord, str(sorted(part.items())))) % len(there)]
    for name in there:
        if name != kept:
            part.pop(name)


def _owner(record: dict[str, Any], schema: Any, path: str) -> tuple[Any, Any, Any]:
    """The part that holds the value at a JSON path, its schema, and the value's name in it.

    The name is None where the path leads to an item of a list: the item is the part.
    """
    owner: Any = record
    steps: list[Any] = [n or int(i) for n, i in re.findall(r"\.(\w+)|\[(\d+)\]", path)]
    for at, step in enumerate(steps):
        if at == len(steps) - 1 and isinstance(step, str):
            return owner, schema, step
        if isinstance(step, str):
            field = schema.fields[step]
            inner = field.of if isinstance(field, Many) else field
            schema = inner.schema if isinstance(inner, Object) else schema
        owner = owner[step]
    return owner, schema, None


def all_records() -> Iterator[dict[str, Any]]:
    """Every record of every type."""
    for type in TYPES:
        yield from records(type)
