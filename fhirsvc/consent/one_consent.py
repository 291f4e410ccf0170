"""The rules that one consent is asked by: whether it is sound, and meant for this request.

Each function answers None where the consent fits, else in words what does not; the words name no
value. What paragraph each stands on, and where its text was read, is in ``rules``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from fhirsvc.consent.request import Recipient, Record, Request

Ask = Callable[[Record, Request], str | None]
# 42 CFR 2.33 with 2.31(a)(4)(i): what a single consent for all future uses covers. Coordination of
# care is part of treatment (45 CFR 164.501).
TPO = {
    "treatment": "treatment",
    "payment": "payment",
    "operations": "operations",
    "care_coordination": "treatment",
}
_SIGNERS = ("client", "guardian")


def patient(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(1): it is this patient's."""
    if consent.get("client_id") != request.what.client_id:
        return "it is another client's"
    return None


def discloser(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(2): it says who may disclose, and that is who holds the record.

    The program that holds the consent stands in for a discloser that it does not name.
    """
    named = consent.get("discloser_id") or consent.get("program_id")
    if named is None:
        return "it does not say who may disclose"
    if request.what.discloser_id not in (None, named):
        return "it lets another program disclose"
    return None


def description(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(3): it describes the information, in words that can be matched.

    What it says in free words alone covers nothing until somebody has said which kinds it means.
    """
    if consent.get("scope") == "sud_counseling_notes" or consent.get("information"):
        return None
    if consent.get("information_text"):
        return "it describes the information in free words alone; no kind is named"
    return "it does not say what may be disclosed"


def names(consent: Record, who: Recipient) -> bool:
    """Whether it names a recipient: by id; a class in words counts in a TPO consent alone."""
    if who.organization_id is not None and who.organization_id in (
        consent.get("recipient_ids") or ()
    ):
        return True
    is_class = consent.get("scope") == "tpo" and bool(consent.get("recipients_text"))
    return is_class and who.is_treating


def recipient(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(4)(i): it names the recipient, or is a TPO consent and the recipient treats.

    Free words never match an organization in any other consent.
    """
    return None if names(consent, request.who) else "it does not name this recipient"


def purpose(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(5): it names the purpose. A TPO consent covers those three and no other."""
    named = consent.get("purposes") or ()
    if consent.get("scope") == "tpo":
        if TPO.get(request.why) in named:
            return None
    elif request.why in named:
        return None
    return "it does not name this purpose"


def right_to_revoke(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(6): the right to take it back was explained."""
    if consent.get("revocation_right_explained") is True:
        return None
    return "it does not say that the right to revoke was explained"


def not_revoked(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(6) and (c): it was not taken back."""
    if consent.get("status") == "revoked" or consent.get("revoked_at") is not None:
        return "it was revoked"
    return None


def not_expired(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(7): it has a last day or an event that ends it, and neither has come.

    The last day still counts. No date says whether an event has happened: a consent that ends with
    an event alone holds until somebody has confirmed that it has not (``Request.event_open``).
    """
    if consent.get("status") == "expired":
        return "it has expired"
    last = consent.get("expires_on")
    if last is not None:
        ends = day(last)
        return None if ends is not None and request.when.date() <= ends else "it has expired"
    if not consent.get("expires_event"):
        return "it does not say when it expires"
    if consent.get("id") in request.event_open:
        return None
    return "it ends with an event, and nobody has confirmed that it has not happened"


def signature(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(8): the patient signed it, or who may sign for them."""
    signed = consent.get("signature") or {}
    return (
        None if signed.get("role") in _SIGNERS else "it is not signed by the client or a guardian"
    )


def signed_on(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(9): it says when it was signed, and that was before now."""
    at = given_at(consent)
    if at is None:
        return "it does not say when it was signed"
    return None if at <= request.when else "it was not yet signed then"


def redisclosure(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(a)(4)(iii) and (10): a TPO consent says what re-disclosure can mean."""
    if consent.get("scope") == "tpo" and consent.get("redisclosure_explained") is not True:
        return "it does not say that re-disclosure was explained"
    return None


def in_force(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(c): neither a draft nor an error, not refused, and its first day has come."""
    status = consent.get("status")
    if status in ("draft", "error", "refused") or status is None:
        return f"it is {'a draft' if status == 'draft' else 'not in force'}"
    first = consent.get("start_date")
    if first is not None:
        begins = day(first)
        if begins is None or request.when.date() < begins:
            return "its first day has not come"
    return None


def proceedings(consent: Record, request: Request) -> str | None:
    """42 CFR 2.31(d): a consent for legal proceedings is for them alone, and no other is."""
    if (consent.get("scope") == "legal_proceedings") != (request.why == "legal"):
        return "legal proceedings need a consent of their own"
    return None


def given_at(consent: Record) -> datetime | None:
    """When it was given: the later of what it says and of its signature."""
    stated = (consent.get("granted_at"), (consent.get("signature") or {}).get("signed_at"))
    found = [at for one in stated if one is not None and (at := moment(one)) is not None]
    return max(found, default=None)


def moment(text: object) -> datetime | None:
    """A moment with its offset; None for anything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def day(text: object) -> date | None:
    """A calendar day; None for anything else."""
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None
