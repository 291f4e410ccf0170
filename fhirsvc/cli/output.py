"""What commands print: JSON lines, findings, and progress on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import orjson

from fhirsvc.errors import Finding

COLOURS = {"error": "red", "warning": "yellow", "information": "cyan"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, a value a line.")


def say_json(value: object, *, err: bool = False) -> None:
    """Print one JSON value on a line of its own."""
    click.echo(orjson.dumps(value).decode(), err=err)


def finding_json(finding: Finding, **more: Any) -> dict[str, Any]:
    """Return a finding as JSON; ``more`` comes first."""
    return {
        **more,
        "where": finding.where,
        "severity": finding.severity,
        "rule": finding.rule,
        "message": finding.message,
    }


def say_finding(finding: Finding, *, err: bool = False) -> None:
    """Print a finding on one line, ``where: severity: message [rule]``."""
    severity = click.style(finding.severity, fg=COLOURS[finding.severity])
    click.echo(f"{finding.where}: {severity}: {finding.message} [{finding.rule}]", err=err)


def say_findings(findings: list[Finding], as_json: bool, fine: str) -> bool:
    """Print findings, or ``fine`` when there are none; whether one of them is an error."""
    for finding in findings:
        if as_json:
            say_json(finding_json(finding))
        else:
            say_finding(finding)
    if not findings and not as_json:
        click.echo(fine)
    return any(finding.severity == "error" for finding in findings)


def counted(number: int, noun: str) -> str:
    """``1 record``, ``2 records``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


@contextmanager
def progress(
    label: str, total: Callable[[], int | None] | None = None
) -> Iterator[Callable[[int], None]]:
    """Count on a terminal's standard error while the block runs; elsewhere say nothing.

    :param total: how many there will be, or None where that cannot be known; asked on a terminal.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Slow to import, and only a terminal needs them.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    known = total() if total is not None else None
    done = TextColumn("{task.completed:,}")
    columns = [SpinnerColumn(), TextColumn("{task.description}"), done, TimeElapsedColumn()]
    if known is not None:
        of = TextColumn(f"of {known:,}, left")
        columns[2:] = [BarColumn(), done, of, TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=known)
        yield lambda number: bar.advance(task, number)
