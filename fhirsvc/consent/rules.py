"""Every rule of the gate: its name, the paragraph it stands on, where that was read, what asks it.

A rule's name is what its tests are called after: ``test_<name>__<case>_sends`` and ``…_holds``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fhirsvc.consent import elements, one_consent

# Where the text was read, or that it was not.
CASETEXT = "casetext.com, current through 2024-09-30"
GOVREGS = "govregs.com, as amended in 2024"
SECOND = "not read in the primary source: numbering and substance from summaries of the 2024 rule"
STANDARD = "not read in the primary source"


@dataclass(frozen=True)
class Rule:
    """``about``: one consent, one element, or the request as a whole."""

    name: str
    paragraph: str
    about: Literal["consent", "element", "request"]
    ask: Callable[..., Any]
    read: str


def _consent(name: str, paragraph: str, ask: one_consent.Ask, read: str) -> Rule:
    return Rule(name, paragraph, "consent", ask, read)


# In the order in which a consent is asked: of one that does not fit, the first is told.
CONSENT_RULES = (
    _consent("42_cfr_2_31_a_1_patient", "42 CFR 2.31(a)(1)", one_consent.patient, GOVREGS),
    _consent("42_cfr_2_31_c_in_force", "42 CFR 2.31(c)", one_consent.in_force, SECOND),
    _consent("42_cfr_2_31_a_6_revoked", "42 CFR 2.31(a)(6)", one_consent.not_revoked, SECOND),
    _consent("42_cfr_2_31_a_7_expiry", "42 CFR 2.31(a)(7)", one_consent.not_expired, SECOND),
    _consent("42_cfr_2_31_d_proceedings", "42 CFR 2.31(d)", one_consent.proceedings, SECOND),
    _consent("42_cfr_2_31_a_4_recipient", "42 CFR 2.31(a)(4)(i)", one_consent.recipient, GOVREGS),
    _consent("42_cfr_2_31_a_5_purpose", "42 CFR 2.31(a)(5)", one_consent.purpose, SECOND),
    _consent("42_cfr_2_31_a_2_discloser", "42 CFR 2.31(a)(2)", one_consent.discloser, GOVREGS),
    _consent("42_cfr_2_31_a_3_description", "42 CFR 2.31(a)(3)", one_consent.description, GOVREGS),
    _consent(
        "42_cfr_2_31_a_6_right_to_revoke", "42 CFR 2.31(a)(6)", one_consent.right_to_revoke, SECOND
    ),
    _consent("42_cfr_2_31_a_8_signature", "42 CFR 2.31(a)(8)", one_consent.signature, SECOND),
    _consent("42_cfr_2_31_a_9_date", "42 CFR 2.31(a)(9)", one_consent.signed_on, SECOND),
    _consent(
        "42_cfr_2_31_a_10_redisclosure", "42 CFR 2.31(a)(10)", one_consent.redisclosure, SECOND
    ),
)
# In the order in which an element is asked: the first that stands against it is told.
ELEMENT_RULES = (
    Rule(
        elements.PSYCHOTHERAPY,
        "45 CFR 164.508(a)(2)",
        "element",
        elements.psychotherapy_notes,
        STANDARD,
    ),
    Rule(elements.COUNSELING, "42 CFR 2.31(b)", "element", elements.counseling_notes, SECOND),
    Rule(elements.EXCLUDED, "42 CFR 2.26", "element", elements.left_out, STANDARD),
    Rule(elements.DENIED, "42 CFR 2.31(a)(6)", "element", elements.refused_since, SECOND),
    Rule(elements.DEFAULT_DENY, "42 CFR 2.13(a)", "element", elements.default_deny, STANDARD),
    Rule(elements.SENSITIVITY, "42 CFR 2.31(a)(3)", "element", elements.by_name, GOVREGS),
    Rule(elements.KIND, "42 CFR 2.31(a)(3)", "element", elements.amount_and_kind, GOVREGS),
    Rule(elements.TREATMENT, "45 CFR 164.506(c)", "element", elements.for_treatment, STANDARD),
)
REQUEST_RULES = (
    Rule(elements.NO_PATIENT, "42 CFR 2.12(a)(1)", "request", elements.no_patient, CASETEXT),
    Rule(elements.INSIDE, "42 CFR 2.12(c)(3)", "request", elements.inside_program, SECOND),
)
RULES = (*REQUEST_RULES, *CONSENT_RULES, *ELEMENT_RULES)
PARAGRAPHS = {rule.name: rule.paragraph for rule in RULES}
ASKED = tuple((rule.name, rule.paragraph, rule.ask) for rule in CONSENT_RULES)
