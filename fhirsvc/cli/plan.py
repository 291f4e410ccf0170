"""``fhirsvc plan``: what a survey would find wrong with treatment plans."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime

import click

from fhirsvc.cli import FINDINGS
from fhirsvc.cli.inputs import Given, Reading, given, reading_options, say_located
from fhirsvc.cli.output import counted, json_option, progress, say_json
from fhirsvc.cli.records import faults
from fhirsvc.records.chart import Chart, Record
from fhirsvc.records.plan_lint import lint as lint_plans
from fhirsvc.records.reading import Format

JUDGED = ("care_plan", "goal")


@click.group()
def plan() -> None:
    """What a survey would find wrong with treatment plans."""


@plan.command()
@reading_options
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Judge as of this day (YYYY-MM-DD); of this machine's calendar if not.",
)
@json_option
@click.pass_context
def lint(
    ctx: click.Context,
    files: tuple[str, ...],
    input_format: Format | None,
    record_type: str | None,
    today: datetime | None,
    as_json: bool,
) -> None:
    """Say where plans and goals have the faults that surveys find.

    Give the plans with their goals; clients (for their age), episodes and assessments too where
    they are at hand. Every finding has file, line, JSON path and the rule's name; records that
    'records check' would refuse are reported as such and left out.
    """
    rows: list[Given] = []
    charted: list[Record] = []
    told = 0
    with progress("reading") as advance:
        for one in given(files, Reading(input_format, record_type)):
            advance(1)
            wrong = faults(one)
            for finding in wrong:
                say_located(one, finding, as_json)
            told += len(wrong)
            if not wrong and one.row.record is not None:
                rows.append(one)
                charted.append(one.row.record)
    chart = Chart(charted, today.date() if today else date.today())
    for index, finding in lint_plans(chart):
        say_located(rows[index], finding, as_json)
        told += 1
    _say_count(chart, told, as_json)
    ctx.exit(FINDINGS if told else 0)


def _say_count(chart: Chart, told: int, as_json: bool) -> None:
    kinds = Counter(type for type, _ in chart.current)
    absent = sorted({n for p in chart.all("care_plan") for n in chart.absent_goals(p)})
    if as_json:
        counts = {f"{type}s": kinds[type] for type in JUDGED}
        say_json({**counts, "findings": told, "absent_goals": len(absent)})
        return
    said = f"{counted(kinds['care_plan'], 'plan')}, {counted(kinds['goal'], 'goal')}"
    click.echo(f"{said}: {counted(told, 'finding')}", err=bool(told))
    if absent:
        click.echo(f"not given: {counted(len(absent), 'goal')} that plans name", err=True)
