"""What each section says: rows and tables for a clinician who has two minutes. Pure.

Everything is read from the resources that are handed over, and from nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fhirsvc.ehr.narrative import Part, Table
from fhirsvc.ehr.phrases import annotation, concept, moment, quantity, timing, words
from fhirsvc.handoff.chart import chart, said
from fhirsvc.handoff.handed import Contents, Handed, Resource, Row

_PHONE = "urn:fhirsvc:StructureDefinition:contact-point"
_PLACE = "urn:fhirsvc:StructureDefinition:appointment-organization"
_OVER = ("completed", "revoked", "entered-in-error")  # of a ServiceRequest that is open no more
# https://hl7.org/fhir/R4/valueset-goal-achievement.html: an arrow beside the word
_ARROWS = {
    "improving": "↗",
    "achieved": "✓",
    "sustaining": "✓",
    "worsening": "↘",
    "no-change": "→",
    "no-progress": "→",
    "not-achieved": "✗",
    "not-attainable": "✗",
    "in-progress": "→",
}


def contents(handed: Handed) -> dict[str, Contents]:
    """What each section has, by its key; a section that is not there has nothing."""
    made = {
        "appointments": _appointments(handed),
        "medications": _medications(handed),
        "reason": _observed(handed, "discharge"),
        "problems": _problems(handed),
        "plan": _plan(handed),
        "goals": _goals(handed),
        "behavioral": _scores(handed),
        "referrals": _referrals(handed),
        "social": _observed(handed, "outcomes"),
    }
    found = {}
    for key in {*made, *handed.texts, *handed.withheld}:
        one = made.get(key, Contents())
        rows = handed.texts.get(key, ())
        part = one.part or (Part("") if rows else None)
        if part is not None and rows:
            part = Part(part.title, (*rows, *part.rows), part.tables, part.pictures)
        found[key] = Contents(part, one.entries, key in handed.withheld)
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "") -> Table | None:
    """A table without the columns that say nothing; None where there are no rows."""
    listed = [tuple(row) for row in rows]
    used = [at for at in range(len(head)) if any(row[at] for row in listed)]
    if not used:
        return None
    cells = tuple(tuple(row[at] for at in used) for row in listed)
    return Table(title, tuple(head[at] for at in used), cells)


def _part(table: Table | None, entries: Sequence[Resource]) -> Contents:
    return Contents(Part("", tables=(table,)) if table else None, tuple(entries))


def _extension(resource: Resource, url: str) -> Resource:
    listed = resource.get("extension", ())
    return next((one for one in listed if one.get("url") == url), {})


def _phone(resource: Resource) -> str:
    point = _extension(resource, _PHONE).get("valueContactPoint")
    return str(point.get("value", "")) if isinstance(point, Mapping) else ""


def _appointments(handed: Handed) -> Contents:
    listed = sorted(handed.of("Appointment"), key=lambda one: str(one.get("start", "")))

    def with_whom(one: Resource) -> str:
        place = _extension(one, _PLACE).get("valueReference")
        actors = [
            handed.names(actor)
            for participant in one.get("participant", ())
            if (actor := participant.get("actor"))
            and not str(actor.get("reference", "")).startswith("Patient/")
        ]
        return ", ".join(filter(None, [*actors, handed.names(place) if place else ""]))

    rows = [
        (
            moment(one["start"]) if one.get("start") else "not agreed yet",
            with_whom(one),
            str(one.get("description", "")),
            _phone(one),
            words(str(one.get("status", ""))),
        )
        for one in listed
    ]
    return _part(_table(("When", "With", "What for", "Phone", "Status"), rows), listed)


def _medications(handed: Handed) -> Contents:
    listed = handed.of("MedicationRequest")

    def dose(one: Resource) -> tuple[str, str]:
        given = one.get("dosageInstruction", ())
        amounts = [str(each["text"]) for each in given if each.get("text")]
        times = [timing(each["timing"]) for each in given if each.get("timing")]
        return ", ".join(amounts), ", ".join(times)

    rows = [
        (
            concept(one.get("medicationCodeableConcept") or {}),
            *dose(one),
            ", ".join(concept(each) for each in one.get("reasonCode", ())),
            words(str(one.get("status", ""))),
            "; ".join(annotation(each, handed.names) for each in one.get("note", ())),
        )
        for one in listed
    ]
    head = ("Medication", "Dose", "How often", "What for", "Status", "Note")
    return _part(_table(head, rows), listed)


def _problems(handed: Handed) -> Contents:
    listed = handed.of("Condition")

    def codes(one: Resource) -> str:
        given = (one.get("code") or {}).get("coding", ())
        return ", ".join(str(each.get("code", "")) for each in given)

    rows = [
        (
            concept(one.get("code") or {}),
            codes(one),
            concept(one.get("clinicalStatus") or {}),
            concept(one.get("severity") or {}),
            moment(one["onsetDateTime"])
            if one.get("onsetDateTime")
            else one.get("onsetString", ""),
        )
        for one in listed
    ]
    return _part(_table(("Problem", "Code", "Status", "Severity", "Since"), rows), listed)


def _plan(handed: Handed) -> Contents:
    plan = handed.plan
    rows: list[Row] = [("Plan", str(plan.get("title", "")))]
    rows.append(("Summary", str(plan.get("description", ""))))
    given = [activity["detail"] for activity in plan.get("activity", ()) if activity.get("detail")]
    rows += [("Next", concept(one.get("code") or {})) for one in given if _is_next(one)]
    supports = [
        (
            concept(one.get("code") or {}),
            str(one.get("scheduledString", "")),
            ", ".join(handed.names(each) for each in one.get("performer", ())),
            _phone(one),
            str(one.get("description", "")),
        )
        for one in given
        if not _is_next(one)
    ]
    notes = [("Note", annotation(one, handed.names)) for one in plan.get("note", ())]
    head = ("Support", "When", "With", "Phone", "What for")
    table = _table(head, supports, "Supports and steps")
    said_rows = tuple(row for row in [*rows, *notes] if row[1])
    return Contents(Part("", said_rows, (table,) if table else ()), (plan,))


def _is_next(detail: Resource) -> bool:
    """Whether it is the level of care that follows, and no support."""
    return detail.get("status") == "scheduled"


def _goals(handed: Handed) -> Contents:
    listed = handed.of("Goal")

    def trend(one: Resource) -> str:
        given = one.get("achievementStatus") or {}
        codes = [str(each.get("code", "")) for each in given.get("coding", ())]
        arrow = next((_ARROWS[code] for code in codes if code in _ARROWS), "")
        return f"{arrow} {words(concept(given))}".strip()

    def aims(one: Resource) -> str:
        found = []
        for target in one.get("target", ()):
            amount = target.get("detailQuantity")
            aim = quantity(amount) if amount else str(target.get("detailString", ""))
            measure = concept(target.get("measure") or {}) if amount else ""
            due = moment(target["dueDate"]) if target.get("dueDate") else ""
            told = " ".join(filter(None, (measure, aim)))
            found.append(f"{told}{f' by {due}' if due else ''}")
        return "\n".join(found)

    rows = [
        (
            concept(one.get("description") or {}),
            words(str(one.get("lifecycleStatus", ""))),
            trend(one),
            aims(one),
        )
        for one in listed
    ]
    return _part(_table(("Goal", "Status", "Trend", "Aims"), rows), listed)


def _scores(handed: Handed) -> Contents:
    listed = [one for one in handed.of("Observation") if "valueQuantity" in one]
    rows = [
        (
            one.instrument.title,
            f"{one.first.value:g} ({moment(one.first.at[:10])})",
            f"{one.last.value:g} ({moment(one.last.at[:10])})",
            words(one.band(one.last.value)),
            f"{one.change:+g}{f', {one.meaning}' if one.meaning else ''}"
            if len(one.points) > 1
            else "",
        )
        for one in handed.trends
    ]
    table = _table(("Instrument", "First", "Last", "Now", "Change"), rows)
    pictures = tuple((said(one), chart(one)) for one in handed.trends if len(one.points) > 1)
    part = Part("", tables=(table,), pictures=pictures) if table else None
    return Contents(part, tuple(listed))


def _referrals(handed: Handed) -> Contents:
    tasks = {str((one.get("focus") or {}).get("reference", "")): one for one in handed.of("Task")}
    listed = [one for one in handed.of("ServiceRequest") if one.get("status") not in _OVER]

    def stands(one: Resource) -> str:
        task = tasks.get(f"ServiceRequest/{one['id']}", {})
        business = task.get("businessStatus")
        return concept(business) if business else words(str(task.get("status", one.get("status"))))

    rows = [
        (
            concept(one.get("code") or {}),
            ", ".join(handed.names(each) for each in one.get("performer", ())),
            words(stands(one)),
            moment(one["authoredOn"]) if one.get("authoredOn") else "",
            moment((one.get("occurrencePeriod") or {}).get("end", "")),
        )
        for one in listed
    ]
    head = ("What", "Asked of", "Where it stands", "Asked on", "Needed by")
    return _part(_table(head, rows), listed)


def _observed(handed: Handed, part: str) -> Contents:
    """An observation of the plan, told by its id: how it ended, or where the person stands."""
    listed = [one for one in handed.of("Observation") if str(one["id"]).endswith(f".{part}")]
    rows: list[Row] = []
    for one in listed:
        rows.append(
            (concept(one.get("code") or {}), concept(one.get("valueCodeableConcept") or {}))
        )
        for component in one.get("component", ()):
            value = component.get("valueCodeableConcept")
            said_ = concept(value) if value else str(component.get("valueInteger", ""))
            rows.append((concept(component.get("code") or {}), said_))
    told = tuple(row for row in rows if row[1])
    return Contents(Part("", told) if told else None, tuple(listed))
