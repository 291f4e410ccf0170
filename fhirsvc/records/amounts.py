"""Kinds that count: whole numbers, numbers, true and false."""

from __future__ import annotations

import math
from typing import Any

from fhirsvc.records.kind import Kind, Said

INTEGER_MAX = 2_147_483_647  # FHIR integer: https://hl7.org/fhir/R4/datatypes.html#integer


class Integer(Kind):
    """A whole number; ``5.0`` and ``"5"`` are not."""

    kind = "integer"

    def __init__(
        self, doc: str, *, low: int = 0, high: int = INTEGER_MAX, required: bool = False
    ) -> None:
        super().__init__(doc, required=required)
        self.low, self.high = low, high

    def wrong(self, value: Any) -> Said | None:
        """Reject other types and numbers out of range."""
        if not isinstance(value, int) or isinstance(value, bool):
            return Said("type", f"expected a whole number from {self.low} to {self.high}")
        if not self.low <= value <= self.high:
            return Said("value", f"expected a whole number from {self.low} to {self.high}")
        return None

    def json(self) -> dict[str, Any]:
        """Return the schema of a whole number."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


class Decimal(Kind):
    """A finite number."""

    kind = "decimal"

    def __init__(
        self, doc: str, *, low: float = 0, high: float = 1_000_000, required: bool = False
    ) -> None:
        super().__init__(doc, required=required)
        self.low, self.high = low, high

    def wrong(self, value: Any) -> Said | None:
        """Reject other types and numbers out of range."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            return Said("type", f"expected a number from {self.low} to {self.high}")
        if not self.low <= value <= self.high:
            return Said("value", f"expected a number from {self.low} to {self.high}")
        return None

    def json(self) -> dict[str, Any]:
        """Return the schema of a number."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


class Boolean(Kind):
    """True or false; ``"yes"`` and ``1`` are not."""

    kind = "boolean"

    def wrong(self, value: Any) -> Said | None:
        """Reject everything but the two."""
        return None if isinstance(value, bool) else Said("type", "expected true or false")

    def json(self) -> dict[str, Any]:
        """Return the schema of a truth value."""
        return {"type": "boolean"}
