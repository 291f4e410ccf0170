"""Operations at ``/fhir``: ``$validate``, ``$extract``, ``$map`` and ``$map-back``.

They store nothing. https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import orjson
from flask import Response, request

from fhirsvc.api.capability_statement import Operation
from fhirsvc.api.fhir_frame import (
    WRITTEN,
    Frame,
    Route,
    acceptable,
    body_of_request,
    id_of,
    json_of_request,
    only,
)
from fhirsvc.api.outcomes import StatusError
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.definitions import is_resource
from fhirsvc.fhir.extract import extract
from fhirsvc.fhir.outcome import outcome
from fhirsvc.fhir.response import recount_response
from fhirsvc.fhir.search import SearchError
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.forward import Mappings
from fhirsvc.services.lens import Lens
from fhirsvc.services.ports import Check
from fhirsvc.services.project import US_CORE
from fhirsvc.services.serve import Server, resource_of
from fhirsvc.services.submission import UnfitError

RESPONSE = "QuestionnaireResponse"
MOST = 1000  # records, or resources, in one request
EXTRACT = "http://hl7.org/fhir/uv/sdc/OperationDefinition/QuestionnaireResponse-extract"
VALIDATE = "http://hl7.org/fhir/OperationDefinition/Resource-validate"
OURS = "urn:fhirsvc:OperationDefinition"
_MODES = ("create", "update", "delete", "profile")
Resource = dict[str, Any]


@dataclass(frozen=True)
class Operations:
    """The views; ``check`` says what is wrong with a record."""

    server: Server
    frame: Frame
    mappings: Callable[[], Mappings]
    lens: Lens | None
    check: Check

    def routes(self) -> tuple[Route, ...]:
        """What is answered."""
        found = (
            Route("operation", "POST", "/<type>/$validate", self.validate),
            Route("operation", "POST", "/<type>/<id>/$validate", self.validate),
            Route("operation", "GET", "/<type>/<id>/$validate", self.validate_there),
            Route("operation", "POST", f"/{RESPONSE}/$extract", self.extract),
            Route("operation", "GET", f"/{RESPONSE}/<id>/$extract", self.extract_there),
            Route("operation", "POST", f"/{RESPONSE}/<id>/$extract", self.extract_there),
            Route("operation", "POST", "/$map", self.map),
        )
        back = Route("operation", "POST", "/$map-back", self.map_back)
        return found if self.lens is None else (*found, back)

    def described(self, types: Iterable[str]) -> tuple[Operation, ...]:
        """The same as the CapabilityStatement names them."""
        found = (
            *(Operation(one, "validate", VALIDATE) for one in types),
            Operation(RESPONSE, "extract", EXTRACT),
            Operation("", "map", f"{OURS}:map"),
        )
        back = Operation("", "map-back", f"{OURS}:map-back")
        return found if self.lens is None else (*found, back)

    # ---- $validate -----------------------------------------------------------------------------

    def validate(self, type: str, id: str | None = None) -> Response:
        """What is wrong with a resource, by base R4; of a form's answers, whether they add up."""
        given = once(("mode", "profile"))
        self.frame.access_of(request)
        acceptable()
        if not is_resource(type):
            raise FhirsvcError(Category.NOT_FOUND, "no such type")
        body = body_of_request()
        resource, more = _unwrapped(body, "resource")
        self._can_be_asked({**more, **given})
        if resource.get("resourceType") != type:
            raise StatusError(400, "the resource is of another type", "resourceType")
        if id is not None and resource.get("id") != id_of(id):
            raise StatusError(400, "the id is not that of the address", f"{type}.id")
        return self.frame.answer(outcome(self._findings(resource)))

    def validate_there(self, type: str, id: str) -> Response:
        """What is wrong with a resource that is served."""
        self._can_be_asked(once(("mode", "profile")))
        self.frame.permit(type, "read")
        return self.frame.answer(outcome(self._findings(self._there(type, id))))

    def _can_be_asked(self, given: dict[str, str]) -> None:
        if "profile" in given:
            message = "profiles are not validated here, only base R4"
            raise SearchError(Category.UNSUPPORTED, message, "profile")
        if given.get("mode", "create") not in _MODES:
            raise SearchError(Category.INVALID, f"expected one of {', '.join(_MODES)}", "mode")

    def _findings(self, resource: Resource) -> list[Finding]:
        found = validate(resource)
        if not found and resource["resourceType"] == RESPONSE:
            found = recount_response(resource, self.mappings().library.instruments)
        return found

    # ---- $extract ------------------------------------------------------------------------------

    def extract(self) -> Response:
        """The Observations of an instrument's answers, as a transaction that would store them."""
        only(WRITTEN)
        self.frame.access_of(request)
        acceptable()
        resource, _ = _unwrapped(body_of_request(), "questionnaire-response")
        if resource.get("resourceType") != RESPONSE:
            raise StatusError(400, f"expected a {RESPONSE}", "resourceType")
        wrong = [one for one in validate(resource) if one.severity == "error"]
        if wrong:
            raise UnfitError(wrong)
        return self._extracted(resource)

    def extract_there(self, id: str) -> Response:
        """The same of answers that are served."""
        only(WRITTEN)
        self.frame.permit(RESPONSE, "read")
        self.frame.permit("Observation", "read")
        return self._extracted(self._there(RESPONSE, id))

    def _extracted(self, response: Resource) -> Response:
        # What is extracted is derived from the response, so it is named; one without an id is not.
        named = response if "id" in response else {**response, "id": "response"}
        made = extract(named, self.mappings().library.instruments)
        if not made:
            message = "not the completed answers of an instrument that is known here"
            raise UnfitError([Finding("not-extracted", message, f"{RESPONSE}.questionnaire")])
        entries = [
            {
                "fullUrl": f"{self.frame.base}/Observation/{one['id']}",
                "resource": one,
                "request": {"method": "PUT", "url": f"Observation/{one['id']}"},
            }
            for one in made
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        return self.frame.answer(bundle)

    def _there(self, type: str, id: str) -> Resource:
        return resource_of(self.server.read(type, id_of(id)))

    # ---- $map and $map-back --------------------------------------------------------------------

    def map(self) -> Response:
        """What a record maps to, or a list of records: a Bundle."""
        us_core = _us_core(once(("us-core",)))
        self.frame.access_of(request)
        acceptable()
        body = json_of_request()
        if isinstance(body, dict) and body.get("resourceType") == "Parameters":
            body = _records(body)
        given = body if isinstance(body, list) else [body]
        if len(given) > MOST:
            raise StatusError(413, f"more than {MOST} records", "$")
        findings: list[Finding] = []
        entries = []
        for index, record in enumerate(given):
            place = f"$[{index}]" if isinstance(body, list) else "$"
            wrong = [one for one in self.check(record) if one.severity == "error"]
            findings += [replace(one, where=place + one.where.removeprefix("$")) for one in wrong]
            if not wrong:
                entries += self._mapped(record, us_core, place, findings)
        if findings:
            raise UnfitError(findings)
        bundle: Resource = {"resourceType": "Bundle", "type": "collection"}
        return self.frame.answer({**bundle, "entry": entries} if entries else bundle)

    def _mapped(
        self, record: Resource, us_core: int, place: str, findings: list[Finding]
    ) -> list[Resource]:
        try:
            made = self.mappings().forward(record, us_core)
        except FhirsvcError as error:
            where = place + error.where.removeprefix("$")
            findings.append(Finding("value", error.message, where))
            return []
        base = self.frame.base
        return [
            {"fullUrl": f"{base}/{one['resourceType']}/{one['id']}", "resource": one}
            for one in made
        ]

    def map_back(self) -> Response:
        """The records that resources are read into, with what was not understood."""
        us_core = _us_core(once(("us-core",)))
        self.frame.access_of(request)
        acceptable()
        body = json_of_request()
        given = body if isinstance(body, list) else [body]
        listed = [one.get("entry") for one in given if isinstance(one, dict)]
        if len(given) + sum(len(one) for one in listed if isinstance(one, list)) > MOST:
            raise StatusError(413, f"more than {MOST} resources", "$")
        if self.lens is None:
            raise FhirsvcError(Category.UNSUPPORTED, "these mappings have no way back")
        read = self.lens.read(given, {}, {}, us_core)
        findings = [
            replace(one.finding, where=f"{one.about}: {one.finding.where}") for one in read.findings
        ]
        for record in read.records:
            about = f"{record['type']}/{record['id']}"
            findings += [replace(one, where=f"{about}: {one.where}") for one in self.check(record)]
        said: list[Resource] = [
            {"name": "record", "valueString": orjson.dumps(one).decode()} for one in read.records
        ]
        said.append({"name": "outcome", "resource": outcome(findings)})
        return self.frame.answer({"resourceType": "Parameters", "parameter": said})


def once(names: tuple[str, ...]) -> dict[str, str]:
    """The parameters of the address, each once."""
    given = only((*names, *WRITTEN))
    found = dict(given)
    if len(found) < len(given):
        raise SearchError(Category.INVALID, "a parameter is given more than once")
    return {name: value for name, value in found.items() if name in names}


def _us_core(given: dict[str, str]) -> int:
    text = given.get("us-core", str(US_CORE))
    if text not in ("6", "7", "8"):
        raise SearchError(Category.INVALID, "expected 6, 7 or 8", "us-core")
    return int(text)


def _unwrapped(body: Resource, name: str) -> tuple[Resource, dict[str, str]]:
    """The resource that is asked about, alone or in Parameters, and the texts beside it."""
    if body.get("resourceType") != "Parameters":
        return body, {}
    listed = body.get("parameter")
    found: list[Resource] = []
    texts: dict[str, str] = {}
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict):
            continue
        if one.get("name") == name and isinstance(one.get("resource"), dict):
            found.append(one["resource"])
        text = next((one[key] for key in ("valueCode", "valueUri") if key in one), None)
        if isinstance(text, str):
            texts[str(one.get("name"))] = text
    if len(found) != 1:
        raise StatusError(400, f"expected one parameter '{name}' with a resource", "Parameters")
    return found[0], texts


def _records(parameters: Resource) -> list[Any]:
    """The records of what ``$map-back`` has answered."""
    listed = parameters.get("parameter")
    texts = [
        one.get("valueString")
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict) and one.get("name") == "record"
    ]
    try:
        return [orjson.loads(text) for text in texts if isinstance(text, str)]
    except orjson.JSONDecodeError:
        message = "a record is JSON"
        raise StatusError(400, message, "Parameters.parameter.valueString") from None
