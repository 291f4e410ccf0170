"""A staff member: becomes a US Core Practitioner and a PractitionerRole."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.kinds import (
    Boolean,
    Date,
    Email,
    Enum,
    Language,
    Npi,
    Phone,
    Ref,
    String,
    Text,
)
from fhirsvc.records.parts import Name
from fhirsvc.records.rules import check_npi, in_order
from fhirsvc.records.shapes import Many, Object, Record, constant_type

ROLES = (
    "psychiatrist",
    "physician",
    "psychologist",
    "mental_health_counselor",
    "social_worker",
    "marriage_family_therapist",
    "case_manager",
    "peer_specialist",
    "nurse",
    "nurse_practitioner",
    "physician_assistant",
    "pharmacist",
    "occupational_therapist",
    "recreation_therapist",
    "dietitian",
    "interpreter",
    "trainee",
    "administrator",
    "other",
)


class StaffName(Name):
    """The name of someone on staff: US Core Practitioner has a family name, always."""

    family = String("Family name; who has a single name has it here", required=True)


class Staff(Record):
    """Someone who works for an organization and takes part in care."""

    type_name: ClassVar[str] = "staff"

    type = constant_type("staff")
    active = Boolean("False once the person no longer works here")
    name = Object(StaffName, "Name", required=True)
    pronouns = String("Pronouns")
    role = Enum(ROLES, "What the person does", required=True)
    role_text = String("The role in words, e.g. DBT group lead")
    credentials = String("Licences and degrees, e.g. LCSW")
    npi = Npi("National Provider Identifier")
    organization_id = Ref("organization", "Where the person works")
    supervisor_id = Ref("staff", "Who supervises the person")
    phone = Phone("Work phone")
    email = Email("Work e-mail")
    languages = Many(Language("A language tag"), "Languages spoken with clients")
    start_date = Date("First working day")
    end_date = Date("Last working day")
    internal_notes = Text("Working notes; never leave")

    @validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """The NPI's check digit fits and work starts before it ends."""
        check_npi(data)
        in_order(data, "start_date", "end_date")
