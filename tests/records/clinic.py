"""The demo clinic, and how tests ask it questions."""

from __future__ import annotations

import json
import operator
from pathlib import Path

from fhirsvc.records.reading import read

DEMO = Path(__file__).parents[2] / "fixtures" / "demo"
CLIENTS = [f"client-{n:02}" for n in range(1, 13)]
OPS = {
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ge": operator.ge,
    "gt": operator.gt,
}


def load():
    """Return every demo record, in file and line order."""
    return [
        json.loads(line)
        for path in sorted(DEMO.glob("*.ndjson"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]


def values(record, path):
    """Return every value ``path`` (``a[].b``) reaches in ``record``."""
    found = [record]
    for step in path.split("."):
        name = step.removesuffix("[]")
        found = [node[name] for node in found if isinstance(node, dict) and name in node]
        if step.endswith("[]"):
            found = [item for items in found for item in items]
    return [v for f in found for v in (f if isinstance(f, list) else [f])]


def of(records, type, client):
    """Return the records of one type and client."""
    return [r for r in records if r["type"] == type and r.get("client_id") == client]


def totals(scores, client, instrument):
    """Return one client's totals on one instrument, in order of time."""
    return [r["total"] for r in scores[client][instrument] if "total" in r]


def rows(source, format, **more):
    """Return rows as (line, record, 'where: message') for short comparisons."""
    return [
        (row.line, row.record, "; ".join(f"{f.where}: {f.message}" for f in row.findings))
        for row in read(source, format, **more)
    ]
