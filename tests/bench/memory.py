"""``python -m tests.bench.memory [SMALL LARGE]``: does ``map run`` keep its memory flat?

The same command maps SMALL and then LARGE records (100,000 and 1,000,000 if not said) of the
workload, no two alike, from standard input with ``--jobs 2``. Memory is the sum of the resident
sets of the process and all below it, looked at ten times a second (Linux). Ends with
``map_run_peak_large_x_small``: 1.0 is flat.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import orjson

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[2])]

import workload

PAGE_KB = 4
EVERY_S = 0.1


def lines(count: int) -> Iterator[bytes]:
    """NDJSON of the workload, made as it is asked for."""
    rng = random.Random(7)
    made, unit = 0, 0
    while True:
        for record in workload.unit(rng, unit):
            if made == count:
                return
            made += 1
            yield orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        unit += 1


def peaks(count: int) -> tuple[int, int]:
    """Peak megabytes, of the parent and of all processes together, while ``count`` are mapped."""
    command = [sys.executable, "-m", "fhirsvc.cli", "map", "run", "-", "--jobs", "2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        feeder = threading.Thread(target=_feed, args=(child.stdin, count))
        feeder.start()
        parent = together = 0
        while child.poll() is None:
            sets = [_resident_kb(pid) for pid in _tree(child.pid)]
            parent, together = max(parent, sets[0]), max(together, sum(sets))
            time.sleep(EVERY_S)
        feeder.join()
    if child.returncode:
        sys.exit(f"map run ended with {child.returncode}")
    return parent // 1024, together // 1024


def _feed(to: IO[bytes], count: int) -> None:
    with contextlib.suppress(BrokenPipeError), to:
        for line in lines(count):
            to.write(line)


def _tree(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _tree(int(child))
    return found


def _resident_kb(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB
    except (OSError, IndexError):
        return 0


def main() -> None:
    """Measure both and print the ratio."""
    small, large = (int(one) for one in sys.argv[1:3] or ("100000", "1000000"))
    found = {}
    for count in (small, large):
        parent, found[count] = peaks(count)
        print(f"{count:,} records: parent {parent} MB, all processes {found[count]} MB")
    print(f"map_run_peak_large_x_small: {found[large] / found[small]:.2f}")


if __name__ == "__main__":
    main()
