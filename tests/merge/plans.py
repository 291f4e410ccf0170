"""Small CarePlans to merge, and what was told of a merge."""

from __future__ import annotations

from typing import Any

from fhirsvc.merge import Merged, Owners, merge

Body = dict[str, Any]
SCT = "http://snomed.info/sct"
OWNERS = Owners(
    {
        ("title",): "both",
        ("description",): "us",
        ("status",): "ehr",
        ("period", "start"): "us",
        ("period", "end"): "both",
        ("subject",): "both",
        ("goal",): "us",
        ("careTeam",): "both",
        ("note", "text"): "both",
        ("activity", "detail", "status"): "both",
        ("activity", "detail", "code"): "both",
        ("activity", "detail", "code", "coding"): "both",
        ("activity", "detail", "code", "text"): "both",
        ("activity", "detail", "quantity"): "both",
        ("activity", "detail", "goal"): "both",
        ("activity", "detail", "scheduledTiming"): "both",
        ("activity", "detail", "scheduledString"): "both",
        ("extension:urn:ours", "valueString"): "both",
        ("identifier:urn:ours",): "us",
    },
    constants={("intent",): "us", ("category",): "us"},
    lists={
        ("goal",): "us",
        ("careTeam",): "both",
        ("activity",): "both",
        ("activity", "detail", "goal"): "both",
    },
)


def plan(**elements: Any) -> Body:
    """A CarePlan of a few elements."""
    return {"resourceType": "CarePlan", "id": "1", "intent": "plan", **elements}


def activity(key: str | None, code: str, **detail: Any) -> Body:
    """An item of the plan's activities, by key where it has one."""
    made = {"detail": {"code": {"coding": [{"system": SCT, "code": code}]}, **detail}}
    return made if key is None else {"id": key, **made}


def merged(said: Body, ours: Body, held: Body, theirs: Body, **more: Any) -> Merged:
    """A merge of the four."""
    return merge(ours, theirs, said=said, held=held, owners=OWNERS, **more)


NOTHING: dict[str, list[str]] = {}


def told(found: Merged) -> dict[str, list[str]]:
    """What was told, by paths; without what is empty."""
    parts = ("taken", "sent", "kept", "set_aside", "conflicts")
    said = {part: [one.path for one in getattr(found, part)] for part in parts}
    return {part: paths for part, paths in said.items() if paths}
