"""Several writes in one request, where an EHR declares that it takes a batch.

Each entry is noted, conditioned and answered for by itself, as if it had been sent alone: a batch
is not a transaction. An entry without a readable answer is one whose outcome is not known.
https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from requests.structures import CaseInsensitiveDict

from fhirsvc.ehr.client import Answer
from fhirsvc.ehr.protocol import Request
from fhirsvc.ehr.search import Reader

_STATUS = re.compile(r"([1-5][0-9]{2})(?:[^0-9].*)?")
_NO_BATCH = (400, 403, 404, 405, 413, 415, 422, 501)
_CONDITIONS = {"If-Match": "ifMatch", "If-None-Exist": "ifNoneExist"}


def send(reader: Reader, requests: Sequence[Request]) -> list[Answer] | None:
    """Make these writes in one request; the answer to each, in their order.

    None when the EHR takes no batch after all: nothing was done then.
    """
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [_entry(one) for one in requests],
    }
    answer = reader.send("POST", "", body=bundle, headers={"Prefer": "return=representation"})
    if answer.status in _NO_BATCH:
        return None
    body = answer.body or {}
    if answer.status != 200 or body.get("resourceType") != "Bundle":
        told = answer if answer.status != 200 else Answer(None, answer.headers, None, "malformed")
        return [told for _ in requests]
    entries = body.get("entry")
    listed = entries if isinstance(entries, list) else []
    # An answer of another length says nothing about which entry is which.
    if len(listed) != len(requests):
        return [Answer(None, answer.headers, None, "malformed") for _ in requests]
    return [_answer(one) for one in listed]


def _entry(request: Request) -> dict[str, Any]:
    query = f"?{urlencode(request.params)}" if request.params else ""
    how = {"method": request.method, "url": f"{request.path}{query}"}
    how |= {_CONDITIONS[name]: value for name, value in request.headers.items()}
    return {"resource": request.body, "request": how}


def _answer(entry: object) -> Answer:
    response = entry.get("response") if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(response, Mapping):
        return Answer(None, problem="malformed")
    status = _STATUS.fullmatch(str(response.get("status", "")).strip())
    if status is None:
        return Answer(None, problem="malformed")
    headers = {"ETag": response.get("etag"), "Location": response.get("location")}
    stated = {name: value for name, value in headers.items() if isinstance(value, str)}
    code = int(status[1])
    body = entry.get("resource") if code < 300 else response.get("outcome", entry.get("resource"))
    found = body if isinstance(body, dict) else None
    return Answer(code, CaseInsensitiveDict(stated), found)
