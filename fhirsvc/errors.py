"""Every error has one of ten categories, and one table says what each means to a caller.

FhirsvcError
 ├─ category   why it happened; decides HTTP status, OperationOutcome issue code and recovery
 ├─ message    a sentence for a person; never a value from a record (no PHI)
 └─ where      ``file:line:col``, a JSON path or a FHIR path, whichever locates it
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Recovery = Literal["retry", "hold", "bury"]


class Category(StrEnum):
    """Why something failed. The set is closed: a new cause belongs to one of these."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    GONE = "gone"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    FAULT = "fault"


@dataclass(frozen=True)
class Meaning:
    """What a category says over HTTP, in an OperationOutcome, and to the delivery loop."""

    status: int
    issue: str  # http://hl7.org/fhir/R4/valueset-issue-type.html
    recovery: Recovery


MEANING: dict[Category, Meaning] = {
    Category.INVALID: Meaning(422, "invalid", "bury"),
    Category.UNAUTHENTICATED: Meaning(401, "login", "retry"),
    Category.FORBIDDEN: Meaning(403, "forbidden", "bury"),
    Category.NOT_FOUND: Meaning(404, "not-found", "bury"),
    Category.GONE: Meaning(410, "deleted", "hold"),
    Category.CONFLICT: Meaning(409, "conflict", "hold"),
    Category.UNSUPPORTED: Meaning(400, "not-supported", "hold"),
    Category.BUSY: Meaning(429, "throttled", "retry"),
    Category.UNAVAILABLE: Meaning(503, "transient", "retry"),
    Category.FAULT: Meaning(500, "exception", "bury"),
}


class FhirsvcError(Exception):
    """An error this project raises on purpose; ``str()`` is one line: ``where: message``."""

    def __init__(self, category: Category, message: str, where: str = "") -> None:
        super().__init__(message)
        self.category = category
        self.message = message
        self.where = where

    @property
    def meaning(self) -> Meaning:
        """The row of the table for this error's category."""
        return MEANING[self.category]

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True)
class Finding:
    """One thing found wrong, located. Shared by every checker; printed the same everywhere.

    ``where`` is ``file:line:col`` for mapping files, a JSON path (``$.a[0].b``) for records and a
    FHIR path (``CarePlan.activity[0].detail.status``) for resources.
    """

    rule: str
    message: str
    where: str
    severity: Severity = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.severity}: {self.message} [{self.rule}]"
