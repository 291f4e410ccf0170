"""A client on a loopback EHR, made as the product makes it."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

from fhirsvc.ehr.auth import Login, auth_for
from fhirsvc.ehr.bucket import TokenBucket
from fhirsvc.ehr.client import Client, Limits
from fhirsvc.ehr.keys import KeyFolder
from fhirsvc.ehr.transport import Tls, Transport
from fhirsvc.errors import Category, FhirsvcError


def client_for(
    base_url: str,
    kind: str,
    options: dict[str, str] | None = None,
    *,
    secret: str = "",
    keys: KeyFolder | None = None,
    tls: Tls | None = None,
    limits: Limits | None = None,
    now=time.time,
) -> Client:
    """``secret`` is the secret itself, '' for one that is missing."""

    def read(reference: str) -> str:
        if reference.startswith("file:"):
            return Path(reference.removeprefix("file:")).read_text()
        if not secret:
            raise FhirsvcError(Category.UNAUTHENTICATED, "the secret is not there", reference)
        return secret

    limits = limits or Limits(connect_s=5.0, read_s=10.0)
    transport = Transport(limits, time.monotonic, tls=tls)
    login = Login(
        kind,
        "env:SECRET",
        options or {},
        base_url,
        transport,
        keys=keys or KeyFolder(Path("/nowhere/at/all")),
        read=read,
        now=now,
        clock=time.monotonic,
        new_id=lambda: uuid.uuid4().hex,
    )
    bucket = TokenBucket(1000.0, 1000, time.monotonic, time.sleep)
    return Client(base_url, auth_for(login), bucket, limits, time.monotonic, transport=transport)


def read_one(client: Client, path: str = "Patient/none"):
    """A read below the base; 404 is the answer of an EHR that let us in."""
    return client.request("GET", path, correlation_id="c-1")
