"""A care plan by hand: the care team and the medications."""

from __future__ import annotations

from typing import Any

from hand_checks import (
    CLINICIAN,
    CONTACT,
    PATIENT,
    PROGRAM,
    codes,
    concept,
    concepts,
    extension,
    flag,
    ident,
    joined,
    listed,
    part_ref,
    period,
    ref,
    text,
)

TEAM_STATUS = codes("care_team_status")
PATIENT_ROLE = concept("sct", "116154003", "Patient")["coding"]
DOSE_ADHERENCE, DOSE_STATUS = concepts("medication_adherence"), codes("medication_status")


def team(r: dict[str, Any], rid: str, client: str) -> list[dict[str, Any]]:
    members = r.get("care_team")
    if not members:
        return []
    made: dict[str, Any] = {
        "resourceType": "CareTeam",
        "id": "care-plan." + joined(rid, "care-team"),
        "identifier": [{"system": "urn:fhirsvc:care-team", "value": rid}],
        "status": TEAM_STATUS[r["status"]],
        "subject": ref(PATIENT, client),
        "participant": [_member(one, client) for one in listed(members)],
    }
    if (program := r.get("program_id")) is not None:
        made["managingOrganization"] = [ref(PROGRAM, program)]
    return [made]


def _member(one: dict[str, Any], client: str) -> dict[str, Any]:
    contact, organization = one.get("contact_id"), one.get("organization_id")
    staff, is_client = one.get("staff_id"), one.get("is_client") == True  # noqa: E712
    role: dict[str, Any] = {}
    if is_client:
        role["coding"] = PATIENT_ROLE
    if (said := one.get("role_text")) is not None:
        role["text"] = text(said)
    elif contact is not None:
        role["text"] = "Family or support person"
    elif organization is not None:
        role["text"] = "Partner organization"
    else:
        role["text"] = "Member of the care team"
    made: dict[str, Any] = {"id": "care_team." + ident(one["member_id"]), "role": [role]}
    if (lead := one.get("is_lead")) is not None:
        made["extension"] = [extension("leads-the-team", "valueBoolean", flag(lead))]
    if staff is not None:
        made["member"] = ref(CLINICIAN, staff)
    elif contact is not None:
        made["member"] = part_ref(CONTACT, client, contact)
    elif organization is not None:
        made["member"] = ref(PROGRAM, organization)
    elif is_client:
        made["member"] = ref(PATIENT, client)
    if lasts := period(one.get("start_date"), one.get("end_date")):
        made["period"] = lasts
    return made


def medication(one: dict[str, Any], rid: str, client: str) -> dict[str, Any] | None:
    key = ident(one["medication_id"])
    if one.get("is_mat"):
        return None
    state = one.get("status")
    made: dict[str, Any] = {
        "resourceType": "MedicationRequest",
        "id": "care-plan." + joined(rid, key),
        "identifier": [{"system": "urn:fhirsvc:plan-medication", "value": f"{rid}/{key}"}],
        "status": "unknown" if state is None else DOSE_STATUS[state],
        "intent": "plan",
        "reportedBoolean": True,
        "medicationCodeableConcept": {"text": text(one["text"])},
        "subject": ref(PATIENT, client),
    }
    if (adherence := one.get("adherence")) is not None:
        said = DOSE_ADHERENCE[adherence]
        made["extension"] = [extension("adherence", "valueCodeableConcept", said)]
    if (prescriber := one.get("prescriber_id")) is not None:
        made["requester"] = ref(CLINICIAN, prescriber)
    elif (prescriber := one.get("prescriber_text")) is not None:
        made["requester"] = {"display": text(prescriber)}
    if (purpose := one.get("purpose")) is not None:
        made["reasonCode"] = [{"text": text(purpose)}]
    if (note := one.get("note")) is not None:
        made["note"] = [{"text": text(note)}]
    dosage: dict[str, Any] = {}
    if (dose := one.get("dose")) is not None:
        dosage["text"] = text(dose)
    timing: dict[str, Any] = {}
    if bounds := period(one.get("start_date"), one.get("end_date")):
        timing["repeat"] = {"boundsPeriod": bounds}
    if (often := one.get("frequency")) is not None:
        timing["code"] = {"text": text(often)}
    if timing:
        dosage["timing"] = timing
    if dosage:
        made["dosageInstruction"] = [dosage]
    return made
