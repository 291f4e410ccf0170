"""One run of checks against an EHR: what is asked, how long it takes, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from fhirsvc.ehr.capability import Capabilities
from fhirsvc.ehr.client import Answer, Client

Verdict = Literal["pass", "warn", "fail", "skip"]
# A cache between us and the EHR must not answer what it held before.
FRESH = {"Cache-Control": "no-cache"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    ``request`` is method and path with the names of its parameters, never their values;
    ``status`` None where there was no answer, ``ms`` None where nothing was asked.
    """

    id: str
    title: str
    request: str
    status: int | None
    ms: float | None
    verdict: Verdict
    advice: str


@dataclass(frozen=True)
class Asked:
    """A request, its answer and how long that took."""

    request: str
    answer: Answer
    ms: float

    @property
    def body(self) -> Mapping[str, Any]:
        """The answer's JSON object, empty without one."""
        return self.answer.body or {}

    @property
    def is_fine(self) -> bool:
        """Whether it succeeded."""
        return self.answer.status is not None and 200 <= self.answer.status < 300

    @property
    def told(self) -> str:
        """The status, or why there is none."""
        if self.answer.status is not None:
            return f"answered {self.answer.status}"
        return self.answer.said or f"no answer ({self.answer.problem})"


@dataclass(frozen=True)
class Subject:
    """What a run needs to know of the connection, and what we would do there.

    ``mapped`` are the resource types that records become. ``writes`` lets a run make, change and
    delete a resource of its own.
    """

    auth: str
    options: Mapping[str, Any]
    write_mode: str
    index_lag_s: float
    rate: float
    mapped: Sequence[str]
    writes: bool = False


@dataclass
class Run:
    """Asks, and keeps the checks. ``clock`` gives seconds that never go back, ``now`` epoch s."""

    client: Client
    subject: Subject
    now: Callable[[], float]
    clock: Callable[[], float]
    sleep: Callable[[float], object]
    new_id: Callable[[], str]
    checks: list[Check] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    declared: Capabilities = field(default_factory=Capabilities)
    correlation_id: str = ""

    def ask(
        self,
        method: str,
        path: str,
        *,
        shown: str = "",
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> Asked:
        """One request; ``shown`` stands for its path where that has an id."""
        began = self.clock()
        answer = self.client.request(
            method,
            path,
            correlation_id=self.correlation_id,
            params=params,
            body=body,
            headers={**FRESH, **(headers or {})},
            anonymous=anonymous,
        )
        ms = round((self.clock() - began) * 1000, 1)
        told = shown or urlsplit(path).path
        names = f"?{'&'.join(params)}" if params else ""
        made = Asked(f"{method} {told}{names}", answer, ms)
        self.asked.append(made)
        return made

    def note(
        self, id_: str, title: str, verdict: Verdict, advice: str = "", of: Asked | None = None
    ) -> None:
        """Keep a check, of a request or of none."""
        request, status, ms = "", None, None
        if of is not None:
            request, status, ms = of.request, of.answer.status, of.ms
        self.checks.append(Check(id_, title, request, status, ms, verdict, advice))

    def identifier(self) -> tuple[str, str]:
        """A business identifier that nobody ever used.

        https://hl7.org/fhir/R4/datatypes.html#Identifier
        """
        return "urn:ietf:rfc:3986", f"urn:uuid:{self.new_id()}"


def matches(body: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The resources that a search found; None when the body is no search's answer."""
    if body.get("resourceType") != "Bundle":
        return None
    entries = body.get("entry")
    return [
        entry["resource"]
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        and isinstance(entry.get("resource"), dict)
        and entry["resource"].get("resourceType") != "OperationOutcome"
    ]
