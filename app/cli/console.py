"""The terminal as people see it, or the pipe that takes its place."""

import sys

from rich.console import Console

PIPE_WIDTH = 200


def console() -> Console:
    """As wide as the terminal; wide enough for whole names where a pipe takes it."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
