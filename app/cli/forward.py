"""Commands that need Ray: each replaces this process with `python -m`, so help loads no Ray.

Signals and exit codes are those of the command itself.
"""

import os
import sys
from collections.abc import Callable

import typer

RUNS, SERVICE = "jobs.commands", "deployments"
FORWARDED = {
    "help_option_names": [],
    "allow_extra_args": True,
    "ignore_unknown_options": True,
}
"""Typer settings that pass every argument, also --help, to the other program."""


def forwarded(module: str, name: str, summary: str) -> Callable[[typer.Context], None]:
    """Returns a command that becomes `python -m MODULE NAME` with all its arguments."""

    def command(context: typer.Context) -> None:
        replace_process(module, *name.split(), *context.args)

    command.__doc__ = summary
    return command


def replace_process(module: str, *arguments: str) -> None:
    """Runs `python -m MODULE` in place of this process; does not return."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
