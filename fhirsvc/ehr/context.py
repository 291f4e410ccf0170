"""What arranging one record for one EHR depends on besides its resources and the ladder. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fhirsvc.ehr import narrative_pdf
from fhirsvc.ehr.local import Local
from fhirsvc.fhir.instruments import Instrument


def _unnamed(_: Local) -> str:
    return ""


@dataclass(frozen=True)
class Context:
    """Given by the caller, so that the same input always makes the same bytes.

    ``date`` is the moment of the record's version (an instant: ``2026-06-25T15:10:00-04:00``),
    ``version`` its number. ``instruments`` are the mappings' own, by name. ``display`` says what a
    resource of another record is called ("" where that is not known). ``sent`` has what the EHR
    holds already: local to fingerprint, as sent; ``absent`` what was looked for and is not there.
    ``systems`` are identifier systems by the name this EHR has for them (``{"urn:fhirsvc:mrn":
    "urn:oid:…"}``). ``pdf`` is whether documents have one, ``fonts`` are files of fonts for letters
    that DejaVu lacks.
    """

    date: str
    version: int = 1
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    display: Callable[[Local], str] = _unnamed
    sent: Mapping[Local, str] = field(default_factory=dict)
    absent: frozenset[Local] = frozenset()
    systems: Mapping[str, str] = field(default_factory=dict)
    pdf: bool = narrative_pdf.AVAILABLE
    fonts: tuple[str, ...] = ()
