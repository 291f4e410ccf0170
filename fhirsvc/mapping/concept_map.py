"""Code tables as R4 ConceptMaps: https://hl7.org/fhir/R4/conceptmap.html.

Each house word is a concept of a code system of its own (``urn:fhirsvc:words:<table>``). A word is
``equivalent`` to its code; where words share a code the code is ``wider`` than each of them; a word
of a local code system is ``equal`` to it; a word without a code is ``unmatched``, with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from fhirsvc.mapping.forward import setting
from fhirsvc.mapping.grammar import US_CORE
from fhirsvc.mapping.library import Library
from fhirsvc.mapping.plan import Const, Each, Group, Leaf, Node
from fhirsvc.mapping.resolve import resolve
from fhirsvc.mapping.tables import Row, Table

Json = dict[str, Any]
WORDS = "urn:fhirsvc:words:"
BASE = "urn:fhirsvc:ConceptMap:"
VALUES = "urn:fhirsvc:ValueSet:"
URIS = "urn:ietf:rfc:3986"  # what stands as the system of addresses
# The code systems of elements whose codes name none. https://hl7.org/fhir/R4/terminologies-systems.html
_FHIR = "http://hl7.org/fhir/"
SYSTEMS: dict[tuple[str, str], str] = {
    ("Annotation", "authorString"): "urn:fhirsvc:CodeSystem:feedback-source",
    ("AppointmentParticipant", "status"): _FHIR + "participationstatus",
    ("Appointment", "status"): _FHIR + "appointmentstatus",
    ("CarePlan", "status"): _FHIR + "request-status",
    ("CarePlanActivityDetail", "status"): _FHIR + "care-plan-activity-status",
    ("CareTeam", "status"): _FHIR + "care-team-status",
    ("Consent", "status"): _FHIR + "consent-state-codes",
    ("EpisodeOfCare", "status"): _FHIR + "episode-of-care-status",
    ("EpisodeOfCareStatusHistory", "status"): _FHIR + "episode-of-care-status",
    ("Flag", "status"): _FHIR + "flag-status",
    ("Goal", "lifecycleStatus"): _FHIR + "goal-status",
    ("MedicationRequest", "status"): _FHIR + "CodeSystem/medicationrequest-status",
    ("Observation", "status"): _FHIR + "observation-status",
    ("Patient", "gender"): _FHIR + "administrative-gender",
    ("Quantity", "comparator"): _FHIR + "quantity-comparator",
    ("QuestionnaireResponse", "status"): _FHIR + "questionnaire-answers-status",
    ("ServiceRequest", "priority"): _FHIR + "request-priority",
    ("ServiceRequest", "status"): _FHIR + "request-status",
    ("Task", "priority"): _FHIR + "request-priority",
    ("Task", "status"): _FHIR + "task-status",
    ("TimingRepeat", "dayOfWeek"): _FHIR + "days-of-week",
}


def concept_maps(library: Library, version: str) -> list[Json]:
    """Return every code table that has a code as a ConceptMap, by name.

    :param version: of this program: tables have none of their own.
    """
    used = plain_systems(library)
    return [
        concept_map(table, version, used.get(name), library.systems.local)
        for name, table in sorted(library.tables.items())
    ]


def concept_map(table: Table, version: str, plain: str | None, local: Iterable[str]) -> Json:
    """Return one table.

    :param plain: the code system of a table of plain codes.
    :param local: URLs of code systems that belong to this project.
    """
    home = plain or f"urn:fhirsvc:codes:{table.name}"
    systems = list(dict.fromkeys(s for row in table.rows.values() for s, _ in _targets(row, home)))
    first = systems[0] if systems else home
    shared = Counter(t for row in table.rows.values() for t in {*_codes(row, home)})
    groups = []
    for system in systems or [first]:
        elements = []
        for word, row in table.rows.items():
            said = [
                _target(table, word, coding, shared[s, str(coding["code"])], s in local)
                for s, coding in _targets(row, home)
                if s == system
            ]
            if not said and system == first and not any(_targets(row, home)):
                said = [_unmatched(row)]
            if said:
                shown = word.replace("_", " ")
                elements.append({"code": word, "display": shown, "target": said})
        groups.append({"source": WORDS + table.name, "target": system, "element": elements})
    name = "".join(part.capitalize() for part in re.split(r"[_-]", table.name))
    return {
        "resourceType": "ConceptMap",
        "id": f"words-{table.name.replace('_', '-')}",
        "url": BASE + table.name,
        "version": version,
        "name": f"Words{name}",
        "title": f"House words of {table.name.replace('_', ' ').replace('-', ' ')}",
        "status": "active",
        "sourceUri": VALUES + table.name,
        "group": groups,
    }


def _targets(row: Row, home: str) -> list[tuple[str, dict[str, str]]]:
    if row.code is not None:
        return [(home, {"code": row.code})]
    return [(coding["system"], coding) for coding in row.codings]


def _codes(row: Row, home: str) -> list[tuple[str, str]]:
    return [(system, coding["code"]) for system, coding in _targets(row, home)]


def _target(table: Table, word: str, coding: dict[str, str], sharing: int, local: bool) -> Json:
    found: Json = {"code": coding["code"]}
    if "display" in coding:
        found["display"] = coding["display"]
    if sharing > 1:
        preferred = table.prefer.get(coding["code"])
        found["equivalence"] = "wider"
        back = f"; read back as {preferred.replace('_', ' ')}" if preferred else ""
        found["comment"] = f"{sharing} words share this code{back}"
    else:
        found["equivalence"] = "equal" if local else "equivalent"
    return found


def _unmatched(row: Row) -> Json:
    comment = f"sent as the words “{row.text}”" if row.text else "nothing is written for it"
    return {"equivalence": "unmatched", "comment": comment}


def plain_systems(library: Library) -> dict[str, str]:
    """Table of plain codes → the code system of the elements it fills, where that is known."""
    found: dict[str, str] = {}
    for us_core in US_CORE:
        context = setting(library, us_core)
        for file in library.files:
            plan = resolve(file, context).plan
            if plan is not None:
                _look(plan.root, found)
    return found


def _look(node: Node, found: dict[str, str]) -> None:
    if isinstance(node, Each):
        _look(node.node, found)
    elif isinstance(node, Group):
        beside = next((s.nodes[0] for s in node.slots if s.element.name == "system"), None)
        for slot in node.slots:
            for child in slot.nodes:
                leaf = child.node if isinstance(child, Each) else child
                if isinstance(leaf, Leaf) and leaf.line.codes and leaf.element.primitive:
                    stated = beside.value if isinstance(beside, Const) else None
                    address = URIS if leaf.element.type in ("uri", "canonical", "url") else None
                    system = SYSTEMS.get((node.type, slot.element.name)) or address or stated
                    if system:
                        found.setdefault(leaf.line.codes, str(system))
                _look(child, found)
