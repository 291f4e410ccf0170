"""The consents of a client weighed for one recipient and purpose, and what that lets out.

What several consents say together:

1. What one sound consent covers may go: the union of all of them. One consent has to cover an
   element whole, its kind and every label of it.
2. A refusal, or a consent taken back, wins over what was given before it or at the same moment,
   for what it covers and no more; what was given after it wins over it. It wins over "treatment
   needs no consent" whenever it was said.
3. What a consent leaves out (``excluded_information``) does not go to whom it names, whatever other
   consents say, and also after it has ended: otherwise an expiry would let more out. It is lifted
   by changing the consent that says so.
4. What a refusal does not say, it means wholly: without recipients everybody, without purposes
   every one, without kinds everything, without sensitivities sensitive or not. One that names
   sensitivities is about what carries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fhirsvc.consent import one_consent
from fhirsvc.consent.information import CONSENT, COUNSELING_NOTES, EVERYTHING, SUBSTANCE_USE
from fhirsvc.consent.labels import PART2, covered
from fhirsvc.consent.request import Reason, Recipient, Record, Request

_SAID = ("active", "revoked", "expired")  # a draft or an error says nothing


@dataclass(frozen=True)
class Element:
    """What is asked about one element: its labels and kinds of information."""

    labels: frozenset[str]
    kinds: frozenset[str]

    @property
    def told(self) -> frozenset[str]:
        """Its kinds, and that it is of substance use where a label says so."""
        return self.kinds | {SUBSTANCE_USE} if self.labels & PART2 else self.kinds


@dataclass(frozen=True)
class Grant:
    """What a sound consent lets out to this recipient for this purpose."""

    consent_id: str
    at: datetime
    information: frozenset[str]
    labels: frozenset[str]
    counseling_notes: bool

    def has_labels(self, element: Element) -> bool:
        """Whether it names every sensitivity of an element."""
        return element.labels <= self.labels

    def has_kinds(self, element: Element, record_id: str) -> bool:
        """Whether it names the kind; a copy of the consent itself goes along (42 CFR 2.32)."""
        if self.counseling_notes:
            return element.kinds == {COUNSELING_NOTES}
        if EVERYTHING in self.information:
            return True
        return element.kinds <= self.information or (
            element.kinds == {CONSENT} and record_id == self.consent_id
        )


@dataclass(frozen=True)
class Denial:
    """A refusal or a revocation that is about this recipient and purpose."""

    consent_id: str
    at: datetime | None  # None: nobody knows, so later than anything given
    information: frozenset[str]  # none: everything
    labels: frozenset[str]  # none: sensitive or not

    def covers(self, element: Element) -> bool:
        """Whether it is about an element."""
        kinds = not self.information or EVERYTHING in self.information
        if not kinds and not element.told & self.information:
            return False
        return not self.labels or bool(element.labels & self.labels)

    def wins(self, grant: Grant) -> bool:
        """Whether it was said after a consent was given, or at the same moment."""
        return self.at is None or self.at >= grant.at


@dataclass(frozen=True)
class Weighed:
    """The consents of a client for one recipient and purpose; weighed once, asked many times."""

    grants: tuple[Grant, ...]  # newest first
    denials: tuple[Denial, ...]
    excluded: tuple[tuple[str, frozenset[str]], ...]  # consent id, kinds
    unfit: tuple[Reason, ...]  # of consents that do not fit: the first rule each fails

    def exclusion(self, element: Element) -> str | None:
        """The consent that leaves an element out."""
        for consent_id, kinds in self.excluded:
            if EVERYTHING in kinds or element.told & kinds:
                return consent_id
        return None

    def denial(self, element: Element, grant: Grant | None) -> str | None:
        """The refusal or revocation that stands against an element, for a grant or for none."""
        for one in self.denials:
            if one.covers(element) and (grant is None or one.wins(grant)):
                return one.consent_id
        return None


def weigh(request: Request, rules: Sequence[tuple[str, str, one_consent.Ask]]) -> Weighed:
    """Weigh a client's consents by ``rules`` (name, paragraph, function), in their order."""
    grants, denials, excluded, unfit = [], [], [], []
    for consent in request.consents:
        known = str(consent.get("id", ""))
        failed = next(
            (
                Reason(name, paragraph, says, known)
                for name, paragraph, ask in rules
                if (says := ask(consent, request)) is not None
            ),
            None,
        )
        at = one_consent.given_at(consent)
        if failed is not None:
            unfit.append(failed)
        elif at is not None:
            grants.append(_grant(consent, at))
        if consent.get("client_id") != request.what.client_id:
            continue
        if consent.get("status") in ("refused", "revoked") and _against(consent, request):
            denials.append(_denial(consent))
        left_out = consent.get("excluded_information")
        if left_out and consent.get("status") in _SAID and _is_for(consent, request.who):
            excluded.append((known, frozenset(left_out)))
    grants.sort(key=lambda one: (one.at, one.consent_id), reverse=True)
    denials.sort(key=lambda one: one.consent_id)
    return Weighed(tuple(grants), tuple(denials), tuple(sorted(excluded)), tuple(unfit))


def _grant(consent: Record, at: datetime) -> Grant:
    return Grant(
        str(consent["id"]),
        at,
        frozenset(consent.get("information") or ()),
        covered(consent.get("sensitivities") or ()),
        consent.get("scope") == "sud_counseling_notes",
    )


def _denial(consent: Record) -> Denial:
    information = frozenset(consent.get("information") or ())
    if information:
        information |= frozenset(consent.get("excluded_information") or ())
    sensitivities = consent.get("sensitivities") or ()
    if consent.get("status") == "revoked":
        at = one_consent.moment(consent.get("revoked_at"))
    else:
        at = one_consent.given_at(consent) or one_consent.moment(consent.get("updated_at"))
    return Denial(str(consent.get("id", "")), at, information, covered(sensitivities))


def _is_for(consent: Record, who: Recipient) -> bool:
    """Whether what it leaves out or refuses is about a recipient: all, where it names none."""
    nobody = not consent.get("recipient_ids") and not consent.get("recipients_text")
    words = bool(consent.get("recipients_text")) and consent.get("scope") != "tpo"
    return nobody or words or one_consent.names(consent, who)


def _against(consent: Record, request: Request) -> bool:
    if not _is_for(consent, request.who):
        return False
    named = consent.get("purposes") or ()
    return not named or request.why in named or one_consent.TPO.get(request.why) in named
