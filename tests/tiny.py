"""A small honest mapping for tests of the engine: three record types that need each other.

care_plan → one Condition per diagnosis, and a CarePlan that refers to its goals;
goal → a Goal that refers to a Condition of the care plan: the two records need each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fhirsvc.errors import Category, FhirsvcError, Finding

SYSTEM = "urn:example:"
TYPES = ("client", "goal", "care_plan")


@dataclass
class FakeClock:
    """Seconds that only pass when told to, or when somebody sleeps."""

    now: float = 1_770_000_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def check(record: object) -> list[Finding]:
    """What is wrong with a record: it is no object, or its type or id is missing."""
    if not isinstance(record, dict):
        return [Finding("object", "a record is an object", "$")]
    if record.get("type") not in TYPES:
        return [Finding("type", "no such record type", "$.type")]
    if not isinstance(record.get("id"), str):
        return [Finding("id", "a record has an id", "$.id")]
    return []


class TinyMapper:
    """Maps the three types; ``refuse`` in a record makes the mapping fail."""

    fingerprint = "tiny"

    def forward(self, record: Mapping[str, Any], us_core: int) -> list[dict[str, Any]]:
        if record.get("refuse"):
            raise FhirsvcError(Category.INVALID, "expected: something else", "$.refuse")
        return list(getattr(self, f"_{record['type']}")(record))

    def _client(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        patient = _resource("Patient", f"client.{record['id']}")
        return [{**patient, "name": [{"family": record.get("family", "Example")}]}]

    def _goal(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        goal = {
            **_resource("Goal", f"goal.{record['id']}"),
            "lifecycleStatus": "active",
            "description": {"text": record.get("statement", "walk every day")},
            "subject": {"reference": f"Patient/client.{record['client_id']}"},
        }
        if "addresses" in record:
            plan, diagnosis = record["addresses"].split("/")
            goal["addresses"] = [{"reference": f"Condition/care-plan.{plan}.{diagnosis}"}]
        return [goal]

    def _care_plan(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        subject = {"reference": f"Patient/client.{record['client_id']}"}
        local = f"care-plan.{record['id']}"
        diagnoses = record.get("diagnoses", ["dx1"])
        conditions = [
            {**_resource("Condition", f"{local}.{one}"), "subject": subject} for one in diagnoses
        ]
        plan = {
            **_resource("CarePlan", local),
            "status": "active",
            "intent": "plan",
            "title": record.get("title", "a plan"),
            "subject": subject,
            "addresses": [{"reference": f"Condition/{local}.{one}"} for one in diagnoses],
            "goal": [{"reference": f"Goal/goal.{one}"} for one in record.get("goal_ids", [])],
        }
        # The plan first, though it needs the conditions: the order is the deliverer's to find.
        return [{key: value for key, value in plan.items() if value}, *conditions]


def _resource(resource_type: str, local_id: str) -> dict[str, Any]:
    return {
        "resourceType": resource_type,
        "id": local_id,
        "identifier": [{"system": SYSTEM + resource_type, "value": local_id}],
    }


def client(id_: str = "c-1", **more: Any) -> dict[str, Any]:
    """A client record."""
    return {"type": "client", "id": id_, **more}


def goal(id_: str = "g-1", client_id: str = "c-1", **more: Any) -> dict[str, Any]:
    """A goal record."""
    return {"type": "goal", "id": id_, "client_id": client_id, **more}


def care_plan(id_: str = "cp-1", client_id: str = "c-1", **more: Any) -> dict[str, Any]:
    """A care plan record."""
    return {"type": "care_plan", "id": id_, "client_id": client_id, **more}


def no_findings(_resource: dict[str, Any]) -> list[Finding]:
    """A validation that everything passes."""
    return []
