"""The ``fhirsvc`` command: groups are imported when first used, and every error is one line."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

import click

from fhirsvc import __version__
from fhirsvc.errors import Category, FhirsvcError

FINDINGS, USAGE, OTHER_SIDE = 1, 2, 3
_EXIT: dict[Category, int] = {
    Category.INVALID: FINDINGS,
    Category.CONFLICT: FINDINGS,
    Category.GONE: FINDINGS,
    Category.NOT_FOUND: USAGE,
    Category.UNSUPPORTED: USAGE,
    Category.UNAUTHENTICATED: OTHER_SIDE,
    Category.FORBIDDEN: OTHER_SIDE,
    Category.BUSY: OTHER_SIDE,
    Category.UNAVAILABLE: OTHER_SIDE,
    Category.FAULT: OTHER_SIDE,
}

# What is wrong with the file itself. https://www.sqlite.org/rescode.html
_SAID_BY_SQLITE = (
    "attempt to write a readonly database",
    "database disk image is malformed",
    "database is locked",
    "database or disk is full",
    "disk I/O error",
    "file is not a database",
    "unable to open database file",
)

# Name → where it is and what it does: help is printed without importing any of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo:demo", "The whole story on made-up records, against a simulated EHR."),
    "serve": ("run:serve", "HTTP and delivery in one process."),
    "worker": ("run:worker", "Delivery only."),
    "records": ("records:records", "Check records; JSON Schema of their types."),
    "load": ("load:load", "Check records, store them and queue their delivery."),
    "map": ("maps:maps", "Run and check the mappings to FHIR."),
    "plan": ("plan:plan", "What a survey would find wrong with treatment plans."),
    "validate": ("validate:validate", "Validate FHIR resources, one OperationOutcome each."),
    "codes": ("codes:codes", "Check the codes that the mappings use."),
    "instrument": ("instrument:instrument", "Standardized instruments: list them, add one."),
    "handoff": ("handoff:handoff", "The aftercare handoff of a discharged client."),
    "connect": ("connect:connect", "EHR connections: add, change, list, test, plan."),
    "keys": ("keys:keys", "The keys that EHRs know us by: new, list, retire."),
    "accounts": ("accounts:accounts", "Who may sign in: add, list, disable; tokens of systems."),
    "clients": ("clients:clients", "Partners' clients: add, list, revoke."),
    "sync": (
        "sync:sync",
        "Deliveries and readings: status, show, pull, retry, replay, stop.",
    ),
    "conflicts": ("conflicts:conflicts", "What both sides changed: list it, decide it."),
    "review": ("review:review", "What came and waits for a person."),
    "referral": ("referral:referral", "Referrals: where each stands, what is overdue, one move."),
    "db": ("db:db", "The database: upgrade, check."),
    "config": ("config:config", "The settings in force."),
}


class _Commands(click.Group):
    """The root: lazy groups and the one error handler."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command when it is asked for."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(f"fhirsvc.cli.{module}"), name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above names only these
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table of commands without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, said) for name, (_, said) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever it raises ends as one line and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(130)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            ctx.exit(_report(error))
        return result


def _report(error: Exception) -> int:
    """Say what went wrong on one line (one per finding, for mappings); return the exit code."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        # Whoever read our output has gone; the interpreter must not notice once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    if isinstance(error, FhirsvcError):
        for line in getattr(error, "findings", [error]):
            _complain(str(line))
        return _EXIT[error.category]
    kind = type(error)
    if kind.__module__.startswith("sqlalchemy."):
        # Its text may hold statements and, of a driver's unknown error, values.
        said = str(getattr(error, "orig", ""))
        why = said if said in _SAID_BY_SQLITE else kind.__name__
        _complain(f"database: cannot be used ({why})")
        return OTHER_SIDE
    if isinstance(error, OSError) and error.strerror:
        _complain(f"files: {error.strerror}")
        return OTHER_SIDE
    _complain(f"unexpected {kind.__name__}; please report it (FHIRSVC_DEBUG=1 shows where)")
    return OTHER_SIDE


def _complain(text: str) -> None:
    line = " ".join(text.split())
    click.echo(f"{click.style('error', fg='red')}: {line}", err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, envvar="FHIRSVC_DEBUG", hidden=True)
@click.version_option(__version__, message="fhirsvc %(version)s")
def main(debug: bool) -> None:
    """Behavioral-health records to FHIR R4 and on to EHRs.

    Exit codes: 0 fine, 1 findings, 2 usage, 3 the other side failed.
    """
