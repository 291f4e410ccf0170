"""What every kind of value shares: a strict check that says what it expected, never what it got.

``load`` returns the JSON value it was given, so a record that passes is unchanged: a date stays its
ISO string, a number its number.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from marshmallow import ValidationError, fields
from marshmallow.exceptions import SCHEMA


class Said(str):
    """A message that remembers the name of the rule it speaks for."""

    __slots__ = ("rule",)
    rule: str

    def __new__(cls, rule: str, message: str) -> Said:
        """Make the message ``message`` of rule ``rule``."""
        said = super().__new__(cls, message)
        said.rule = rule
        return said


def reject(rule: str, message: str, field: str | None = None) -> ValidationError:
    """Return the error a schema raises when fields are well formed but do not fit together."""
    return ValidationError([Said(rule, message)], field or SCHEMA)


class Kind(fields.Field[Any], ABC):
    """What every kind shares: a one-line ``doc``, a ``sensitivity`` and a strict check."""

    kind: ClassVar[str]
    refers_to: str | None = None
    values: tuple[str, ...] = ()

    def __init__(self, doc: str, *, required: bool = False, sensitivity: str | None = None) -> None:
        super().__init__(
            required=required,
            allow_none=False,
            metadata={"doc": doc, "sensitivity": sensitivity},
            error_messages={
                "required": [Said("required", "is required")],
                "null": [Said("type", "is null; leave the field out")],
            },
        )

    @abstractmethod
    def wrong(self, value: Any) -> Said | None:
        """Return what was expected when ``value`` is not that, else None."""

    @abstractmethod
    def json(self) -> dict[str, Any]:
        """Return this kind's JSON Schema."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        said = self.wrong(value)
        if said is not None:
            raise ValidationError([said])
        return value
