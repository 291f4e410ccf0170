"""Invariants of R4 that structure alone does not hold, as data.

Each is named as the specification names it (https://hl7.org/fhir/R4/<type>.html#invs). A rule that
looks only at which elements are there is ``static``: it is settled once per shape of object.
Warnings and best-practice rules of the specification are left to the validator of HL7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Invariant:
    """``ok`` holds for a good object; it is asked only when all of ``needs`` are there."""

    key: str
    text: str
    ok: Test
    needs: frozenset[str] = frozenset()
    static: bool = True
    touches: str = ""  # it cannot fail without an element whose name starts so
    broken: str = ""  # the same in Python over checked values ({o}: the object), when it is short


def _with(trigger: str, *others: str) -> tuple[Test, frozenset[str]]:
    return (lambda o: any(other in o for other in others)), frozenset({trigger})


def _rule(key: str, text: str, made: tuple[Test, frozenset[str]]) -> Invariant:
    return Invariant(key, text, made[0], made[1])


def _one_of(o: Mapping[str, Any], prefix: str) -> bool:
    return any(
        name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isupper() for name in o
    )


def _codes(concept: Any) -> set[object]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    listed = codings if isinstance(codings, list) else []
    return {str(c.get("code")) for c in listed if isinstance(c, dict)}


def _ordered(o: Mapping[str, Any]) -> bool:
    """per-1. Dates of unequal precision are compared as far as both go."""
    start, end = o["start"], o["end"]
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    shared = min(len(start), len(end), 10)
    return start[:shared] <= end[:shared]


def _not_home(o: Mapping[str, Any], name: str) -> bool:
    items = o[name]
    return not isinstance(items, list) or all(
        not isinstance(i, dict) or i.get("use") != "home" for i in items
    )


def _abated(o: Mapping[str, Any]) -> bool:
    """con-4: what is over is inactive, resolved or in remission."""
    if not _one_of(o, "abatement"):
        return True
    return bool(_codes(o["clinicalStatus"]) & {"resolved", "remission", "inactive"})


def _not_in_error(o: Mapping[str, Any]) -> bool:
    status = o["verificationStatus"]
    codings = status.get("coding") if isinstance(status, dict) else None
    if isinstance(codings, list) and len(codings) == 1 and isinstance(codings[0], dict):
        return codings[0].get("code") != "entered-in-error"  # the usual form, at once
    return "entered-in-error" not in _codes(status)


def _unique_links(o: Mapping[str, Any]) -> bool:
    """que-2: linkIds are unique in the whole questionnaire."""
    seen: set[str] = set()
    todo = [o["item"]]
    while todo:
        items = todo.pop()
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, dict):
                continue
            link = item.get("linkId")
            if isinstance(link, str):
                if link in seen:
                    return False
                seen.add(link)
            todo.append(item.get("item"))
    return True


def _signed(o: Mapping[str, Any], name: str) -> bool:
    value = o[name]
    return isinstance(value, bool) or not isinstance(value, int | float) or value >= 0


def _later(o: Mapping[str, Any]) -> bool:
    first, last = o["authoredOn"], o["lastModified"]
    return not isinstance(first, str) or not isinstance(last, str) or first[:10] <= last[:10]


def _member_is_practitioner(o: Mapping[str, Any]) -> bool:
    """ctm-1, read from the literal reference where it says its type."""
    for participant in o["participant"] if isinstance(o["participant"], list) else []:
        if isinstance(participant, dict) and "onBehalfOf" in participant:
            member = participant.get("member")
            target = member.get("reference") if isinstance(member, dict) else None
            if isinstance(target, str) and "/" in target and "Practitioner/" not in target:
                return False
    return True


_TIMING = (
    _rule("tim-1", "duration needs durationUnit", _with("duration", "durationUnit")),
    _rule("tim-2", "period needs periodUnit", _with("period", "periodUnit")),
    Invariant("tim-4", "duration is not negative", lambda o: _signed(o, "duration"),
              frozenset({"duration"}), static=False, broken='{o}["duration"] < 0'),
    Invariant("tim-5", "period is not negative", lambda o: _signed(o, "period"),
              frozenset({"period"}), static=False, broken='{o}["period"] < 0'),
    _rule("tim-6", "periodMax needs period", _with("periodMax", "period")),
    _rule("tim-7", "durationMax needs duration", _with("durationMax", "duration")),
    _rule("tim-8", "countMax needs count", _with("countMax", "count")),
    _rule("tim-9", "offset needs when", _with("offset", "when")),
    Invariant("tim-10", "timeOfDay and when exclude each other",
              lambda o: not ("timeOfDay" in o and "when" in o)),
)  # fmt: skip
_QUANTITY = (_rule("qty-3", "code needs system", _with("code", "system")),)

INVARIANTS: dict[str, tuple[Invariant, ...]] = {
    "Attachment": (_rule("att-1", "data needs contentType", _with("data", "contentType")),),
    "Bundle": (
        Invariant("bdl-1", "total is for search and history",
                  lambda o: o.get("type") in ("searchset", "history"),
                  frozenset({"total"}), static=False),
    ),
    "BundleEntry": (
        Invariant("bdl-5", "an entry has a resource, request or response",
                  lambda o: any(k in o for k in ("resource", "request", "response"))),
    ),
    "CarePlanActivity": (
        Invariant("cpl-3", "detail or reference, not both",
                  lambda o: not ("detail" in o and "reference" in o)),
    ),
    "CareTeam": (
        Invariant("ctm-1", "onBehalfOf only for a Practitioner", _member_is_practitioner,
                  frozenset({"participant"}), static=False, touches="onBehalfOf"),
    ),
    "Composition": (),
    "CompositionSection": (
        Invariant("cmp-1", "a section has text, entries or sections",
                  lambda o: any(k in o for k in ("text", "entry", "section"))),
        Invariant("cmp-2", "emptyReason only without entries",
                  lambda o: not ("emptyReason" in o and "entry" in o)),
    ),
    "Condition": (
        Invariant("con-4", "an abated condition is not active", _abated,
                  frozenset({"clinicalStatus"}), static=False, touches="abatement"),
        Invariant("con-5", "no clinicalStatus when entered in error", _not_in_error,
                  frozenset({"clinicalStatus", "verificationStatus"}), static=False),
    ),
    "ConditionStage": (
        Invariant("con-1", "a stage has a summary or an assessment",
                  lambda o: "summary" in o or "assessment" in o),
    ),
    "ConditionEvidence": (
        Invariant("con-2", "evidence has a code or details",
                  lambda o: "code" in o or "detail" in o),
    ),
    "ContactPoint": (_rule("cpt-2", "value needs system", _with("value", "system")),),
    "Extension": (
        Invariant("ext-1", "a value or extensions, not both",
                  lambda o: ("extension" in o) != _one_of(o, "value")),
    ),
    "GoalTarget": (
        Invariant("gol-1", "detail needs measure",
                  lambda o: "measure" in o or not _one_of(o, "detail")),
    ),
    "Observation": (
        Invariant("obs-6", "dataAbsentReason only without value",
                  lambda o: not ("dataAbsentReason" in o and _one_of(o, "value"))),
    ),
    "ObservationReferenceRange": (
        Invariant("obs-3", "a range has low, high or text",
                  lambda o: any(k in o for k in ("low", "high", "text"))),
    ),
    "Organization": (
        Invariant("org-1", "an organization has an identifier or a name",
                  lambda o: "identifier" in o or "name" in o),
        Invariant("org-2", "an organization has no home address",
                  lambda o: _not_home(o, "address"), frozenset({"address"}), static=False),
        Invariant("org-3", "an organization has no home telecom",
                  lambda o: _not_home(o, "telecom"), frozenset({"telecom"}), static=False),
    ),
    "PatientContact": (
        Invariant("pat-1", "a contact says who",
                  lambda o: any(k in o for k in ("name", "telecom", "address", "organization"))),
    ),
    "Period": (
        Invariant("per-1", "the end is not before the start", _ordered,
                  frozenset({"start", "end"}), static=False,
                  broken='{o}["start"][:10] > {o}["end"][:10]'),
    ),
    "Quantity": _QUANTITY,
    "Duration": _QUANTITY,
    "Age": _QUANTITY,
    "Count": _QUANTITY,
    "Distance": _QUANTITY,
    "Questionnaire": (
        Invariant("que-2", "linkIds are unique", _unique_links,
                  frozenset({"item"}), static=False),
    ),
    "QuestionnaireItem": (
        Invariant("que-1", "a group has items, a display has none",
                  lambda o: not (o.get("type") == "group" and "item" not in o)
                  and not (o.get("type") == "display" and "item" in o),
                  frozenset({"type"}), static=False),
        Invariant("que-3", "a display has no code",
                  lambda o: not (o.get("type") == "display" and "code" in o),
                  frozenset({"type"}), static=False),
        Invariant("que-4", "answerOption or answerValueSet, not both",
                  lambda o: not ("answerOption" in o and "answerValueSet" in o)),
        Invariant("que-6", "a display is not required or repeated",
                  lambda o: o.get("type") != "display" or not ("required" in o or "repeats" in o),
                  frozenset({"type"}), static=False),
    ),
    "QuestionnaireResponseItem": (
        Invariant("qrs-1", "answers or nested items, not both",
                  lambda o: not ("answer" in o and "item" in o)),
    ),
    "ServiceRequest": (_rule("prr-1", "orderDetail needs code", _with("orderDetail", "code")),),
    "Task": (
        Invariant("inv-1", "lastModified is not before authoredOn", _later,
                  frozenset({"authoredOn", "lastModified"}), static=False),
    ),
    "TimingRepeat": _TIMING,
}  # fmt: skip
