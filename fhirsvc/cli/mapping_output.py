"""Where mapped resources go: NDJSON on standard output or in files by type, or one Bundle."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from fhirsvc.errors import Category, FhirsvcError

_HEAD = re.compile(rb'"resourceType":"([A-Za-z]+)","id":"([A-Za-z0-9.-]{1,64})"')


class Sink(Protocol):
    """Takes NDJSON lines; ``resources`` counts them. What is not closed in order is not left."""

    resources: int

    def write(self, lines: bytes) -> None:
        """Take some lines."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class LinesSink:
    """NDJSON on standard output."""

    def __init__(self) -> None:
        self.resources = 0
        self._out = sys.stdout.buffer

    def write(self, lines: bytes) -> None:
        """Write the lines as they are."""
        self.resources += lines.count(b"\n")
        self._out.write(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._out.flush()


class FilesSink:
    """``DIR/<ResourceType>.ndjson``, as FHIR Bulk Data names them; whole files or none."""

    def __init__(self, folder: str) -> None:
        self.resources = 0
        self._folder = _folder(folder)
        self._files: dict[str, BinaryIO] = {}

    def write(self, lines: bytes) -> None:
        """Write each line to the file of its type."""
        for line in lines.splitlines(keepends=True):
            name = _head(line)[0]
            if name not in self._files:
                self._files[name] = (self._folder / f"{name}.ndjson.part").open("wb")
            self._files[name].write(line)
            self.resources += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        for name, file in self._files.items():
            file.close()
            part = self._folder / f"{name}.ndjson.part"
            if error is None:
                part.replace(self._folder / f"{name}.ndjson")
            else:
                part.unlink(missing_ok=True)


class BundleSink:
    """One transaction Bundle, on standard output or as ``DIR/bundle.json``.

    Entries are ``PUT Type/id`` with our local ids, so references between them hold at a server
    that lets clients choose ids. https://hl7.org/fhir/R4/http.html#transaction
    """

    def __init__(self, to: str) -> None:
        self.resources = 0
        self._path = None if to == "-" else _folder(to) / "bundle.json"
        self._part = None if self._path is None else self._path.with_suffix(".json.part")
        self._out: BinaryIO = sys.stdout.buffer if self._part is None else self._part.open("wb")

    def write(self, lines: bytes) -> None:
        """Write each line as an entry."""
        for line in lines.splitlines():
            name, id = _head(line)
            self._out.write(b",\n" if self.resources else b"\n")
            request = f'{{"method":"PUT","url":"{name}/{id}"}}'.encode()
            self._out.write(b'{"resource":' + line + b',"request":' + request + b"}")
            self.resources += 1

    def __enter__(self) -> Self:
        self._out.write(b'{"resourceType":"Bundle","type":"transaction","entry":[')
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self._out.write(b"\n]}\n")
        self._out.flush()
        if self._path is not None and self._part is not None:
            self._out.close()
            if error is None:
                self._part.replace(self._path)
            else:
                self._part.unlink()


def _head(line: bytes) -> tuple[str, str]:
    """Type and id of the resource that a line begins with."""
    match = _HEAD.search(line)
    if match is None:
        raise FhirsvcError(Category.FAULT, "a mapped resource has no type and id in front")
    return match[1].decode(), match[2].decode()


def _folder(name: str) -> Path:
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot be made: {error.strerror}"
        raise FhirsvcError(Category.NOT_FOUND, message, name) from None
    return folder
