"""A goal about substance use, a consent that covers it for Willow Street, and the gate asked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fhirsvc.consent import Decision, Recipient, Request, What, decide
from fhirsvc.mapping.sensitive import Marked

WHEN = datetime.fromisoformat("2026-04-01T12:00:00-04:00")
WILLOW = Recipient("ehr", "org-willow", is_treating=True)
JUNIPER = Recipient("partner", "org-juniper", is_treating=True)
COLLEGE = Recipient("partner", "org-college")
STAFF = Recipient("staff", "org-cedar-hollow")
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
CASES = int(os.environ.get("FHIRSVC_CONSENT_CASES", "2000"))  # 10000 and more before a release


def consent(**changes: Any) -> dict[str, Any]:
    """A sound consent; a change to None leaves the field out."""
    made: dict[str, Any] = {
        "type": "consent",
        "id": "c-1",
        "updated_at": "2026-03-04T12:05:00-05:00",
        "client_id": "client-01",
        "status": "active",
        "scope": "disclosure",
        "discloser_id": "org-cedar-hollow",
        "recipient_ids": ["org-willow"],
        "purposes": ["treatment"],
        "information": ["goals"],
        "sensitivities": ["SUD"],
        "granted_at": "2026-03-04T12:00:00-05:00",
        "expires_on": "2026-12-31",
        "revocation_right_explained": True,
        "redisclosure_explained": True,
        "signature": {
            "signature_id": "sg1",
            "role": "client",
            "name": "M. E.",
            "signed_at": "2026-03-04T12:00:00-05:00",
            "method": "electronic",
        },
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


TPO = "My treating providers, health plans, third-party payers and people helping this program"


def tpo(**changes: Any) -> dict[str, Any]:
    """A single consent for all treatment, payment and operations."""
    return consent(
        **{
            "id": "c-tpo",
            "scope": "tpo",
            "recipient_ids": None,
            "recipients_text": TPO,
            "purposes": ["treatment", "payment", "operations"],
            "information": ["everything"],
            **changes,
        }
    )


def goal(*labels: str, **marks: Iterable[str]) -> Marked:
    """A goal with these labels on the whole of it, and marks on its elements: ``note=["HIV"]``."""
    resource = {
        "resourceType": "Goal",
        "id": "goal.g-1",
        "text": {"status": "generated", "div": f"<div {XHTML}>words</div>"},
        "identifier": [{"system": "urn:x", "value": "g-1"}],
        "lifecycleStatus": "active",
        "description": {"text": "Thirty days"},
        "subject": {"reference": "Patient/client.client-01"},
        "addresses": [{"reference": "Condition/episode.e.d1"}],
        "note": [{"text": "first note"}, {"text": "second note"}],
    }
    found = {"Goal": frozenset(labels)} if labels else {}
    found |= {f"Goal.{name}": frozenset(of) for name, of in marks.items()}
    return Marked(resource, found)


def request(
    *consents: dict[str, Any],
    made: Iterable[Marked] = (),
    record_type: str = "goal",
    **changes: Any,
) -> Request:
    """Willow Street asks for the goal, to treat; ``what`` of it changes by its own names."""
    what = What(
        record_type,
        changes.pop("record_id", "g-1"),
        1,
        changes.pop("client_id", "client-01"),
        changes.pop("discloser_id", "org-cedar-hollow"),
        tuple(made) or (goal("SUD"),),
    )
    return Request(
        changes.pop("who", WILLOW),
        what,
        changes.pop("why", "treatment"),
        changes.pop("when", WHEN),
        consents,
        **changes,
    )


def ask(*consents: dict[str, Any], **changes: Any) -> Decision:
    """What the gate says."""
    return decide(request(*consents, **changes))


def sends(decision: Decision) -> None:
    """All of it goes."""
    assert decision.outcome == "send"
    assert decision.withheld == ()
    assert decision.reasons == ()


def holds(decision: Decision, rule: str) -> None:
    """Nothing goes, and the rule says so."""
    assert decision.outcome == "hold"
    assert decision.resources == ()
    assert rule in [reason.rule for reason in decision.reasons]
