"""A consent to disclose: the elements of 42 CFR 2.31(a). Becomes a Consent."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import validates_schema

from fhirsvc.records.kinds import Boolean, Date, DateTime, Enum, Ref, String, Text, reject
from fhirsvc.records.parts import Signature
from fhirsvc.records.rules import in_order
from fhirsvc.records.shapes import SENSITIVITIES, Many, Object, Record, constant_type

INFORMATION = (
    "demographics",
    "attendance",
    "diagnoses",
    "assessments",
    "instrument_scores",
    "substance_use",
    "care_plan",
    "goals",
    "progress",
    "medications",
    "care_team",
    "referrals",
    "aftercare",
    "crisis_plan",
    "everything",
)


class Consent(Record):
    """Who may receive what, why and until when: https://hl7.org/fhir/R4/consent.html."""

    type_name: ClassVar[str] = "consent"

    type = constant_type("consent")
    client_id = Ref("client", "Who consents", required=True)
    episode_id = Ref("episode", "The episode it is about")
    status = Enum(
        ("draft", "active", "refused", "revoked", "expired", "error"),
        "Where it stands",
        required=True,
    )
    scope = Enum(
        ("disclosure", "tpo", "sud_counseling_notes", "legal_proceedings"),
        "One disclosure; all treatment, payment and operations; or what needs its own consent",
        required=True,
    )
    discloser_id = Ref("organization", "Who may disclose")
    recipient_ids = Many(Ref("organization", "A recipient"), "Who may receive")
    recipients_text = Text("Who may receive, in words, e.g. my treating providers")
    purposes = Many(
        Enum(
            (
                "treatment",
                "payment",
                "operations",
                "care_coordination",
                "family_involvement",
                "benefits",
                "employment",
                "housing",
                "legal",
                "research",
            ),
            "A purpose",
        ),
        "What for",
    )
    purpose_text = Text("What for, in words")
    information = Many(Enum(INFORMATION, "A kind of information"), "What may be disclosed")
    information_text = Text("What may be disclosed, in words")
    excluded_information = Many(Enum(INFORMATION, "A kind of information"), "What may not")
    sensitivities = Many(
        Enum(SENSITIVITIES, "A sensitivity"), "Sensitive information it covers by name"
    )
    granted_at = DateTime("When it was given")
    start_date = Date("First day it holds")
    expires_on = Date("Last day it holds")
    expires_event = Text("The event that ends it, when it is no date")
    revoked_at = DateTime("When it was taken back")
    revocation_reason = Text("Why it was taken back")
    revocation_right_explained = Boolean("The right to revoke was explained")
    redisclosure_explained = Boolean("What re-disclosure can mean was explained")
    copy_given = Boolean("The person received a copy")
    signature = Object(Signature, "The client's or guardian's signature")
    language_read_in = String("Language it was read in, and by whom interpreted")
    obtained_by_id = Ref("staff", "Who obtained it")
    text = Text("The consent in words")
    internal_notes = Text("The team's working notes; never leave")

    @validates_schema
    def whole(self, data: dict[str, Any], **_: Any) -> None:
        """Dates are in order, a revoked consent says when, an active one was given and signed."""
        in_order(data, "granted_at", "expires_on")
        in_order(data, "start_date", "expires_on")
        in_order(data, "granted_at", "revoked_at")
        status = data["status"]
        if status == "revoked" and "revoked_at" not in data:
            raise reject("needs", "a revoked consent needs revoked_at", "revoked_at")
        if status == "active" and "revoked_at" in data:
            raise reject("conflict", "is active although revoked_at is set", "status")
        if status == "active":
            _needs_for_active(data)


def _needs_for_active(data: dict[str, Any]) -> None:
    """42 CFR 2.31(a): recipients, information, purpose, expiry, signature and date."""
    for names in (
        ("granted_at",),
        ("signature",),
        ("recipient_ids", "recipients_text"),
        ("purposes", "purpose_text"),
        ("information", "information_text"),
        ("expires_on", "expires_event"),
    ):
        if not any(data.get(name) for name in names):
            raise reject("needs", f"an active consent needs {' or '.join(names)}", names[0])
