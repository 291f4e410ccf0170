"""How values are put together: parts, lists whose items have keys, and what all records share."""

from __future__ import annotations

from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields

from fhirsvc.records.kinds import DateTime, Enum, Id, Kind, Ref, Said

LIST_MAX = 1000

# Information sensitivity codes of v3-ActCode that the house labels with.
SENSITIVITIES = (
    "SUD",
    "ETH",
    "ETHUD",
    "OPIOIDUD",
    "BH",
    "MH",
    "PSY",
    "PSYTHPN",
    "HIV",
    "SDV",
)


class Part(Schema):
    """A group of fields inside a record; unknown fields are refused."""

    class Meta:
        """What marshmallow is told."""

        unknown = RAISE

    error_messages = {  # noqa: RUF012  (marshmallow's own class attribute, declared so)
        "unknown": Said("unknown", "unknown field"),
        "type": Said("type", "expected an object"),
    }


def _refusals(expected: str) -> dict[str, Any]:
    return {
        "required": [Said("required", "is required")],
        "null": [Said("type", "is null; leave the field out")],
        "invalid": [Said("type", expected)],
        "type": [Said("type", expected)],
    }


class Object(fields.Nested):
    """One part in its place."""

    kind = "object"
    refers_to: str | None = None
    values: tuple[str, ...] = ()

    def __init__(
        self,
        part: type[Part],
        doc: str,
        *,
        required: bool = False,
        sensitivity: str | None = None,
    ) -> None:
        super().__init__(
            part,
            required=required,
            metadata={"doc": doc, "sensitivity": sensitivity},
            error_messages=_refusals("expected an object"),
        )
        self.part = part

    def json(self) -> dict[str, Any]:
        """Return the schema: a reference, since parts recur."""
        return {"$ref": f"#/$defs/{self.part.__name__}"}

    def _test_collection(self, value: Any) -> None:
        """Refuse what is no object; checked here because marshmallow would accept any Mapping."""
        if not isinstance(value, dict):
            raise ValidationError([Said("type", "expected an object")])


class Many(fields.List[Any]):
    """A list of one kind. Lists of parts have a ``key`` field whose values are unique."""

    def __init__(
        self,
        inner: Kind | Object,
        doc: str,
        *,
        key: str | None = None,
        required: bool = False,
        sensitivity: str | None = None,
    ) -> None:
        super().__init__(
            inner,
            required=required,
            metadata={"doc": doc, "sensitivity": sensitivity},
            error_messages=_refusals("expected a list"),
        )
        self.of = inner
        self.key = key
        self.distinct = key is not None or isinstance(inner, Ref | Enum)

    def json(self) -> dict[str, Any]:
        """Return the schema of the list; that keys differ is beyond JSON Schema."""
        items = {"type": "array", "items": self.of.json(), "maxItems": LIST_MAX}
        return {**items, "uniqueItems": True} if self.distinct and not self.key else items

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise ValidationError([Said("type", "expected a list")])
        if len(value) > LIST_MAX:
            raise ValidationError([Said("value", f"has more than {LIST_MAX} items")])
        result = super()._deserialize(value, attr, data, **kwargs)
        if self.distinct:
            self._refuse_repeats(value)
        return result

    def _refuse_repeats(self, items: list[Any]) -> None:
        seen: dict[Any, int] = {}
        repeats: dict[int, Any] = {}
        for index, item in enumerate(items):
            mark = item[self.key] if self.key else item
            if mark in seen:
                rule = "unique" if self.key else "repeated"
                said = Said(rule, f"repeats item [{seen[mark]}]; each must differ")
                repeats[index] = {self.key: [said]} if self.key else [said]
            else:
                seen[mark] = index
        if repeats:
            raise ValidationError(repeats)


class Record(Part):
    """What every record carries; each type adds its own fields."""

    type_name: ClassVar[str]

    id = Id("The record's id in the internal system", required=True)
    updated_at = DateTime("When this version was written", required=True)
    updated_by = Ref("staff", "Who wrote this version")
    program_id = Ref("organization", "The program that holds the record")
    sensitivity = Many(
        Enum(SENSITIVITIES, "A v3-ActCode sensitivity"),
        "Sensitivity labels set on the whole record",
    )


def constant_type(name: str) -> Enum:
    """Return the ``type`` field of records of type ``name``."""
    return Enum((name,), "The record's type", required=True)
