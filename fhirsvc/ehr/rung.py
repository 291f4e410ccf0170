"""One rung of the ladder: the form a resource takes at an EHR, and what becomes of each field."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

RungName = Literal["native", "equivalent", "document", "hold"]
RUNGS: tuple[RungName, ...] = ("native", "equivalent", "document", "hold")
# What happens to a later version of what was written natively.
Later = Literal["update", "document", "stays", "hold"]


@dataclass(frozen=True)
class Rung:
    """The form of one resource of one record type, and what becomes of each field.

    ``way`` is ``native``, ``hold`` or the name of an equivalent. ``blocks``: a delivery is not
    complete without it and ends held; false where leaving it out is said and that is all.
    """

    record: str
    resource: str
    rung: RungName
    way: str
    via: str
    why: str = ""
    blocks: bool = False
    later: Later = "update"
    carried: tuple[str, ...] = ()
    downgraded: tuple[tuple[str, str], ...] = ()  # (field, how)
    dropped: tuple[tuple[str, str], ...] = ()  # (field, why)

    def to_json(self) -> dict[str, Any]:
        """As ``connect plan --json`` prints it and a delivery keeps it."""
        return {
            "record": self.record,
            "resource": self.resource,
            "rung": self.rung,
            "via": self.via,
            "why": self.why,
            "blocks": self.blocks,
            "later": self.later if self.rung == "native" else "",
            "carried": list(self.carried),
            "downgraded": [{"field": name, "how": how} for name, how in self.downgraded],
            "dropped": [{"field": name, "why": why} for name, why in self.dropped],
        }

    def only(self, present: Collection[str]) -> Rung:
        """The same for a record that has something in these fields alone."""
        return replace(
            self,
            carried=tuple(name for name in self.carried if name in present),
            downgraded=tuple(one for one in self.downgraded if one[0] in present),
            dropped=tuple(one for one in self.dropped if one[0] in present),
        )
