"""``python -m tests.bench.exporting [SMALL LARGE]``: does an export keep its memory flat?

A database of about SMALL and then of LARGE resources (10,000 and 100,000 if not said) is exported
whole by a worker's exporter in a process of its own, on SQLite. Ends with
``export_resources_per_second`` and ``export_peak_large_x_small``: 1.0 is flat (Linux).
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2])]

import sqlalchemy as sa
import workload

from fhirsvc.fhir.bulk import KickOff, offered
from fhirsvc.settings import load
from fhirsvc.store import exports
from fhirsvc.store.served import served
from fhirsvc.wiring import Wiring, product

CHUNK = 1000  # records that are accepted between two looks at how many resources there are


def _wired(folder: Path) -> Wiring:
    url = f"sqlite:///{folder / 'fhirsvc.sqlite'}"
    wired = product(load(database_url=url, exports=str(folder / "exports")))
    wired.database.upgrade()
    return wired


def _records() -> Iterator[dict[str, Any]]:
    rng, number = random.Random(7), 0
    while True:
        yield from workload.unit(rng, number)
        number += 1


def _there(wired: Wiring) -> int:
    with wired.database.read() as tx:
        return int(tx.execute(sa.select(sa.func.count()).select_from(served)).scalar_one())


def export(folder: Path) -> None:
    """Export everything in this process, and say how much, how long and the peak."""
    wired = _wired(folder)
    wired.exports.begin("bench", KickOff(), "system", "", list(offered("system")), "")
    exporter = wired.exporter(lambda: "bench")
    began = time.perf_counter()
    while exporter.once():
        pass
    took = time.perf_counter() - began
    with wired.database.read() as tx:
        jobs = tx.execute(sa.select(exports.export_job.c.id)).scalars().all()
        lines = sum(one.count for id_ in jobs for one in exports.files(tx, id_))
    print(lines, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def measured(count: int) -> tuple[int, float, int]:
    """Resources, seconds and peak megabytes of an export of at least ``count`` resources."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wired, records = _wired(folder), _records()
        projector = wired.projector
        assert projector is not None
        while _there(wired) < count:
            wired.publisher.accept(islice(records, CHUNK))
            while projector.catch_up():
                pass
        wired.database.dispose()
        command = [sys.executable, __file__, "--export", name]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    said = output.splitlines()[-1].split()  # logs come before
    return int(said[0]), float(said[1]), int(said[2])


def main() -> None:
    """Measure both and print the ratio."""
    if sys.argv[1:2] == ["--export"]:
        export(Path(sys.argv[2]))
        return
    peaks = []
    for count in map(int, sys.argv[1:3] or ("10000", "100000")):
        lines, took, peak = measured(count)
        peaks.append(peak)
        print(f"{lines:,} resources: {took:.1f} s, peak {peak} MB")
    print(f"export_resources_per_second: {lines / took:.0f}")
    print(f"export_peak_large_x_small: {peaks[-1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
