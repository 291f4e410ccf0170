"""``make bench``: what the core costs, as ratios measured side by side in one run.

Each contender runs in turn over the same data, several rounds; a figure is the ratio of medians of
CPU time. The last lines are ``name: figure``. Nothing here passes or fails: limits and peers move
with the machine, ratios much less.

record_to_bytes_x_fhir_resources   record bytes to validated FHIR bytes, against the same map
                                   followed by fhir.resources' model_validate and model_dump_json
share_of_orjson_limit              the same, against orjson.loads of the records and orjson.dumps
                                   of the resources alone: no map can be faster than that
validator_x_fhir_resources         validate() against model_validate, resource by resource
the mapping's own: by hand, back, with trace (``speeds``), and the merge's (``merging``).
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import orjson

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1])]

import merging
import shipped_clinic as clinic
import speeds
import workload

from fhirsvc.fhir.definitions import model
from fhirsvc.fhir.validate import validate

UNITS, ROUNDS, TURNS = 500, 11, 5


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _medians(contenders: Sequence[Callable[[], object]], rounds: int = ROUNDS) -> list[float]:
    """Median CPU seconds of each, run in turn: A B C A B C …"""
    for contender in contenders:
        contender()  # warm: code is made, shapes are met
    measured = [[_cpu(contender) for contender in contenders] for _ in range(rounds)]
    return [median(column) for column in zip(*measured, strict=True)]


def _core(name: str, records: list[dict[str, Any]]) -> dict[str, float]:
    """Records to bytes: ours, the limit, and the same map followed by fhir.resources."""
    mappings = clinic.mappings()
    given = [orjson.dumps(record) for record in records]
    made = [mappings.forward(record) for record in records]
    few = given[:: max(1, len(given) // 200)]

    def ours() -> None:
        for line in given:
            mappings.ndjson(orjson.loads(line))

    def limit() -> None:
        for line, resources in zip(given, made, strict=True):
            orjson.loads(line)
            for resource in resources:
                orjson.dumps(resource)

    def ours_few() -> None:
        for line in few:
            mappings.ndjson(orjson.loads(line))

    def peer_few() -> None:
        for line in few:
            for resource in mappings.forward(orjson.loads(line)):
                model(resource["resourceType"]).model_validate(resource).model_dump_json()

    for _ in range(1 if len(records) >= UNITS else 110):  # until recurring shapes are met
        ours()
    our_cpu, limit_cpu = _medians([ours, limit])
    few_cpu, peer_cpu = _medians([ours_few, peer_few], rounds=5)
    size_in, size_out = sum(map(len, given)), sum(len(mappings.ndjson(r)) for r in records)
    count = sum(map(len, made))
    print(
        f"{name}: {len(records)} records ({size_in} bytes) to {count} resources ({size_out} bytes)"
        f", {len(records) / our_cpu:.0f} records/s of CPU, {count / our_cpu:.0f} resources/s"
    )
    return {"share": limit_cpu / our_cpu, "times": peer_cpu / few_cpu}


def _validator(resources: list[dict[str, Any]]) -> float:
    """validate() against model_validate over the same parsed resources.

    A resource is validated when it was just parsed or made, so the set is small enough to stay near
    the processor, and each turn goes over it several times.
    """

    def ours() -> None:
        for _ in range(TURNS):
            for resource in resources:
                assert not validate(resource)

    def peer() -> None:
        for _ in range(TURNS):
            for resource in resources:
                model(resource["resourceType"]).model_validate(resource)

    our_cpu, peer_cpu = _medians([ours, peer])
    rate = TURNS * len(resources) / our_cpu
    print(f"validator: {len(resources)} resources, {rate:.0f}/s of CPU")
    return peer_cpu / our_cpu


def _traced(records: list[dict[str, Any]]) -> float:
    """Forward with the origin of every element, against forward alone."""
    mappings = clinic.mappings()
    plain, traced = _medians(
        [
            lambda: [mappings.forward(record) for record in records],
            lambda: [mappings.explain(record) for record in records],
        ],
        rounds=5,
    )
    return plain / traced


def main() -> None:
    """Measure and print."""
    by_type = {
        record["type"]: [] for unit in workload.units(1) for record in unit
    }  # a clinic's files hold one type each
    for unit in workload.units(UNITS):
        for record in unit:
            by_type[record["type"]].append(record)
    plans = [record for records in by_type.values() for record in records]
    gc.collect()
    gc.freeze()
    print(f"python {sys.version.split()[0]}, medians of {ROUNDS} rounds")
    core = _core("treatment plans", plans)
    demo = _core("demo clinic", clinic.records())
    few = [record for unit in workload.units(24, seed=11) for record in unit]
    made = [r for record in few for r in clinic.mappings().forward(record)]
    parsed = json.loads(json.dumps(made))
    figures = {
        "record_to_bytes_x_fhir_resources": core["times"],
        "share_of_orjson_limit": core["share"],
        "validator_x_fhir_resources": _validator(parsed),
        "demo_clinic_record_to_bytes_x_fhir_resources": demo["times"],
        "demo_clinic_share_of_orjson_limit": demo["share"],
        "trace_share_of_forward": _traced(plans[::10]),
        **speeds.figures(),
        **merging.figures(),
    }
    for name, figure in figures.items():
        print(f"{name}: {figure:.2f}")


if __name__ == "__main__":
    main()
