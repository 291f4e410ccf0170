"""A FHIR server in memory that answers as real ones do: for tests and the demo, not for data.

https://hl7.org/fhir/R4/http.html. It is over 300 lines because its one lock and store are shared by
every answer.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

import orjson

Resource = dict[str, Any]
_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")
_SPLIT = re.compile(r"(?<!\\)\|")
_OR = re.compile(r"(?<!\\),")
_NAMES = ("identifier", "_tag")  # the parameters by which a client may know a resource
_ALWAYS = ("_summary", "_count", "_total", "_offset")
SEARCHED = frozenset({*_NAMES, "_id", "_lastUpdated", "patient"})
_WHOSE = ("subject", "patient", "for")
# What it takes when it is not told otherwise: all that mappings make, and what stands in for it.
TYPES = (
    "Appointment Basic CarePlan CareTeam Communication Composition Condition Consent "
    "DocumentReference Encounter EpisodeOfCare Flag Goal Location MedicationRequest Observation "
    "Organization Patient Practitioner PractitionerRole Procedure Provenance Questionnaire "
    "QuestionnaireResponse RelatedPerson ServiceRequest Task"
).split()
ALL = frozenset("read search-type create update delete".split())
# What a server with required elements refuses to store without, as US Core states them.
REQUIRED = {
    "CarePlan": ("status", "intent", "subject"),
    "Condition": ("subject",),
    "Goal": ("lifecycleStatus", "description", "subject"),
    "Observation": ("status", "code"),
    "Patient": (),
    "Provenance": ("target", "recorded", "agent"),
    "QuestionnaireResponse": ("status",),
    "ServiceRequest": ("status", "intent", "subject"),
    "Task": ("status", "intent"),
}


@dataclass(frozen=True)
class Reply:
    """A status, headers and a body that is a resource, or None."""

    status: int
    body: Resource | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Stored:
    versions: list[Resource]
    created: float
    is_deleted: bool = False

    @property
    def now(self) -> Resource:
        return self.versions[-1]


class SimulatedFhir:
    """All resources of one simulated EHR.

    ``clock`` gives epoch seconds; a search does not see what was created less than
    ``index_lag_s`` before, as real search indexes do not. ``takes`` says what it does with which
    type, as a hospital's would: ``{"CarePlan": {"read", "search-type"}}``; types that are not
    named are not known; ``searches`` by what it can be searched, ``conditional`` whether it updates
    by a search. ``batch`` is whether it takes several writes in one request, ``base`` what
    its paging links begin with.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        index_lag_s: float = 0.0,
        takes: Mapping[str, Collection[str]] | None = None,
        batch: bool = False,
        base: str = "",
        searches: Collection[str] = SEARCHED,
        conditional: bool = True,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:12],
    ) -> None:
        self._clock = clock
        self._lag = index_lag_s
        self._new_id = new_id
        self._takes = dict.fromkeys(TYPES, ALL) if takes is None else takes
        self._batch = batch
        self._searches = searches
        self._conditional = conditional
        self._update_creates = False
        self._base = f"{base}/" if base else ""
        self._lock = threading.Lock()
        self._stored: dict[tuple[str, str], _Stored] = {}
        self._by_name: dict[tuple[str, str, str, str], list[str]] = {}

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], data: bytes
    ) -> Reply:
        """Answer one request; ``path`` is below the base, ``query`` undecoded."""
        parts = [part for part in path.split("/") if part]
        params = _params(query)
        with self._lock:
            if parts == ["metadata"] and method == "GET":
                return Reply(200, self._capability())
            if not parts and method == "POST" and self._batch:
                return self._together(data)
            return self._one(method, parts, params, headers, data)

    def _one(
        self,
        method: str,
        parts: list[str],
        params: Mapping[str, str],
        headers: Mapping[str, str],
        data: bytes,
    ) -> Reply:
        if not parts or len(parts) > 3 or not parts[0].isalpha():
            return _refuse(404, "not-found")
        if parts[0] not in self._takes:
            return _refuse(404, "not-supported")
        if _asked(method, parts) not in self._takes[parts[0]]:
            return _refuse(405, "not-supported")
        if method in ("POST", "PUT"):
            return self._write(method, parts, params, headers, data)
        if method == "GET":
            return self._get(parts, params)
        if method == "DELETE" and len(parts) == 2:
            return self._delete(parts[0], parts[1], headers.get("If-Match"))
        return _refuse(405, "not-supported")

    def _together(self, data: bytes) -> Reply:
        """A batch: each entry by itself, in the order given."""
        bundle = _parse(data) or {}
        if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "batch":
            return _refuse(400, "structure")
        entries = []
        for entry in bundle.get("entry", []):
            how = entry["request"]
            path, _, query = how["url"].partition("?")
            params = _params(query)
            named = {"If-Match": "ifMatch", "If-None-Exist": "ifNoneExist"}
            headers = {name: how[key] for name, key in named.items() if key in how}
            body = orjson.dumps(entry.get("resource"))
            parts = [part for part in path.split("/") if part]
            reply = self._one(how["method"], parts, params, headers, body)
            response: Resource = {"status": str(reply.status)}
            if "ETag" in reply.headers:
                response["etag"] = reply.headers["ETag"]
            if "Location" in reply.headers:
                response["location"] = reply.headers["Location"]
            if reply.status >= 300:
                entries.append({"response": {**response, "outcome": reply.body}})
            else:
                entries.append({"resource": reply.body or {}, "response": response})
        return Reply(200, {"resourceType": "Bundle", "type": "batch-response", "entry": entries})

    def count(self, resource_type: str) -> int:
        """How many resources of a type there are that were not deleted."""
        with self._lock:
            return sum(
                kind == resource_type and not stored.is_deleted
                for (kind, _), stored in self._stored.items()
            )

    def _get(self, parts: list[str], params: Mapping[str, str]) -> Reply:
        if len(parts) == 1:
            return self._search(parts[0], params)
        stored = self._stored.get((parts[0], parts[1]))
        if stored is None:
            return _refuse(404, "not-found")
        if len(parts) == 3 and parts[2] == "_history":
            return Reply(200, _bundle("history", stored.versions, len(stored.versions)))
        if stored.is_deleted:
            return _refuse(410, "deleted")
        return Reply(200, stored.now, _etag(stored.now))

    def _search(self, resource_type: str, params: Mapping[str, str]) -> Reply:
        for name in params:
            if name not in self._searches and name not in _ALWAYS:
                return _refuse(400, "not-supported")
        seen = self._clock() - self._lag
        found = [
            stored.now
            for (kind, _), stored in self._stored.items()
            if kind == resource_type and not stored.is_deleted and stored.created <= seen
        ]
        if name := _named(params):
            found = self._matches(resource_type, name, params[name])
        if "patient" in params:
            mine = {"reference": f"Patient/{params['patient']}"}
            found = [
                one
                for one in found
                if any(mine.items() <= (one.get(name) or {}).items() for name in _WHOSE)
            ]
        if "_id" in params:
            wanted = params["_id"].split(",")
            found = [one for one in found if one["id"] in wanted]
        if "_lastUpdated" in params:
            since = datetime.fromisoformat(params["_lastUpdated"].removeprefix("ge"))
            found = [
                one for one in found if datetime.fromisoformat(one["meta"]["lastUpdated"]) >= since
            ]
        total = len(found)
        first, count = int(params.get("_offset", 0)), int(params.get("_count", 1000))
        shown = [] if params.get("_summary") == "count" else found[first : first + count]
        bundle = _bundle("searchset", shown, total)
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        bundle["meta"] = {"lastUpdated": at}
        if first + count < total and count:
            query = urlencode({**params, "_offset": first + count})
            url = f"{self._base}{resource_type}?{query}"
            bundle["link"] = [{"relation": "next", "url": url}]
        return Reply(200, bundle)

    def _matches(self, resource_type: str, name: str, value: str) -> list[Resource]:
        seen = self._clock() - self._lag
        ids: list[str] = []
        for one in _OR.split(value):
            parts = [re.sub(r"\\(.)", r"\1", part) for part in _SPLIT.split(one)]
            if len(parts) == 2:
                ids += self._by_name.get((resource_type, name, parts[0], parts[1]), [])
        every = [self._stored[resource_type, one] for one in ids]
        return [one.now for one in every if not one.is_deleted and one.created <= seen]

    def _write(
        self,
        method: str,
        parts: list[str],
        params: Mapping[str, str],
        headers: Mapping[str, str],
        data: bytes,
    ) -> Reply:
        resource = _parse(data)
        if resource is None or resource.get("resourceType") != parts[0]:
            return _refuse(400, "structure")
        if refusal := self._refusal(resource):
            return refusal
        if method == "POST" and len(parts) == 1:
            return self._create_unless(resource, headers.get("If-None-Exist"))
        if method == "PUT" and len(parts) == 1 and self._conditional and (name := _named(params)):
            return self._conditional_update(resource, name, params[name])
        if method == "PUT" and len(parts) == 2:
            return self._update(resource, parts[1], headers.get("If-Match"))
        return _refuse(405, "not-supported")

    def _refusal(self, resource: Resource) -> Reply | None:
        resource_type = str(resource["resourceType"])
        missing = [name for name in REQUIRED.get(resource_type, ()) if name not in resource]
        if missing:
            return _refuse(422, "required", f"{resource_type}.{missing[0]}")
        if dangling := self._dangling(resource):
            return _refuse(400, "processing", dangling)
        return None

    def _create_unless(self, resource: Resource, condition: str | None) -> Reply:
        if condition is None or not self._conditional:
            return self._create(resource)
        name, _, value = condition.partition("=")
        if name not in _NAMES:
            return _refuse(400, "not-supported")
        found = self._matches(resource["resourceType"], name, value)
        if len(found) > 1:
            return _refuse(412, "multiple-matches")
        return Reply(200, found[0], _etag(found[0])) if found else self._create(resource)

    def _conditional_update(self, resource: Resource, name: str, value: str) -> Reply:
        found = self._matches(resource["resourceType"], name, value)
        if len(found) > 1:
            return _refuse(412, "multiple-matches")
        if not found:
            return self._create(resource)
        return self._update(resource, str(found[0]["id"]), None)

    def _create(self, resource: Resource, chosen: str = "") -> Reply:
        resource_type, new_id = str(resource["resourceType"]), chosen or self._new_id()
        stored = self._stamp({**resource, "id": new_id}, 1)
        self._stored[resource_type, new_id] = _Stored([stored], self._clock())
        self._index(stored)
        location = f"{resource_type}/{new_id}/_history/1"
        return Reply(201, stored, {**_etag(stored), "Location": location})

    def _update(self, resource: Resource, target: str, if_match: str | None) -> Reply:
        stored = self._stored.get((str(resource["resourceType"]), target))
        if stored is None and self._update_creates:
            return self._create(resource, target)
        if stored is None:
            return _refuse(404, "not-found")
        if resource.get("id", target) != target:
            return _refuse(400, "invalid", f"{resource['resourceType']}.id")
        if stored.is_deleted:
            return _refuse(410, "deleted")
        if if_match is not None and if_match != _etag(stored.now)["ETag"]:
            return _refuse(409, "conflict")  # as HAPI does, where the standard says 412
        stored.versions.append(self._stamp({**resource, "id": target}, len(stored.versions) + 1))
        self._index(stored.now)
        return Reply(200, stored.now, _etag(stored.now))

    def _delete(self, resource_type: str, target: str, if_match: str | None) -> Reply:
        stored = self._stored.get((resource_type, target))
        if stored is None:
            return _refuse(404, "not-found")
        if if_match is not None and if_match != _etag(stored.now)["ETag"]:
            return _refuse(412, "conflict")
        stored.is_deleted = True
        return Reply(204)

    def _stamp(self, resource: Resource, version: int) -> Resource:
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        meta = {**(resource.get("meta") or {}), "versionId": str(version), "lastUpdated": at}
        return {**resource, "meta": meta}

    def _index(self, resource: Resource) -> None:
        listed = resource.get("identifier") or []
        listed = listed if isinstance(listed, list) else [listed]
        named = [("identifier", one, "value") for one in listed]
        named += [("_tag", one, "code") for one in resource["meta"].get("tag", [])]
        for name, one, said in named:
            key = (resource["resourceType"], name, str(one.get("system")), str(one.get(said)))
            ids = self._by_name.setdefault(key, [])
            if resource["id"] not in ids:
                ids.append(resource["id"])

    def _dangling(self, node: Any, path: str = "") -> str:
        """Where the first reference to something that is not stored stands; '' if none does."""
        if isinstance(node, list):
            return next(filter(None, (self._dangling(item, path) for item in node)), "")
        if not isinstance(node, dict):
            return ""
        path = path or str(node.get("resourceType"))
        reference = node.get("reference")
        if isinstance(reference, str) and (match := _REFERENCE.fullmatch(reference)):
            target = self._stored.get((match[1], match[2]))
            if target is None or target.is_deleted:
                return path
        below = (self._dangling(value, f"{path}.{key}") for key, value in node.items())
        return next(filter(None, below), "")

    def _capability(self) -> Resource:
        kinds = {"_lastUpdated": "date", "patient": "reference"}
        searched = [
            {"name": name, "type": kinds.get(name, "token")} for name in sorted(self._searches)
        ]
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": "2026-01-01",
            "kind": "instance",
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json"],
            "rest": [
                {
                    "mode": "server",
                    "resource": [
                        {
                            "type": name,
                            "interaction": [{"code": code} for code in sorted(can)],
                            "versioning": "versioned-update",
                            "conditionalCreate": self._conditional,
                            "conditionalUpdate": self._conditional,
                            "searchParam": searched,
                        }
                        for name, can in sorted(self._takes.items())
                    ],
                    "interaction": [{"code": "batch"}] if self._batch else [],
                }
            ],
        }


def _params(query: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(query).items()}


def _asked(method: str, parts: list[str]) -> str:
    """The interaction that a request is."""
    if method == "GET":
        return "search-type" if len(parts) == 1 else "read"
    if method == "POST":
        return "create"
    return "delete" if method == "DELETE" else "update"


def _named(params: Mapping[str, str]) -> str:
    return next((name for name in _NAMES if name in params), "")


def _parse(data: bytes) -> Resource | None:
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _etag(resource: Resource) -> dict[str, str]:
    return {"ETag": f'W/"{resource["meta"]["versionId"]}"'}


def _bundle(kind: str, resources: list[Resource], total: int) -> Resource:
    entries = [{"resource": one, "search": {"mode": "match"}} for one in resources]
    bundle: Resource = {"resourceType": "Bundle", "type": kind, "total": total}
    return {**bundle, "entry": entries} if entries else bundle


def _refuse(status: int, code: str, expression: str = "") -> Reply:
    issue: Resource = {"severity": "error", "code": code}
    if expression:
        issue["expression"] = [expression]
    return Reply(status, {"resourceType": "OperationOutcome", "issue": [issue]})
