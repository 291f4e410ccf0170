"""The records that are read together to judge a plan: whose they are and what belongs to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Chart:
    """Records given together, in the order given, and the day on which they are judged.

    Where a record is given more than once the last one counts; of a plan it is the one with the
    highest ``plan_version``.
    """

    records: Sequence[Record]
    today: date

    @cached_property
    def current(self) -> dict[tuple[str, str], int]:
        """``(type, id)`` to the index of the record that counts."""
        found: dict[tuple[str, str], int] = {}
        for index, record in enumerate(self.records):
            key = (record["type"], record["id"])
            before = self.records[found[key]] if key in found else {}
            if record.get("plan_version", 1) >= before.get("plan_version", 1):
                found[key] = index
        return found

    @cached_property
    def goals_of(self) -> dict[str, dict[str, Record]]:
        """Plan id to its goals by id, whichever of the two names the other."""
        found: dict[str, dict[str, Record]] = {}
        for plan in self.all("care_plan"):
            goals = found.setdefault(plan["id"], {})
            for name in plan.get("goal_ids", ()):
                if (goal := self.get("goal", name)) is not None:
                    goals[name] = goal
        for goal in self.all("goal"):
            if "care_plan_id" in goal:
                found.setdefault(goal["care_plan_id"], {})[goal["id"]] = goal
        return found

    @cached_property
    def plans_of(self) -> dict[str, list[Record]]:
        """Goal id to the plans given that it belongs to."""
        found: dict[str, list[Record]] = {}
        for plan_id, goals in self.goals_of.items():
            plan = self.get("care_plan", plan_id)
            for name in goals if plan is not None else ():
                assert plan is not None  # noqa: S101 - asked in the line above
                found.setdefault(name, []).append(plan)
        return found

    def get(self, type: str, id: str | None) -> Record | None:
        """Return the record that counts, or None where it was not given."""
        index = self.current.get((type, id or ""))
        return None if index is None else self.records[index]

    def absent_goals(self, plan: Record) -> list[str]:
        """Return the goals that a plan names and that were not given."""
        return [name for name in plan.get("goal_ids", ()) if self.get("goal", name) is None]

    def age(self, client_id: str) -> int | None:
        """Return the client's age in years today, where the client's record tells the birthday."""
        born = (self.get("client", client_id) or {}).get("birth_date")
        if born is None:
            return None
        day = date.fromisoformat(born)
        before = (self.today.month, self.today.day) < (day.month, day.day)
        return self.today.year - day.year - before

    def all(self, type: str) -> list[Record]:
        """Return the records of a type that count."""
        return [self.records[i] for (kind, _), i in self.current.items() if kind == type]
