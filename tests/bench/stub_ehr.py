"""``python stub_ehr.py [--hang]``: an EHR that costs next to nothing, in a process of its own.

Every answer comes 30 ms after its request. A write is answered with its body, an id and a version;
of a business identifier there is one resource. Searches are empty, nothing can be read. ``GET
/count`` tells at once how many writes came below each base, ``GET /order`` whether they came in
order. With ``--hang`` it never answers. Prints its port first, and ends when its standard input
does.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from typing import Any

import orjson
import statements

LATENCY_S = 0.030
_METADATA = orjson.dumps(statements.everything())
_EMPTY = orjson.dumps({"resourceType": "Bundle", "type": "searchset", "total": 0})
_REFERENCE = re.compile(rb'"reference":"([^"]*)"')
_VERSION = re.compile(rb'"family":"Family version (\d+)"')  # as the bench's clients say it
_MISSING = orjson.dumps({"resourceType": "OperationOutcome", "issue": []})


class Stub:
    """What was written: how often below each base, and the id and version of each resource."""

    def __init__(self) -> None:
        self.writes: Counter[str] = Counter()
        self._known: dict[str, list[int]] = {}
        self._there: set[str] = set()
        self._newest: dict[str, int] = {}
        self._wrong: Counter[str] = Counter()

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, further header lines and body."""
        _, base, *path = target.split("/", 3)
        if method == "GET":
            if base == "count":
                return 200, "", orjson.dumps(self.writes)
            if base == "order":
                return 200, "", orjson.dumps(self._order())
            if path == ["metadata"]:
                return 200, "", _METADATA
            return (200, "", _EMPTY) if "?" in target else (404, "", _MISSING)
        self.writes[base] += 1
        resource = orjson.loads(body)
        is_new = method == "POST" or target not in self._known
        number, version = self._known.setdefault(target, [len(self._known) + 1, 0])
        if method == "POST":
            number = self.writes.total() + 1_000_000
        else:
            self._known[target][1] = version = version + 1
        resource["id"] = resource.get("id", str(number))
        self._look(base, resource, body)
        resource["meta"] = {**resource.get("meta", {}), "versionId": str(version or 1)}
        return 201 if is_new else 200, f'ETag: W/"{version or 1}"\r\n', orjson.dumps(resource)

    def _look(self, base: str, resource: dict[str, Any], body: bytes) -> None:
        """Note what refers to something that is not there, and a version after a newer one."""
        for one in _REFERENCE.findall(body):
            self._wrong["unknown"] += f"{base}/{one.decode()}" not in self._there
        self._there.add(f"{base}/{resource['resourceType']}/{resource['id']}")
        said = _VERSION.search(body)
        if said is not None:
            name = f"{base}/{resource['identifier'][0]['value']}"
            version = int(said[1])
            self._wrong["back"] += version < self._newest.get(name, 0)
            self._newest[name] = max(version, self._newest.get(name, 0))

    def _order(self) -> dict[str, int]:
        """References to what was not there, versions that came too late, the oldest newest one."""
        newest = min(self._newest.values(), default=0)
        return {"unknown": self._wrong["unknown"], "back": self._wrong["back"], "newest": newest}


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; one request at a time, as ``requests`` sends them."""

    def __init__(self, stub: Stub, *, hangs: bool) -> None:
        self._stub = stub
        self._hangs = hangs
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        length = _length(head) if end else 0
        if not end or len(rest) < length or self._hangs:
            return
        self._data = rest[length:]
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        status, more, body = self._stub.answer(method, target, rest[:length])
        text = f"HTTP/1.1 {status} -\r\nContent-Type: application/fhir+json\r\n{more}"
        said = f"{text}Content-Length: {len(body)}\r\n\r\n".encode() + body
        delay = 0.0 if target in ("/count", "/order") else LATENCY_S
        asyncio.get_running_loop().call_later(delay, self._say, said)

    def _say(self, said: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(said)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(*, hangs: bool) -> None:
    """Serve on a free loopback port until standard input ends."""
    stub = Stub()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(stub, hangs=hangs), "127.0.0.1", 0, backlog=512
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(hangs="--hang" in sys.argv))
