"""An organization: the program, a hospital, a partner. Becomes a US Core Organization."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.choices import LEVELS_OF_CARE
from fhirsvc.records.kinds import Boolean, Email, Enum, Npi, Phone, Ref, String, Text
from fhirsvc.records.parts import Address
from fhirsvc.records.rules import check_npi
from fhirsvc.records.shapes import Many, Object, Record, constant_type

ORGANIZATION_KINDS = (
    "program",
    "hospital",
    "clinic",
    "aftercare_provider",
    "community_partner",
    "peer_run",
    "housing_provider",
    "employment_service",
    "school",
    "government_agency",
    "payer",
    "other",
)


class Organization(Record):
    """A program, hospital, aftercare provider or community partner."""

    type_name: ClassVar[str] = "organization"

    type = constant_type("organization")
    active = Boolean("False once it no longer exists or is no longer used", required=True)
    name = String("Name", required=True)
    aliases = Many(String("A name"), "Other names")
    kind = Enum(ORGANIZATION_KINDS, "What it is")
    kind_text = String("What it is, in words")
    npi = Npi("National Provider Identifier")
    part_of_id = Ref("organization", "The organization this one is part of")
    phone = Phone("Phone number")
    fax = Phone("Fax number")
    email = Email("E-mail address")
    address = Object(Address, "Postal address")
    levels_of_care = Many(Enum(LEVELS_OF_CARE, "A level of care"), "Levels of care offered")
    part2_program = Boolean("A 42 CFR Part 2 program: its records are substance-use records")
    services = Many(Text("A service"), "What it offers, in words")
    internal_notes = Text("Working notes; never leave")

    @validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """The NPI's check digit fits."""
        check_npi(data)
