"""A conformance run against an EHR in memory, whose faults the test says."""

from __future__ import annotations

import uuid

from tiny import FakeClock
from wire import Wire

from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.client import Client, Limits
from fhirsvc.ehr.credentials import NoAuth
from fhirsvc.ehr.probe import Report, probe
from fhirsvc.ehr.probe_run import Subject
from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir, _bundle

MAPPED = ("Goal", "Patient")
BASE = "http://127.0.0.1/fhir"  # without TLS, which would be a handshake with nobody


class FullFhir(SimulatedFhir):
    """The simulated EHR with a patient and a goal in it, Basic, and what a good EHR has besides.

    ``faults`` name what it does wrong.
    """

    def __init__(self, clock, faults=(), **more) -> None:
        super().__init__(clock, **more)
        self.faults = frozenset(faults)
        self.base = BASE
        for body in (
            {"resourceType": "Patient", "name": [{"family": "Zebulonqx"}]},
            {
                "resourceType": "Goal",
                "lifecycleStatus": "active",
                "description": {"text": "Zebulonqx"},
                "subject": {"display": "Zebulonqx"},
            },
        ):
            self._create(body)

    def handle(self, method, path, query, headers, data):
        named = dict(part.partition("=")[::2] for part in query.split("&") if part)
        searches = method == "GET" and path.count("/") == 1
        if searches and "fhirsvc-unknown" in named and "lenient" in self.faults:
            return self._all(path)
        for name in ("_id", "_lastUpdated", "identifier"):
            if searches and name in named and f"ignores {name}" in self.faults:
                return self._all(path)
        if searches and {"_id", "_lastUpdated"} & named.keys():
            return Reply(200, _bundle("searchset", [], 0))
        if method == "DELETE" and "keeps" in self.faults:
            return Reply(405)
        if method == "PUT" and "overwrites" in self.faults:
            headers = {name: value for name, value in headers.items() if name != "If-Match"}
        if method == "PUT" and named and "doubles" in self.faults:
            method, query = "POST", ""
        reply = super().handle(method, path, query, headers, data)
        if "bare" in self.faults and method == "GET" and reply.status >= 400:
            return Reply(reply.status)
        if "no versions" in self.faults and reply.body and "meta" in reply.body:
            return Reply(reply.status, {k: v for k, v in reply.body.items() if k != "meta"})
        return self._paged(path, reply) if searches else reply

    def _all(self, path):
        return super().handle("GET", path, "", {}, b"")

    def _paged(self, path, reply):
        if not path.startswith("/Patient") or reply.status != 200:
            return reply
        at = "http://internal.example/fhir" if "foreign links" in self.faults else self.base
        link = [{"relation": "next", "url": f"{at}/Patient?_count=1"}]
        return Reply(200, {**reply.body, "link": link}, reply.headers)

    def _capability(self):
        said = super()._capability()
        (rest,) = said["rest"]
        full = [*rest["resource"][0]["interaction"], {"code": "delete"}]
        listed = [one for one in rest["resource"] if one["type"] in MAPPED]
        listed.append({**listed[0], "type": "Basic"})
        listed = [{**one, "interaction": full} for one in listed]
        return {**said, "rest": [{**rest, "resource": listed}], "software": {"name": "Full"}}


def run_on(wire: Wire, clock: FakeClock, *, auth=None, kind="none", base=BASE, **subject) -> Report:
    """A run over a wire, on the test's time; ``auth`` is the credential, ``kind`` what it is."""
    values = {
        "auth": kind,
        "options": {},
        "write_mode": "conditional",
        "index_lag_s": 2.0,
        "rate": 20.0,
        "mapped": MAPPED,
        **subject,
    }
    bucket = TokenBucket(1000.0, 1000, clock, clock.sleep)
    client = Client(base, auth or NoAuth(), bucket, Limits(), clock)
    client.session.mount("http://", wire)
    return probe(
        client,
        Subject(**values),
        now=clock,
        clock=clock,
        sleep=clock.sleep,
        new_id=lambda: str(uuid.uuid4()),
    )


def verdicts(report: Report) -> dict[str, str]:
    """Check id → verdict."""
    return {one.id: one.verdict for one in report.checks}
