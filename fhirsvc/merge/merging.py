"""The merge of two sides, its resolution, and what both agree on afterwards."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from fhirsvc.errors import Finding
from fhirsvc.merge.decide import Four, Judge, Moved, Outcomes, Pair, is_at
from fhirsvc.merge.lists import Listed, Own
from fhirsvc.merge.owners import Owner, Owners
from fhirsvc.merge.result import Conflict, Merged, Resolution, Resource, Told
from fhirsvc.merge.values import Object, Sameness
from fhirsvc.merge.walk import Walk

_NONE: Mapping[str, Any] = {}


def merge(
    ours: Resource,
    theirs: Resource,
    *,
    said: Resource | None = None,
    held: Resource | None = None,
    owners: Owners,
    disputed: Mapping[str, Any] = _NONE,
    base: str = "",
) -> Merged:
    """Merge what both sides changed since they agreed. Nothing given is changed.

    :param ours: what mapping makes of the record now.
    :param theirs: what the EHR holds now: any JSON object.
    :param said: what mapping made of the record when both agreed; None at a first meeting.
    :param held: what the EHR held then; None: what was said.
    :param disputed: paths of open conflicts, with the base that was told of each, or None.
    :param base: base URL of the EHR; without it every absolute reference is one of the EHR's.
    """
    return take({}, ours, theirs, said=said, held=held, owners=owners, disputed=disputed, base=base)


def take(
    resolutions: Mapping[str, Resolution],
    ours: Resource,
    theirs: Resource,
    *,
    said: Resource | None = None,
    held: Resource | None = None,
    owners: Owners,
    disputed: Mapping[str, Any] = _NONE,
    base: str = "",
) -> Merged:
    """As ``merge``, with conflicts resolved: path to ``"ours"``, ``"theirs"`` or ``Value(…)``.

    Both bodies then have what was decided; a path that is nowhere is a finding ``no-such-element``.
    """
    kind = ours.get("resourceType")
    if kind != theirs.get("resourceType"):
        message = "the EHR's is another type of resource; nothing is merged"
        return _alone(ours, theirs, disputed, Finding("resource-type", message, str(kind)))
    first = said is None
    if said is None:
        held = None
    elif held is None:
        held = said
    four = Four(said or {}, held or {}, ours, theirs)
    same = Sameness(base)
    try:
        judge = Judge(disputed, resolutions, first=first)
        send, record = Walk(judge, same).resource(str(kind), owners.root, four)
        if judge.told.writes:
            judge = Judge(disputed, resolutions, first=first)
            send, record = Walk(judge, same, fill=True).resource(str(kind), owners.root, four)
    except RecursionError:
        message = "the EHR's resource is nested too deep to be compared; nothing is merged"
        return _alone(ours, theirs, disputed, Finding("too-deep", message, str(kind)))
    told = judge.told
    _look_back(told, disputed, resolutions)
    return _merged(send if told.writes else theirs, record, told)


def said_next(merged: Merged, *, ours: Resource, now: Resource, owners: Owners) -> Resource:
    """What to keep as ``said`` once the EHR holds ``send`` and the record took ``record``.

    What follows in the record from what it took (a status that others follow) was not sent yet: it
    must still count as a change of ours in the next round.

    :param ours: as it was merged.
    :param now: what mapping makes of the record since.
    """
    if not (merged.taken or merged.set_aside) or ours == now:
        return ours
    four = Four(ours, ours, now, merged.record)
    judge = _Follow({}, {}, first=True)  # what is new now is met with what was taken
    found, _ = _Following(judge, Sameness()).resource(
        str(ours.get("resourceType")), owners.root, four
    )
    return {**found, **{n: now[n] for n in ("id", "text") if n in now}}


def untaken(
    merged: Merged,
    *,
    now: Resource,
    said: Resource,
    owners: Owners,
    refused: bool = False,
    base: str = "",
) -> tuple[Conflict, ...]:
    """What is the EHR's by now and the record could not take: conflicts for a person to look at.

    The EHR still has its value, the record its own, and no later merge would speak of it. What the
    record never had and cannot say stays the EHR's own, unless it was refused with all else.

    :param now: what mapping makes of the record since it took ``record``.
    :param said: of the next round (``said_next``).
    :param refused: nothing was taken, because it would be no record then.
    """
    steps = (*merged.taken, *merged.set_aside)
    before = {one.path: one.before for one in steps if refused or one.before is not None}
    if not before:
        return ()
    found = merge(
        now, merged.send, said=said, held=merged.send, owners=owners, disputed=before, base=base
    )
    alike = Sameness(base).alike
    open_ = [one for one in found.conflicts if one.path in before]
    # A value may be taken in another form; what was removed has none, so that nothing may be left.
    return tuple(one for one in open_ if one.theirs is None or alike(one.ours, before[one.path]))


class _Follow(Judge):
    """What was taken is as the record now says it; anything else as it was said."""

    def decide(self, path: str, owner: Owner | None, v: Four, moved: Moved, out: Outcomes) -> Pair:
        found = v.o if moved.they else v.s
        return found, found


class _Following(Walk):
    def names(self, v: Four) -> list[str]:
        return list(dict.fromkeys((*v.s, *v.o)))

    def _own(self, path: str, v: Four, own: Own, sort: Hashable) -> Pair:
        return None, None

    def _foreign(self, parts: Four, send: list[Listed], record: list[Listed]) -> None:
        return

    def is_still(self, v: Four, path: str) -> bool:
        return bool(v.s == v.o or v.h == v.t)

    def leave(self, name: str, v: Four, twins: Four, send: Object, record: Object) -> None:
        for at, value in ((name, v.s), (f"_{name}", twins.s)):
            if value is not None:
                send[at] = record[at] = value

    def identity(self, v: Four, send: Object, record: Object) -> None:
        name = v.o if v.o is not None else v.s
        if name is not None:
            send["id"] = record["id"] = name


def _look_back(
    told: Told, disputed: Mapping[str, Any], resolutions: Mapping[str, Resolution]
) -> None:
    """Disputed paths that the walk did not come to: gone from both, or part of a wider conflict."""
    seen = {one.path for one in told.conflicts} | set(told.settled)
    for path, before in disputed.items():
        if path in seen:
            continue
        if any(is_at(path, broken) for broken in told.broken):
            told.conflicts.append(Conflict(path, "both", before, None, None))
        else:
            told.settled.append(path)
    for path in resolutions:
        if path not in told.resolved:
            message = "neither side has this element any longer"
            told.findings.append(Finding("no-such-element", message, path, "warning"))


def _merged(send: Resource, record: Resource, told: Told) -> Merged:
    return Merged(
        send=send,
        record=record,
        is_quiet=not told.writes,
        taken=tuple(told.taken),
        sent=tuple(told.sent),
        kept=tuple(told.kept),
        set_aside=tuple(told.set_aside),
        conflicts=tuple(told.conflicts),
        settled=tuple(told.settled),
        findings=tuple(told.findings),
    )


def _alone(
    ours: Resource, theirs: Resource, disputed: Mapping[str, Any], finding: Finding
) -> Merged:
    """Nothing is merged: each side keeps its own."""
    open_ = tuple(Conflict(path, "both", base, None, None) for path, base in disputed.items())
    return Merged(theirs, ours, True, conflicts=open_, findings=(finding,))
