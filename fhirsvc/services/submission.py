"""What is submitted, what comes of it, and how it is refused: the words of :mod:`submit`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.search import Search
from fhirsvc.store.served_search import Found

# What partners may write; everything else follows from records.
WRITABLE = ("CarePlan", "Goal", "QuestionnaireResponse", "ServiceRequest", "Task")
Resource = dict[str, Any]


class UnfitError(FhirsvcError):
    """Resources that do not become records; ``findings`` say why, with their FHIR paths."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(Category.INVALID, "it cannot be taken", findings[0].where)
        self.findings = tuple(findings)


class PreconditionError(FhirsvcError):
    """It is not as the request says that it has to be (HTTP 412)."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(Category.CONFLICT, message, where)


class NotThereError(FhirsvcError):
    """Nothing is there to be replaced, and its id is not a partner's to choose (HTTP 405).

    https://hl7.org/fhir/R4/http.html#upsert
    """

    def __init__(self, where: str) -> None:
        super().__init__(Category.UNSUPPORTED, "there is none, and ids are given here", where)


@dataclass(frozen=True)
class Submission:
    """One resource to be stored.

    ``id`` is that of the resource it replaces, ``expected`` the version. ``unless`` is a search: of
    one without ``id``, what it finds is taken for it (``If-None-Exist``); with ``is_update`` what
    it finds is replaced. ``name`` is what others call it (``urn:uuid:…``), ``where`` its place in
    the request.
    """

    resource: Resource
    id: str | None = None
    expected: int | None = None
    unless: Search | None = None
    is_update: bool = False
    name: str = ""
    where: str = ""


@dataclass(frozen=True)
class Submitted:
    """What is served by now; ``is_new`` when it was created."""

    found: Found
    is_new: bool


def placed(finding: Finding, where: str) -> Finding:
    """A finding of a resource at the resource's place in a request, if it has one."""
    head, dot, tail = finding.where.partition(".")
    is_path = head[:1].isupper()  # other places are those of a record
    return replace(finding, where=where + dot + tail) if where and is_path else finding
