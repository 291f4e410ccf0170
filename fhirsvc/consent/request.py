"""What the gate is asked and what it answers. Plain values: whoever asks has loaded them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Record = Mapping[str, Any]
Resource = Mapping[str, Any]
Marks = Mapping[str, frozenset[str]]

# The purposes of a consent record; mappings/codes/purpose.yaml has their codes.
Purpose = Literal[
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
]
Default = Literal["treatment_without_consent", "consent_for_all"]


class Made(Protocol):
    """A resource and its marks, as :class:`fhirsvc.mapping.sensitive.Marked` has them.

    ``labels`` and ``kinds`` are by FHIR path (``CarePlan.activity[0]``), the whole resource by its
    type alone. A path stands for all below it. ``kinds`` may be empty where no consent of the
    client tells kinds apart (:func:`fhirsvc.consent.information.tells_kinds_apart`).
    """

    @property
    def resource(self) -> Resource:
        """As it would be sent."""

    @property
    def labels(self) -> Marks:
        """v3-ActCode sensitivities."""

    @property
    def kinds(self) -> Marks:
        """Words of ``fhirsvc.records.consent.INFORMATION``."""


@dataclass(frozen=True)
class Recipient:
    """Who asks. ``ehr``: the organization of a connection; ``partner``: one behind a link or a
    token; ``export``: whose client exports a group; ``staff``: a person at a page of the house.

    ``is_treating`` says that the organization treats the client, insures or pays for them, or
    helps to operate the program: the class that a consent for treatment, payment and operations
    names. Whoever configures a connection or a partner says so; it follows from nothing here.
    """

    kind: Literal["ehr", "partner", "export", "staff"]
    organization_id: str | None
    is_treating: bool = False


@dataclass(frozen=True)
class What:
    """The resources made of one version of one record; a search or an export may ask for one.

    ``client_id`` is None for what is about no client (staff, organizations), and a client record's
    own id; ``discloser_id`` is the program that holds the record.
    """

    record_type: str
    record_id: str
    version: int
    client_id: str | None
    discloser_id: str | None
    resources: Sequence[Made]


@dataclass(frozen=True)
class Request:
    """Who may have what, why and when, by which consents.

    :param when: the moment, in the time zone of the program: days are counted there.
    :param consents: every consent record of the client in its newest version, whatever its status.
    :param default: whether what is not sensitive needs a consent for treatment too.
    :param event_open: ids of consents that end with an event, which somebody has confirmed not to
        have happened.
    :param withheld: ``Type/id`` of resources already withheld from this recipient, so that nothing
        refers to them.
    """

    who: Recipient
    what: What
    why: Purpose
    when: datetime
    consents: Sequence[Record]
    default: Default = "treatment_without_consent"
    event_open: frozenset[str] = frozenset()
    withheld: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reason:
    """Why something stays: the rule's name and paragraph, in words, and the consent it is about.

    It names no value of a record.
    """

    rule: str
    paragraph: str
    says: str
    consent_id: str | None = None


@dataclass(frozen=True)
class Withheld:
    """An element, or with its type as path a whole resource, that does not go out."""

    resource: str  # "Goal/goal.g-1"
    path: str  # "Goal.note[0]"
    labels: frozenset[str]
    why: Reason


@dataclass(frozen=True)
class Decision:
    """``send`` all of it, ``redact`` to ``resources``, or ``hold``: nothing may go.

    ``resources`` carry their labels. ``consents`` are the ids relied on, ``basis`` what lets it
    go; ``part2`` says that 42 CFR part 2 protects some of what goes, so that a notice goes along.
    ``reasons`` say why something stays, those of consents that do not fit among them.
    """

    outcome: Literal["send", "redact", "hold"]
    resources: tuple[Resource, ...]
    withheld: tuple[Withheld, ...] = ()
    reasons: tuple[Reason, ...] = ()
    consents: tuple[str, ...] = ()
    basis: Literal["consent", "treatment", "inside", "no_patient", "none"] = "none"
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)  # "Goal/g" → its labels
    part2: bool = False
