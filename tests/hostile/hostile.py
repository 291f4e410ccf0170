"""Hostile requests: what careless, broken and malicious clients send to /fhir and /api/v1.

A stream of them is made of what is served and accepted, changed at random from a seed; each body
and each address may carry a planted name, which must come out in no log.
"""

from __future__ import annotations

import contextlib
import json
import random
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.append(str(Path(__file__).resolve().parents[1] / "fhir"))

from mutations import mutate

from fhirsvc.fhir.search_parameters import TYPES, parameters
from fhirsvc.services.submission import WRITABLE

PLANTED = "Zebulonqx"
MEGABYTE = 1_000_000
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_TYPES_OF_BODY = (
    "application/fhir+json",
    "application/json",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/fhir+xml",
    "text/plain",
    "application/json; charset=utf-16",
    "",
    "\xff",
)
_HEADERS = {
    "If-Match": ('W/"1"', '"1"', "*", "", 'W/"99999999999999"', "x", 'W/"-1"', '"\xff"'),
    "If-None-Match": ("*", 'W/"1"', "x", ""),
    "If-None-Exist": ("", "identifier=x|y", "_id=", "a=b", "_count=5", "?" * 200, "status=%00"),
    "Prefer": ("return=minimal", "respond-async", "handling=lenient", "return=", "x" * 3000),
    "Accept": ("*/*", "application/fhir+json", "text/html", "application/fhir+xml", "x", ""),
    "Authorization": ("Bearer x", "Basic eDp5", "Bearer", "", f"Bearer {PLANTED}", "x" * 5000),
    "X-Request-ID": (PLANTED, "x" * 500, "a b", "\xff"),
    "Content-Encoding": ("gzip", "br", "x"),
    "Transfer-Encoding": ("chunked",),
    "Range": ("bytes=0-5", "bytes=9-1"),
    "X-HTTP-Method-Override": ("DELETE",),
    "Host": ("evil.example", "localhost:99999", "", "localhost"),
}
_ODD_TEXTS = (
    "",
    "'",
    "'; DROP TABLE record;--",
    '" OR 1=1',
    "../../etc/passwd",
    "%00",
    "%",
    "%%%",
    "{{7*7}}",
    "${jndi:ldap://x/y}",
    "<script>",
    "\u202e",
    "😀",
    "é" * 50,
    "x" * 2000,
    "2026-02-30",
    "9" * 40,
    "1e400",
    "NaN",
    "-",
    "|",
    "a|b|c",
    ",",
    "\\",
    "\\,",
    PLANTED,
)
_BROKEN = (
    b"",
    b"{",
    b"[",
    b"{}",
    b"[]",
    b"null",
    b"true",
    b"1e999",
    b'"x"',
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b'{"a":1,"a":2}',
    b'{"resourceType":"Bundle","type":"batch","entry":[{}]}',
    b'{"resourceType":"Bundle","type":"transaction","entry":[null]}',
    b"[" * 5000,
    b'{"a":' * 3000,
    b'{"x":"\\ud800"}',
    b'{"x":"\\u0000"}',
    b"<Patient xmlns='http://hl7.org/fhir'/>",
    b"NaN",
    b"-",
    b"0x10",
    b'{"resourceType":"Goal"',
    b"grant_type=client_credentials&scope=system/*.rs",
)


_ASKED = "us_core version connection state record after limit".split()


@dataclass(frozen=True)
class Ask:
    """One request; ``path`` has its query, already quoted."""

    method: str
    path: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_large(self) -> bool:
        """Whether its body is of about a megabyte."""
        return self.body is not None and len(self.body) > MEGABYTE // 2


class Hostile:
    """Makes requests from ``resources`` that are served and ``records`` that are accepted."""

    def __init__(
        self, seed: int, resources: list[dict[str, Any]], records: list[dict[str, Any]]
    ) -> None:
        self._rng = random.Random(seed)
        self._resources = resources
        self._records = records

    def stream(self, count: int) -> Iterator[Ask]:
        """So many requests, of every kind."""
        kinds = (
            self._search, self._search, self._read, self._write, self._write, self._bundle,
            self._operation, self._record, self._record, self._junk, self._elsewhere,
            self._operating,
        )  # fmt: skip
        for _ in range(count):
            yield self._dressed(self._rng.choice(kinds)())

    def _dressed(self, ask: Ask) -> Ask:
        """With headers that are odd now and then."""
        headers = dict(ask.headers)
        while self._rng.random() < 0.2:
            name = self._rng.choice(list(_HEADERS))
            headers[name] = self._rng.choice(_HEADERS[name])
        if self._rng.random() < 0.08:
            headers["Content-Type"] = self._rng.choice(_TYPES_OF_BODY)
        method = self._rng.choice(METHODS) if self._rng.random() < 0.05 else ask.method
        return Ask(method, ask.path, ask.body, headers)

    # ---- addresses ------------------------------------------------------------------------------

    def _text(self) -> str:
        if self._rng.random() < 0.5:
            return self._rng.choice(_ODD_TEXTS)
        letters = string.printable + "é\u0301\x00"
        return "".join(self._rng.choice(letters) for _ in range(self._rng.randrange(12)))

    def _type(self) -> str:
        if self._rng.random() < 0.05:
            return quote(self._text(), safe="") or "x"
        return self._rng.choice(TYPES)

    def _name(self) -> tuple[str, str]:
        one = self._rng.choice(self._resources)
        if self._rng.random() < 0.15:
            return one["resourceType"], quote(self._text(), safe="")
        return one["resourceType"], one["id"]

    def _search(self) -> Ask:
        kind = self._type()
        known = [*parameters(kind)] if kind in TYPES else []
        common = ["_id", "_lastUpdated", "_count", "_sort", "_include", "_revinclude", "_page"]
        query = []
        for _ in range(self._rng.randrange(4)):
            name = self._rng.choice([*known, *common, "_has:Task:x", "patient.name", "_summary"])
            if self._rng.random() < 0.2:
                name += self._rng.choice((":not", ":exact", ":missing", ":Patient", ":", ":x"))
            value = self._text()
            if self._rng.random() < 0.3:
                value = self._rng.choice(("true", "client.client-01", "ge2026-03", "active", "5"))
            query.append(f"{quote(name, safe=':')}={quote(value, safe='')}")
        text = "&".join(query)
        if self._rng.random() < 0.2:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return Ask("POST", f"/fhir/{kind}/_search", text.encode(), headers)
        return Ask("GET", f"/fhir/{kind}?{text}")

    def _read(self) -> Ask:
        kind, name = self._name()
        tail = self._rng.choice(("", "/_history", "/_history/1", "/_history/x", "/$validate"))
        return Ask("GET", f"/fhir/{kind}/{name}{tail}")

    def _elsewhere(self) -> Ask:
        paths = (
            "/fhir", "/fhir/", "/fhir/metadata", "/fhir/_history?_since=" + quote(self._text()),
            "/fhir/$export", "/fhir/Group", "/fhir/Subscription", "/oauth/token", "/openapi.json",
            "/.well-known/smart-configuration", "/hooks/x", "/api/v1/records", "/metrics",
            f"/fhir/export/{quote(self._text(), safe='')}", "/fhir/" + "a/" * 300,
            f"/fhir/Composition/handoff.aftercare-0{self._rng.randrange(9)}/$document",
            f"/fhir/Composition/{quote(self._text(), safe='')}/$document", "/docs",
            "/fhir/Patient/" + "x" * 5000, f"/{quote(self._text())}", "/fhir//Patient", "//fhir",
        )  # fmt: skip
        body = self._rng.choice((None, self._rng.choice(_BROKEN)))
        return Ask(
            self._rng.choice(("GET", "GET", "POST", "DELETE")), self._rng.choice(paths), body
        )

    # ---- bodies ---------------------------------------------------------------------------------

    def _planted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Changed at random, with the name in it; now and then a megabyte of it."""
        changed = mutate(body, self._rng) if self._rng.random() < 0.8 else dict(body)
        if self._rng.random() < 0.7:
            places = ["text", "note", "description", "title", "bogus", "id"]
            # The house says what its ids are, and logs name records by them.
            place = self._rng.choice(places if "resourceType" in body else places[:-1])
            changed[place] = self._rng.choice((PLANTED, [{"text": PLANTED}], {"text": PLANTED}))
        if self._rng.random() < 0.01:
            words = {"text": PLANTED + "x" * self._rng.choice((100, 10_000))}
            changed["note"] = [words] * (MEGABYTE // len(json.dumps(words)))
        return changed

    def _sent(self, body: Any) -> bytes:
        data = json.dumps(body).encode()
        if self._rng.random() < 0.05:
            data = data[: self._rng.randrange(len(data) + 1)]
        return data

    def _write(self) -> Ask:
        one = self._rng.choice([r for r in self._resources if r["resourceType"] in WRITABLE])
        kind = one["resourceType"] if self._rng.random() < 0.95 else self._type()
        body, json_ = self._sent(self._planted(one)), {"Content-Type": "application/fhir+json"}
        if self._rng.random() < 0.4:
            return Ask("POST", f"/fhir/{kind}", body, json_)
        if self._rng.random() < 0.1:
            return Ask("PUT", f"/fhir/{kind}?identifier={quote(self._text())}", body, json_)
        return Ask("PUT", f"/fhir/{kind}/{one['id']}", body, json_)

    def _bundle(self) -> Ask:
        entries = []
        for _ in range(self._rng.randrange(5)):
            ask = self._rng.choice((self._write, self._read, self._search))()
            request = {"method": ask.method, "url": ask.path.removeprefix("/fhir/")}
            entry: dict[str, Any] = {"request": request}
            with contextlib.suppress(ValueError):
                entry["resource"] = json.loads(ask.body or b"null")
            entries.append(entry)
        kind = self._rng.choice(("batch", "transaction", "transaction", "history"))
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind, "entry": entries}
        if self._rng.random() < 0.4:
            bundle = mutate(bundle, self._rng)
        path = self._rng.choice(("/fhir", "/fhir/"))
        return Ask("POST", path, self._sent(bundle), {"Content-Type": "application/fhir+json"})

    def _operation(self) -> Ask:
        one = self._rng.choice(self._resources)
        record = self._rng.choice(self._records)
        kind = one["resourceType"]
        path, body = self._rng.choice(
            (
                (f"/fhir/{kind}/$validate", one),
                ("/fhir/QuestionnaireResponse/$extract", one),
                ("/fhir/$map-back", one),
                ("/fhir/$map", record),
                (f"/fhir/{kind}/$nothing", one),
            )
        )
        return Ask(
            "POST", path, self._sent(self._planted(body)), {"Content-Type": "application/json"}
        )

    def _record(self) -> Ask:
        one = self._rng.choice(self._records)
        path = f"/api/v1/records/{one['type']}/{one['id']}"
        if self._rng.random() < 0.1:
            path = f"/api/v1/records/{quote(self._text(), safe='')}/{quote(self._text(), safe='')}"
        body = self._planted(one)
        json_ = {"Content-Type": "application/json"}
        if self._rng.random() < 0.3:
            lines = b"\n".join(self._sent(self._planted(one)) for _ in range(3))
            return Ask("POST", "/api/v1/records", lines, {"Content-Type": "application/x-ndjson"})
        if self._rng.random() < 0.2:
            return Ask("GET", path + self._rng.choice(("", "/history", "/x")))
        return Ask("PUT", path, self._sent(body), json_)

    def _operating(self) -> Ask:
        """What is beside the records: with words and numbers that mean nothing there."""
        asked = "&".join(
            f"{self._rng.choice(_ASKED)}={quote(self._text())}"
            for _ in range(self._rng.randrange(3))
        )
        one = self._rng.choice(self._records)
        number = self._rng.choice(("1", "0", "-1", "2147483648", "x", quote(self._text(), safe="")))
        path = self._rng.choice(
            (
                f"/api/v1/records/{one['type']}/{one['id']}/mapped",
                f"/api/v1/records/{one['type']}/{one['id']}/trace",
                "/api/v1/connections",
                "/api/v1/deliveries",
                f"/api/v1/deliveries/{number}",
                "/api/v1/conflicts",
            )
        )
        if self._rng.random() < 0.7:
            return Ask("GET", f"{path}?{asked}")
        path = self._rng.choice(
            (f"/api/v1/deliveries/{number}/retry", f"/api/v1/conflicts/{number}/resolve")
        )
        body = self._rng.choice(({}, {"take": "ours"}, {"take": {"value": PLANTED}}, PLANTED))
        return Ask("POST", path, self._sent(body), {"Content-Type": "application/json"})

    def _junk(self) -> Ask:
        path = self._rng.choice(
            ("/fhir/Goal", "/fhir", "/api/v1/records", "/fhir/$map", "/fhir/$map-back",
             "/api/v1/records/goal/x", "/fhir/Task/x", "/oauth/token", "/fhir/Goal/_search")
        )  # fmt: skip
        kind = self._rng.choice(_TYPES_OF_BODY)
        return Ask("POST", path, self._rng.choice(_BROKEN), {"Content-Type": kind})
