"""What the services need from the parts below, as small as they need it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fhirsvc.errors import Finding

Record = Mapping[str, Any]
Resource = Mapping[str, Any]

# What is wrong with a record, or with a resource; empty when nothing is.
Check = Callable[[object], list[Finding]]
Validate = Callable[[dict[str, Any]], list[Finding]]
Clock = Callable[[], float]  # epoch seconds
# Records that have to be where this one goes, though nobody sent them: the forms it answers.
Companions = Callable[[Record], list[dict[str, Any]]]


class Mapper(Protocol):
    """Turns a record into resources."""

    @property
    def fingerprint(self) -> str:
        """Tells these mappings from any others: what a replay is pinned to."""

    def forward(self, record: Record, us_core: int) -> list[dict[str, Any]]:
        """The resources of one record, to be treated as frozen.

        Each has ``resourceType``, a local ``id``, and ``identifier`` (a list, or one object) whose
        first entry is our business identifier. References inside are ``ResourceType/local-id``.

        :raises FhirsvcError: with the JSON path of what does not map.
        """
