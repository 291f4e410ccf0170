"""What a merge costs beside the mapping of the same records, forward and back.

The demo clinic's records, each resource merged with the EHR's copy. A figure is the CPU time of
merging a record's resources over that of mapping the record forward and reading it back, which
generated code does. The contenders run in turn; best rounds count.

merge_quiet_x_forward_and_back      the EHR holds what it held
merge_reordered_x_forward_and_back  it turned every list round and dropped every Element.id: quiet
merge_edited_x_forward_and_back     and statuses changed there, a text here: both ways
care_plans_…                        the same over care plans alone
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "merge")]

import shipped_clinic as clinic
import speeds
from two_sides import forward, owners_of

from fhirsvc.mapping.back import Back
from fhirsvc.merge import Merged, Owners, merge

Body = dict[str, Any]
Four = tuple[Body, Body, Body, Body, Owners]  # ours, theirs, said, held


def figures() -> dict[str, float]:
    """Name to ratio."""
    records = clinic.records()
    plans = [record for record in records if record["type"] == "care_plan"]
    alone = {f"care_plans_{name}": figure for name, figure in _shares(plans).items()}
    return _shares(records) | alone


def _shares(records: list[Body]) -> dict[str, float]:
    mappings = clinic.mappings()
    back = Back.of(mappings.library)
    pairs = [(record, json.loads(json.dumps(mappings.forward(record)))) for record in records]

    def both_ways() -> None:
        for record, resources in pairs:
            mappings.forward(record)
            back.records(resources)

    bodies = [body for record in records for body in forward(record).values()]
    kinds = {
        "quiet": [_four(body, copy.deepcopy(body), body) for body in bodies],
        "reordered": [_four(body, _turned(body), body) for body in bodies],
        "edited": [_four(body, _edited(_turned(body)), _changed(body)) for body in bodies],
    }
    for name, cases in kinds.items():
        moved = sum(not _run(one).is_quiet or bool(_run(one).taken) for one in cases)
        assert (moved > 0) == (name == "edited"), name
    works = [lambda cases=cases: [_run(one) for one in cases] for cases in kinds.values()]
    mapped, *merged = speeds.best([both_ways, *works])
    each = ", ".join(f"{n} {c / len(bodies) * 1e3:.3f}" for n, c in zip(kinds, merged, strict=True))
    print(f"{len(bodies)} resources merged, CPU ms each: {each}")
    names = [f"merge_{name}_x_forward_and_back" for name in kinds]
    return {name: cpu / mapped for name, cpu in zip(names, merged, strict=True)}


def _four(said: Body, theirs: Body, ours: Body) -> Four:
    return ours, theirs, said, copy.deepcopy(said), owners_of(said)


def _run(four: Four) -> Merged:
    ours, theirs, said, held, owners = four
    return merge(ours, theirs, said=said, held=held, owners=owners)


def _turned(node: Any) -> Any:
    """Lists of objects the other way round, and no ids but the resource's own."""
    if isinstance(node, dict):
        return {n: _turned(v) for n, v in node.items() if n != "id" or "resourceType" in node}
    if isinstance(node, list):
        found = [_turned(one) for one in node]
        return found[::-1] if found and isinstance(found[0], dict) else found
    return node


def _edited(body: Body) -> Body:
    """The EHR's statuses are others, those of a plan's activities included."""
    activities = body["activity"] if body["resourceType"] == "CarePlan" else []
    for place in (body, *(one.get("detail", {}) for one in activities)):
        if "status" in place:
            place["status"] = "on-hold"
    return body


def _changed(body: Body) -> Body:
    """Our words are others."""
    made = copy.deepcopy(body)
    for name in ("title", "description", "comment"):
        if isinstance(made.get(name), str):
            made[name] += ", again"
    return made
