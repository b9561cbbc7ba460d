"""Commands that need Ray: they are started in a Python of their own, so that help loads nothing.

The interpreter is replaced, so signals and exit codes are those of the command itself.
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
"""For typer: every argument, --help too, is the other program's to read."""


def forwarded(module: str, name: str, summary: str) -> Callable[[typer.Context], None]:
    """Returns a command that becomes `python -m MODULE NAME` with all its arguments."""

    def command(context: typer.Context) -> None:
        replace_process(module, name, *context.args)

    command.__doc__ = summary
    return command


def replace_process(module: str, *arguments: str) -> None:
    """Runs `python -m MODULE` in place of this process; does not return."""
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
