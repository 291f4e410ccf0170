"""From the mapped resources of one record version to what one EHR is really sent. Pure.

    resource ── rung ── native ─────────────────────────────▶ write it
                     ├─ match ──────────────────────────────▶ find the EHR's own
                     ├─ observations, task, request, message ▶ write what stands in for it
                     ├─ document ── all of the record's ─────▶ write one DocumentReference
                     └─ named, aside, hold ──────────────────▶ nothing, and why

Then every reference to what has no place at this EHR becomes a logical one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from fhirsvc.ehr.content import fingerprint
from fhirsvc.ehr.context import Context
from fhirsvc.ehr.document import Draft, document
from fhirsvc.ehr.ladder import Ladder
from fhirsvc.ehr.local import Local, Resource, identifier_of, leads_to, local
from fhirsvc.ehr.losses import left_out
from fhirsvc.ehr.narrative import page
from fhirsvc.ehr.narrative_words import as_text
from fhirsvc.ehr.placing import Placing
from fhirsvc.ehr.rung import Rung
from fhirsvc.ehr.stand_ins import (
    Edition,
    edition,
    message,
    observations,
    request_with_status,
    task_with_request,
    with_total,
)
from fhirsvc.mapping.carried import present


@dataclass(frozen=True)
class Outgoing:
    """One thing to do at the EHR: write a resource, or find the EHR's own one.

    ``stands_for`` are the mapped resources that it carries. ``identifiers`` are (system, value)
    pairs to search a match by, none of them ours alone (there may be none: nothing matches then);
    ``otherwise`` is what holds without a match: ``hold``, or ``name`` (references to it become
    logical ones once :attr:`Context.absent` has it).
    """

    kind: Literal["write", "match"]
    resource: dict[str, Any]
    stands_for: tuple[Local, ...]
    rung: Rung
    identifiers: tuple[tuple[str, str], ...] = ()
    otherwise: Literal["", "hold", "name"] = ""


@dataclass(frozen=True)
class Arranged:
    """What is sent, what is not and why (``blocks`` as in :class:`Rung`), and the loss report.

    ``kept`` was sent with an earlier version and stays as it is: what nobody may change there, and
    messages and documents that others have followed.
    """

    outgoing: tuple[Outgoing, ...]
    held: tuple[tuple[Local, str, bool], ...]
    kept: tuple[Local, ...]
    report: tuple[dict[str, Any], ...]


def arrange(
    record: Mapping[str, Any], resources: Sequence[Resource], ladder: Ladder, context: Context
) -> Arranged:
    """What to do at the EHR for one record version; ``resources`` are not changed."""
    return _Arranging(Placing(record, resources, ladder, context)).run()


@dataclass
class _Arranging:
    placing: Placing
    out: list[Outgoing] = field(default_factory=list)
    held: list[tuple[Local, str, bool]] = field(default_factory=list)
    kept: list[Local] = field(default_factory=list)
    filed: list[Resource] = field(default_factory=list)  # what goes into the document
    rungs: dict[str, Rung] = field(default_factory=dict)  # by resource type, as it came out

    def run(self) -> Arranged:
        for resource in self.placing.resources:
            self._place(resource)
        self._messages()
        self._document()
        beside = {local(one.resource) for one in self.out if one.kind == "write"}
        sent = [replace(o, resource=self.placing.sent(o.resource, beside)) for o in self.out]
        return Arranged(tuple(sent), tuple(self.held), tuple(self.kept), tuple(self._report()))

    def _place(self, resource: Resource) -> None:
        """Put one resource where its rung says."""
        made, stands_for = self._whole(resource)
        rung = self._rung(made)
        kind = str(resource["resourceType"])
        if self.rungs.get(kind, rung).rung in (rung.rung, "native"):
            self.rungs[kind] = rung
        if rung.way == "native":
            self.out.append(Outgoing("write", made, stands_for, rung))
        elif rung.way == "match":
            self._match(resource, rung)
        elif rung.way in ("hold", "aside"):
            self.held.append((local(resource), rung.why, rung.blocks))
        elif rung.way == "document":
            self.filed.append(resource)
        elif rung.way == "observations":
            self._observations(resource, rung)
        elif rung.way == "response":
            self._score(resource)

    def _rung(self, made: Resource) -> Rung:
        """Its rung now: of what the EHR took once and lets nobody change, that of a change."""
        placing, name = self.placing, local(made)
        first = placing.rungs[name]
        if first.way != "native" or first.later == "update" or name not in placing.context.sent:
            return first
        if placing.context.sent[name] == fingerprint(placing.sent(made)):
            return first
        self.kept.append(name)
        return placing.ladder.for_change(first.record, first.resource)

    def _whole(self, resource: Resource) -> tuple[dict[str, Any], tuple[Local, ...]]:
        """A resource with what others of the record put into it, and all that it stands for."""
        made = cast("dict[str, Any]", resource)  # to be treated as frozen: not copied
        stands_for: tuple[Local, ...] = (local(resource),)
        if self.placing.rungs[local(resource)].way != "native":
            return made, stands_for
        for other in self.placing.resources:
            way = self.placing.rungs[local(other)].way
            if way == "request" and leads_to(other.get("focus")) == local(resource):
                made = request_with_status(made, self._words(other))
            elif way == "task" and leads_to(resource.get("focus")) == local(other):
                made = task_with_request(made, other, self._words(other))
            elif way == "response" and _follows(other, resource):
                made = with_total(made, other, self.placing.context) or made
            else:
                continue
            stands_for = (*stands_for, local(other))
        return made, stands_for

    def _match(self, resource: Resource, rung: Rung) -> None:
        own = identifier_of(resource)
        known = [
            self.placing.translated(one)
            for one in resource.get("identifier", ())
            if one.get("system") and one.get("value") and dict(one) != own
        ]
        pairs = tuple((str(one["system"]), str(one["value"])) for one in known)
        otherwise: Literal["hold", "name"]
        otherwise = "hold" if resource["resourceType"] == "Patient" else "name"
        stands_for = (local(resource),)
        self.out.append(Outgoing("match", dict(resource), stands_for, rung, pairs, otherwise))

    def _observations(self, response: Resource, rung: Rung) -> None:
        """Its coded answers; the whole of it is filed where they do not say everything."""
        context = self.placing.context
        score = next((one for one in self.placing.resources if _follows(one, response)), None)
        made, is_all = observations(response, score, context)
        self.out += [Outgoing("write", one, (local(response),), rung) for one in made]
        if not is_all and self.placing.ladder.documents:
            self.filed.append(response)
        elif not is_all:
            why = "answers without a code have no Observation of their own"
            self.held.append((local(response), why, True))

    def _score(self, score: Resource) -> None:
        """A score that its response says; filed or held where none does."""
        forms = [one for one in self.placing.resources if _follows(score, one)]
        context = self.placing.context
        if any(one.get("item") or with_total(one, score, context) for one in forms):
            return
        if self.placing.ladder.documents:
            self.filed.append(score)
        else:
            self.held.append((local(score), "there are no answers that it follows from", True))

    def _messages(self) -> None:
        """What goes in words: all that is about one matter in one message."""
        rungs = self.placing.rungs
        waiting = [r for r in self.placing.resources if rungs[local(r)].way == "message"]
        told: set[Local] = set()
        for first in sorted(waiting, key=lambda one: "focus" in one):
            if local(first) in told:
                continue
            group = [first, *(one for one in waiting if leads_to(one.get("focus")) == local(first))]
            told |= {local(one) for one in group}
            made, issue = message(group, self.placing.named, local(first)[1], self.placing.context)
            stands_for = tuple(local(one) for one in group)
            self._issue(Outgoing("write", made, stands_for, rungs[local(first)]), issue)

    def _issue(self, made: Outgoing, issue: Edition) -> None:
        """Send it unless the last one said the same; those before it stay."""
        kind = str(made.resource["resourceType"])
        self.kept += [(kind, name) for name in issue.before]
        if issue.is_sent:
            self.kept.append((kind, issue.id))
        else:
            self.out.append(made)

    def _document(self) -> None:
        if not self.filed:
            return
        context = self.placing.context
        titles = {one.url: one.title for one in context.instruments.values()}
        filed, placing = tuple(self.filed), self.placing
        made = document(
            Draft(placing.record, filed, placing.named, titles, placing.outside), context
        )
        kind = next(local(one)[0] for one in self.filed)
        sent = Outgoing("write", made, tuple(local(one) for one in filed), self.rungs[kind])
        if placing.ladder.can("DocumentReference", "update"):
            self.out.append(sent)
            return
        said = fingerprint([made["status"], made["docStatus"], filed])
        issue = edition("DocumentReference", made["id"], said, context)
        self._issue(replace(sent, resource=_anew(made, issue)), issue)

    def _words(self, resource: Resource) -> str:
        return as_text(page("", (), [resource], self.placing.named))

    def _report(self) -> Iterator[dict[str, Any]]:
        """The rungs, cut to what the record has, and what its mappings left out of this one."""
        record = self.placing.record
        has, kind = present(record), str(record["type"])
        found = [
            (self.rungs.get(one) or self.placing.ladder.rung(kind, one)).only(has)
            for one in self.placing.ladder.fields.get(kind, {})
        ]
        made = Counter(local(one)[0] for one in self.placing.resources)
        told = {
            name
            for rung in found
            if rung.resource in self.rungs
            for name in (*rung.carried, *(name for name, _ in rung.downgraded))
        }
        for rung in found:
            makes = self.placing.ladder.fields[kind][rung.resource]
            left = left_out(rung, makes, record, made[rung.resource], told)
            if rung.resource in self.rungs or left.dropped:
                yield left.to_json()


def _anew(made: dict[str, Any], issue: Edition) -> dict[str, Any]:
    """Where documents can be filed and not changed, other content is another document."""
    found = {**made, "id": issue.id}
    found["identifier"] = [{**made["identifier"][0], "value": issue.id.removeprefix("document.")}]
    if issue.before:
        target = {"reference": f"DocumentReference/{issue.before[-1]}"}
        found["relatesTo"] = [{"code": "replaces", "target": target}]
    return found


def _follows(score: Resource, response: Resource) -> bool:
    """Whether an Observation is derived from a response."""
    if score["resourceType"] != "Observation":
        return False
    if response["resourceType"] != "QuestionnaireResponse":
        return False
    return any(leads_to(one) == local(response) for one in score.get("derivedFrom", ()))
