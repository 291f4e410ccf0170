"""What goes along with a disclosure: the statement of 42 CFR 2.32 and the scope of the consent.

And what the accounting of disclosures keeps of it: ids, paths and codes, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from fhirsvc.consent.labels import PART2
from fhirsvc.consent.request import Decision, Record, Request

# 42 CFR 2.32(a) as amended in 2024 (89 FR 12472). The first half of (1) was compared with
# compliancecosmos.org, the rest with another open project's copy; not read on eCFR.
STATEMENT_1 = (
    "This record which has been disclosed to you is protected by Federal confidentiality rules "
    "(42 CFR part 2). These rules prohibit you from using or disclosing this record, or testimony "
    "that describes the information contained in this record, in any civil, criminal, "
    "administrative, or legislative proceedings by any Federal, State, or local authority, against "
    "the patient, unless authorized by the consent of the patient, except as provided at 42 CFR "
    "2.12(c)(5) or as authorized by a court in accordance with 42 CFR 2.64 or 2.65. In addition, "
    "the Federal rules prohibit you from making any other use or disclosure of this record unless "
    "at least one of the following applies: (i) Further use or disclosure is expressly permitted "
    "by the written consent of the individual whose information is being disclosed in this record "
    "or as otherwise permitted by 42 CFR part 2. (ii) You are a covered entity or business "
    "associate and have received the record for treatment, payment, or health care operations, or "
    "(iii) You have received the record from a covered entity or business associate as permitted "
    "by 45 CFR part 164, subparts A and E. A general authorization for the release of medical or "
    "other information is NOT sufficient to meet the required elements of written consent to "
    "further use or redisclose the record (see 42 CFR 2.31)."
)
STATEMENT_2 = (
    "42 CFR part 2 prohibits unauthorized use or disclosure of these records."  # 2.32(a)(2)
)
NOTICES = {"42-cfr-2.32-a-1": STATEMENT_1, "42-cfr-2.32-a-2": STATEMENT_2}
Reader = Literal["person", "machine"]


def notice(decision: Decision, reader: Reader) -> str | None:
    """The id in ``NOTICES`` of the statement that goes along; None where part 2 protects nothing.

    Either statement will do (2.32(a)). A page, a letter and a document that people read carry the
    long one; a message between machines has a short field for it, and carries the other.
    """
    if not decision.part2:
        return None
    return "42-cfr-2.32-a-1" if reader == "person" else "42-cfr-2.32-a-2"


def scope_statement(consent: Record, names: Mapping[str, str] | None = None) -> str:
    """The scope of a consent in words, for who receives something by it: 42 CFR 2.32(b).

    That paragraph asks for a copy of the consent or a clear explanation of its scope. It names no
    client: it goes along with what does.

    :param names: what organizations are called, by id; one without a name is told by its id.
    """
    known = names or {}
    recipients = [known.get(one, one) for one in consent.get("recipient_ids") or ()]
    if consent.get("recipients_text"):
        recipients.append(str(consent["recipients_text"]))
    lines = [
        ("Consent", str(consent.get("id", ""))),
        ("Given on", str(consent.get("granted_at", ""))[:10]),
        ("Discloser", known.get(str(consent.get("discloser_id")), consent.get("discloser_id"))),
        ("Recipients", "; ".join(recipients)),
        ("Purposes", _words(consent, "purposes", "purpose_text")),
        ("Information", _words(consent, "information", "information_text")),
        ("Not to be disclosed", _words(consent, "excluded_information")),
        ("Sensitive information named", ", ".join(consent.get("sensitivities") or ())),
        ("First day", consent.get("start_date")),
        ("Last day", consent.get("expires_on")),
        ("Ends with", consent.get("expires_event")),
    ]
    told = "\n".join(f"{label}: {text}" for label, text in lines if text)
    return f"{told}\nThe person may revoke this consent in writing at any time."


def _words(consent: Record, name: str, text: str = "") -> str:
    found = [str(one).replace("_", " ") for one in consent.get(name) or ()]
    if text and consent.get(text):
        found.append(str(consent[text]))
    return "; ".join(found)


def disclosure(decision: Decision, request: Request, reader: Reader = "machine") -> dict[str, Any]:
    """What the accounting keeps of a decision (42 CFR 2.25): JSON with ids, paths and codes alone.

    ``notice`` is an id in ``NOTICES``, or None.
    """
    what = request.what
    return {
        "client_id": what.client_id,
        "recipient": {"kind": request.who.kind, "organization_id": request.who.organization_id},
        "purpose": request.why,
        "at": request.when.isoformat(),
        "outcome": decision.outcome,
        "basis": decision.basis,
        "consents": list(decision.consents),
        "record": {"type": what.record_type, "id": what.record_id, "version": what.version},
        "resources": [
            {
                "reference": ref,
                "labels": sorted(labels),
                "part2": bool(labels & PART2),
            }
            for ref, labels in decision.labels.items()
        ],
        "withheld": [
            {
                "reference": one.resource,
                "path": one.path,
                "labels": sorted(one.labels),
                "rule": one.why.rule,
                "consent_id": one.why.consent_id,
            }
            for one in decision.withheld
        ],
        "notice": notice(decision, reader),
    }
