"""What becomes of each field on a rung: carried as data, said in words, or dropped and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Protocol

from fhirsvc.ehr.equivalents import AS_DOCUMENT, NAMED, Alternative, alternatives
from fhirsvc.ehr.rung import Rung
from fhirsvc.mapping.carried import Fields, Makes, Way, items


class Places(Protocol):
    """What of a ladder the fate of a field depends on."""

    @property
    def fields(self) -> Fields:
        """What goes where."""

    @property
    def documents(self) -> bool:
        """Whether a DocumentReference can be filed."""

    def has_place(self, record: str | None, resource: str) -> bool:
        """Whether a reference can lead to it."""


def filled(ladder: Places, rung: Rung) -> Rung:
    """The rung with the fate of every field of its record and resource."""
    makes = ladder.fields.get(rung.record, {}).get(rung.resource)
    if makes is None:
        return rung
    carried: list[str] = []
    downgraded: list[tuple[str, str]] = []
    dropped: list[tuple[str, str]] = []
    for way in makes.ways:
        told, how = _fate(ladder, rung, makes, way)
        if told == "carried":
            carried.append(way.field)
        else:
            (downgraded if told == "downgraded" else dropped).append((way.field, how))
    dropped += makes.skipped
    return replace(
        rung,
        carried=tuple(carried),
        downgraded=tuple(downgraded),
        dropped=tuple(dict.fromkeys(dropped)),
    )


def _fate(ladder: Places, rung: Rung, makes: Makes, way: Way) -> tuple[str, str]:
    if rung.way == "hold":
        return "dropped", rung.why
    if rung.way == "document":
        return "downgraded", AS_DOCUMENT
    if rung.way == "native":
        return _as_data(ladder, way) if way.elements else ("downgraded", way.how)
    used = next(a for a in alternatives(rung.record, rung.resource) if a.way == rung.way)
    return _by_alternative(ladder, used, makes, way)


def _by_alternative(ladder: Places, used: Alternative, makes: Makes, way: Way) -> tuple[str, str]:
    if used.way == "observations" and way.form:
        return _rest(ladder, used)
    if used.way == "match" and way.field not in makes.known_by:
        return "dropped", used.drops.format(resource=makes.resource)
    if used.way == "request" and way.field in _in_request(ladder, makes.record):
        return _as_data(ladder, way)
    for element in way.elements:
        name = element.split(".")[1] if "." in element else ""
        if name in used.keeps:
            how = used.keeps[name]
            return ("downgraded", how) if how else _as_data(ladder, way)
    return _rest(ladder, used, makes.resource)


def _rest(ladder: Places, used: Alternative, resource: str = "") -> tuple[str, str]:
    if used.rest == AS_DOCUMENT and not ladder.documents:
        return "dropped", "an answer without a code has no Observation of its own"
    if used.rest:
        return "downgraded", used.rest
    return "dropped", used.drops.format(resource=resource)


def _as_data(ladder: Places, way: Way) -> tuple[str, str]:
    """Carried, but for a reference to what has no place at this EHR."""
    for to in way.refers_to:
        record, _, resource = to.partition("/")
        if not ladder.has_place(record, resource):
            return "downgraded", NAMED
    return "carried", ""


def _in_request(ladder: Places, record: str) -> set[str]:
    makes = ladder.fields[record].get("ServiceRequest")
    return {way.field for way in makes.ways if way.elements} if makes else set()


def left_out(
    rung: Rung, makes: Makes, record: Mapping[str, Any], made: int, told: Collection[str]
) -> Rung:
    """A rung of one record's report, with what the mapping files leave out of this very record.

    ``made`` is how many resources of the type there are, ``told`` what others carry or say.
    """
    why = "; ".join(said for _, said in makes.conditions)
    if not made:
        reason = f"no {rung.resource} is made of it" + (f": only {why}" if why else "")
        names = (*rung.carried, *(name for name, _ in rung.downgraded))
        lost = tuple((name, reason) for name in names if name not in told)
        return replace(rung, carried=(), downgraded=(), dropped=(*rung.dropped, *lost))
    for path, said in makes.conditions if len(makes.identities) == 1 else ():
        count = items(record, path) if path else 0
        if count > made:
            row = (path, f"{count - made} of {count} left out: only {said}")
            return replace(rung, dropped=(*rung.dropped, row))
    return rung
