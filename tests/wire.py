"""Requests to a simulated EHR without a network: what goes wrong is said by the test."""

from __future__ import annotations

from collections import deque
from io import BytesIO
from urllib.parse import urlsplit

import orjson
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr.auth import NoAuth
from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.client import Client, Limits
from fhirsvc.ehr.simulated_fhir import Reply, SimulatedFhir

BASE = "https://ehr.example/fhir"


class Wire(BaseAdapter):
    """Hands each request to ``fhir``, unless the next of ``faults`` says otherwise.

    ``reset``: lost before anything is stored; ``drop``: stored, the answer lost; ``bare``: stored,
    answered without a body or headers; ``''``: as it should be; a Reply: that instead. A callable
    is called first, to let something happen in between.
    """

    def __init__(self, fhir: SimulatedFhir) -> None:
        super().__init__()
        self.fhir = fhir
        self.faults: deque[object] = deque()
        self.seen: list[tuple[str, str]] = []
        self.requests: list[requests.PreparedRequest] = []

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that were no reads."""
        return [one for one in self.seen if one[0] != "GET"]

    def send(self, request, **_options):
        url = urlsplit(request.url)
        path = url.path.removeprefix("/fhir")
        self.seen.append((request.method, path + (f"?{url.query}" if url.query else "")))
        self.requests.append(request)
        fault = self.faults.popleft() if self.faults else ""
        if callable(fault):
            fault = fault() or ""
        if fault == "reset":
            raise requests.ConnectionError("connection reset")
        if fault == "refused":
            raise requests.ConnectTimeout("nobody there")
        if isinstance(fault, BaseException):
            raise fault
        if isinstance(fault, Reply):
            return _response(request, fault)
        reply = self.fhir.handle(request.method, path, url.query, request.headers, request.body)
        if fault == "drop":
            raise requests.ReadTimeout("no answer")
        return _response(request, Reply(reply.status) if fault == "bare" else reply)

    def close(self):
        """Nothing is open."""


def _response(request, reply: Reply) -> requests.Response:
    response = requests.Response()
    response.status_code = reply.status
    response.headers = CaseInsensitiveDict(reply.headers)
    response.raw = BytesIO(b"" if reply.body is None else orjson.dumps(reply.body))
    response.url = request.url
    response.request = request
    return response


def client_on(wire: Wire, clock, auth=None, limits=None) -> Client:
    """A client whose requests go over ``wire``, on the test's own time."""
    bucket = TokenBucket(1000.0, 1000, clock, clock.sleep)
    made = Client(BASE, auth or NoAuth(), bucket, limits or Limits(), clock)
    made.session.mount("https://", wire)
    return made
