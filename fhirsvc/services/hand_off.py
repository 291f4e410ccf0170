"""The handoff of an episode: its records gathered, mapped, and made into one document.

What is labelled as sensitive stays out: records and fields that speak of substance use are told
with a consent only, and the document says that something is withheld, never what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from fhirsvc.ehr.local import Local, called, identifier_of, leads_to
from fhirsvc.ehr.narrative import display_of, kind_of
from fhirsvc.ehr.phrases import moment
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.instruments import Instrument
from fhirsvc.handoff.contents import contents
from fhirsvc.handoff.document import Document, Head, document
from fhirsvc.handoff.handed import Contents, Handed
from fhirsvc.handoff.sections import BY_KEY
from fhirsvc.handoff.trends import trends
from fhirsvc.services.ports import Clock, Mapper, Record, Resource
from fhirsvc.services.references import local_of, possible_records, references
from fhirsvc.store import records
from fhirsvc.store.database import Database

US_CORE = 8
# Whoever is named along: their own records say who they are.
_DIRECTORY = ("staff", "organization")
_LINE = "988 Suicide & Crisis Lifeline: call or text 988"  # https://988lifeline.org/
# What of a plan speaks of substance use and goes into no resource: the sections say so.
_LEFT_OUT = ("$.relapse_prevention", "$.medications")


@dataclass(frozen=True)
class HandOff:
    """Makes documents; ``instruments`` are the mappings' own, by name.

    ``revealing`` gives the JSON paths of a record below which something sensitive stands.
    """

    database: Database
    mapper: Mapper
    instruments: Callable[[], Mapping[str, Instrument]]
    revealing: Callable[[Record], Iterable[str]]
    clock: Clock

    def build(self, episode_id: str) -> Document:
        """The document of an episode's aftercare plan.

        :raises FhirsvcError: NOT_FOUND where there is no such episode or no aftercare plan for it,
            CONFLICT where its plan is a draft or a mistake, FORBIDDEN where it may not be told.
        """
        return self._build(self._chart(episode_id))

    def of_plan(self, plan_id: str) -> Document:
        """The document of an aftercare plan.

        :raises FhirsvcError: as ``build``, of the plan's episode; NOT_FOUND where another plan of
            it is in force.
        """
        with self.database.read() as tx:
            version = records.version(tx, ("aftercare_plan", plan_id))
        chart = self._chart(str(orjson.loads(version.body).get("episode_id", "")))
        if chart.plan["id"] != plan_id:
            message = "another plan of its episode is in force"
            raise FhirsvcError(Category.NOT_FOUND, message, f"aftercare_plan/{plan_id}")
        return self._build(chart)

    def _build(self, chart: _Chart) -> Document:
        plan_record = chart.plan
        if any(not one.startswith(_LEFT_OUT) for one in self.revealing(plan_record)):
            message = "it speaks of substance use: that is told with a consent only"
            raise FhirsvcError(Category.FORBIDDEN, message, f"aftercare_plan/{plan_record['id']}")
        mapped: dict[Local, Resource] = {local_of(one): one for one in self._mapped(chart.told)}
        mapped |= self._directory(mapped.values(), plan_record)
        plan = _only(mapped, "CarePlan", plan_record)
        chosen = _chosen(mapped, chart, plan)
        date = datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")
        medications = _list(
            plan, [one for one in chosen if one["resourceType"] == "MedicationRequest"], date
        )
        resources = {local_of(one): one for one in [*chosen, medications]}

        def names(reference: Resource) -> str:
            target = leads_to(reference)
            known = mapped.get(target) if target is not None else None
            said = display_of(known) or kind_of(known) if known is not None else ""
            return said or str(reference.get("display", "")) or (called(target) if target else "")

        def logical(reference: Resource) -> Resource:
            target = leads_to(reference)
            known = mapped.get(target) if target is not None else None
            identifier = identifier_of(known) if known is not None else None
            kept = {key: value for key, value in reference.items() if key != "reference"}
            named = {"identifier": identifier} if identifier else {}
            return {**kept, "type": (target or ("",))[0], **named, "display": names(reference)}

        by_type: dict[str, list[Resource]] = {}
        for one in chosen:
            by_type.setdefault(str(one["resourceType"]), []).append(one)
        handed = Handed(
            by_type,
            names,
            plan,
            trends(by_type.get("Observation", ()), by_type.get("Goal", ()), self.instruments()),
            _texts(chart),
            chart.withheld,
        )
        sections = contents(handed)
        if "medications" in sections and sections["medications"].entries:
            sections["medications"] = _listed(sections["medications"], medications)
        custodian = {"reference": f"Organization/organization.{plan_record['program_id']}"}
        head = Head(
            str(plan_record["id"]),
            f"Aftercare handoff: {names(plan['subject'])}",
            date,
            plan["subject"],
            plan.get("author") or custodian,
            custodian,
            _about(chart, names, plan),
        )
        return document(head, sections, resources, logical)

    # ---- gathering ------------------------------------------------------------------------------

    def _chart(self, episode_id: str) -> _Chart:
        key = ("episode", episode_id)
        with self.database.read() as tx:
            episode = orjson.loads(records.version(tx, key).body)
            client_id = str(episode["client_id"])
            every = [
                orjson.loads(one.body)
                for one in records.of_client(tx, client_id)
                if not one.is_deleted
            ]
        own = [one for one in every if one.get("episode_id") == episode_id]
        plans = [one for one in own if one["type"] == "aftercare_plan"]
        current = [one for one in plans if one["status"] not in ("draft", "error", "revoked")]
        if not current:
            category = Category.CONFLICT if plans else Category.NOT_FOUND
            said = "its aftercare plan is not in force" if plans else "it has no aftercare plan"
            raise FhirsvcError(category, said, "/".join(key))
        plan = max(current, key=lambda one: (str(one.get("authored_at", "")), str(one["id"])))
        client = [one for one in every if one["type"] == "client"]
        every = [*client, episode, *own]
        kept = [one for one in every if one is not plan and any(self.revealing(one))]
        told = [one for one in every if not any(one is other for other in kept)]
        return _Chart(plan, told, kept)

    def _mapped(self, told: Iterable[Record]) -> Iterator[dict[str, Any]]:
        for one in told:
            if one["type"] not in ("consent", "care_plan"):
                yield from self.mapper.forward(one, US_CORE)

    def _directory(self, resources: Iterable[Resource], plan: Record) -> dict[Local, Resource]:
        """The staff and the organizations that are named, and who they work for."""
        wanted = {("organization", str(plan["program_id"]))}
        waiting = {target for one in resources for target in references(dict(one))}
        found: dict[Local, Resource] = {}
        for _ in range(2):
            keys = wanted | {key for target in waiting for key in possible_records(target[1])}
            with self.database.read() as tx:
                versions = records.newest(tx, [key for key in keys if key[0] in _DIRECTORY])
            bodies = [orjson.loads(one.body) for one in versions if not one.is_deleted]
            made = {local_of(one): one for one in self._mapped(bodies)}
            waiting = {target for one in made.values() for target in references(one)} - set(found)
            found |= made
        return found


@dataclass(frozen=True)
class _Chart:
    """The records of an episode that a handoff is made of."""

    plan: Record
    told: Sequence[Record]
    kept: Sequence[Record]  # what reveals something, and stays

    @property
    def withheld(self) -> frozenset[str]:
        """The sections that would say more."""
        kinds = {
            "assessment": "behavioral",
            "goal": "goals",
            "referral": "referrals",
            "episode": "problems",
        }
        found = {kinds[str(one["type"])] for one in self.kept if one["type"] in kinds}
        if self.plan.get("relapse_prevention"):
            found.add("instructions")
        if any(one.get("is_mat") for one in self.plan.get("medications", ())):
            found.add("medications")
        return frozenset(found)


def _only(mapped: Mapping[Local, Resource], kind: str, record: Record) -> Resource:
    prefix = f"{str(record['type']).replace('_', '-')}.{record['id']}"
    return mapped[kind, prefix]


def _chosen(mapped: Mapping[Local, Resource], chart: _Chart, plan: Resource) -> list[Resource]:
    """What is handed over: the plan with what it is made of, and the goals that are carried on."""
    carried = {f"goal.{one}" for one in chart.plan.get("goal_ids", ())}
    own = f"{plan['id']}."
    found = []
    for (kind, name), one in mapped.items():
        is_own = name == plan["id"] or name.startswith(own)
        kept = {
            "Goal": not carried or name in carried,
            "Observation": is_own or "valueQuantity" in one,
            "Appointment": is_own,
            "MedicationRequest": is_own,
            "CarePlan": is_own,
            "Provenance": False,
            "QuestionnaireResponse": False,
            "Flag": False,
        }
        if kept.get(kind, True):
            found.append(one)
    return found


def _list(plan: Resource, medications: Sequence[Resource], date: str) -> dict[str, Any]:
    """The medications as one List: https://hl7.org/fhir/R4/list.html."""
    kind = BY_KEY["medications"]
    return {
        "resourceType": "List",
        "id": f"{plan['id']}.medications",
        "status": "current",
        "mode": "snapshot",
        "title": kind.title,
        "code": {"coding": [{"system": kind.system, "code": kind.code}]},
        "subject": plan["subject"],
        "date": date,
        "entry": [{"item": {"reference": "/".join(local_of(one))}} for one in medications],
    }


def _listed(section: Contents, medications: Resource) -> Contents:
    return replace(section, entries=(medications,))


def _texts(chart: _Chart) -> dict[str, tuple[tuple[str, str], ...]]:
    """Words of the records that no resource carries."""
    crisis: Record = chart.plan.get("crisis_plan") or {}
    rows = [
        ("Crisis line", crisis.get("crisis_line", "")),
        ("", _LINE),
        ("Warning signs", "\n".join(crisis.get("warning_signs", ()))),
        ("What helps", "\n".join(crisis.get("coping_steps", ()))),
        ("Reasons for living", "\n".join(crisis.get("reasons_for_living", ()))),
        ("Safe surroundings", crisis.get("safe_environment", "")),
        ("Crisis plan", crisis.get("text", "")),
    ]
    told = [(label or "Any time", text) for label, text in rows if text]
    if crisis.get("crisis_line") in ("988", _LINE):
        told = told[1:]
    allergies = [
        (one["text"], ", ".join(filter(None, (one.get("reaction"), one.get("severity")))))
        for record in chart.told
        if record["type"] == "assessment"
        for one in (record.get("medical_evaluation") or {}).get("allergies", ())
    ]
    return {
        "instructions": tuple(told),
        **({"allergies": tuple(dict.fromkeys(allergies))} if allergies else {}),
    }


def _about(chart: _Chart, names: Any, plan: Resource) -> tuple[tuple[str, str], ...]:
    born = next((one.get("birth_date") for one in chart.told if one["type"] == "client"), None)
    given = chart.plan
    rows = (
        ("Patient", names(plan["subject"])),
        ("Born", moment(born) if born else ""),
        ("Discharged", moment(given["discharge_date"]) if given.get("discharge_date") else ""),
        ("Author", names(plan["author"]) if plan.get("author") else ""),
    )
    return tuple(row for row in rows if row[1])
