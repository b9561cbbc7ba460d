"""Output of every command: one JSON document or text, and errors as exit codes."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer
from rich.console import Console

from app.digest import Json
from app.errors import AtelierError, InvalidRequest, PlanError
from app.types import Value

FAILED, FAULTY, INTERRUPTED = 1, 2, 130

AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")
]

PlanFile = Annotated[Path, typer.Argument(help="The plan, a YAML file.", metavar="PLAN")]
AllowLarge = Annotated[
    bool, typer.Option("--allow-large", help="Allow axes whose product is beyond 10,000 assets.")
]

PrintableT = TypeVar("PrintableT", bound=Value)


def print_result(value: PrintableT, as_json: bool, show: Callable[[PrintableT], None]) -> None:
    """Prints a value as JSON, or calls `show` to print it for a person."""
    if as_json:
        print_json(value.as_json())
    else:
        show(value)


def print_results(
    values: Sequence[PrintableT], as_json: bool, show: Callable[[Sequence[PrintableT]], None]
) -> None:
    """Prints a list of values as `print_result` does one."""
    if as_json:
        print_json([value.as_json() for value in values])
    else:
        show(values)


def print_json(document: Json) -> None:
    """Prints the one JSON document of a command."""
    print(json.dumps(document, ensure_ascii=False, indent=2))


@contextmanager
def exit_codes(as_json: bool) -> Iterator[None]:
    """Turns errors into messages and exit codes: 2 the caller's fault, 1 ours, 130 Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        _print_error(str(interrupt) or "interrupted", as_json)
        raise typer.Exit(INTERRUPTED) from interrupt
    except AtelierError as error:
        _print_error(str(error), as_json, error)
        raise typer.Exit(FAULTY if isinstance(error, InvalidRequest) else FAILED) from error


def _print_error(message: str, as_json: bool, error: AtelierError | None = None) -> None:
    if as_json:
        kind = type(error).__name__ if error else "Interrupted"
        print_json({"error": kind, "message": message, "faults": _error_fields(error)})
    else:
        say(message)


def _error_fields(error: AtelierError | None) -> list[Json]:
    if not isinstance(error, PlanError):
        return []
    return [
        {
            "file": fault.file,
            "line": fault.line,
            "field": fault.field,
            "value": fault.value,
            "message": fault.message,
            "remedy": fault.remedy,
        }
        for fault in error.faults
    ]


PIPE_WIDTH = 200
Say: TypeAlias = Callable[[str], None]
"""Prints a message or a line of progress, such as `say`."""


def make_console(*, stderr: bool = False) -> Console:
    """Makes a console as wide as the terminal; in a pipe, wide enough for whole names."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def say(text: str) -> None:
    """Prints a message or a line of progress on stderr; markup in it has no effect."""
    make_console(stderr=True).print(visible(text, keep="\n"), markup=False, soft_wrap=True)


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str, *, keep: str = "") -> str:
    """Returns the text with every control character as its escape, such as \\x1b or \\u202e.

    A terminal would obey C0 and C1 controls, and bidirectional controls reorder what is read.
    Characters in `keep` stay.
    """
    return _CONTROL.sub(lambda at: at[0] if at[0] in keep else ascii(at[0])[1:-1], text)
