"""``fhirsvc load``: records into the store, each with its deliveries, in one transaction."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.house import house
from fhirsvc.cli.inputs import Given, Reading, given, reading_options, say_located
from fhirsvc.cli.output import counted, json_option, progress, say_json
from fhirsvc.records.reading import Format

if TYPE_CHECKING:
    from fhirsvc.services.publish import Accepted, Publisher

BATCH = 100


@click.command()
@reading_options
@json_option
@click.pass_context
def load(
    ctx: click.Context,
    files: tuple[str, ...],
    input_format: Format | None,
    record_type: str | None,
    as_json: bool,
) -> None:
    """Check records, store them and queue their delivery to every connection.

    One bad record never stops the rest, and loading the same again changes nothing. With --json,
    a line for each finding and a last one that counts.
    """
    counts: Counter[str] = Counter()
    rows = given(files, Reading(input_format, record_type))
    with house() as wiring, progress("loading") as advance:
        for batch in _batches(rows):
            counts.update(_load(wiring.publisher, batch, as_json))
            advance(len(batch))
    names = ("created", "changed", "unchanged", "refused", "queued", "superseded")
    said = {name: counts[name] for name in names}
    if as_json:
        say_json(said)
    else:
        listed = ", ".join(f"{number:,} {name}" for name, number in said.items() if number)
        total = sum(counts[name] for name in names[:4])
        click.echo(f"{counted(total, 'record')}: {listed or 'nothing'}")
    ctx.exit(FINDINGS if counts["refused"] else 0)


def _batches(rows: Iterator[Given]) -> Iterator[list[Given]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _load(publisher: Publisher, batch: list[Given], as_json: bool) -> Counter[str]:
    readable = [one for one in batch if one.row.record is not None]
    accepted = publisher.accept([one.row.record for one in readable], f"load-{uuid.uuid4().hex}")
    for one in batch:
        for finding in one.row.findings:
            say_located(one, finding, as_json)
    for receipt in accepted.receipts:
        for finding in receipt.findings:
            say_located(readable[receipt.index], finding, as_json)
    return _count(accepted, len(batch) - len(readable))


def _count(accepted: Accepted, unreadable: int) -> Counter[str]:
    counts: Counter[str] = Counter(receipt.outcome for receipt in accepted.receipts)
    counts["refused"] += unreadable
    counts["queued"] = accepted.opened
    counts["superseded"] = accepted.superseded
    return counts
