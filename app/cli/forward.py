"""Commands that need Ray: they start in a Python process of their own, so help loads nothing.

The process is replaced, so signals and exit codes are those of the command itself.
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
"""Settings for typer: every argument, also --help, is passed on to the other program."""


def forwarded(module: str, name: str, summary: str) -> Callable[[typer.Context], None]:
    """Returns a command that becomes `python -m MODULE NAME` with all its arguments."""

    def command(context: typer.Context) -> None:
        replace_process(module, *name.split(), *context.args)

    command.__doc__ = summary
    return command


def replace_process(module: str, *arguments: str) -> None:
    """Runs `python -m MODULE` in place of this process; does not return."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
