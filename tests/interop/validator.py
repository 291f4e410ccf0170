"""HL7's validator (HAPI's build of it) as a process that answers one resource at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from child import Child, log_file
from java_build import java


@dataclass(frozen=True)
class Issue:
    """One error the validator found, at a FHIRPath location."""

    location: str
    message: str
    severity: str  # error or fatal


@dataclass(frozen=True)
class Verdict:
    """What the validator says about one resource; ``index`` is its place in the call."""

    index: int
    resource_type: str | None
    id: str | None
    errors: tuple[Issue, ...]
    warnings: int


class Validator:
    """HL7's validator over base R4 and the packages ``igs``, kept open between calls."""

    def __init__(self, igs: Sequence[Path] = ()) -> None:
        self._options = [word for package in igs for word in ("--ig", str(package))]
        self._log = log_file("validator")
        self._child: Child | None = None
        self._profiles: Mapping[str, str | list[str]] | None = None

    def __enter__(self) -> Self:
        self._child = Child(java("Validate", *self._options, "-"), self._log)
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop()

    def check(
        self,
        resources: Iterable[Mapping[str, Any] | bytes],
        profiles: Mapping[str, str | list[str]] | None = None,
    ) -> list[Verdict]:
        """Validate each resource (a dict, or its JSON on one line) and return one Verdict each.

        ``profiles`` maps ``Type`` or ``Type|category code`` to the profile URLs to check besides
        base R4 and besides what ``meta.profile`` declares. Raises LookupError for a profile that is
        in none of the packages, ValueError for bytes that are not one line, RuntimeError when the
        validator dies or takes over two minutes.
        """
        if profiles != self._profiles:
            unknown = self._ask(json.dumps({"profiles": dict(profiles or {})}).encode())["unknown"]
            if unknown:
                self._profiles = None
                msg = f"in none of the packages: {', '.join(unknown)}"
                raise LookupError(msg)
            self._profiles = profiles
        return [_verdict(i, self._ask(_line(resource))) for i, resource in enumerate(resources)]

    def _ask(self, line: bytes) -> dict[str, Any]:
        if self._child is None:
            msg = "use the validator as a context manager"
            raise RuntimeError(msg)
        self._child.write_line(line)
        answer: dict[str, Any] = json.loads(self._child.read_line(120))
        return answer


def _line(resource: Mapping[str, Any] | bytes) -> bytes:
    if not isinstance(resource, bytes):
        return json.dumps(resource).encode()
    if not resource.strip() or b"\n" in resource or b"\r" in resource:
        msg = "a resource given as bytes is one line that is not blank"
        raise ValueError(msg)
    return resource


def _verdict(index: int, answer: Mapping[str, Any]) -> Verdict:
    errors = tuple(Issue(**error) for error in answer["errors"])
    return Verdict(index, answer["resourceType"], answer["id"], errors, answer["warnings"])
