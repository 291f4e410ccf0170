"""The consent gate: who, what, why, when and the consents → send, redact, or hold with the reason.

    decide(request)
      ├─ about no client ────────────────────────▶ send
      ├─ inside the program ─────────────────────▶ send, without what never leaves
      └─ every element by its labels and kinds ──▶ what a consent covers, or what needs none
                                                   the rest withheld (redact), or all of it (hold)

Pure: the consents, the moment and the marks of every element come with the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fhirsvc.consent import elements
from fhirsvc.consent.elements import Allowed, Refused
from fhirsvc.consent.information import kind_of
from fhirsvc.consent.labels import PART2, labelled
from fhirsvc.consent.redact import redact
from fhirsvc.consent.request import Decision, Made, Reason, Request, Resource, Withheld
from fhirsvc.consent.rules import ASKED, PARAGRAPHS
from fhirsvc.consent.weighing import Element, Weighed
from fhirsvc.consent.weighing import weigh as weigh_by

_NONE: frozenset[str] = frozenset()
_BESIDE = {
    "reference": "it refers to what is withheld",
    "mandatory": "it cannot do without what is withheld",
    "narrative": "its words may say what is withheld",
}


def weigh(request: Request) -> Weighed:
    """The client's consents for this recipient and purpose.

    For many resources of one client to one recipient, weigh once and give it to :func:`decide`:
    what it depends on is all of the request but its resources (the record's id alone is read anew).
    """
    return weigh_by(request, ASKED)


def decide(request: Request, weighed: Weighed | None = None) -> Decision:
    """Who may receive which resource and element, and why not.

    :param weighed: what :func:`weigh` said of the same client, recipient, purpose and moment.
    """
    if elements.no_patient(request):
        return _Gate(request, Weighed((), (), (), ()), everything=True).decision("no_patient")
    if elements.inside_program(request):
        return _Gate(request, Weighed((), (), (), ()), everything=True).decision("inside")
    return _Gate(request, weighed or weigh(request)).decision()


@dataclass
class _Gate:
    request: Request
    weighed: Weighed
    everything: bool = False  # goes but for what never leaves
    judged: dict[tuple[frozenset[str], frozenset[str]], Allowed | Refused] = field(
        default_factory=dict
    )
    withheld: list[Withheld] = field(default_factory=list)
    gone: dict[str, set[str]] = field(default_factory=dict)
    consents: set[str] = field(default_factory=set)

    def decision(self, basis: str | None = None) -> Decision:
        resources: dict[str, Resource] = {}
        asked: dict[str, dict[str, Element]] = {}
        paths: dict[str, list[str]] = {}
        for at, made in enumerate(self.request.what.resources):
            ref = reference(made.resource, at)
            resources[ref] = made.resource
            asked[ref] = self._elements(made)
            kept = self._kept(ref, asked[ref])
            if kept:
                paths[ref] = kept
        if not paths and not self.request.withheld:
            sent = resources
        else:
            done = redact(resources, paths, self.request.withheld)
            sent = done.resources
            for ref, path, why in done.beside:
                reason = Reason(why, "", _BESIDE[why])
                self.withheld.append(Withheld(ref, path, _labels_at(asked[ref], path), reason))
        for one in self.withheld:
            self.gone.setdefault(one.resource, set()).add(one.path)
        left = {ref: self._left(ref, asked[ref]) for ref in sent}
        for ref in sent:
            self._rely(ref, asked[ref])
        return self._said(resources, sent, left, basis)

    def _said(
        self,
        resources: Mapping[str, Resource],
        sent: Mapping[str, Resource],
        left: Mapping[str, frozenset[str]],
        basis: str | None,
    ) -> Decision:
        if basis is None:
            basis = "consent" if self.consents else "treatment" if sent else "none"
        outside = basis in ("consent", "treatment")
        why = tuple(dict.fromkeys(one.why for one in self.withheld if one.why.paragraph))
        return Decision(
            outcome="send" if not self.withheld else "redact" if sent else "hold",
            resources=tuple(
                labelled(one, left[ref], self.request.why) for ref, one in sent.items()
            ),
            withheld=tuple(self.withheld),
            reasons=(*why, *self.weighed.unfit) if self.withheld else (),
            consents=tuple(sorted(self.consents)),
            basis=basis,  # type: ignore[arg-type]
            labels=left,
            part2=outside and any(of & PART2 for of in left.values()),
        )

    def _elements(self, made: Made) -> dict[str, Element]:
        """The resource and each of its elements that differs from it, with all that holds there."""
        root = str(made.resource["resourceType"])
        kinds = made.kinds.get(root) or kind_of(self.request.what.record_type, root)
        found = {root: Element(made.labels.get(root, _NONE), kinds)}
        for path in sorted((made.labels.keys() | made.kinds.keys()) - {root}, key=len):
            labels, kind = made.labels.get(path, _NONE), made.kinds.get(path)
            for above in _above(path, root):
                labels |= made.labels.get(above, _NONE)
                kind = kind or made.kinds.get(above)
            found[path] = Element(labels, kind or kinds)
        return found

    def _kept(self, ref: str, asked: Mapping[str, Element]) -> list[str]:
        """The paths that do not go, outermost only."""
        kept: list[str] = []
        for path, one in asked.items():  # what is around an element comes before it
            around = {path, *_above(path, "")}
            if around.isdisjoint(kept) and not self._may(ref, path, one):
                kept.append(path)
        return kept

    def _may(self, ref: str, path: str, element: Element) -> bool:
        verdict = self._judge(element)
        if isinstance(verdict, Refused):
            paragraph = PARAGRAPHS[verdict.rule]
            why = Reason(verdict.rule, paragraph, verdict.says, verdict.consent_id)
            self.withheld.append(Withheld(ref, path, element.labels, why))
            return False
        return True

    def _judge(self, element: Element) -> Allowed | Refused:
        key = (element.labels, element.kinds)
        found = self.judged.get(key)
        if found is None:
            if self.everything:
                found = (
                    elements.psychotherapy_notes(element)
                    or elements.counseling_notes(element, self.weighed)
                    or Allowed(None)
                )
            else:
                found = elements.judge(element, self.weighed, self.request)
            self.judged[key] = found
        return found

    def _goes(self, ref: str, path: str) -> bool:
        """Whether an element of a resource that is sent is in it still."""
        gone = self.gone.get(ref)
        return gone is None or gone.isdisjoint((path, *_above(path, "")))

    def _left(self, ref: str, asked: Mapping[str, Element]) -> frozenset[str]:
        return _NONE.union(*(one.labels for p, one in asked.items() if self._goes(ref, p)))

    def _rely(self, ref: str, asked: Mapping[str, Element]) -> None:
        for path, element in asked.items():
            verdict = self._judge(element)
            if isinstance(verdict, Allowed) and verdict.consent_id and self._goes(ref, path):
                self.consents.add(verdict.consent_id)


def reference(resource: Resource, at: int = 0) -> str:
    """What other resources call one; by its place where it has no id."""
    return f"{resource['resourceType']}/{resource.get('id', at)}"


def _labels_at(asked: Mapping[str, Element], path: str) -> frozenset[str]:
    for one in (path, *_above(path, "")):
        if one in asked:
            return asked[one].labels
    return _NONE


def _above(path: str, root: str) -> list[str]:
    """The elements around one, innermost first; with ``root`` empty, the resource too."""
    found: list[str] = []
    while True:
        path = path[: path.rindex("[")] if path.endswith("]") else path.rpartition(".")[0]
        if not path:
            return found
        found.append(path)
        if path == root:
            return found
