"""The mapping's speed against its own tasks: forward, the same by hand, back, with trace.

The demo clinic's records are mapped type by type, as files hold them. Before anything is timed the
mapping by hand has made the same resources of every record and refused what forward refuses. The
contenders then run in turn, each round beginning with another one; a figure is the ratio of the
best rounds in CPU time. By hand are care plans, goals, referrals and assessments; back and trace
are of all ten types.

forward_x_by_hand            forward against the same mapping and checks written by hand
forward_x_by_hand_unchecked  the same against the mapping by hand that checks nothing
back_x_forward               parsed resources to the record they came from, against forward
trace_x_forward              forward with the origin of every element, against forward
care_plans_…                 the same four over care plans alone
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from typing import Any

import shipped_clinic as clinic
from by_hand import TYPES, by_hand, unchecked
from same import assert_same, assert_same_refusals

from fhirsvc.mapping.back import Back

ROUNDS = 25
LEAST_S = 0.02  # of work in a round, so that the clock's step does not show

Record = dict[str, Any]
Work = Callable[[], object]


def figures() -> dict[str, float]:
    """Name to ratio."""
    records = sorted(clinic.records(), key=lambda r: r["type"])
    written = [r for r in records if r["type"] in TYPES]
    mappings, bare = clinic.mappings(), unchecked()
    assert_same(mappings, [by_hand, bare], written)
    tried = assert_same_refusals(mappings, by_hand, written)
    print(f"by hand: {len(written)} records made the same, {tried} odd ones refused alike")
    plans = [r for r in records if r["type"] == "care_plan"]
    found = _against_hand(written, bare) | _ways(records)
    alone = _against_hand(plans, bare) | _ways(plans)
    return found | {f"care_plans_{name}": figure for name, figure in alone.items()}


def _against_hand(records: list[Record], bare: Callable[[Record], object]) -> dict[str, float]:
    forward = clinic.mappings().forward
    ours, hand, hand_bare = best(
        [_over(records, forward), _over(records, by_hand), _over(records, bare)]
    )
    print(f"{len(records)} records forward: {len(records) / ours:.0f}/s of CPU")
    return {"forward_x_by_hand": hand / ours, "forward_x_by_hand_unchecked": hand_bare / ours}


def _ways(records: list[Record]) -> dict[str, float]:
    mappings = clinic.mappings()
    back = Back.of(mappings.library)
    parsed = [json.loads(json.dumps(mappings.forward(record))) for record in records]
    for resources, record in zip(parsed, records, strict=True):
        read = back.records(resources).records
        assert [(r["type"], r["id"]) for r in read] == [(record["type"], record["id"])]
    forth, home, traced = best(
        [
            _over(records, mappings.forward),
            _over(parsed, back.records),
            _over(records, mappings.explain),
        ]
    )
    return {"back_x_forward": forth / home, "trace_x_forward": forth / traced}


def _over(items: list[Any], do: Callable[[Any], object]) -> Work:
    def work() -> None:
        for item in items:
            do(item)

    return work


def best(contenders: list[Work]) -> list[float]:
    """Best CPU seconds of one turn of each; turns of a round are alike for all."""
    turns = max(1, round(LEAST_S / min(_cpu(one, 3) / 3 for one in contenders)))
    best = [float("inf")] * len(contenders)
    for round_ in range(ROUNDS):
        for i in range(len(contenders)):
            which = (i + round_) % len(contenders)
            gc.collect()
            best[which] = min(best[which], _cpu(contenders[which], turns) / turns)
    return best


def _cpu(work: Work, turns: int) -> float:
    start = time.process_time()
    for _ in range(turns):
        work()
    return time.process_time() - start
