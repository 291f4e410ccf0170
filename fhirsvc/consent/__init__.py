"""The consent gate: who may receive what, the labels it carries and the notice that goes along."""

from __future__ import annotations

from fhirsvc.consent.decide import decide, weigh
from fhirsvc.consent.information import FIELDS, tells_kinds_apart
from fhirsvc.consent.labels import high_water
from fhirsvc.consent.notice import NOTICES, disclosure, notice, scope_statement
from fhirsvc.consent.request import Decision, Reason, Recipient, Request, What, Withheld

__all__ = [
    "FIELDS",
    "NOTICES",
    "Decision",
    "Reason",
    "Recipient",
    "Request",
    "What",
    "Withheld",
    "decide",
    "disclosure",
    "high_water",
    "notice",
    "scope_statement",
    "tells_kinds_apart",
    "weigh",
]
