"""Resources that say in a form an EHR takes what another resource says in one it does not. Pure.

Each is made of mapped resources, with local references, under an identifier of the house.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirsvc.ehr.context import Context
from fhirsvc.ehr.local import Resource, identifier_of, leads_to, local
from fhirsvc.ehr.narrative import display_of, page
from fhirsvc.ehr.narrative_words import as_text
from fhirsvc.ehr.phrases import Names, concept
from fhirsvc.fhir.extract import extract
from fhirsvc.fhir.response import instrument_of

ANSWERS = "urn:fhirsvc:instrument-answer"
MESSAGES = "urn:fhirsvc:message"
_KINDS = "urn:fhirsvc:CodeSystem:message-kind"
_KIND = {"Flag": ("alert", "Alert"), "ServiceRequest": ("referral", "Referral")}
_SENDERS = ("requester", "author")
_SENDER_TYPES = frozenset(
    (
        "Device Organization Patient Practitioner PractitionerRole RelatedPerson HealthcareService"
    ).split()
)
_RECIPIENTS = ("owner", "performer")
_RECIPIENT_TYPES = _SENDER_TYPES | {"CareTeam", "Group"}
_TASK_REASON = ("reasonCode", "reasonReference")


def observations(
    response: Resource, total: Resource | None, context: Context
) -> tuple[list[dict[str, Any]], bool]:
    """An Observation for each coded answer of a response, and whether they say all of it.

    ``total`` is the mapped Observation of its score, which stands in the place of a second one.
    https://hl7.org/fhir/uv/sdc/extraction.html#observation-based-extraction
    """
    made = extract(dict(response), context.instruments)
    instrument = instrument_of(dict(response), context.instruments)
    identifier = identifier_of(response) or {"value": response["id"]}
    known = f"{response['id']}.total"
    found = []
    for one in made:
        part = str(one["id"]).removeprefix(f"{response['id']}.")
        if one["id"] == known and total is not None:
            continue
        name = {"system": ANSWERS, "value": f"{identifier['value']}/{part}"}
        found.append({**one, "identifier": [name], **_members(one, known, total)})
    coded = len([item for item in (instrument.items if instrument else ()) if item.coding])
    complete = bool(found) and instrument is not None and coded == len(instrument.items)
    return found, complete or not response.get("item")


def _members(panel: Resource, known: str, total: Resource | None) -> dict[str, Any]:
    if total is None or "hasMember" not in panel:
        return {}
    there = {"reference": f"Observation/{total['id']}"}
    return {
        "hasMember": [
            there if one.get("reference") == f"Observation/{known}" else one
            for one in panel["hasMember"]
        ]
    }


def with_total(response: Resource, total: Resource, context: Context) -> dict[str, Any] | None:
    """A response that carries the bare score of a form whose answers nobody has.

    The score is an answer under the total's own code, as US Core's examples have it, or to the one
    question of a form that ships no others. None where the answers are there: they add up to it.
    """
    instrument = instrument_of(dict(response), context.instruments)
    if response.get("item") or instrument is None:
        return None
    answer = _score(total)
    if answer is None:
        return None
    link = instrument.total["code"] if instrument.items else "total"
    item = {"linkId": link, "text": f"{instrument.title}: total score", "answer": [answer]}
    return {**response, "item": [item]}


def _score(total: Resource) -> dict[str, Any] | None:
    value = total.get("valueQuantity") or {}
    number = value.get("value")
    if isinstance(number, int) or (isinstance(number, float) and number.is_integer()):
        return {"valueInteger": int(number)}
    said = total.get("valueCodeableConcept")
    return {"valueString": concept(said)} if isinstance(said, Mapping) and concept(said) else None


def task_with_request(task: Resource, request: Resource, words: str) -> dict[str, Any]:
    """The Task that tracks a request, with what is asked for as its input.

    https://hl7.org/fhir/R4/task.html: ``input`` holds what is needed to do it.
    """
    found: dict[str, Any] = {key: value for key, value in task.items() if key != "focus"}
    for key in _TASK_REASON:
        listed = request.get(key) or []
        if listed and key not in found:
            found[key] = listed[0]
    inputs = list(found.get("input", ()))
    inputs += [
        _input("What is asked for", "CodeableConcept", one)
        for one in [request.get("code"), *request.get("category", ())]
        if one
    ]
    for key in _TASK_REASON:
        kind = "Reference" if key == "reasonReference" else "CodeableConcept"
        inputs += [_input("Reason", kind, one) for one in (request.get(key) or [])[1:]]
    inputs += [_input("See also", "Reference", one) for one in request.get("supportingInfo", ())]
    if request.get("patientInstruction"):
        inputs.append(_input("Told to the patient", "String", request["patientInstruction"]))
    inputs.append(_input("The request in words", "String", words))
    notes = [*found.get("note", ()), *request.get("note", ())]
    return {**found, **({"note": notes} if notes else {}), "input": inputs}


def _input(text: str, kind: str, value: Any) -> dict[str, Any]:
    return {"type": {"text": text}, f"value{kind}": value}


def request_with_status(request: Resource, words: str) -> dict[str, Any]:
    """A ServiceRequest that says in a note where it stands."""
    note = {"id": "where-it-stands", "text": words}
    return {**request, "note": [*request.get("note", ()), note]}


def message(
    resources: Sequence[Resource], names: Names, prefix: str, context: Context
) -> tuple[dict[str, Any], Edition]:
    """A Communication that tells in words what resources say, to whoever has to act.

    A message that was sent does not change: other words are another message, under another id, and
    the same words are not said twice running.
    https://hl7.org/fhir/R4/communication.html
    """
    first = resources[0]
    title = display_of(first) or str(first["resourceType"])
    words = as_text(page(title, (), resources, names))
    issue = edition("Communication", f"message.{prefix}", words, context)
    code, text = _KIND.get(str(first["resourceType"]), ("task", "Task"))
    status = "entered-in-error" if first.get("status") == "entered-in-error" else "completed"
    found: dict[str, Any] = {
        "resourceType": "Communication",
        "id": issue.id,
        "identifier": [{"system": MESSAGES, "value": issue.id.removeprefix("message.")}],
        "status": status,
        "category": [{"coding": [{"system": _KINDS, "code": code, "display": text}], "text": text}],
        "priority": _priority(resources),
    }
    for key in ("subject", "for"):
        if first.get(key):
            found["subject"] = first[key]
    found["about"] = [{"reference": "/".join(local(one))} for one in resources]
    found["sent"] = context.date
    recipients = _ends(resources, _RECIPIENTS, _RECIPIENT_TYPES)
    if recipients:
        found["recipient"] = recipients
    senders = _ends(resources, _SENDERS, _SENDER_TYPES)
    if senders:
        found["sender"] = senders[0]
    found["payload"] = [{"contentString": words}]
    return found, issue


@dataclass(frozen=True)
class Edition:
    """One of what is never changed but made anew: its local id, and those sent before it.

    ``is_sent``: the last of those says the same, and there is nothing to send.
    """

    id: str
    before: tuple[str, ...]
    is_sent: bool


def edition(kind: str, base: str, said: str, context: Context) -> Edition:
    """What to call ``said``: ``<base>.v<version of the record>.<digest of what it says>``."""
    stem = base if len(base) <= 46 else hashlib.sha256(base.encode()).hexdigest()[:40]
    digest = hashlib.sha256(said.encode()).hexdigest()[:8]
    known = re.compile(rf"{re.escape(stem)}\.v([0-9]{{1,7}})\.[0-9a-f]{{8}}")
    sent = sorted(
        (int(found[1]), name)
        for other, name in context.sent
        if other == kind and (found := known.fullmatch(name))
    )
    before = tuple(name for _, name in sent)
    if before and before[-1].endswith(f".{digest}"):
        return Edition(before[-1], before[:-1], is_sent=True)
    return Edition(f"{stem}.v{context.version}.{digest}", before, is_sent=False)


def _priority(resources: Sequence[Resource]) -> str:
    """The most urgent that is stated; an alert is urgent of itself."""
    order = ("stat", "asap", "urgent", "routine")
    stated = {str(one.get("priority")) for one in resources}
    stated |= {"urgent"} if any(one["resourceType"] == "Flag" for one in resources) else set()
    return next((word for word in order if word in stated), "routine")


def _ends(resources: Sequence[Resource], keys: Sequence[str], types: frozenset[str]) -> list[Any]:
    """The senders or recipients that resources name; what can be none of them is left out."""
    found: list[Any] = []
    for resource in resources:
        for key in keys:
            value = resource.get(key)
            for one in value if isinstance(value, list) else [value]:
                target = leads_to(one)
                fits = target is not None and target[0] in types
                if fits and all(leads_to(other) != target for other in found):
                    found.append(one)
    return found
