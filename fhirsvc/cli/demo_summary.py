"""The demo's summary on a terminal: what went where, and how each fault was survived."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from fhirsvc.cli.demo_story import Told

# What the EHR did, and what happened next. https://hl7.org/fhir/R4/http.html
FAULTS = {
    "busy": ("said 429, come back later", "waited as long as Retry-After asked"),
    "unavailable": ("said 503", "backed off, looked whether it was stored, sent again"),
    "reset": ("hung up before storing", "looked it up by identifier, found nothing, sent again"),
    "drop": ("stored it, then lost the answer", "looked it up by identifier and kept that one"),
    "bare": ("answered without id and body", "read it back by identifier"),
    "slow": ("took its time", "waited"),
}


def show(told: Told, console: Console) -> None:
    """Print the summary."""
    console.print()
    console.print(_records(told))
    console.print(_faults(told))
    once = "each exactly once" if told.resources == told.known else "NOT each exactly once"
    verdict = (
        "[bold green]Nothing lost, nothing doubled[/]" if told.is_good else "[bold red]Not done[/]"
    )
    console.print(
        f"{verdict}: {told.records:,} records, {told.resources:,} resources at the EHR "
        f"({once}), {told.seconds:.1f} s."
    )
    console.print()


def _records(told: Told) -> Table:
    table = Table(title="From records to the EHR", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("record type")
    for name in ("records", "resources", "delivered", "retried", "open"):
        table.add_column(name, justify="right")
    for name, one in told.types.items():
        delivered = one.states.get("delivered", 0)
        open_ = sum(one.states.values()) - delivered
        cells = (one.records, one.resources, delivered, one.retried, open_)
        table.add_row(name, *(f"{cell:,}" if cell else "[dim]·[/]" for cell in cells))
    return table


def _faults(told: Told) -> Table:
    title = f"What the EHR did to us: {sum(told.faults.values())} faults"
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("times", justify="right")
    table.add_column("the EHR")
    table.add_column("what we did")
    for name, (done, survived) in FAULTS.items():
        if told.faults.get(name):
            table.add_row(f"{told.faults[name]:,}", done, survived)
    return table
