"""Parts that several record types share: names, addresses, diagnoses, medications, crisis plans."""

from __future__ import annotations

from typing import Any

from marshmallow import validates_schema

from fhirsvc.records.choices import (
    EDUCATION,
    EMPLOYMENT,
    HOUSING,
    LEGAL,
    LEVELS_OF_CARE,
    RELATIONSHIPS,
)
from fhirsvc.records.kinds import (
    Boolean,
    Code,
    Date,
    DateTime,
    Decimal,
    Enum,
    Integer,
    Key,
    Phone,
    Ref,
    String,
    Text,
    reject,
)
from fhirsvc.records.rules import in_order
from fhirsvc.records.shapes import Many, Object, Part


class Name(Part):
    """A person's name; at least one of ``family``, ``given`` and ``text``."""

    family = String("Family name")
    given = Many(String("A given name"), "Given names, in order")
    prefix = String("Title before the name, e.g. Dr.")
    suffix = String("What follows the name, e.g. Jr.")
    text = String("The whole name as it is written")

    @validates_schema
    def has_something(self, data: dict[str, Any], **_: Any) -> None:
        """A name says something; one written whole goes out as the family name too (us-core-6)."""
        if not data.get("family") and not data.get("given") and not data.get("text"):
            raise reject("needs", "needs at least one of: family, given, text")


class Address(Part):
    """A postal address."""

    line = Many(String("A line"), "Street lines, in order")
    city = String("City")
    state = String("State, two letters in the US")
    postal_code = String("Postal code")
    country = String("Country")
    text = String("The whole address as it is written")


class Diagnosis(Part):
    """A problem the person is treated for; outlives plans. Becomes a Condition."""

    diagnosis_id = Key(
        "Key of the problem, the same wherever this client's records name it", required=True
    )
    code_system = Enum(("icd10", "snomed"), "Which system the code is of")
    code = Code("ICD-10-CM or SNOMED CT code")
    text = Text("The diagnosis in words", required=True)
    rank = Enum(("principal", "co_occurring"), "Principal, or treated together with it")
    onset_date = Date("When it began")
    onset_text = String("When it began, in words")
    clinical_status = Enum(
        ("active", "recurrence", "relapse", "inactive", "remission", "resolved"),
        "Whether it is present now",
    )
    verification = Enum(
        ("unconfirmed", "provisional", "differential", "confirmed", "refuted", "error"),
        "How sure the team is",
    )
    severity = Enum(("mild", "moderate", "severe"), "How severe it is")
    recorded_on = Date("When the team recorded it")
    asserted_by_id = Ref("staff", "Who made the diagnosis")
    note = Text("What to know about it")

    @validates_schema
    def code_and_system(self, data: dict[str, Any], **_: Any) -> None:
        """A code means nothing without its system, nor a system without a code."""
        if ("code" in data) != ("code_system" in data):
            field = "code" if "code_system" in data else "code_system"
            raise reject("needs", "code and code_system go together", field)

    @validates_schema
    def never_was(self, data: dict[str, Any], **_: Any) -> None:
        """FHIR Condition con-5: what was entered in error has no clinical status."""
        if data.get("verification") == "error" and "clinical_status" in data:
            raise reject("conflict", "a diagnosis entered in error has none", "clinical_status")


class Problem(Part):
    """A diagnosis of the episode that a plan addresses; what it is, the episode says once."""

    diagnosis_id = Key("The diagnosis of the plan's episode", required=True)
    text = Text("The problem as this plan puts it")
    approach = Text("How this plan meets it")


class Medication(Part):
    """A medication the person takes, as told to the team; the EHR's list is the master."""

    medication_id = Key("Key of the entry", required=True)
    text = String("Name, strength and form in words", required=True)
    dose = String("How much each time")
    frequency = String("How often")
    purpose = String("What it is taken for")
    is_mat = Boolean("Medication for addiction treatment")
    status = Enum(("active", "on_hold", "stopped", "completed", "intended"), "Taken now or not")
    start_date = Date("First day")
    end_date = Date("Last day")
    prescriber_id = Ref("staff", "Who prescribes it")
    prescriber_text = String("Who prescribes it, when not on our staff")
    adherence = Enum(("taking", "missing_doses", "not_taking", "unknown"), "Whether it is taken")
    note = Text("What to know about it")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """A course of medication starts before it ends."""
        in_order(data, "start_date", "end_date")


class Preferences(Part):
    """How the person wants care to be given."""

    schedule = Text("Days and times that work")
    modality_style = Text("Kinds of treatment preferred or refused")
    setting = Text("In person, telehealth, group or individual")
    language = Text("Language and communication wishes")
    cultural = Text("Cultural wishes")
    spiritual = Text("Spiritual or religious wishes")
    clinician_gender = Enum(("female", "male", "nonbinary", "no_preference"), "Clinician's gender")
    past_experience = Text("What earlier treatment was like, and what to do differently")
    communication = Text("How and when to be contacted")
    care_experience = Text("Anything else about the experience of care")


class CulturalSocial(Part):
    """Culture, language, stigma and LGBTQ+ needs, and how the plan answers them."""

    culture = Text("Background, values and traditions that matter to treatment")
    language = Text("Language needs beyond interpreting")
    religion_spirituality = Text("Faith and practice")
    stigma = Text("Stigma met or feared, and how it is answered")
    lgbtq_needs = Text("What affirming care means for this person")
    community = Text("Communities the person belongs to")
    discrimination = Text("Discrimination met")
    adaptations = Many(Text("An adaptation"), "What the program does differently for this person")


class CrisisPerson(Part):
    """Someone to call in a crisis."""

    person_id = Key("Key of the entry", required=True)
    name = String("Name", required=True)
    relationship = Enum(RELATIONSHIPS, "Who this is to the client")
    phone = Phone("Phone number")
    note = Text("What to know about calling")


class CrisisPlan(Part):
    """What to do when things get worse, agreed with the person."""

    status = Enum(("not_started", "in_progress", "completed", "needs_review"), "How far it is")
    completed_on = Date("When it was agreed")
    warning_signs = Many(Text("A sign"), "How a crisis announces itself")
    coping_steps = Many(Text("A step"), "What the person does alone first, in order")
    reasons_for_living = Many(Text("A reason"), "What makes it worth getting through")
    safe_environment = Text("How the surroundings are made safe")
    people = Many(Object(CrisisPerson, "A person"), "Whom to call, in order", key="person_id")
    crisis_line = String("Crisis line, e.g. 988")
    text = Text("The crisis plan in words")


class RelapsePrevention(Part):
    """How a return to use or of symptoms is recognised and answered."""

    warning_signs = Many(Text("A sign"), "Early signs")
    triggers = Many(Text("A trigger"), "People, places and feelings that start it")
    coping = Many(Text("A skill"), "What helps, in order")
    contacts = Many(Object(CrisisPerson, "A person"), "Whom to call", key="person_id")
    naloxone_provided = Boolean("Naloxone was given, with training")
    text = Text("The relapse prevention plan in words")


class Signature(Part):
    """Who signed, in which role, when."""

    signature_id = Key("Key of the signature", required=True)
    role = Enum(
        ("client", "guardian", "provider", "supervisor", "physician", "witness"),
        "In which role",
        required=True,
    )
    staff_id = Ref("staff", "The staff member who signed")
    name = String("Who signed, when not on our staff")
    signed_at = DateTime("When", required=True)
    method = Enum(("electronic", "wet_ink", "verbal"), "How")


class StatusEvent(Part):
    """One step in a record's life."""

    event_id = Key("Key of the step", required=True)
    status = String("The status entered", required=True)
    at = DateTime("When", required=True)
    by_id = Ref("staff", "Who did it")
    by_text = String("Who did it, when not on our staff")
    reason = Text("Why")


class Note(Part):
    """A dated remark."""

    note_id = Key("Key of the remark", required=True)
    at = DateTime("When")
    author_id = Ref("staff", "Who wrote it")
    text = Text("The remark", required=True)


class Appointment(Part):
    """A visit agreed with someone."""

    appointment_id = Key("Key of the appointment", required=True)
    start_at = DateTime("When it starts", required=True)
    minutes = Integer("How long, in minutes", low=1, high=1440)
    status = Enum(
        ("proposed", "booked", "attended", "no_show", "cancelled", "rescheduled"),
        "What became of it",
    )
    purpose = Text("What it is for")
    staff_id = Ref("staff", "With whom, on our staff")
    organization_id = Ref("organization", "At which organization")
    with_text = String("With whom, in words")
    location = String("Where")
    telehealth = Boolean("By video or phone")
    phone = Phone("Whom to call about it")
    reminder_due = Date("When to confirm attendance")
    note = Text("What to know about it")


class SocialOutcomes(Part):
    """Where the person stands in life; asked at intake and at discharge, so the two compare."""

    housing_status = Enum(HOUSING, "Housing")
    housing_text = Text("Housing in words")
    employment_status = Enum(EMPLOYMENT, "Employment")
    employment_text = Text("Employment in words")
    education_level = Enum(EDUCATION, "Highest level of education")
    legal_status = Enum(LEGAL, "Legal status")
    legal_text = Text("Legal matters in words")
    arrests_30 = Integer("Arrests in the past 30 days", high=30)
    self_help_30 = Integer("Self-help meetings in the past 30 days", high=200)
    days_used_30 = Integer("Days of use in the past 30 days", high=30)


class LevelStep(Part):
    """A stretch of care at one intensity."""

    step_id = Key("Key of the step", required=True)
    level_of_care = Enum(LEVELS_OF_CARE, "Level of care")
    hours_per_week = Decimal("Hours of treatment a week", high=168)
    start_date = Date("First day, planned or real")
    end_date = Date("Last day")
    status = Enum(("planned", "current", "done", "skipped"), "Where the person is")
    criteria = Text("What must be true to take this step")
    reason = Text("Why it was taken or skipped")

    @validates_schema
    def dates(self, data: dict[str, Any], **_: Any) -> None:
        """A step starts before it ends."""
        in_order(data, "start_date", "end_date")
