"""A client: the person treated. Becomes a US Core Patient, and RelatedPersons for the family."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.choices import RELATIONSHIPS
from fhirsvc.records.kinds import (
    Boolean,
    Code,
    Date,
    DateTime,
    Email,
    Enum,
    Key,
    Language,
    Phone,
    Ref,
    String,
    Text,
    reject,
)
from fhirsvc.records.parts import Address, Name
from fhirsvc.records.rules import in_order
from fhirsvc.records.shapes import Many, Object, Part, Record, constant_type

# The OMB categories of race: US Core race extension, ombCategory.
RACES = (
    "american_indian_or_alaska_native",
    "asian",
    "black_or_african_american",
    "native_hawaiian_or_pacific_islander",
    "white",
    "other",
    "unknown",
    "declined",
)
# Words that say why no category is named.
NO_RACE = ("unknown", "declined")


class Contact(Part):
    """Someone of the client's family or circle."""

    contact_id = Key("Key of the contact", required=True)
    name = Object(Name, "The contact's name")
    relationship = Enum(RELATIONSHIPS, "Who this is to the client")
    relationship_text = String("Who this is to the client, in words")
    phone = Phone("Phone number")
    email = Email("E-mail address")
    address = Object(Address, "Where the contact lives")
    language = Language("Language the contact speaks")
    is_emergency = Boolean("Call in an emergency")
    is_guardian = Boolean("Legal guardian")
    involved_in_care = Boolean("Takes part in treatment with the client's agreement")
    note = Text("What to know about the contact")

    @validates_schema
    def known_somehow(self, data: dict[str, Any], **_: Any) -> None:
        """US Core RelatedPerson us-core-14: a name or a relationship, guardianship included."""
        says = ("name", "relationship", "relationship_text")
        tells = ("is_guardian", "is_emergency")
        if not any(data.get(name) for name in (*says, *tells)):
            raise reject("needs", f"needs at least one of: {', '.join(says)}")


class FormerName(Name):
    """A name the person had; told apart by how it is written, since FHIR names have no id."""

    text = String("The whole name as it was written", required=True)


class Client(Record):
    """The person treated: https://hl7.org/fhir/us/core/StructureDefinition-us-core-patient.html."""

    type_name: ClassVar[str] = "client"

    type = constant_type("client")
    active = Boolean("False once the record is no longer used")
    mrn = Code("Medical record number the EHR knows the person by")
    name = Object(Name, "Legal name", required=True)
    name_to_use = String("The name to call the person by")
    former_names = Many(Object(FormerName, "A name"), "Names the person had", key="text")
    pronouns = String("Pronouns, e.g. she/her")
    birth_date = Date("Date of birth")
    sex = Enum(("male", "female", "other", "unknown"), "Administrative sex", required=True)
    gender_identity = String("Gender identity, in the person's words")
    sexual_orientation = String("Sexual orientation, in the person's words")
    race = Many(Enum(RACES, "A race category"), "Races the person names")
    race_text = String("Race in the person's words")
    ethnicity = Enum(
        ("hispanic_or_latino", "not_hispanic_or_latino", "unknown", "declined"), "Ethnicity"
    )
    ethnicity_text = String("Ethnicity in the person's words")
    phone = Phone("Phone number")
    phone_note = Text("Whether messages may be left, best times")
    email = Email("E-mail address")
    address = Object(Address, "Home address")
    language = Language("Language the person prefers")
    language_text = String("Language in words")
    interpreter_needed = Boolean("An interpreter is needed")
    contacts = Many(Object(Contact, "A contact"), "Family and circle", key="contact_id")
    primary_clinician_id = Ref("staff", "The clinician responsible")
    deceased = Boolean("The person has died")
    deceased_at = DateTime("When the person died")
    internal_notes = Text("The team's working notes; never leave")

    @validates_schema
    def races(self, data: dict[str, Any], **_: Any) -> None:
        """US Core race us-core-23: that nobody knows, or said, stands beside no category."""
        said = data.get("race") or ()
        alone = next((word for word in NO_RACE if word in said), None)
        if alone is not None and len(said) > 1:
            raise reject("conflict", f"'{alone}' stands alone, without other categories", "race")

    @validates_schema
    def life(self, data: dict[str, Any], **_: Any) -> None:
        """A person who has a moment of death has died, and was born before it."""
        in_order(data, "birth_date", "deceased_at")
        if "deceased_at" in data and data.get("deceased") is False:
            raise reject("conflict", "is false although deceased_at is set", "deceased")
