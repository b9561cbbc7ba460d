"""What the commands of all benchmarks share: extents, options, output, goals, and the exit code.

A benchmark is a value of its package; its command declares the options that only it has.
"""

import inspect
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Generic, Self, TypeAlias, TypeVar

import typer

from app.cli.output import FAILED, AsJson, Say, exit_codes, make_console, print_result, say
from app.cli.tables import escape
from app.types import Value

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Quick = Annotated[bool, typer.Option("--quick", help="Little of everything, to try it out.")]
Chart = Annotated[
    Path | None, typer.Option("--chart", dir_okay=False, help="Draw the figures into this PNG.")
]


@dataclass(frozen=True, slots=True)
class Goal:
    """What the figures should reach, as a line for people, and whether they do."""

    text: str
    met: bool
    required: bool = False
    """Whether to miss it is a failure, with exit code 1."""


def at_least(name: str, figure: float, limit: float, form: str = ".2f") -> Goal:
    """Returns the goal that a figure is not below a limit; both are shown in this form."""
    return Goal(f"{name}: {figure:{form}}, at least {limit:{form}} wanted", figure >= limit)


def at_most(name: str, figure: float, limit: float, form: str = ".2f") -> Goal:
    """Returns the goal that a figure is not above a limit; both are shown in this form."""
    return Goal(f"{name}: {figure:{form}}, at most {limit:{form}} wanted", figure <= limit)


ExtentT = TypeVar("ExtentT", bound="DataclassInstance")
FiguresT = TypeVar("FiguresT", bound=Value)


@dataclass(frozen=True, slots=True)
class Benchmark(Generic[ExtentT, FiguresT]):
    """What is measured at which extent, how the figures are shown and drawn, and their goals."""

    full: ExtentT
    quick: ExtentT
    measure: Callable[[ExtentT, Say], FiguresT]
    show: Callable[[FiguresT], None]
    goals: Callable[[FiguresT], Iterable[Goal]] = lambda _: ()
    draw: Callable[[FiguresT, Path], None] | None = None

    def given(self, **options: Any) -> Self:
        """Returns the benchmark with these fields of both extents; None changes nothing."""
        changes = {name: value for name, value in options.items() if value is not None}
        return replace(
            self, full=replace(self.full, **changes), quick=replace(self.quick, **changes)
        )

    def run(self, *, quick: bool, as_json: bool, chart: Path | None) -> bool:
        """Measures, prints and draws the figures; returns whether every required goal is met."""
        figures = self.measure(self.quick if quick else self.full, say)
        goals = tuple(self.goals(figures))
        print_result(figures, as_json, self.show)
        if not as_json:
            show_goals(goals)
        if chart and self.draw:
            self.draw(figures, chart)
        return all(goal.met for goal in goals if goal.required)


def show_goals(goals: Sequence[Goal]) -> None:
    """Prints the goals that are missed, or that every goal is met; nothing where there are none."""
    out, missed = make_console(), [goal for goal in goals if not goal.met]
    for goal in missed:
        out.print(f"[yellow]missed[/]: {escape(goal.text)}", soft_wrap=True)
    if goals and not missed:
        out.print("every goal is met")


AnyBenchmark: TypeAlias = Benchmark[Any, Any]
Declaration: TypeAlias = Callable[..., AnyBenchmark]


def benchmark_command(*, charts: bool = False) -> Callable[[Declaration], Callable[..., None]]:
    """Returns a decorator that makes a command of a function from options to a benchmark.

    The command has the function's help and options, and --quick, --json and, with `charts`,
    --chart. The function is called once the command runs: what it imports, help does not load.
    """
    shared = {"quick": (Quick, False), "chart": (Chart, None), "as_json": (AsJson, False)}
    if not charts:
        del shared["chart"]

    def decorate(declare: Declaration) -> Callable[..., None]:
        @wraps(declare)
        def command(
            quick: bool, as_json: bool, chart: Path | None = None, **options: object
        ) -> None:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it started ends too
            with exit_codes(as_json):
                met = declare(**options).run(quick=quick, as_json=as_json, chart=chart)
            if not met:
                raise typer.Exit(FAILED)

        own = inspect.signature(declare)
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind
            )
            for name, (kind, default) in shared.items()
        ]
        both = own.replace(parameters=[*own.parameters.values(), *added], return_annotation=None)
        command.__signature__ = both  # type: ignore[attr-defined]
        return command

    return decorate
