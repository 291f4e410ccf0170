"""Records of a clinic with facts planted in them, and consents made up.

A fact is a word that stands nowhere else, in a place whose labels and kinds are known here without
asking the product: from the regulation's side, so to speak.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gate import COLLEGE, JUNIPER, STAFF, TPO, WHEN, WILLOW
from hypothesis import strategies as st

from fhirsvc.consent import Recipient

PART2 = {"SUD", "ETH", "ETHUD", "OPIOIDUD"}
MEANS = {"SUD": PART2, "ETH": PART2, "BH": {"BH", "MH", "PSY"}, "MH": {"MH", "PSY"}}
FACT = re.compile(r"Fact\d+x")
KINDS = ("goals", "care_plan", "crisis_plan", "diagnoses", "attendance", "instrument_scores")
KINDS += ("assessments", "referrals", "demographics", "medications", "everything", "substance_use")


@dataclass(frozen=True)
class Fact:
    """A planted word; what a consent has to name so that it may be told."""

    word: str
    labels: frozenset[str]
    kind: str


@dataclass(frozen=True)
class Planted:
    """A record and all that is planted in it."""

    record: dict[str, Any]
    facts: tuple[Fact, ...]


class _Field:
    """Hands out words, each once."""

    def __init__(self, own: list[str]) -> None:
        self.own = frozenset(own)
        self.facts: list[Fact] = []

    def plant(self, kind: str, *labels: str) -> str:
        """A fact of a kind with these labels, and those of the record."""
        word = f"Fact{len(self.facts)}x"
        self.facts.append(Fact(word, self.own | set(labels), kind))
        return word


def _goal(draw: Any, field: _Field) -> dict[str, Any]:
    domain = draw(st.sampled_from(["substance_use", "family"]))
    all_of_it = ("SUD",) if domain == "substance_use" else ()
    objectives = []
    for at, name in enumerate(draw(st.lists(st.sampled_from(["audit", "phq-9"]), max_size=2))):
        labels = (*all_of_it, "ETHUD") if name == "audit" else all_of_it
        text = field.plant("goals", *labels)
        objectives.append({"objective_id": f"o{at}", "instrument": name, "text": text})
    return {
        "statement": field.plant("goals", *all_of_it),
        "lifecycle": "active",
        "domain": domain,
        "strengths": [field.plant("goals", *all_of_it)],
        "objectives": objectives,
    }


MODALITIES = {
    "cbt": (),
    "relapse_prevention_drug": ("SUD",),
    "relapse_prevention_alcohol": ("ETHUD",),
}


def _care_plan(draw: Any, field: _Field) -> dict[str, Any]:
    modalities = [
        {
            "modality_id": f"m{at}",
            "kind": kind,
            "status": "in_progress",
            "focus": field.plant("care_plan", *MODALITIES[kind]),
        }
        for at, kind in enumerate(draw(st.lists(st.sampled_from(list(MODALITIES)), max_size=3)))
    ]
    medication = draw(st.booleans())
    mat = draw(st.booleans())
    more: dict[str, Any] = {}
    if medication:
        text = field.plant("medications", *(("SUD",) if mat else ()))
        more["medication_support"] = {"text": text, "mat": mat}
    if draw(st.booleans()):
        status = {"status": "in_progress", "text": field.plant("crisis_plan")}
        more["crisis_plan"] = status
    return {
        "status": "active",
        "title": field.plant("care_plan"),
        "plan_version": 1,
        "episode_id": "e-1",
        "summary": field.plant("care_plan"),
        "modalities": modalities,
        **more,
    }


DIAGNOSES = {
    ("icd10", "F33.1"): (),
    ("icd10", "F11.20"): ("OPIOIDUD",),
    ("snomed", "66590003"): ("ETHUD",),
}


def _episode(draw: Any, field: _Field) -> dict[str, Any]:
    billing = draw(st.sampled_from(["S9480", "H0015"]))
    all_of_it = ("SUD",) if billing == "H0015" else ()
    diagnoses = []
    for at, code in enumerate(draw(st.lists(st.sampled_from(list(DIAGNOSES)), max_size=3))):
        text = field.plant("diagnoses", *DIAGNOSES[code], *all_of_it)
        one = {"code_system": code[0], "code": code[1], "text": text, "rank": "principal"}
        diagnoses.append({"diagnosis_id": f"d{at}", **one})
    return {
        "status": "active",
        "start_date": "2026-01-05",
        "level_of_care": "intensive_outpatient",
        "billing_code": billing,
        "presenting_reason": field.plant("attendance", *all_of_it),
        "diagnoses": diagnoses,
    }


def _assessment(draw: Any, field: _Field) -> dict[str, Any]:
    results = []
    for at, name in enumerate(draw(st.lists(st.sampled_from(["dast-10", "phq-9"]), max_size=2))):
        note = field.plant("instrument_scores", *(("SUD",) if name == "dast-10" else ()))
        one = {"instrument": name, "administered_at": "2026-01-05T09:00:00-05:00", "total": 3}
        results.append({"result_id": f"r{at}", **one, "note": note})
    housing = draw(st.sampled_from(["sober_living", "stable_own"]))
    labels = ("SUD",) if housing == "sober_living" else ()
    return {
        "kind": "intake",
        "status": "completed",
        "title": field.plant("assessments"),
        "social": {"housing_status": housing, "housing_text": field.plant("assessments", *labels)},
        "instruments": results,
    }


def _referral(draw: Any, field: _Field) -> dict[str, Any]:
    kind = draw(st.sampled_from(["sud_program", "psychiatry"]))
    labels = ("SUD",) if kind == "sud_program" else ()
    to = draw(st.sampled_from(["org-willow", "org-methadone"]))
    labels = (*labels, "OPIOIDUD") if to == "org-methadone" else labels
    return {
        "kind": kind,
        "status": "sent",
        "requested_on": "2026-03-01",
        "performer_organization_id": to,
        "reason": field.plant("referrals", *labels),
        "note": field.plant("referrals", *labels),
    }


def _client(draw: Any, field: _Field) -> dict[str, Any]:
    contacts = []
    for at, who in enumerate(draw(st.lists(st.sampled_from(["sponsor", "mother"]), max_size=2))):
        family = field.plant("demographics", *(("SUD",) if who == "sponsor" else ()))
        contacts.append({"contact_id": f"c{at}", "name": {"family": family}, "relationship": who})
    return {
        "name": {"family": field.plant("demographics"), "given": ["A"]},
        "birth_date": "1990-01-01",
        "sex": "unknown",
        "contacts": contacts,
    }


_MAKERS = {
    "goal": _goal,
    "care_plan": _care_plan,
    "episode": _episode,
    "assessment": _assessment,
    "referral": _referral,
    "client": _client,
}
KNOWN = {"org-methadone": frozenset({"OPIOIDUD"})}  # organizations whose name reveals


@st.composite
def planted(draw: Any) -> Planted:
    """A record with facts."""
    kind = draw(st.sampled_from(list(_MAKERS)))
    own = draw(st.sampled_from([[], [], [], ["SUD"], ["HIV"], ["PSYTHPN"], ["MH", "ETHUD"]]))
    field = _Field(own)
    made = {name: value for name, value in _MAKERS[kind](draw, field).items() if value != []}
    head = {"type": kind, "id": "x-1", "updated_at": "2026-03-01T09:00:00-05:00"}
    client = {} if kind == "client" else {"client_id": "client-01"}
    mark = {"sensitivity": own} if own else {}
    return Planted({**head, **client, **mark, **made}, tuple(field.facts))


_AT = [(WHEN - timedelta(days=n)).isoformat() for n in (30, 20, 10, 5, 0, -5)]
_WHO = ["org-willow", "org-juniper", "org-college"]
_WHY = ["treatment", "payment", "operations", "care_coordination", "housing", "legal"]
_SENSITIVE = ["SUD", "ETHUD", "OPIOIDUD", "HIV", "MH", "PSYTHPN", "BH"]


def _some(values: Any, most: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=most, unique=True)


@st.composite
def consents(draw: Any, most: int = 4) -> list[dict[str, Any]]:
    """Consents of a client, mostly sound ones, of every status."""
    made = []
    for at in range(draw(st.integers(0, most))):
        status = draw(
            st.sampled_from(["active"] * 6 + ["refused", "revoked", "expired", "draft", "error"])
        )
        scope = draw(st.sampled_from(["disclosure"] * 3 + ["tpo", "tpo", "legal_proceedings"]))
        signed = draw(st.sampled_from(_AT))
        one: dict[str, Any] = {
            "type": "consent",
            "id": f"c-{at}",
            "updated_at": draw(st.sampled_from(_AT)),
            "client_id": draw(st.sampled_from(["client-01"] * 9 + ["client-02"])),
            "status": status,
            "scope": scope,
            "discloser_id": draw(st.sampled_from(["org-cedar-hollow"] * 9 + ["org-lakemont"])),
            "recipient_ids": draw(st.just(["org-willow"]) | _some(_WHO)),
            "purposes": draw(st.just(["treatment"]) | _some(_WHY)) or ["treatment"],
            "information": draw(st.just(["everything"]) | _some(KINDS, 5)) or ["everything"],
            "excluded_information": draw(st.sampled_from([[]] * 4 + [[one] for one in KINDS])),
            "sensitivities": draw(st.just(["SUD", "HIV", "MH"]) | _some(_SENSITIVE)),
            "granted_at": signed,
            "revocation_right_explained": draw(st.sampled_from([True] * 9 + [False])),
            "redisclosure_explained": True,
            "signature": {
                "role": draw(st.sampled_from(["client"] * 9 + ["witness"])),
                "signed_at": signed,
            },
        }
        if scope == "tpo":
            one["recipients_text"] = TPO
        ends = draw(st.sampled_from(["2026-12-31"] * 5 + ["2026-03-31", "event"]))
        one |= {"expires_event": "End"} if ends == "event" else {"expires_on": ends}
        if status == "revoked":
            one["revoked_at"] = draw(st.sampled_from(_AT))
        made.append({name: value for name, value in one.items() if value != []})
    return made


WHO = st.sampled_from([WILLOW, WILLOW, JUNIPER, COLLEGE, STAFF, Recipient("export", None)])
WHY = st.sampled_from(["treatment", "treatment", *_WHY])


def may_be_told(fact: Fact, said: list[dict[str, Any]], who: Recipient, why: str) -> bool:
    """Whether a fact may go at all: what is necessary, said as plainly as it can be."""
    if "PSYTHPN" in fact.labels:
        return False
    inside = why in ("treatment", "care_coordination", "operations")
    if who.kind == "staff":
        return inside
    kinds = {fact.kind} | ({"substance_use"} if fact.labels & PART2 else set())
    for one in said:
        for_them = who.organization_id in one.get("recipient_ids", ())
        for_them |= "recipients_text" in one and who.is_treating
        out = {*one.get("excluded_information", ())}
        ours = one["client_id"] == "client-01" and one["status"] in ("active", "revoked", "expired")
        if ours and for_them and out & {*kinds, "everything"}:
            return False
    if not fact.labels and who.is_treating and why in ("treatment", "care_coordination"):
        return True
    return any(_lets(one, fact, who, why) for one in said)


def _lets(one: dict[str, Any], fact: Fact, who: Recipient, why: str) -> bool:
    means = set().union(*(MEANS.get(s, {s}) for s in one.get("sensitivities", ())))
    is_class = one["scope"] == "tpo" and who.is_treating
    wanted = "treatment" if one["scope"] == "tpo" and why == "care_coordination" else why
    return (
        one["client_id"] == "client-01"
        and one["status"] == "active"
        and one["discloser_id"] == "org-cedar-hollow"
        and (who.organization_id in one.get("recipient_ids", ()) or is_class)
        and wanted in one["purposes"]
        and (why == "legal") == (one["scope"] == "legal_proceedings")
        and bool({fact.kind, "everything"} & set(one["information"]))
        and fact.labels <= means
        and one["granted_at"] <= WHEN.isoformat()
        and one.get("expires_on") == "2026-12-31"
        and one["revocation_right_explained"]
        and one["signature"]["role"] == "client"
    )
