"""``python stub_ehr.py [--hang]``: an EHR that costs next to nothing, in a process of its own.

Every answer comes 30 ms after its request. A write is answered with its body, an id and a version;
of a business identifier there is one resource. Searches are empty, nothing can be read. ``GET
/count`` tells at once how many writes came below each base. With ``--hang`` it never answers.
Prints its port first, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import orjson
import statements

LATENCY_S = 0.030
_METADATA = orjson.dumps(statements.everything())
_EMPTY = orjson.dumps({"resourceType": "Bundle", "type": "searchset", "total": 0})
_MISSING = orjson.dumps({"resourceType": "OperationOutcome", "issue": []})


class Stub:
    """What was written: how often below each base, and the id and version of each resource."""

    def __init__(self) -> None:
        self.writes: Counter[str] = Counter()
        self._known: dict[str, list[int]] = {}

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, further header lines and body."""
        _, base, *path = target.split("/", 3)
        if method == "GET":
            if base == "count":
                return 200, "", orjson.dumps(self.writes)
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
        resource["meta"] = {**resource.get("meta", {}), "versionId": str(version or 1)}
        return 201 if is_new else 200, f'ETag: W/"{version or 1}"\r\n', orjson.dumps(resource)


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
        delay = 0.0 if target == "/count" else LATENCY_S
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
