"""``$document`` at ``/fhir``: the handoff of an aftercare plan.

https://hl7.org/fhir/R4/composition-operation-document.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, request

from fhirsvc.api.capability_statement import Operation
from fhirsvc.api.fhir_frame import Frame, Route, acceptable, id_of
from fhirsvc.api.fhir_operations import once
from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.fhir.search import SearchError
from fhirsvc.handoff.document import plan_of
from fhirsvc.services.hand_off import HandOff

DOCUMENT = Operation(
    "Composition", "document", "http://hl7.org/fhir/OperationDefinition/Composition-document"
)


@dataclass(frozen=True)
class Documents:
    """The view. Compositions are made when they are asked for, and are not kept."""

    frame: Frame
    hand_off: Callable[[], HandOff]

    def routes(self) -> tuple[Route, ...]:
        """What is answered."""
        return (Route("operation", "GET", "/Composition/<id>/$document", self.document),)

    def document(self, id: str) -> Response:
        """The document Bundle, for whoever may read all that is in it."""
        if once(("persist",)).get("persist", "false") != "false":
            raise SearchError(Category.UNSUPPORTED, "documents are made anew each time", "persist")
        access = self.frame.access_of(request)
        acceptable()

        def need(kind: str) -> None:
            if not access.permits(kind, "read"):
                message = "the access does not allow read"
                raise FhirsvcError(Category.FORBIDDEN, message, kind)

        need("Composition")
        bundle = self.hand_off().of_plan(plan_of(id_of(id))).bundle
        for kind in sorted({one["resource"]["resourceType"] for one in bundle["entry"]}):
            need(kind)
        return self.frame.answer(bundle)
