"""The rules that an element, and a request as a whole, is asked by.

An element may go when no rule against it holds and either a consent covers it or it needs none.
"""

from __future__ import annotations

from dataclasses import dataclass

from fhirsvc.consent.information import COUNSELING_NOTES
from fhirsvc.consent.labels import NEVER, PART2
from fhirsvc.consent.request import Request
from fhirsvc.consent.weighing import Element, Grant, Weighed

PSYCHOTHERAPY = "45_cfr_164_508_a_2_psychotherapy_notes"
COUNSELING = "42_cfr_2_31_b_counseling_notes"
EXCLUDED = "42_cfr_2_26_left_out"
DENIED = "42_cfr_2_31_a_6_refused_since"
DEFAULT_DENY = "42_cfr_2_13_a_default_deny"
SENSITIVITY = "42_cfr_2_31_a_3_sensitivity_by_name"
KIND = "42_cfr_2_31_a_3_amount_and_kind"
TREATMENT = "45_cfr_164_506_c_treatment"
NO_PATIENT = "42_cfr_2_12_a_1_no_patient"
INSIDE = "42_cfr_2_12_c_3_inside_program"

_TREATING = ("treatment", "care_coordination")
_DUTIES = ("treatment", "care_coordination", "operations")


@dataclass(frozen=True)
class Refused:
    """The rule that keeps an element back, in words, and the consent that says so."""

    rule: str
    says: str
    consent_id: str | None = None


@dataclass(frozen=True)
class Allowed:
    """What lets an element go: a consent, or that none is needed."""

    consent_id: str | None


def no_patient(request: Request) -> bool:
    """42 CFR 2.12(a)(1): what is about no client identifies no patient."""
    return request.what.client_id is None


def inside_program(request: Request) -> bool:
    """42 CFR 2.12(c)(3): staff of the program that holds the record, who need it for their work.

    Communication inside a program is no disclosure and needs no consent. Another program of the
    same house is outside; purposes other than treatment and its operations are no such duty.
    """
    who, what = request.who, request.what
    mine = who.organization_id is not None and who.organization_id == what.discloser_id
    return who.kind == "staff" and mine and request.why in _DUTIES


def psychotherapy_notes(element: Element) -> Refused | None:
    """45 CFR 164.508(a)(2): psychotherapy notes never go, whoever asks and whatever a consent says.

    The regulation lets them go with an authorization of their own; the house does not.
    """
    if element.labels & NEVER:
        return Refused(PSYCHOTHERAPY, "psychotherapy notes never leave")
    return None


def counseling_notes(element: Element, weighed: Weighed) -> Refused | None:
    """42 CFR 2.31(b): SUD counseling notes need a consent for them alone; inside the program too,
    since who wrote them is not known here.
    """
    if COUNSELING_NOTES in element.kinds and not any(g.counseling_notes for g in weighed.grants):
        return Refused(COUNSELING, "counseling notes need a consent of their own")
    return None


def left_out(element: Element, weighed: Weighed) -> Refused | None:
    """42 CFR 2.26: what the patient asked to leave out stays, whatever else is permitted."""
    found = weighed.exclusion(element)
    return Refused(EXCLUDED, "a consent leaves it out", found) if found is not None else None


def covering(element: Element, weighed: Weighed, request: Request) -> list[Grant]:
    """The consents that cover an element whole, newest first."""
    record = request.what.record_id
    return [g for g in weighed.grants if g.has_labels(element) and g.has_kinds(element, record)]


def refused_since(element: Element, weighed: Weighed, grant: Grant | None) -> Refused | None:
    """42 CFR 2.31(a)(6): what was refused or taken back since stays."""
    found = weighed.denial(element, grant)
    return Refused(DENIED, "it was refused or taken back since", found) if found else None


def default_deny(element: Element, weighed: Weighed) -> Refused | None:
    """42 CFR 2.13(a): what part 2 protects goes by a consent for this recipient or not at all."""
    if element.labels & PART2 and not weighed.grants:
        return Refused(DEFAULT_DENY, "substance use information goes with a consent alone")
    return None


def by_name(element: Element, weighed: Weighed) -> Refused | None:
    """42 CFR 2.31(a)(3): a consent covers sensitive information when it names it.

    So it is asked of every label of the house (HIV, mental health …), not of part 2's alone.
    """
    if element.labels and not any(g.has_labels(element) for g in weighed.grants):
        return Refused(SENSITIVITY, "no consent names this sensitivity")
    return None


def amount_and_kind(element: Element, weighed: Weighed, request: Request) -> Refused | None:
    """42 CFR 2.31(a)(3): a consent covers the kinds of information that it names."""
    if covering(element, weighed, request):
        return None
    fits = [g for g in weighed.grants if g.has_labels(element)]
    return Refused(KIND, "no consent names this kind of information") if fits else None


def for_treatment(element: Element, request: Request) -> bool:
    """45 CFR 164.506(c): what is not sensitive needs no consent for treatment by who treats.

    Unless the policy of the site asks for one always (``default``). Payment and operations of
    others have conditions that nothing here can check: they need a consent.
    """
    if element.labels or COUNSELING_NOTES in element.kinds:
        return False
    free = request.default == "treatment_without_consent"
    return free and request.who.is_treating and request.why in _TREATING


def judge(element: Element, weighed: Weighed, request: Request) -> Allowed | Refused:
    """What lets an element go, or the first rule that keeps it."""
    against = (
        psychotherapy_notes(element)
        or counseling_notes(element, weighed)
        or left_out(element, weighed)
    )
    if against is not None:
        return against
    for grant in covering(element, weighed, request):
        if refused_since(element, weighed, grant) is None:
            return Allowed(grant.consent_id)
    denied = refused_since(element, weighed, None)
    if denied is not None:
        return denied
    if for_treatment(element, request):
        return Allowed(None)
    return (
        default_deny(element, weighed)
        or by_name(element, weighed)
        or amount_and_kind(element, weighed, request)
        or Refused(TREATMENT, "this is no treatment by who treats, and no consent covers it")
    )
